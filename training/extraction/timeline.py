"""What became of the frames of a drive over its time, as a small drawing (SVG)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from training.extraction.choice import BLURRED, DARK, EVERY, REPEATED, SPREAD, STILL, WHITE
from training.extraction.manifest import DAMAGED

KEPT = 'kept'
MOST_BINS = 120
COLOURS = {
    KEPT: '#2a9d54',
    EVERY: '#dcdfe3',
    SPREAD: '#c3c8ce',
    STILL: '#8fb4e0',
    REPEATED: '#5b8fd1',
    DARK: '#454a55',
    WHITE: '#f0c84a',
    BLURRED: '#b07cc6',
    DAMAGED: '#d03a3a',
}


def colour_of(name: str) -> str:
    """Colour of 'kept' or of a reason why not."""
    return COLOURS.get(name, '#999999')


def draw_timeline(times: Sequence[int], names: Sequence[str]) -> str:
    """Bars of equal stretches of time, each divided by what became of its frames.

    Args:
        times: of the frames [ns]; at least one.
        names: 'kept' or the reason why not, of each.
    """
    first, span = min(times), max(times) - min(times) + 1
    count = min(MOST_BINS, len(times))
    bins: list[Counter[str]] = [Counter() for _ in range(count)]
    for time_ns, name in zip(times, names, strict=True):
        bins[(time_ns - first) * count // span][name] += 1
    most = max(counts.total() for counts in bins)
    bars = ''.join(_bar(number, counts, most) for number, counts in enumerate(bins))
    length = timedelta(seconds=round(span / 1e9))
    return (
        f'<svg viewBox="0 0 {count} 20" preserveAspectRatio="none">'
        f'<title>{length} of driving, from left to right</title>{bars}</svg>'
    )


def _bar(number: int, counts: Counter[str], most: int) -> str:
    """One stretch, from the bottom up in the order of `COLOURS`."""
    parts, below = [], 20.0
    for name in (*COLOURS, *(set(counts) - set(COLOURS))):
        height = 20 * counts[name] / most
        if height:
            below -= height
            parts.append(
                f'<rect x="{number}" y="{below:.2f}" width="0.9" height="{height:.2f}" '
                f'fill="{colour_of(name)}"/>'
            )
    return ''.join(parts)
