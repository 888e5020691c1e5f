"""Batches of a data set, one per training step, loaded by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from training.run.share import WHOLE, Share
from training.run.stop_signals import STOP_SIGNALS

Place = tuple[int, int]


class _Steps:
    """Batch sampler: the places of every step's shares, in order."""

    def __init__(self, steps: range, batch_size: int, shares: Sequence[Share]) -> None:
        self._steps, self._batch_size, self._shares = steps, batch_size, shares

    def __iter__(self) -> Iterator[list[Place]]:
        for step in self._steps:
            for share in self._shares:
                yield [(step, slot) for slot in share.slots(self._batch_size)]

    def __len__(self) -> int:
        return len(self._steps) * len(self._shares)


def make_loader(
    dataset: Dataset[dict[str, Any]],
    steps: range,
    batch_size: int,
    workers: int,
    pin: bool,
    shares: Sequence[Share] = (WHOLE,),
) -> DataLoader[dict[str, Any]]:
    """Load the batches of every step, in order; a run that goes on at step t starts there.

    Args:
        dataset: a source or target data set.
        steps: which steps, such as range(2000, 40000).
        batch_size: images per batch.
        workers: processes that load; 0 = the calling one.
        pin: whether batches are put into pinned memory, for faster copies to a GPU.
        shares: parts of a step that are loaded here, one batch for each.

    Returns:
        A loader of collated samples: tensors with a leading batch dimension, lists of str.
    """
    return DataLoader(
        dataset,
        batch_sampler=_Steps(steps, batch_size, shares),
        num_workers=workers,
        # Children of the trainer itself, which end when it is killed; no server's.
        multiprocessing_context='fork' if workers else None,
        pin_memory=pin,
        worker_init_fn=_init_worker,
        # Its own generator, so that making a loader leaves the global random state alone.
        generator=torch.Generator(),
    )


def _init_worker(_: int) -> None:
    cv2.setNumThreads(0)
    # A signal to the whole process group is for the trainer: it still saves, and ends its workers.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
