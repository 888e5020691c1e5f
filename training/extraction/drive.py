"""One image topic of one recording becomes one folder of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hrda_core.image_codec import ImageDecodeError
from training.bags.reading import Bag, BagDamageError, RawMessage, decode_message
from training.extraction.choice import FrameChooser
from training.extraction.figures import FrameFigures
from training.extraction.frame import Frame
from training.extraction.frame_writer import topic_folder
from training.extraction.manifest import DAMAGED, FrameRecord, open_manifest
from training.extraction.output import FolderOutput, NoOutput, Output
from training.extraction.overview import look_over, stamp_or_zero
from training.extraction.pictures import PictureMaker
from training.extraction.settings import ExtractionSettings

KEPT, KNOWN = 'kept', 'known'
"""What can become of a frame, beside the reasons why it was not kept."""
_MOST_SENTENCES = 20
"""About damaged frames, which all stand in the manifest."""


@dataclass(frozen=True)
class DriveTopic:
    """A topic of a recording to extract.

    Attributes:
        bag: path of the recording.
        drive: its name, the folder below the output folder.
        topic: name of the topic.
        count: its messages, as far as is known.
        info_topic: topic of its CameraInfo; '' without any.
    """

    bag: Path
    drive: str
    topic: str
    count: int
    info_topic: str = ''

    def folder(self, root: Path) -> Path:
        """Where its images go."""
        return root / self.drive / topic_folder(self.topic)


@dataclass
class Outcome:
    """What became of a topic of a recording.

    Attributes:
        part: which.
        counts: frames by what became of them: kept now, known as kept from an earlier run, or
            the reason why not.
        damage: what could not be read, one sentence each.
    """

    part: DriveTopic
    counts: Counter[str] = field(default_factory=Counter)
    damage: list[str] = field(default_factory=list)


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
        helpers: threads that encode, hash and write beside this one.

    Raises:
        ValueError: the settings do not fit the recording or the folder, or the folder is in use.
    """
    bag = Bag(part.bag)
    info = _camera_info(bag, part.info_topic)
    overview = look_over(bag, part.topic, settings.choice, lambda: report(0))
    chooser = FrameChooser(settings.choice, overview)
    with _opened(part, settings, info, helpers) as output:
        run = _Run(part, settings, chooser, output)
        for message in bag.messages([part.topic]):
            run.take(message)
            report(1)
    run.blame(output.failed)
    seen, promised = run.outcome.counts.total(), bag.expected.get(part.topic, 0)
    run.outcome.damage += bag.damage
    if seen < promised:
        run.outcome.damage.append(
            f'{part.bag}: {seen} of the {promised} messages on {part.topic} that its '
            'metadata.yaml promises could be read'
        )
    return run.outcome


def _camera_info(bag: Bag, topic: str) -> Any | None:
    """The first CameraInfo that can be read; None without any."""
    for message in bag.messages([topic]) if topic else ():
        with suppress(BagDamageError):
            return decode_message(message)
    return None


@contextmanager
def _opened(
    part: DriveTopic, settings: ExtractionSettings, info: Any | None, helpers: int
) -> Iterator[Output]:
    maker = PictureMaker(settings.picture, info)
    if settings.dry_run:
        yield NoOutput()
        return
    folder = part.folder(settings.root)
    with open_manifest(folder, settings.recorded()) as manifest:
        _refuse_another(part, manifest.bags, folder)
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


class _Run:
    """Decides on every frame of a topic in turn."""

    def __init__(
        self, part: DriveTopic, settings: ExtractionSettings, chooser: FrameChooser, output: Output
    ) -> None:
        self.outcome = Outcome(part)
        self._part = part
        self._bag = str(part.bag.resolve())
        self._choice = settings.choice
        self._chooser = chooser
        self._output = output

    def take(self, message: RawMessage) -> None:
        """Keep a frame, or note why not."""
        stamp_ns = stamp_or_zero(message)
        time_ns = stamp_ns or message.record_ns
        # Asked of known frames too: it counts the times.
        refusal = self._chooser.refuse_by_time(time_ns)
        part = self._part
        record = FrameRecord(
            self._bag, part.drive, part.topic, message.record_ns, stamp_ns, reason=refusal
        )
        before = self._output.known(record.key)
        if before is not None:
            result = self._pass(message, before, time_ns)
        elif refusal:
            self._output.refuse(record)
            result = refusal
        else:
            result = self._look(message, record, time_ns)
        self.outcome.counts[result] += 1

    def _pass(self, message: RawMessage, before: FrameRecord, time_ns: int) -> str:
        """A frame that an earlier run has decided on."""
        if not before.kept:
            return before.reason
        figures: FrameFigures | None = None
        if self._choice.compares_with_last and self._output.is_last_kept(before):
            with suppress(BagDamageError, ImageDecodeError):  # a stricter decoder than it was then
                figures = Frame(message).figures
        self._chooser.keep(time_ns, figures)
        return KNOWN

    def _look(self, message: RawMessage, record: FrameRecord, time_ns: int) -> str:
        try:
            frame = Frame(message)
            record = record._replace(frame_id=frame.frame_id, encoding=frame.encoding)
            figures: FrameFigures | None = None
            if self._choice.looks_at_pixels:
                figures = frame.figures
                record = self._judged(record, figures)
            if record.reason:
                self._output.refuse(record)
                return record.reason
            self._output.keep(frame, record)
        except (BagDamageError, ImageDecodeError) as error:
            self._note_damage(record, str(error))
            return DAMAGED
        self._chooser.keep(time_ns, figures)
        return KEPT

    def _judged(self, record: FrameRecord, figures: FrameFigures) -> FrameRecord:
        reason, change = self._chooser.refuse_by_pixels(figures)
        return record._replace(
            brightness=round(figures.brightness, 2),
            white=round(figures.white, 4),
            sharpness=round(figures.sharpness, 2),
            motion=None if change is None else round(change.motion, 3),
            change=None if change is None else change.bits,
            reason=reason,
        )

    def blame(self, failed: Sequence[FrameRecord]) -> None:
        """Count frames as damaged that were counted as kept."""
        for record in failed:
            self.outcome.counts[KEPT] -= 1
            self.outcome.counts[DAMAGED] += 1
            self._tell_damage(record)

    def _note_damage(self, record: FrameRecord, detail: str) -> None:
        damaged = record._replace(reason=DAMAGED, detail=detail)
        self._output.refuse(damaged)
        self._tell_damage(damaged)

    def _tell_damage(self, record: FrameRecord) -> None:
        if len(self.outcome.damage) < _MOST_SENTENCES:
            where = f'{self._part.bag}: frame at {record.record_ns} ns'
            self.outcome.damage.append(f'{where}: {record.detail}')
