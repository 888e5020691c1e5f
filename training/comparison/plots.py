"""Runs side by side as PNG files: scores and losses over steps, bars per class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from training.comparison.runs import At, Experiment, class_names, kinds
from training.figures import save_figure
from training.run.plots import SIZE, draw_bars


def write_comparison(experiments: Sequence[Experiment], at: At, folder: Path) -> None:
    """Write VALUE.png and VALUE_classes.png per kind of value, and loss.png.

    Args:
        experiments: every run is a thin line in its experiment's colour.
        at: which evaluation the bars show.
        folder: made if need be; a plot of which nothing is known is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for by in kinds(experiments):
        title = f'{by.replace("_", " ")} [%]'
        _save_curves(experiments, by, title, 100.0, folder)
        groups = {
            e.name: {n: e.class_value(by, at, n).mean for n in class_names([e], by, at)}
            for e in experiments
        }
        meaning = 'IoU' if by == 'mIoU' else 'predicted share'
        draw = _bars(groups, f'{meaning} per class [%], {at} evaluation')
        save_figure(draw, (1.5 * SIZE[0], SIZE[1]), folder / f'{by}_classes.png')
    _save_curves(experiments, 'loss', 'sum of the losses', 1.0, folder)


def _bars(groups: dict[str, dict[str, float]], title: str) -> Callable[[Axes], None]:
    return lambda axes: draw_bars(axes, groups, title)


def _save_curves(
    experiments: Sequence[Experiment], column: str, title: str, factor: float, folder: Path
) -> None:
    if not any(column in run.curves for e in experiments for run in e.runs):
        return

    def draw(axes: Axes) -> None:
        for number, experiment in enumerate(experiments):
            _draw_experiment(axes, experiment, column, factor, f'C{number % 10}')
        axes.set_title(title)
        axes.set_xlabel('step')
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)

    save_figure(draw, SIZE, folder / f'{column}.png')


def _draw_experiment(
    axes: Axes, experiment: Experiment, column: str, factor: float, color: str
) -> None:
    curves = [run.curves[column] for run in experiment.runs if column in run.curves]
    for curve in curves:
        values = [factor * value for value in curve.values]
        axes.plot(curve.steps, values, color=color, lw=1, alpha=0.5 if curves[1:] else 1.0)
    ends = [factor * curve.values[-1] for curve in curves if curve.values]
    mean = sum(ends) / len(ends) if ends else math.nan
    axes.plot([], [], color=color, label=f'{experiment.name}: {mean:.4g} at the end')
