"""The curves of a run as PNG files, for looking without TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes

from training.figures import save_figure
from training.run.folder import RunFolder
from training.run.record import Curve, RunRecord, read_run

SIZE = (8.0, 4.5)
"""Width and height of a plot [inches]."""
PSEUDO = {
    'pseudo_quality': 'confident share while training',
    'target/coverage': 'confident share of target frames',
    'target/agreement': 'agreement of student and teacher (class mean)',
    'target/entropy': 'entropy of the student',
}
BAR_COLORS = ('#9aa5b1', '#2f6fdf')


def write_plots(folder: RunFolder) -> None:
    """Write losses, scores, classes, learning_rate and pseudo .png into the folder's plots/.

    A plot of which nothing is known yet is left out.
    """
    run = read_run(folder.path)
    folder.plots.mkdir(exist_ok=True)
    score = run.evaluations[-1].by if run.evaluations else 'mIoU'
    for name, draw in _drawings(run, score).items():
        save_figure(draw, SIZE, folder.plots / f'{name}.png')


def _drawings(run: RunRecord, score: str) -> dict[str, Callable[[Axes], None]]:
    drawings: dict[str, Callable[[Axes], None]] = {}
    if losses := run.losses():
        drawings['losses'] = lambda axes: draw_losses(axes, losses)
    if score in run.curves:
        drawings['scores'] = lambda axes: _draw_scores(axes, run, score)
    if run.evaluations:
        drawings['classes'] = lambda axes: _draw_classes(axes, run)
    if 'lr' in run.curves:
        rate = run.curves['lr']
        drawings['learning_rate'] = lambda axes: draw_curves(
            axes, {'': rate}, 'learning rate of the encoder'
        )
    pseudo = {text: run.curves[name] for name, text in PSEUDO.items() if name in run.curves}
    if pseudo:
        drawings['pseudo'] = lambda axes: _draw_shares(axes, pseudo)
    return drawings


def draw_curves(axes: Axes, curves: Mapping[str, Curve], title: str, factor: float = 1.0) -> None:
    """Draw curves over steps; single points are dots, names that are empty have no legend."""
    for name, curve in curves.items():
        marker = 'o' if len(curve.steps) < 30 else ''
        values = [factor * value for value in curve.values]
        axes.plot(curve.steps, values, marker, ls='-', ms=3, lw=1, label=name)
    axes.set_title(title)
    axes.set_xlabel('step')
    axes.grid(alpha=0.3)
    if any(curves):
        axes.legend(fontsize=8)


def draw_losses(axes: Axes, losses: Mapping[str, Curve], title: str = 'losses') -> None:
    """Draw losses; on a logarithmic scale, for their weights differ a hundredfold."""
    draw_curves(axes, losses, title)
    if all(value > 0 for curve in losses.values() for value in curve.values):
        axes.set_yscale('log')


def _draw_scores(axes: Axes, run: RunRecord, score: str) -> None:
    draw_curves(axes, {'': run.curves[score]}, f'{score.replace("_", " ")} [%]', 100.0)
    if run.best is not None:
        text = f'best: {run.best.value * 100:.2f} at step {run.best.step}'
        axes.axhline(run.best.value * 100, color='black', lw=0.8, ls=':', label=text)
        axes.legend(fontsize=8)


def _draw_shares(axes: Axes, curves: Mapping[str, Curve]) -> None:
    draw_curves(axes, curves, 'pseudo labels')
    axes.set_ylim(0, 1)


def _draw_classes(axes: Axes, run: RunRecord) -> None:
    last = run.evaluations[-1]
    shown = {f'last, step {last.step}': last}
    if run.best is not None and run.best.step != last.step:
        shown = {f'best, step {run.best.step}': run.best, **shown}
    labelled = last.by == 'mIoU'
    title = 'IoU per class [%]' if labelled else 'pixels given to each class [%]'
    draw_bars(axes, {name: e.classes for name, e in shown.items()}, title)


def draw_bars(axes: Axes, groups: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Bars in percent for each class, side by side for each group; unknown ones are left out.

    Args:
        axes: to draw into.
        groups: legend to class name to value, 0..1 or nan.
        title: above the axes.
    """
    everywhere = list(dict.fromkeys(name for values in groups.values() for name in values))
    rows = {
        name: [values.get(name, math.nan) for values in groups.values()] for name in everywhere
    }
    names = [name for name, row in rows.items() if not all(map(math.isnan, row))]
    width = 0.8 / max(len(groups), 1)
    for number, label in enumerate(groups):
        places = np.arange(len(names)) + (number + 0.5) * width - 0.4
        heights = [100 * rows[name][number] for name in names]
        color = BAR_COLORS[number - len(groups)] if len(groups) <= len(BAR_COLORS) else None
        axes.bar(places, heights, width, label=label, color=color)
    axes.set_xticks(range(len(names)), names, rotation=45, ha='right', fontsize=8)
    axes.set_title(title)
    axes.grid(axis='y', alpha=0.3)
    axes.legend(fontsize=8)
