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
from torch import Tensor, nn

from hrda_core.checkpoints import CheckpointError, read_metadata, save_model
from hrda_core.hrda import HRDA
from hrda_core.runtime import is_out_of_memory, without_autocast
from training.evaluation.scores import Judgement
from training.memory.fit import OutOfMemory, advice
from training.memory.freed import keep_freed_memory
from training.methods import Method
from training.run.execution import prepare, set_tf32
from training.run.folder import RunFolder
from training.run.launch import Workplace
from training.run.optimiser import build_optimiser, rate_factor, set_learning_rate
from training.run.panels import student_panels
from training.run.processes import OtherProcessFailed, Processes
from training.run.reporting import Reporter
from training.run.running_statistics import RunningStatistics
from training.run.share import WHOLE, Share
from training.run.state_file import read_state, write_state
from training.run.stop_signals import StopSignals
from training.settings.plain import to_dict
from training.settings.run import LoopSettings, TrainSettings

GRADIENT_NORM = 'grad_norm'
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
        workplace: device, precision and the processes that train together.

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
        workplace: Workplace,
    ) -> None:
        self.settings, self.folder, self.reporter = settings, folder, reporter
        self._fabric, self._processes = workplace.fabric, workplace.processes
        # Crops never change their size, so looking for the fastest convolutions pays.
        torch.backends.cudnn.benchmark = self._fabric.device.type == 'cuda'
        set_tf32(settings.loop.tf32)
        if self._fabric.device.type == 'cpu':
            keep_freed_memory()
        self.method = method.to(self._fabric.device)
        prepare(self.method, settings.loop)
        self._statistics = RunningStatistics(self._networks().values())
        self.optimiser = build_optimiser(method.student, settings.optimiser)
        self._stepper: Any = self._fabric.setup_optimizers(self.optimiser)
        self._shares = step_shares(settings.loop, self._processes)
        self._batches, self._evaluate = batches, evaluate
        self.done, self._stopped_by = 0, ''
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
        if not self._handed_out():
            self._hand_out()

    def run(self) -> bool:
        """Train.

        Returns:
            Whether the last step is done; False after SIGINT or SIGTERM, with the state saved.

        Raises:
            NonFiniteLoss: a loss is infinite or no number; the last saved state stays.
            OtherProcessFailed: another process cannot go on.
            OutOfMemory: a step does not fit; the last saved state stays.
        """
        self._begin_alike()
        self.reporter.open(self.done)
        try:
            with StopSignals() as stop:
                for batches in self._until_stopped(stop):
                    self._fitting_step(batches)
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
                f'{self._stopped_by}: stopped after step {self.done}, state saved; go on with: '
                f'hrda train --resume {self.folder.path}'
            )
        return finished

    def save(self) -> None:
        """Write the state to go on from, and the networks to use; the first process does."""
        self._saved = self.done
        if not self._processes.first:
            return
        write_state(self.folder.state, self._state())
        self._hand_out()

    def _hand_out(self) -> None:
        """Write the networks to use, and how far they are."""
        if self._processes.first:
            self.folder.write_progress(self.done, self.settings.loop.iterations)
            for path, network in self._networks().items():
                save_model(path, network, step=self.done, extra=self._metadata())

    def _handed_out(self) -> bool:
        """Whether a run that was killed while it saved had come to the end of that."""
        try:
            steps = {int(read_metadata(path)['step']) for path in self._networks()}
        except (CheckpointError, KeyError, ValueError):
            return False
        return {*steps, self.folder.steps_done()} == {self.done}

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
            received = [name for name in self._processes.gather(stop.received) if name]
            if received:
                self._stopped_by = received[0]
                return

    def _fitting_step(self, batches: Sequence[Batch]) -> None:
        try:
            self._step(batches)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).strip().partition('\n')[0]
        else:
            return
        self.optimiser.zero_grad()
        self.reporter.say('out of memory; looking for settings that fit')
        saved = self.folder.steps_done()
        go_on = f'--resume {self.folder.path}' if saved else '--overwrite'
        text = (
            f'step {self.done + 1}: out of memory ({reason}). '
            f'{advice(self.settings, resumed=saved > 0)}; the state saved after step {saved} is '
            f'untouched: go on with hrda train {go_on} and these settings'
        )
        if self._processes.first:
            self.folder.log(text)
        raise OutOfMemory(text)

    def _step(self, batches: Sequence[Batch]) -> None:
        step = self.done
        set_learning_rate(self.optimiser, self._rate_factor(step))
        self.optimiser.zero_grad()
        self._statistics.keep()
        terms = [
            self._gradients(batch, step, share)
            for batch, share in zip(batches, self._shares, strict=True)
        ]
        norm = self._finish_gradients()
        # One transfer for all figures: each would wait for the device.
        values = torch.stack([torch.stack(list(each.values())) for each in terms]).mean(0)
        names = [*terms[0], GRADIENT_NORM]
        figures = dict(zip(names, torch.cat([values, norm[None]]).tolist(), strict=True))
        if self._scales_losses and not math.isfinite(figures[GRADIENT_NORM]):
            del figures[GRADIENT_NORM]
        self._check_finite(figures, batches)
        self._stepper.step()
        self.method.finish_step(step, self._processes)
        self.done += 1
        self.reporter.add(mean_figures(self._processes.gather(figures)), self.done)

    def _gradients(self, batch: Batch, step: int, share: Share) -> dict[str, Tensor]:
        torch.manual_seed(step_seed(self.settings.loop.seed, step, share))
        moved = self._fabric.to_device(batch)
        backward = partial(self._backward, parts=share.parts)
        with self._fabric.autocast():
            terms = self.method.step(moved, step, backward, share)
        return {name: term.float() for name, term in terms.items()}

    def _finish_gradients(self) -> Tensor:
        """Average the student's gradients over the processes; returns their norm."""
        parameters = [p for p in self.method.student.parameters() if p.requires_grad]
        self._processes.average_gradients(parameters)
        self._fabric.strategy.precision.unscale_gradients(self.optimiser)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.settings.optimiser.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.optimiser.clip_norm, norm)
        return norm.float()

    @property
    def _scales_losses(self) -> bool:
        """Whether a step with infinite gradients is left out, and the next one scaled less."""
        return getattr(self._fabric.strategy.precision, 'scaler', None) is not None

    def _check_finite(self, figures: Mapping[str, float], batches: Sequence[Batch]) -> None:
        found = self._processes.gather(non_finite_terms(figures, batches))
        terms = '; '.join(text for text in found if text)
        if not terms:
            return
        self._statistics.restore()
        if self._processes.first:
            write_state(self.folder.failed_state, self._state())
        text = (
            f'step {self.done + 1}: {terms}. The state before this step is in '
            f'{self.folder.failed_state}; the last regular state is untouched. Lower '
            'optimiser.lr, lengthen optimiser.warmup_steps or use loop.precision fp32, and go on '
            'with --resume'
        )
        if not self._processes.first:
            raise OtherProcessFailed(self._processes.rank, text)
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

    def _begin_alike(self) -> None:
        steps = self._processes.gather(self.done)
        if len(set(steps)) > 1:
            raise ValueError(
                f'the processes begin after different steps, {steps}: the run folder '
                f'{self.folder.path} must be on a disk that all machines share'
            )
        self._processes.copy_from_first(self.method.student)

    def _report(self) -> None:
        if not self._processes.first:
            return
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


def step_shares(settings: LoopSettings, processes: Processes) -> tuple[Share, ...]:
    """The parts that a step's images come in, in this process."""
    parts = settings.accumulate
    return tuple(Share(part, parts, processes) for part in range(parts))


def mean_figures(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every figure over the processes."""
    return {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}


def step_seed(seed: int, step: int, share: Share = WHOLE) -> int:
    """Seed of torch's generators at a step: unlike for every (seed, step, part)."""
    words = np.random.SeedSequence([seed, step, share.number]).generate_state(1, np.uint64)
    return int(words[0] >> 1)


def non_finite_terms(figures: Mapping[str, float], batches: Iterable[Batch]) -> str:
    """Name the figures that are infinite or no number, and the batches' files; '' for none."""
    bad = [f'{name} = {value}' for name, value in figures.items() if not math.isfinite(value)]
    if not bad:
        return ''
    files = [str(f) for batch in batches for part in batch.values() for f in part.get('file', ())]
    return f'{", ".join(bad)}; files of the batch: {", ".join(files)}'
