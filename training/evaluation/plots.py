"""Scores as pictures: the confusion matrix and the reliability of confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from training.evaluation.calibration import BINS, Calibration
from training.evaluation.scores import ConfusionMatrix
from training.figures import save_figure


def plot_confusion(matrix: ConfusionMatrix, path: Path) -> None:
    """Write the matrix as a PNG: of each labelled class (row), the shares it was taken for.

    Classes that occur neither in labels nor in predictions are left out.
    """
    counts = matrix.counts[:, :-1]
    present = np.flatnonzero(counts.sum(0) + counts.sum(1))
    names = [matrix.classes.names[i] for i in present]
    rows = counts[np.ix_(present, present)]
    shares = rows / np.maximum(matrix.counts[present].sum(1, keepdims=True), 1)

    def draw(axes: Axes) -> None:
        axes.imshow(shares, vmin=0, vmax=1, cmap='Blues')
        axes.set_xticks(range(len(names)), names, rotation=60, ha='right')
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel('predicted')
        axes.set_ylabel('labelled')
        for y, x in np.argwhere(shares >= 0.01):
            colour = 'white' if shares[y, x] > 0.5 else 'black'
            text = f'{shares[y, x] * 100:.0f}'
            axes.text(x, y, text, ha='center', va='center', color=colour, fontsize=7)
        axes.set_title('Share of each labelled class [%]')

    side = max(3.0, 0.4 * len(names) + 2)
    save_figure(draw, (side, side), path)


def plot_reliability(calibration: Calibration, path: Path) -> None:
    """Write accuracy against confidence as a PNG; on the diagonal confidence can be believed."""

    def draw(axes: Axes) -> None:
        accuracy = [b.accuracy if b.pixels else 0.0 for b in calibration.bins()]
        centres = (np.arange(BINS) + 0.5) / BINS
        axes.bar(centres, accuracy, 1 / BINS, edgecolor='white')
        axes.plot([0, 1], [0, 1], color='black', linewidth=1)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel('confidence')
        axes.set_ylabel('accuracy')
        axes.set_title(f'Expected calibration error {calibration.error() * 100:.1f} %')

    save_figure(draw, (4.5, 4.5), path)
