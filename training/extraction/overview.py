"""A first look at a topic of a drive: its time, and the light and sharpness of a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hrda_core.image_codec import ImageDecodeError
from training.bags.reading import Bag, BagDamageError, RawMessage
from training.extraction.choice import Overview, medians
from training.extraction.figures import FrameFigures
from training.extraction.frame import Frame
from training.extraction.rate import FrameClock
from training.extraction.settings import ChoiceSettings

SAMPLE = 200
"""Most frames that are decoded to find the medians of a drive."""


def look_over(
    bag: Bag, topic: str, settings: ChoiceSettings, alive: Callable[[], None]
) -> Overview:
    """Find out what choosing needs to know, and nothing more.

    Args:
        bag: the recording.
        topic: an image topic.
        settings: what will be chosen by.
        alive: called for every frame, so that a stop is noticed.
    """
    if not settings.max_frames and not settings.compares_with_median:
        return Overview()
    times = [time_ns for time_ns, _ in _candidates(bag, topic, settings, alive)]
    if not times:
        return Overview()
    if not settings.compares_with_median:
        return Overview(min(times), max(times))
    count = min(SAMPLE, len(times))
    wanted = {number * len(times) // count for number in range(count)}
    sample: list[FrameFigures] = []
    for number, (_, message) in enumerate(_candidates(bag, topic, settings, alive)):
        if number in wanted:
            try:
                sample.append(Frame(message).figures)
            except (BagDamageError, ImageDecodeError):
                continue  # told when the frame's own turn comes
    return medians(min(times), max(times), sample)


def _candidates(
    bag: Bag, topic: str, settings: ChoiceSettings, alive: Callable[[], None]
) -> Iterator[tuple[int, RawMessage]]:
    """The frames that --every takes, with their times [ns]."""
    clock = FrameClock(settings.every_ns)
    for message in bag.messages([topic]):
        alive()
        time_ns = stamp_or_zero(message) or message.record_ns
        if clock.takes(time_ns):
            yield time_ns, message


def stamp_or_zero(message: RawMessage) -> int:
    """Stamp of the header [ns]; 0 when it is not set or cannot be read."""
    try:
        return message.header_stamp_ns()
    except BagDamageError:
        return 0
