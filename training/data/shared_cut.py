"""A smaller square out of every sample, at the same place in source and target."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from training.data.transforms import random_crop
from training.randomness import Stream, step_generator


class SharedCut(Dataset[dict[str, Any]]):
    """Squares out of a data set's crops; two of them with one seed cut at the same places.

    Small contexts are published like this (HRDA spec 3.7, `sync_crop_size`): frames are cropped
    as for the large one, which is what rare class sampling and the share of one class look at,
    and from source and target the same square of the crop is learnt from.

    Args:
        dataset: gives, for (step, slot), samples whose tensors end in (S, S).
        size: side of the squares [px], at most S.
        seed: base of all draws, at least 0.
    """

    def __init__(self, dataset: Dataset[dict[str, Any]], size: int, seed: int) -> None:
        self._dataset, self._size, self._seed = dataset, size, seed

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any]:
        sample = self._dataset[place]
        generator = step_generator(self._seed, Stream.CUT, *place)
        height, width = sample['image'].shape[-2:]
        box = random_crop(height, width, self._size, generator)
        rows, columns = slice(box.y1, box.y2), slice(box.x1, box.x2)
        return {
            name: value[..., rows, columns].contiguous() if isinstance(value, Tensor) else value
            for name, value in sample.items()
        }
