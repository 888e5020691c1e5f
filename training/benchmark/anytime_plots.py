"""The figure of `hrda bench anytime`: flips against windows, flips and mIoU against time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from training.benchmark.anytime_curves import PUBLISHED_PLAN, Point
from training.benchmark.anytime_replay import BEST, RANDOM
from training.figures import save_figures

SIZE = (13.5, 4.5)
"""Width and height of the figure [inches]."""
LEAST_MIOU_SPAN = 4.0
CONTROLS = {RANDOM: ':', BEST: '--'}
MARKERS = {'budget': '.', 'threshold': 'x', 'deadline': '^'}


def plot_anytime(points: Sequence[Point], title: str, path: Path) -> None:
    """Write the figure.

    Left: every order of windows on the first plan. Middle and right: the score that was asked
    for on every plan, by budget, threshold and deadline.

    Args:
        points: of all plans, and the published plan.
        title: over the first panel.
        path: a PNG.
    """
    chosen = [point for point in points if point.policy.order != PUBLISHED_PLAN]
    first = chosen[0].plan

    def orders(axes: Axes) -> None:
        _draw_orders(axes, [point for point in chosen if point.plan == first])
        axes.set_title(f'{title}, {first}', fontsize=10)

    def flips(axes: Axes) -> None:
        _draw_times(axes, chosen, lambda point: 100 * fmean(point.flips))
        axes.set_ylabel('labels that differ from all windows [%]')

    def scores(axes: Axes) -> None:
        _draw_times(axes, chosen, lambda point: 100 * point.miou)
        for point in points:
            if point.policy.order == PUBLISHED_PLAN:
                axes.plot(point.ms, 100 * point.miou, 'k*', label=PUBLISHED_PLAN)
        axes.set_ylabel('mIoU [%]')
        _widen(axes)
        axes.legend(fontsize=8)

    labelled = not math.isnan(chosen[0].miou)
    panels = [orders, flips, scores] if labelled else [orders, flips]
    save_figures(panels, (SIZE[0] * len(panels) / 3, SIZE[1]), path)


def _draw_orders(axes: Axes, points: Sequence[Point]) -> None:
    """Flips against the share of windows, a line per order; budgets only."""
    budgets = [point for point in points if point.policy.limit == 'budget']
    for order in dict.fromkeys(point.policy.order for point in budgets):
        line = [point for point in budgets if point.policy.order == order]
        shares = [100 * fmean(point.windows) / point.planned for point in line]
        flips = [100 * fmean(point.flips) for point in line]
        style: dict[str, Any] = (
            {'color': 'black', 'linestyle': CONTROLS[order]} if order in CONTROLS else {}
        )
        axes.plot(shares, flips, marker='.', label=order.replace('_', ' x '), **style)
    axes.set_xlabel('windows computed [%]')
    axes.set_ylabel('labels that differ from all windows [%]')
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _draw_times(axes: Axes, points: Sequence[Point], value: Callable[[Point], float]) -> None:
    """A value against time, a colour per plan and a marker per limit."""
    asked = {point.policy.order for point in points if point.policy.limit == 'threshold'}
    shown = [point for point in points if point.policy.order in asked]
    for number, plan in enumerate(dict.fromkeys(point.plan for point in shown)):
        for limit, marker in MARKERS.items():
            part = [p for p in shown if p.plan == plan and p.policy.limit == limit]
            part.sort(key=lambda point: point.ms)
            axes.plot(
                [point.ms for point in part],
                [value(point) for point in part],
                color=f'C{number % 10}',
                marker=marker,
                linestyle='-' if limit == 'budget' else 'none',
                label=f'{plan}: {limit}',
            )
    axes.set_xlabel('time per image [ms]')
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _widen(axes: Axes) -> None:
    """Show at least a few points of mIoU, so that chance does not look like a trend."""
    low, high = axes.get_ylim()
    missing = max(LEAST_MIOU_SPAN - (high - low), 0.0)
    axes.set_ylim(low - missing / 2, high + missing / 2)
