"""Brightness and colour of the sets: a plain indication of the gap between two domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.doctor.findings import Findings
from training.doctor.frame_facts import FrameFacts

WIDE_GAP = 0.5
"""Difference of two means in standard deviations from which on it is worth a note."""
CHANNELS = ('red', 'green', 'blue')


@dataclass(frozen=True)
class Colours:
    """Statistics of all pixels of a set.

    Attributes:
        mean: (3,) RGB, 0..255.
        deviation: standard deviation, (3,) RGB.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def colours_of(facts: Sequence[FrameFacts]) -> Colours | None:
    """Mean and deviation over the decoded frames, each frame of equal weight; None = no frame."""
    pixels = [each.pixels for each in facts if each.pixels is not None]
    if not pixels:
        return None
    means = np.stack([each.mean for each in pixels])
    within = np.mean([each.variance for each in pixels], axis=0)
    return Colours(_plain(means.mean(axis=0)), _plain(np.sqrt(within + means.var(axis=0))))


def _plain(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 2) for value in values)


def colour_gap(first: Colours, second: Colours) -> tuple[float, ...]:
    """Differences of the means, second minus first, in standard deviations, (3,)."""
    return tuple(
        (b - a) / max(((s**2 + t**2) / 2) ** 0.5, 1.0)
        for a, b, s, t in zip(
            first.mean, second.mean, first.deviation, second.deviation, strict=True
        )
    )


def report_colours(colours: Mapping[str, Colours], findings: Findings) -> None:
    """A note on every set whose colours are far from the camera's."""
    if 'target' not in colours:
        return
    for role, own in colours.items():
        gap = colour_gap(own, colours['target'])
        if role != 'target' and max(map(abs, gap)) > WIDE_GAP:
            named = ', '.join(f'{c} {g:+.1f}' for c, g in zip(CHANNELS, gap, strict=True))
            findings.note(
                f'{role} / target',
                f'colours of the camera against {role}, in standard deviations: {named}',
                'adaptation is made for this; source.photometric helps where the source is '
                'learnt from alone',
            )
