"""What a training run tells: rows of metrics.csv, TensorBoard, the display and log.txt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

from training.meters import Clock, WindowMean
from training.progress import Display
from training.run_folder import MetricsTable, RunFolder
from training.scores import Scores

if TYPE_CHECKING:
    import numpy as np


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
        self._miou = math.nan

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

    def scores(self, scores: Scores, pictures: Mapping[str, np.ndarray], done: int) -> None:
        """Write validation scores, and pictures to look at, and end the row with them."""
        self._miou = scores.miou
        self.folder.write_scores(done, scores.to_dict())
        self.say(f'step {done}: mIoU {scores.miou * 100:.2f} over {scores.images} images')
        for name, picture in pictures.items():
            self._board.add_image(name, picture, done, dataformats='HWC')

    def row(self, done: int, learning_rate: float, scores: Scores | None) -> None:
        """Write a row: means since the last one, speed, and scores where there are new ones."""
        means = self._window.take()
        speed = self._clock.take_speed() * self._images
        row = {**means, 'lr': learning_rate, 'images_per_s': speed, **_score_columns(scores)}
        self._table.append({'step': done, **row})
        for name, value in row.items():
            self._board.add_scalar(name, value, done)
        self._board.flush()
        shown = dict(means)
        if not math.isnan(self._miou):
            shown['mIoU'] = self._miou * 100
        shown['images/s'] = speed
        left = self._clock.left(self._total - done)
        self.display.figures(done, self._total, shown, left)

    def say(self, text: str) -> None:
        """Show a line and keep it in log.txt."""
        self.display.say(text)
        self.folder.log(text)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to write the same rows."""
        return {'sums': dict(self._window.sums), 'count': self._window.count, 'miou': self._miou}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._window.sums, self._window.count = dict(state['sums']), int(state['count'])
        self._miou = float(state['miou'])


def _score_columns(scores: Scores | None) -> dict[str, float]:
    if scores is None:
        return {}
    per_class = zip(scores.names, scores.iou, strict=True)
    columns = {f'IoU/{name}': iou for name, iou in per_class if not math.isnan(iou)}
    return {'mIoU': scores.miou, **columns}
