"""Choosing frames: each test cheaper than the next, and each with the word that tells why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from training.extraction.figures import Change, FrameFigures
from training.extraction.rate import FrameClock
from training.extraction.settings import ChoiceSettings

EVERY, SPREAD, DARK, WHITE, BLURRED, STILL, REPEATED = (
    'every',
    'max-frames',
    'dark',
    'over-exposed',
    'blurred',
    'no motion',
    'near-duplicate',
)
"""Why a frame is not kept."""


@dataclass(frozen=True)
class Overview:
    """What is known of a topic of a drive before its frames are chosen.

    Attributes:
        first_ns: when its first frame was recorded [ns].
        last_ns: when its last frame was recorded [ns].
        brightness: median of a sample of its frames.
        white: median share of white pixels.
        sharpness: median.
    """

    first_ns: int = 0
    last_ns: int = 0
    brightness: float = 0.0
    white: float = 0.0
    sharpness: float = 0.0


def medians(first_ns: int, last_ns: int, sample: Sequence[FrameFigures]) -> Overview:
    """An overview of a drive, from frames spread over it; without any its medians are 0."""
    return Overview(
        first_ns,
        last_ns,
        median([each.brightness for each in sample] or [0.0]),
        median([each.white for each in sample] or [0.0]),
        median([each.sharpness for each in sample] or [0.0]),
    )


class FrameChooser:
    """Chooses among the frames of one topic of one drive, to be asked for each in turn.

    Args:
        settings: what to choose by.
        overview: of the drive.
        kept_before: record times of the frames that earlier runs have kept [ns].
    """

    def __init__(
        self, settings: ChoiceSettings, overview: Overview, kept_before: Sequence[int] = ()
    ) -> None:
        self._settings = settings
        self._overview = overview
        self._clock = FrameClock(settings.every_ns)
        self._span = max(overview.last_ns - overview.first_ns, 0) + 1
        self._filled = {self._slot(record_ns) for record_ns in kept_before}
        self._kept = len(kept_before)
        self._last: FrameFigures | None = None

    def refuse_by_time(self, time_ns: int) -> str:
        """Why a frame is left out because of its stamp alone; '' if it is not."""
        return '' if self._clock.takes(time_ns) else EVERY

    def refuse_by_spread(self, record_ns: int) -> str:
        """Why a frame is left out because of those kept so far; '' if it is not.

        Asked by record time: a single wrong stamp would stretch the drive to years.
        """
        most = self._settings.max_frames
        if not most:
            return ''
        # A recording that was cut off at first may have had its whole share by then.
        is_full = self._kept >= most or (self._span > 1 and self._slot(record_ns) in self._filled)
        return SPREAD if is_full else ''

    def refuse_by_pixels(self, figures: FrameFigures) -> tuple[str, Change | None]:
        """Why a frame is left out because of its picture ('' if it is not), and its change."""
        change = None if self._last is None else figures.change_from(self._last)
        return self._refuse_quality(figures) or self._refuse_likeness(change), change

    def _refuse_quality(self, figures: FrameFigures) -> str:
        asked, usual = self._settings, self._overview
        if figures.brightness < asked.min_brightness * usual.brightness:
            return DARK
        if figures.white > asked.max_white + usual.white:
            return WHITE
        if figures.sharpness < asked.min_sharpness * usual.sharpness:
            return BLURRED
        return ''

    def _refuse_likeness(self, change: Change | None) -> str:
        if change is None:
            return ''
        if change.motion < self._settings.min_motion:
            return STILL
        return REPEATED if change.bits < self._settings.min_change else ''

    def keep(self, record_ns: int, figures: FrameFigures | None) -> None:
        """Note that a frame was kept.

        Args:
            record_ns: when it was recorded [ns].
            figures: None if they are not known; the next frame is then compared with none.
        """
        if self._settings.max_frames:
            self._filled.add(self._slot(record_ns))
        self._kept += 1
        self._last = figures

    def compare_with(self, figures: FrameFigures | None) -> None:
        """Compare the next frame with one that an earlier run has kept."""
        self._last = figures

    def _slot(self, record_ns: int) -> int:
        """Which of the `max_frames` equal parts of the drive a time is in."""
        place = min(max(record_ns - self._overview.first_ns, 0), self._span - 1)
        return place * self._settings.max_frames // self._span
