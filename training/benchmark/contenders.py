"""Training steps in processes of their own, taken when asked, so that two can take turns.

Each contender has its own memory, so peaks are its own; and since it takes a step only when asked,
whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

import torch
from rich.console import Console
from torch import Tensor

from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.runtime import Runtime, choose_runtime
from training.assembly import Parts
from training.benchmark.published_step import PublishedStep
from training.config import TrainSettings
from training.launch import lone_workplace
from training.methods.self_training import SelfTraining
from training.progress import PlainDisplay
from training.run_folder import RunFolder

Name = Literal['published', 'hrda_ros']
Batch = Mapping[str, Mapping[str, Any]]
T = TypeVar('T')


@dataclass(frozen=True)
class Peak:
    """The most memory that a contender had.

    Attributes:
        total: on a GPU all that torch allocated, on a CPU the process's resident memory [bytes].
        before: the same before there were any networks [bytes].
    """

    total: int
    before: int

    @property
    def used(self) -> int:
        """What networks, gradients and the work on them took [bytes]."""
        return self.total - self.before


class Contender:
    """A process that takes training steps one at a time.

    Args:
        name: whose order of work it follows.
        settings: network, losses, optimiser, precision and device; the data are made up.
        threads: of torch on a CPU.

    Raises:
        RuntimeError: it could not start; its own error is on stderr.
    """

    def __init__(self, name: Name, settings: TrainSettings, threads: int) -> None:
        context = multiprocessing.get_context('spawn')
        self.name = name
        self._connection, theirs = context.Pipe()
        arguments = (theirs, name, settings, threads)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def step(self) -> float:
        """Have it take a step; returns its duration [s]."""
        self._connection.send('step')
        return float(self._answer(float))

    def end(self) -> Peak:
        """Have it end; returns the most memory it had."""
        self._connection.send('end')
        peak = self._answer(Peak)
        self._process.join()
        return peak

    def _answer(self, kind: type[T]) -> T:
        try:
            answer = self._connection.recv()
        except EOFError:
            answer = None
        if not isinstance(answer, kind):
            raise ValueError(
                f'the {self.name} step could not go on, its error stands above; with too little '
                'memory take smaller --context, --detail, --batch or --encoder'
            )
        return answer


class _Ended(Exception):
    """Ends the training loop between two steps."""


def _serve(connection: Connection, name: Name, settings: TrainSettings, threads: int) -> None:
    torch.set_num_threads(threads)
    runtime = choose_runtime(settings.loop.device, settings.loop.precision)
    before = _peak_memory(runtime.device)
    method = _method(settings).to(runtime.device)
    asked = _when_asked(connection, synthetic_batch(settings), runtime.device)
    if name == 'published':
        step = PublishedStep(method, settings.optimiser)
        for number, batch in enumerate(asked):
            step(batch, number)
    else:
        _train(method, settings, runtime, asked)
    connection.send(Peak(_peak_memory(runtime.device), before))


def _when_asked(connection: Connection, batch: Batch, device: torch.device) -> Iterator[Batch]:
    """The batch, as often as a step is asked for; tells how long its user took for each."""
    while connection.recv() == 'step':
        start = time.perf_counter()
        yield batch
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        connection.send(time.perf_counter() - start)


def _train(
    method: SelfTraining, settings: TrainSettings, runtime: Runtime, asked: Iterator[Batch]
) -> None:
    """The training loop of `hrda train`, from which nothing is left out but the saving."""

    def batches(_: range) -> Iterator[Batch]:
        yield from asked
        raise _Ended

    with TemporaryDirectory(prefix='hrda_bench_') as folder, suppress(_Ended):
        parts = Parts(settings, method, batches, None, (), lone_workplace(runtime))  # type: ignore[arg-type]
        parts.loop(RunFolder(folder), PlainDisplay(Console(quiet=True))).run()


def _method(settings: TrainSettings) -> SelfTraining:
    torch.manual_seed(0)
    student = HRDA(settings.model.architecture(), CITYSCAPES)
    # Random weights stand in for pretrained ones, so that the feature distance is computed.
    return SelfTraining(student, settings.self_training, seed=0, pretrained_encoder=True)


def synthetic_batch(settings: TrainSettings) -> Batch:
    """Random images, and labels in blocks of 64 px so that things fill feature cells.

    Shape:
        images uint8 (B, 3, S, S), labels and valid uint8 (B, S, S); S is the context size.
    """
    generator = torch.Generator().manual_seed(0)
    count, side = settings.loop.batch_size, settings.model.context_size

    def draw(below: int, *shape: int) -> Tensor:
        return torch.randint(0, below, shape, generator=generator).to(torch.uint8)

    blocks = draw(len(CITYSCAPES), count, -(-side // 64), -(-side // 64))
    labels = blocks.repeat_interleave(64, 1).repeat_interleave(64, 2)[:, :side, :side]
    return {
        'source': {'image': draw(256, count, 3, side, side), 'label': labels.contiguous()},
        'target': {
            'image': draw(256, count, 3, side, side),
            'valid': torch.ones(count, side, side, dtype=torch.uint8),
        },
    }


def _peak_memory(device: torch.device) -> int:
    """The most memory so far [bytes], see `Peak`."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    # Not getrusage: it counts what the parent had before it started this program.
    status = Path('/proc/self/status').read_text()
    match = re.search(r'VmHWM:\s+(\d+) kB', status)
    return int(match[1]) * 1024 if match else 0
