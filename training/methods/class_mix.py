"""ClassMix: the pixels of half of the source classes, pasted into target images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np

Chosen = tuple[tuple[int, ...], ...]


def draw_classes(
    labels: Tensor,
    generators: Iterable[np.random.Generator],
    scope: Literal['batch', 'image'] = 'batch',
) -> Chosen:
    """Choose half of the classes (rounded up), independently for every image (HRDA spec 3.4).

    The choice is made from the classes of the whole batch, the ignore label 255 included, as
    published: a chosen class may be absent from the image. Scope 'image' chooses from the
    classes of each image.

    Shape:
        labels: uint8 (B, H, W) source labels; generators: one per image.
        result: B tuples of train ids.
    """
    everywhere = torch.unique(labels).cpu().numpy()
    chosen = []
    for image, generator in zip(labels, generators, strict=True):
        present = everywhere if scope == 'batch' else torch.unique(image).cpu().numpy()
        picked = generator.choice(len(present), (len(present) + 1) // 2, replace=False)
        chosen.append(tuple(int(present[i]) for i in picked))
    return tuple(chosen)


def mix_mask(labels: Tensor, chosen: Sequence[Sequence[int]]) -> Tensor:
    """Which pixels come from the source: those whose label was chosen.

    Shape:
        labels: uint8 (B, H, W); chosen: B sequences of train ids.
        result: bool (B, H, W).
    """
    table = torch.zeros(len(chosen), 256, dtype=torch.bool)
    for row, classes in zip(table, chosen, strict=True):
        row[list(classes)] = True
    table = table.to(labels.device)
    return torch.gather(table, 1, labels.flatten(1).long()).reshape(labels.shape)


def mix(mask: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Source pixels where the mask is set, target pixels elsewhere.

    Shape:
        mask: bool (B, H, W); source, target: (B, H, W) or (B, C, H, W), as the result.
    """
    return torch.where(mask if source.ndim == 3 else mask[:, None], source, target)
