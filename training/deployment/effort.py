"""What segmenting images took: detail windows and time."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean, median

from hrda_core.inference import InferenceSettings
from hrda_core.results import Segmentation


@dataclass
class Effort:
    """Windows and time of every image.

    Attributes:
        computed: detail windows that went through the network.
        planned: detail windows that there are.
        milliseconds: time of segmenting [ms].
    """

    computed: list[int] = field(default_factory=list)
    planned: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def add(self, found: Segmentation) -> None:
        """Count an image."""
        self.computed.append(found.windows_computed)
        self.planned.append(found.windows_planned)
        self.milliseconds.append(found.milliseconds)

    def summary(self, settings: InferenceSettings) -> str:
        """The time of an image, and its windows where they were chosen among all, in words.

        Args:
            settings: with which the images were segmented.
        """
        if not self.milliseconds:
            return 'no image was segmented'
        median_ms, deadline_ms = median(self.milliseconds), settings.deadline_ms
        time = f'{median_ms:.1f} ms per image (median)'
        if settings.mode != 'anytime':
            return time
        if deadline_ms is not None and not median(self.computed) and median_ms > deadline_ms:
            time += (
                f'; the deadline of {deadline_ms:g} ms cannot be met, the context alone takes '
                'longer: raise --deadline_ms, or take a smaller network or smaller images'
            )
        share = sum(self.computed) / max(sum(self.planned), 1)
        windows = f'{fmean(self.computed):.3g} of {fmean(self.planned):.3g} windows'
        return f'{windows} computed per image ({share:.0%}), {time}'

    def to_dict(self) -> dict[str, float | None]:
        """Plain values for JSON; None where there was no image.

        In mode exact the planned windows are those of the published plan, repeated ones counted.
        """
        known = bool(self.milliseconds)
        return {
            'windows_computed': fmean(self.computed) if known else None,
            'windows_planned': fmean(self.planned) if known else None,
            'median_ms': median(self.milliseconds) if known else None,
        }
