"""A first look at a topic of a drive: its time, and the light and sharpness of a sample."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress

from hrda_core.image_codec import ImageDecodeError
from training.bags.reading import Bag, BagDamageError, RawMessage
from training.extraction.choice import Overview, medians
from training.extraction.figures import FrameFigures
from training.extraction.frame import Frame
from training.extraction.helpers import Helpers
from training.extraction.rate import FrameClock
from training.extraction.settings import ChoiceSettings

SAMPLE = 200
"""Most frames that are decoded to find the medians of a drive."""


def look_over(
    bag: Bag,
    topic: str,
    settings: ChoiceSettings,
    alive: Callable[[], None],
    helpers: Helpers,
) -> Overview:
    """Find out what choosing needs to know, and nothing more.

    Args:
        bag: the recording.
        topic: an image topic.
        settings: what will be chosen by.
        alive: called for every frame, so that a stop is noticed.
        helpers: measure frames while others are read.
    """
    if not settings.max_frames and not settings.compares_with_median:
        return Overview()
    times = [message.record_ns for message in _candidates(bag, topic, settings, alive)]
    if not times:
        return Overview()
    if not settings.compares_with_median:
        return Overview(min(times), max(times))
    count = min(SAMPLE, len(times))
    wanted = {number * len(times) // count for number in range(count)}
    candidates = enumerate(_candidates(bag, topic, settings, alive))
    chosen = (message for number, message in candidates if number in wanted)
    return medians(min(times), max(times), list(_measured(chosen, helpers)))


def _measured(messages: Iterable[RawMessage], helpers: Helpers) -> Iterator[FrameFigures]:
    """Figures of the frames that can be read; the others are told when their own turn comes."""
    begun: deque[Future[FrameFigures]] = deque()
    for message in messages:
        with suppress(BagDamageError, ImageDecodeError):
            begun.append(helpers.begin(Frame(message).measure))
        yield from _finished(begun, helpers, helpers.ahead)
    yield from _finished(begun, helpers, 0)


def _finished(
    begun: deque[Future[FrameFigures]], helpers: Helpers, most: int
) -> Iterator[FrameFigures]:
    """What was measured, until no more than so many are left."""
    while len(begun) > most:
        with suppress(ImageDecodeError):
            yield helpers.wait(begun.popleft())


def _candidates(
    bag: Bag, topic: str, settings: ChoiceSettings, alive: Callable[[], None]
) -> Iterator[RawMessage]:
    """The frames that --every takes."""
    clock = FrameClock(settings.every_ns)
    for message in bag.messages([topic]):
        alive()
        if clock.takes(stamp_or_zero(message) or message.record_ns):
            yield message


def stamp_or_zero(message: RawMessage) -> int:
    """Stamp of the header [ns]; 0 when it is not set or cannot be read."""
    try:
        return message.header_stamp_ns()
    except BagDamageError:
        return 0
