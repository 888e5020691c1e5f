"""Figures without a display: drawn by a function, written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.whole_files import write_bytes

DPI = 120


def save_figure(draw: Callable[[Axes], None], size: tuple[float, float], path: Path) -> None:
    """Write a PNG of one pair of axes.

    Args:
        draw: draws into the axes.
        size: width and height [inches].
        path: the file.
    """
    save_figures([draw], size, path)


def save_figures(
    draws: Sequence[Callable[[Axes], None]], size: tuple[float, float], path: Path
) -> None:
    """Write a PNG of several pairs of axes side by side.

    Args:
        draws: each draws into its own axes.
        size: width and height of them all [inches].
        path: the file.
    """
    # Not pyplot: it takes longer to import and would look for a display.
    figure = Figure(figsize=size, layout='constrained', dpi=DPI)
    for draw, axes in zip(draws, figure.subplots(1, len(draws), squeeze=False)[0], strict=True):
        draw(axes)
    content = io.BytesIO()
    figure.savefig(content, format='png')
    write_bytes(path, content.getvalue())
