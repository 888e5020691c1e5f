"""Batches of a data set, one per training step, loaded by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

Place = tuple[int, int]


class _Steps:
    """Batch sampler: the places of every step, in order."""

    def __init__(self, steps: range, batch_size: int) -> None:
        self._steps = steps
        self._batch_size = batch_size

    def __iter__(self) -> Iterator[list[Place]]:
        for step in self._steps:
            yield [(step, slot) for slot in range(self._batch_size)]

    def __len__(self) -> int:
        return len(self._steps)


def make_loader(
    dataset: Dataset[dict[str, Any]], steps: range, batch_size: int, workers: int, pin: bool
) -> DataLoader[dict[str, Any]]:
    """Load one batch per step, in order; a run that goes on at step t starts the range there.

    Args:
        dataset: a source or target data set.
        steps: which steps, such as range(2000, 40000).
        batch_size: images per step.
        workers: processes that load; 0 = the calling one.
        pin: whether batches are put into pinned memory, for faster copies to a GPU.

    Returns:
        A loader of collated samples: tensors with a leading batch dimension, lists of str.
    """
    return DataLoader(
        dataset,
        batch_sampler=_Steps(steps, batch_size),
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_init_worker,
        # Its own generator, so that making a loader leaves the global random state alone.
        generator=torch.Generator(),
    )


def _init_worker(_: int) -> None:
    cv2.setNumThreads(0)
    # A signal to the whole process group is for the trainer: it still saves, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
