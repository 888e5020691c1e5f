"""The figure of `hrda bench node`: memory, ages and drops over time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from training.benchmark.node_figures import ages_ms, frames
from training.benchmark.node_runs import Noted
from training.figures import save_figures

SIZE = (13.5, 4.0)
"""Width and height of the figure [inches]."""


def plot_soak(noted: Noted, path: Path) -> None:
    """Write the figure of a run as PNG."""
    came, went = frames(noted, 'came'), frames(noted, 'went')
    start_ns = came[0]['stamp_ns']

    def seconds(lines: list[dict[str, int]]) -> np.ndarray:
        return np.array([(line['stamp_ns'] - start_ns) / 1e9 for line in lines])

    def memory(axes: Axes) -> None:
        times = [(sample.now_ns - start_ns) / 1e9 for sample in noted.memory]
        axes.plot(times, [sample.rss_mb for sample in noted.memory])
        axes.set_ylim(bottom=0)
        axes.set_ylabel('resident memory [MB]')

    def ages(axes: Axes) -> None:
        axes.plot(seconds(went), ages_ms(went), '.', markersize=2)
        axes.set_ylim(bottom=0)
        axes.set_ylabel('age of a frame when its results are out [ms]')

    def drops(axes: Axes) -> None:
        gone = {line['stamp_ns'] for line in went}
        replaced = seconds([line for line in came if line['stamp_ns'] not in gone])
        edges = np.arange(0, seconds(came)[-1] + 1)
        axes.stairs(np.histogram(seconds(came), edges)[0], edges, label='came to the node')
        counts = np.histogram(replaced, edges)[0]
        axes.stairs(counts, edges, fill=True, label='replaced by a newer one')
        axes.set_ylim(bottom=0)
        axes.set_ylabel('frames per second')
        axes.legend(fontsize=8)

    panels = [memory, ages, drops]
    save_figures([_with_time(panel) for panel in panels], SIZE, path)


def _with_time(draw: Callable[[Axes], None]) -> Callable[[Axes], None]:
    def drawn(axes: Axes) -> None:
        draw(axes)
        axes.set_xlabel('time [s]')
        axes.grid(alpha=0.3)

    return drawn
