"""Deciding on the frames of a topic, one after the other, while the next ones are looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple

from hrda_core.image_codec import ImageDecodeError
from training.bags.reading import BagDamageError, RawMessage
from training.extraction.choice import SPREAD, FrameChooser
from training.extraction.drive_topic import KEPT, KNOWN, DriveTopic, Outcome
from training.extraction.figures import FrameFigures
from training.extraction.frame import Frame
from training.extraction.helpers import Helpers
from training.extraction.manifest import DAMAGED, FrameRecord
from training.extraction.output import Output
from training.extraction.overview import stamp_or_zero
from training.extraction.picture_errors import FrameSizeError
from training.extraction.pictures import Made
from training.extraction.settings import ChoiceSettings

_MOST_SENTENCES = 20
"""About damaged frames, which all stand in the manifest."""
_MOST_MISFITS = 300
"""Of so many frames one must fit the settings."""
Unreadable = BagDamageError | ImageDecodeError


class _Seen(NamedTuple):
    """A frame that waits for the decision on it.

    `before` is what an earlier run made of it, `frame` is there where more than its time is
    needed, `figures` where its pixels are asked for, `made` where they are changed in any case.
    """

    record: FrameRecord
    before: FrameRecord | None
    frame: Frame | Unreadable | None = None
    figures: Future[FrameFigures] | None = None
    made: Future[Made] | None = None

    @property
    def ahead(self) -> Future[Any] | None:
        """What is done with the frame while it waits."""
        return self.figures or self.made


class Decider:
    """Decides on every frame of a topic in turn, while helpers decode the next ones.

    Args:
        part: the topic.
        choice: what is asked of the frames.
        chooser: decides by it.
        output: takes what was decided.
        helpers: threads beside the one that reads.

    Raises:
        PictureError: (all members) what is asked for cannot be done to the frames.

    Attributes:
        outcome: what became of the frames so far.
    """

    def __init__(
        self,
        part: DriveTopic,
        choice: ChoiceSettings,
        chooser: FrameChooser,
        output: Output,
        helpers: Helpers,
    ) -> None:
        self.outcome = Outcome(part)
        self._part = part
        self._bag = str(part.bag.resolve())
        self._choice = choice
        self._chooser = chooser
        self._output = output
        self._helpers = helpers
        self._waiting: deque[_Seen] = deque()
        self._misfit: FrameSizeError | None = None
        self._misfits = 0
        self._begun = 0
        """With so many of those that wait, something is done meanwhile."""

    def take(self, message: RawMessage) -> None:
        """Read a frame as far as it may be needed; it is kept, or noted why not, in its turn."""
        seen = self._see(message)
        self._waiting.append(seen)
        self._begun += seen.ahead is not None
        while self._waiting and self._is_due(self._waiting[0]):
            self._decide()

    def finish(self) -> None:
        """Decide on the frames that wait."""
        while self._waiting:
            self._decide()
        self._check_fit()

    def _is_due(self, seen: _Seen) -> bool:
        is_ready = seen.ahead is None or seen.ahead.done()
        return is_ready or self._begun > self._helpers.ahead

    def _see(self, message: RawMessage) -> _Seen:
        stamp_ns = stamp_or_zero(message)
        time_ns = stamp_ns or message.record_ns
        # Asked of known frames too: it counts the times.
        refusal = self._chooser.refuse_by_time(time_ns)
        part = self._part
        record = FrameRecord(
            self._bag, part.drive, part.topic, message.record_ns, stamp_ns, reason=refusal
        )
        before = self._output.known(record.key)
        if before is not None and before.reason == DAMAGED:
            # Perhaps it is not any more, as when the recording had not been copied to its end.
            record, before = record._replace(again=before.again), None
        if before is not None:
            is_needed = self._choice.looks_at_pixels and self._output.is_compared(before)
        else:
            is_needed = not (refusal or self._is_spare(record))
        seen = _Seen(record, before)
        return self._read(seen, message) if is_needed else seen

    def _read(self, seen: _Seen, message: RawMessage) -> _Seen:
        """Read a frame, and begin what will be asked of its pixels."""
        try:
            frame = Frame(message)
        except (BagDamageError, ImageDecodeError) as error:
            return seen._replace(frame=error)
        if self._choice.looks_at_pixels:
            return seen._replace(frame=frame, figures=self._helpers.begin(frame.measure))
        making = self._output.making(frame)
        made = None if making is None else self._helpers.begin(making)
        return seen._replace(frame=frame, made=made)

    def _decide(self) -> None:
        seen = self._waiting.popleft()
        self._begun -= seen.ahead is not None
        self.outcome.counts[self._decided(seen)] += 1

    def _is_spare(self, record: FrameRecord) -> bool:
        """Whether the frame is one too many, so that nobody need look at it.

        One that was damaged is looked at in any case: it is one too many if it is whole by now.
        """
        return not record.again and bool(self._chooser.refuse_by_spread(record.record_ns))

    def _decided(self, seen: _Seen) -> str:
        """What becomes of a frame."""
        if seen.before is not None:
            return self._pass(seen, seen.before)
        refusal = seen.record.reason or (SPREAD if self._is_spare(seen.record) else '')
        return self._refuse(seen.record, refusal) if refusal else self._look(seen)

    def _pass(self, seen: _Seen, before: FrameRecord) -> str:
        """A frame that an earlier run has decided on."""
        if not before.kept:
            return before.reason
        figures: FrameFigures | None = None
        if seen.figures is not None:
            with suppress(ImageDecodeError):  # a stricter decoder than it was then
                figures = self._helpers.wait(seen.figures)
        self._chooser.compare_with(figures)
        return KNOWN

    def _look(self, seen: _Seen) -> str:
        record = seen.record
        try:
            frame = _readable(seen.frame)
            record = record._replace(frame_id=frame.frame_id, encoding=frame.encoding)
            figures: FrameFigures | None = None
            if seen.figures is not None:
                figures = self._helpers.wait(seen.figures)
                record = self._judged(record, figures)
            if record.reason:
                return self._refuse(record, record.reason)
            made = None if seen.made is None else self._helpers.wait(seen.made)
            if record.again and (spare := self._chooser.refuse_by_spread(record.record_ns)):
                self._output.check(frame, made)
                return self._refuse(record, spare)
            self._output.keep(frame, record, made)
        except (BagDamageError, ImageDecodeError) as error:
            return self._note_damage(record, str(error))
        except FrameSizeError as error:
            # Without its traceback, which would keep the picture.
            self._misfit = self._misfit or error.with_traceback(None)
            self._misfits += 1
            if self._misfits == _MOST_MISFITS:
                self._check_fit()
            return self._note_damage(record, str(error))
        self._chooser.keep(record.record_ns, figures)
        return KEPT

    def _check_fit(self) -> None:
        """Refuse settings that fit no frame: that is no damage of frames of another size."""
        counts = self.outcome.counts
        if self._misfit is not None and not counts[KEPT] + counts[KNOWN]:
            raise self._misfit

    def _refuse(self, record: FrameRecord, reason: str) -> str:
        self._output.refuse(record if record.reason else record._replace(reason=reason))
        return reason

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

    def _note_damage(self, record: FrameRecord, detail: str) -> str:
        damaged = record._replace(reason=DAMAGED, detail=detail)
        self._output.refuse(damaged)
        self._tell_damage(damaged)
        return DAMAGED

    def _tell_damage(self, record: FrameRecord) -> None:
        if len(self.outcome.damage) < _MOST_SENTENCES:
            where = f'{self._part.bag}: {self._part.topic} at {record.record_ns} ns'
            self.outcome.damage.append(f'{where}: {record.detail}')


def _readable(frame: Frame | Unreadable | None) -> Frame:
    """The frame; raises what its reading has."""
    if isinstance(frame, Exception):
        raise frame
    assert frame is not None
    return frame
