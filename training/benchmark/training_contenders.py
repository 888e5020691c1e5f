"""Training steps taken when asked for: the published order of work, and this project's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from rich.console import Console
from torch import Tensor

from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.runtime import Runtime, choose_runtime
from training.benchmark.contenders import Contender, Requests
from training.benchmark.published_step import PublishedStep
from training.memory.freed import keep_freed_memory
from training.methods.self_training import SelfTraining
from training.progress import PlainDisplay
from training.run.assembly import Parts
from training.run.folder import RunFolder
from training.run.launch import lone_workplace
from training.settings.run import TrainSettings

Name = Literal['published', 'hrda_ros']
Batch = Mapping[str, Mapping[str, Any]]
REMEDY = 'with too little memory take smaller --context, --detail, --batch or --encoder'


class _Ended(Exception):
    """Ends the training loop between two steps."""


def training_contender(name: Name, settings: TrainSettings, threads: int) -> Contender:
    """A process that takes training steps and answers with their durations [s].

    Args:
        name: whose order of work it follows.
        settings: network, losses, optimiser, precision and device; the data are made up.
        threads: of torch on a CPU.
    """
    device = choose_runtime(settings.loop.device).device
    return Contender(name, partial(_take_steps, name, settings), device, threads, REMEDY)


def _take_steps(name: Name, settings: TrainSettings, requests: Requests) -> None:
    runtime = choose_runtime(settings.loop.device, settings.loop.precision)
    method = _method(settings).to(runtime.device)
    asked = _when_asked(requests, synthetic_batch(settings), runtime.device)
    if name == 'published':
        if runtime.device.type == 'cpu':
            # The training loop does, and the order of work is what is to be compared.
            keep_freed_memory()
        step = PublishedStep(method, settings.optimiser)
        for number, batch in enumerate(asked):
            step(batch, number)
    else:
        _train(method, settings, runtime, asked)


def _when_asked(requests: Requests, batch: Batch, device: torch.device) -> Iterator[Batch]:
    """The batch, as often as a step is asked for; tells how long its user took for each."""
    for _ in requests:
        start = time.perf_counter()
        yield batch
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        requests.answer(time.perf_counter() - start)


def _train(
    method: SelfTraining, settings: TrainSettings, runtime: Runtime, asked: Iterator[Batch]
) -> None:
    """The training loop of `hrda train`, from which nothing is left out but the saving."""

    def batches(_: range) -> Iterator[Batch]:
        yield from asked
        raise _Ended

    with TemporaryDirectory(prefix='hrda_bench_') as folder, suppress(_Ended):
        parts = Parts(settings, method, batches, None, (), lone_workplace(runtime))
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
