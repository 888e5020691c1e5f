"""The training loop: steps, schedule, validation, states to go on from, and clean stops.

Everything random at step t comes from (seed, t), in the data, the method and the network's
dropout alike. A saved state therefore needs no state of random generators, and a resumed run
equals an uninterrupted one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from hrda_core.checkpoints import CheckpointError, save_model
from hrda_core.hrda import HRDA
from hrda_core.runtime import Runtime, without_autocast
from training.config import LoopSettings, TrainSettings, to_dict
from training.methods import Method
from training.optimiser import build_optimiser, rate_factor, set_learning_rate
from training.panels import student_panels
from training.reporting import Reporter
from training.run_folder import RunFolder
from training.running_statistics import RunningStatistics
from training.scores import Judgement
from training.share import WHOLE, Share
from training.state_file import read_state, write_state
from training.stop_signals import StopSignals

FABRIC_PRECISION = {
    torch.float32: '32-true',
    torch.bfloat16: 'bf16-mixed',
    torch.float16: '16-mixed',
}
Batch = Mapping[str, Any]
Batches = Callable[[range], Iterable[Batch]]
Evaluate = Callable[[], Judgement]


class NonFiniteLoss(ValueError):
    """A loss became infinite or no number; the message names it, the step and the files."""


class TrainingLoop:
    """Takes a run from its saved state, or its beginning, to its last step.

    Args:
        settings: schedule, lengths and intervals of the run.
        method: computes losses; owns the networks, with their starting weights.
        batches: gives the batches of a range of steps, in order, one per `step_shares`.
        evaluate: judges the student; None where there is nothing to judge it on.
        folder: the run folder, made already.
        reporter: takes the figures.
        runtime: device and precision.

    Attributes:
        done: steps taken so far, those of earlier parts of the run included.
        best: highest value of a judgement so far, 0..1; minus infinity before the first.
        best_by: name of that value; values of another name are not compared with it.
    """

    def __init__(
        self,
        settings: TrainSettings,
        method: Method,
        batches: Batches,
        evaluate: Evaluate | None,
        folder: RunFolder,
        reporter: Reporter,
        runtime: Runtime,
    ) -> None:
        self.settings, self.folder, self.reporter = settings, folder, reporter
        self._fabric = make_fabric(runtime)
        self.method = method.to(self._fabric.device)
        self._statistics = RunningStatistics(self._networks().values())
        self.optimiser = build_optimiser(method.student, settings.optimiser)
        self._stepper = self._fabric.setup_optimizers(self.optimiser)
        self._shares = step_shares(settings.loop)
        self._batches, self._evaluate = batches, evaluate
        self.done = 0
        self.best, self.best_by = -math.inf, ''
        self._saved = -1

    def resume(self) -> None:
        """Restore the saved state of the run folder, where there is one.

        Raises:
            CheckpointError: the state is damaged or belongs to another network.
        """
        if not self.folder.state.is_file():
            return
        state = read_state(self.folder.state)
        try:
            self.method.load_state_dict(state['method'])
            self.optimiser.load_state_dict(state['optimiser'])
            self._fabric.strategy.precision.load_state_dict(state['precision'])
            self.reporter.load_state_dict(state['reporter'])
            self.best = float(state.get('best', -math.inf))
            self.best_by = str(state.get('best_by', ''))
            self.done = self._saved = int(state['step'])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(
                f'{self.folder.state}: does not fit the settings of this run: {error}'
            ) from error

    def run(self) -> bool:
        """Train.

        Returns:
            Whether the last step is done; False after SIGINT or SIGTERM, with the state saved.

        Raises:
            NonFiniteLoss: a loss is infinite or no number; the last saved state stays.
        """
        self.reporter.open(self.done)
        try:
            with StopSignals() as stop:
                for batches in self._until_stopped(stop):
                    self._step(batches)
                    self._report()
                    if self._due(self.settings.loop.checkpoint_every):
                        self.save()
                    self.reporter.restart_clock()
                if self._saved != self.done:
                    self.save()
        finally:
            self.reporter.close()
        finished = self.done >= self.settings.loop.iterations
        if not finished:
            self.reporter.say(
                f'{stop.received}: stopped after step {self.done}, state saved; go on with: '
                f'hrda train --resume {self.folder.path}'
            )
        return finished

    def save(self) -> None:
        """Write the state to go on from, and the networks to use."""
        write_state(self.folder.state, self._state())
        self._saved = self.done
        self.folder.write_progress(self.done, self.settings.loop.iterations)
        for path, network in self._networks().items():
            save_model(path, network, step=self.done, extra=self._metadata())

    def _metadata(self) -> dict[str, str]:
        """What the method wants its network's checkpoints to say."""
        return dict(getattr(self.method, 'metadata', {}))

    def _networks(self) -> dict[Path, HRDA]:
        """The networks that a run hands out, and where to."""
        networks = {self.folder.model: self.method.student}
        teacher = getattr(self.method, 'teacher', None)
        return networks if teacher is None else networks | {self.folder.teacher: teacher.model}

    def _state(self) -> dict[str, Any]:
        return {
            'step': self.done,
            'best': self.best,
            'best_by': self.best_by,
            'method': self.method.state_dict(),
            'optimiser': self.optimiser.state_dict(),
            'precision': self._fabric.strategy.precision.state_dict(),
            'reporter': self.reporter.state_dict(),
            'settings': to_dict(self.settings),
        }

    def _until_stopped(self, stop: StopSignals) -> Iterator[tuple[Batch, ...]]:
        steps = range(self.done, self.settings.loop.iterations)
        batches = iter(self._batches(steps))
        for _ in steps:
            yield tuple(itertools.islice(batches, len(self._shares)))
            if stop.received:
                return

    def _step(self, batches: Sequence[Batch]) -> None:
        step = self.done
        set_learning_rate(self.optimiser, self._rate_factor(step))
        self.optimiser.zero_grad()
        self._statistics.keep()
        terms = [
            self._gradients(batch, step, share)
            for batch, share in zip(batches, self._shares, strict=True)
        ]
        # One transfer for all terms: each would wait for the device.
        values = torch.stack([torch.stack(list(each.values())) for each in terms]).mean(0)
        figures = dict(zip(terms[0], values.tolist(), strict=True))
        self._check_finite(figures, batches)
        self._stepper.step()
        self.method.finish_step(step)
        self.done += 1
        self.reporter.add(figures, self.done)

    def _gradients(self, batch: Batch, step: int, share: Share) -> dict[str, Tensor]:
        torch.manual_seed(step_seed(self.settings.loop.seed, step, share))
        moved = self._fabric.to_device(batch)
        backward = partial(self._backward, parts=share.parts)
        with self._fabric.autocast():
            terms = self.method.step(moved, step, backward, share)
        return {name: term.float() for name, term in terms.items()}

    def _check_finite(self, figures: Mapping[str, float], batches: Sequence[Batch]) -> None:
        terms = non_finite_terms(figures, batches)
        if not terms:
            return
        self._statistics.restore()
        write_state(self.folder.failed_state, self._state())
        text = (
            f'step {self.done + 1}: {terms}. The state before this step is in '
            f'{self.folder.failed_state}; the last regular state is untouched. Lower '
            'optimiser.lr, lengthen optimiser.warmup_steps or use loop.precision fp32, and go on '
            'with --resume'
        )
        self.folder.log(text)
        raise NonFiniteLoss(text)

    def _backward(self, loss: Tensor, parts: int) -> None:
        # The backward pass runs in the formats of the forward pass and must not be cast again.
        with without_autocast(self._fabric.device):
            self._fabric.backward(loss / parts)

    def _rate_factor(self, step: int) -> float:
        return rate_factor(step, self.settings.loop.iterations, self.settings.optimiser)

    def _due(self, every: int) -> bool:
        last = self.done == self.settings.loop.iterations
        return last or (every > 0 and self.done % every == 0)

    def _report(self) -> None:
        loop, scores = self.settings.loop, None
        evaluated = self._due(loop.evaluate_every)
        if evaluated:
            if self._evaluate is not None:
                scores = self._evaluate()
                self.reporter.scores(scores, self.done)
                self._keep_best(scores)
            self._show_panels()
            self.method.student.train()
        if scores is not None or self._due(loop.log_every):
            rate = self.settings.optimiser.lr * self._rate_factor(self.done - 1)
            self.reporter.row(self.done, rate, scores)
        if evaluated or self._due(loop.checkpoint_every):
            self.reporter.plots(now=self.done == loop.iterations)

    def _show_panels(self) -> None:
        student, pictures = self.method.student, self.method.panels()
        seen = pictures.get('target', pictures.get('source'))
        if seen is not None:
            pictures |= student_panels(student, seen)
            self.reporter.panels(pictures, student.classes, self.done)

    def _keep_best(self, scores: Judgement) -> None:
        if scores.by != self.best_by:
            self.best, self.best_by = -math.inf, scores.by
        if scores.value > self.best:
            self.best = scores.value
            picked = self._metadata() | {
                'picked_by': scores.by,
                'picked_at': f'{scores.value:.6f}',
            }
            save_model(self.folder.best, self.method.student, step=self.done, extra=picked)


def make_fabric(runtime: Runtime) -> Fabric:
    """Fabric for one device."""
    # Crops never change their size, so looking for the fastest convolutions pays.
    torch.backends.cudnn.benchmark = runtime.device.type == 'cuda'
    index = runtime.device.index or 0
    devices: Any = [index] if runtime.device.type == 'cuda' else 1
    precision: Any = FABRIC_PRECISION[runtime.dtype]
    return Fabric(accelerator=runtime.device.type, devices=devices, precision=precision)


def step_shares(settings: LoopSettings) -> tuple[Share, ...]:
    """The parts that a step's images come in."""
    return tuple(Share(part, settings.accumulate) for part in range(settings.accumulate))


def step_seed(seed: int, step: int, share: Share = WHOLE) -> int:
    """Seed of torch's generators at a step: unlike for every (seed, step, part)."""
    words = np.random.SeedSequence([seed, step, share.part]).generate_state(1, np.uint64)
    return int(words[0] >> 1)


def non_finite_terms(figures: Mapping[str, float], batches: Iterable[Batch]) -> str:
    """Name the figures that are infinite or no number, and the batches' files; '' for none."""
    bad = [f'{name} = {value}' for name, value in figures.items() if not math.isfinite(value)]
    if not bad:
        return ''
    files = [str(f) for batch in batches for part in batch.values() for f in part.get('file', ())]
    return f'{", ".join(bad)}; files of the batch: {", ".join(files)}'
