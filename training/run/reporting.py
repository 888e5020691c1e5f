"""What a training run tells: rows of metrics.csv, TensorBoard, the display and log.txt."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

from training.evaluation.scores import Judgement
from training.progress import Display
from training.run.folder import MetricsTable, RunFolder
from training.run.meters import Clock, WindowMean
from training.run.panels import panel_sheet

if TYPE_CHECKING:
    import numpy as np

    from hrda_core.classes import ClassSet

PLOT_EVERY_S = 60.0
"""Drawing takes about a second, so that steps of a second lose little by it [s]."""


class Reporter:
    """Collects figures step by step and writes them row by row.

    Args:
        folder: the run folder.
        display: where progress is shown.
        total: steps of the whole run.
        images_per_step: images of each domain in a step, for the speed.
    """

    def __init__(
        self, folder: RunFolder, display: Display, total: int, images_per_step: int
    ) -> None:
        self.folder, self.display = folder, display
        self._total, self._images = total, images_per_step
        self._window, self._clock = WindowMean(), Clock()
        self._shown: dict[str, float] = {}
        # The first minute of a process needs no curves.
        self._drawn = time.monotonic()

    def open(self, done: int) -> None:
        """Start showing and writing; rows after step `done` are dropped and written again."""
        self._table = MetricsTable(self.folder.metrics, done)
        purge = done + 1 if done else None
        self._board = SummaryWriter(self.folder.tensorboard, purge_step=purge)
        self.display.begin('training', self._total, done)
        self._clock.restart()

    def close(self) -> None:
        """Finish the files."""
        self._board.close()

    def add(self, figures: Mapping[str, float], done: int) -> None:
        """Take in the figures of the step that has just ended."""
        self._window.add(figures)
        self._clock.lap()
        self.display.advance(done)

    def restart_clock(self) -> None:
        """The next step begins now; validation and saving belong to none."""
        self._clock.restart()

    def scores(self, scores: Judgement, done: int) -> None:
        """Write scores to a file of their own; they are shown until there are newer ones."""
        self._shown = {scores.by: scores.value * 100}
        self.folder.write_scores(done, {'by': scores.by, **scores.to_dict()})
        self.say(f'step {done}: {scores.summary()}')

    def panels(self, pictures: Mapping[str, np.ndarray], classes: ClassSet, done: int) -> None:
        """Write pictures to look at: uint8 (H, W, 3) RGB, by name."""
        if not pictures:
            return
        for name, picture in pictures.items():
            self._board.add_image(name, picture, done, dataformats='HWC')
        self.folder.write_panels(done, panel_sheet(pictures, classes))

    def plots(self, *, now: bool) -> None:
        """Draw the curves anew; unless it must be now, not more often than once a minute."""
        if now or time.monotonic() - self._drawn >= PLOT_EVERY_S:
            from training.run.plots import write_plots

            try:
                write_plots(self.folder)
            except (OSError, ValueError) as error:
                # Weeks of training must not end for a picture.
                self.say(f'no plots this time: {error}')
            self._drawn = time.monotonic()

    def row(self, done: int, learning_rate: float, scores: Judgement | None) -> None:
        """Write a row: means since the last one, speed, and scores where there are new ones."""
        means = self._window.take()
        speed = self._clock.take_speed() * self._images
        row = {**means, 'lr': learning_rate, 'images_per_s': speed}
        if scores is not None:
            row |= scores.columns()
        self._table.append({'step': done, **row})
        for name, value in row.items():
            self._board.add_scalar(name, value, done)
        self._board.flush()
        shown = {**means, **self._shown, 'images/s': speed}
        left = self._clock.left(self._total - done)
        self.display.figures(done, self._total, shown, left)

    def say(self, text: str) -> None:
        """Show a line and keep it in log.txt."""
        self.display.say(text)
        self.folder.log(text)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to write the same rows."""
        window = self._window
        return {
            'sums': dict(window.sums),
            'counts': dict(window.counts),
            'shown': dict(self._shown),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._window.sums, self._window.counts = dict(state['sums']), dict(state['counts'])
        self._shown = dict(state.get('shown', {}))


class SilentReporter(Reporter):
    """Tells nothing: for processes beside the one that reports."""

    def open(self, done: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def add(self, figures: Mapping[str, float], done: int) -> None:
        """Nothing."""

    def restart_clock(self) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""
