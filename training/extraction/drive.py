"""One image topic of one recording becomes one folder of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from training.bags.reading import Bag, BagDamageError, decode_message
from training.extraction.choice import FrameChooser
from training.extraction.deciding import Decider
from training.extraction.drive_topic import DriveTopic, Outcome
from training.extraction.helpers import Helpers
from training.extraction.manifest import open_manifest
from training.extraction.output import FolderOutput, NoOutput, Output
from training.extraction.overview import look_over
from training.extraction.picture_errors import AnonymiseError, PictureError
from training.extraction.pictures import PictureMaker
from training.extraction.settings import ExtractionSettings
from training.extraction.summary import delete_summary


def extract_topic(
    part: DriveTopic,
    settings: ExtractionSettings,
    report: Callable[[int], None],
    helpers: int = 0,
) -> Outcome:
    """Extract, or on a dry run only count.

    Args:
        part: what to extract.
        settings: how, and where to.
        report: called with 1 for every frame that was dealt with and with 0 while looking
            ahead; what it raises ends the work.
        helpers: threads that decode, encode, hash and write beside this one.

    Raises:
        ValueError: the settings do not fit the folder, it is in use, or a frame could not be made
            anonymous.
    """
    bag = Bag(part.bag)
    try:
        decider = _extracted(bag, part, settings, report, helpers)
    except PictureError as error:
        return Outcome(part, unfit=f'{part.bag}, {part.topic}: {error}')
    except AnonymiseError as error:
        report(0)  # a signal to all processes ends programs that anonymise, too
        raise ValueError(f'{part.bag}, {part.topic}: {error}') from error
    seen, promised = decider.outcome.counts.total(), bag.expected.get(part.topic, 0)
    decider.outcome.damage += bag.damage
    if seen < promised:
        decider.outcome.damage.append(
            f'{part.bag}: {seen} of the {promised} messages on {part.topic} that its '
            'metadata.yaml promises could be read'
        )
    return decider.outcome


def _extracted(
    bag: Bag,
    part: DriveTopic,
    settings: ExtractionSettings,
    report: Callable[[int], None],
    helpers: int,
) -> Decider:
    """The decider that has seen all frames."""
    info = _camera_info(bag, part.info_topic)
    alive = partial(report, 0)
    maker = PictureMaker(settings.picture, info, alive)  # what it refuses need not be looked over
    with Helpers(helpers) as crew:
        overview = look_over(bag, part.topic, settings.choice, alive, crew)
        with _opened(part, settings, info, maker, crew) as output:
            chooser = FrameChooser(settings.choice, overview, output.kept_before)
            decider = Decider(part, settings.choice, chooser, output, crew)
            for message in bag.messages([part.topic]):
                decider.take(message)
                report(1)
            decider.finish()
    decider.blame(output.failed)
    return decider


def _camera_info(bag: Bag, topic: str) -> Any | None:
    """The first CameraInfo that can be read; None without any."""
    for message in bag.messages([topic]) if topic else ():
        with suppress(BagDamageError):
            return decode_message(message)
    return None


@contextmanager
def _opened(
    part: DriveTopic,
    settings: ExtractionSettings,
    info: Any | None,
    maker: PictureMaker,
    helpers: Helpers,
) -> Iterator[Output]:
    if settings.dry_run:
        yield NoOutput()
        return
    folder = part.folder(settings.root)
    with open_manifest(folder, settings.recorded()) as manifest:
        _refuse_another(part, manifest.bags, folder)
        if settings.picture.anonymise is not None:
            delete_summary(settings.root)  # it may show what is to be hidden
        output = FolderOutput(folder, manifest, maker, settings.picture, info, helpers)
        try:
            yield output
        finally:
            output.close()


def _refuse_another(part: DriveTopic, bags: Iterable[str], folder: Path) -> None:
    """Keep recordings of one name apart; one that was moved since is no longer where it was."""
    here = part.bag.resolve()
    for other in map(Path, bags):
        there = other.resolve()
        nested = here.is_relative_to(there) or there.is_relative_to(here)
        if there.exists() and not nested:
            raise ValueError(
                f'{folder} holds frames of {other}, which has the same name as {part.bag}; '
                'give both in one command, rename one of them, or choose another --output'
            )
