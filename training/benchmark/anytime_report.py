"""The points of `hrda bench anytime` as rows of a file and as tables for reading."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
from rich.table import Table

from training.benchmark.anytime_curves import Point
from training.benchmark.report import markdown_table, plain_figure

COLUMNS = (
    *('window [px]', 'overlap [px]', 'order', 'limit', 'value', 'windows planned', 'windows'),
    *('share of windows', 'flips', 'mIoU', 'ms', 'p99 ms', 'images'),
)
LIMITS = ('none', 'threshold', 'deadline')
"""What has a table of its own; budgets are put side by side."""


def row_of(point: Point) -> list[object]:
    """What the columns say of a point; NaN where nothing is known."""
    windows = fmean(point.windows)
    late = float(np.percentile(point.milliseconds, 99)) if point.milliseconds else float('nan')
    flips = fmean(point.flips)
    shares = (windows / max(point.planned, 1), flips, point.miou, point.ms, late)
    return [*point.policy, point.planned, windows, *shares, len(point.windows)]


def plain_rows(rows: Sequence[Sequence[object]]) -> list[dict[str, Any]]:
    """The rows for JSON, which knows no NaN."""
    return [
        {name: None if value != value else value for name, value in zip(COLUMNS, row, strict=True)}
        for row in rows
    ]


def anytime_tables(points: Sequence[Point]) -> list[Table]:
    """For every plan the flips of all orders by budget, then thresholds and deadlines."""
    plans = dict.fromkeys(point.plan for point in points if point.policy.limit == 'budget')
    tables = [_orders([point for point in points if point.plan == plan], plan) for plan in plans]
    limits = [point for point in points if point.policy.limit in LIMITS]
    columns = ('plan', 'limit', 'windows', 'flips', 'mIoU', 'ms', 'p99')
    return [*tables, markdown_table(columns, [_limit(point) for point in limits])]


def _orders(points: Sequence[Point], plan: str) -> Table:
    """Flips by order and share of windows; time and mIoU are those of the order asked for."""
    budgets = [point for point in points if point.policy.limit == 'budget']
    asked = next(point.policy.order for point in points if point.policy.limit == 'threshold')
    rows = []
    for order in dict.fromkeys(point.policy.order for point in budgets):
        line = [point for point in budgets if point.policy.order == order]
        rows.append([order.replace('_', ' x '), *(f'{fmean(p.flips):.2%}' for p in line)])
    first = [point for point in budgets if point.policy.order == asked]
    rows.append(['mIoU', *(_miou(point) for point in first)])
    rows.append(['ms', *(plain_figure(point.ms) for point in first)])
    shares = [f'{fmean(point.windows):.3g}/{point.planned}' for point in first]
    return markdown_table((plan, *shares), rows)


def _limit(point: Point) -> list[str]:
    kind, value = point.policy.limit, plain_figure(point.policy.value)
    limit = {'threshold': f'threshold {value}', 'deadline': f'deadline {value} ms'}.get(kind, '')
    published = kind == 'none'
    return [
        point.policy.order if published else point.plan,
        limit,
        f'{fmean(point.windows):.3g}/{point.planned}',
        '-' if published else f'{fmean(point.flips):.2%}',
        _miou(point),
        plain_figure(point.ms),
        plain_figure(float(np.percentile(point.milliseconds, 99))) if point.milliseconds else '-',
    ]


def _miou(point: Point) -> str:
    return '-' if point.miou != point.miou else f'{100 * point.miou:.2f}'
