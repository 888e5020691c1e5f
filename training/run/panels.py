"""Pictures of what a training step saw and what the student made of it."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

from hrda_core.classes import ClassSet, Uint8Array
from hrda_core.heads import resize
from hrda_core.hrda import HRDA
from hrda_core.resolutions import attention_of_prediction

TILE_WIDTH = 480
"""Pictures are shrunk to this width on a sheet [px]."""
COLUMNS = 4
CAPTION = 24
"""Height of a line of text [px]."""
EXPLAINED = {
    'prediction': 'student on the target frame (source if there is none)',
    'pseudo_weight': 'weight of the pseudo label (dark 0, bright 1)',
    'attention': 'attention (dark: context, bright: detail)',
    'confidence': 'confidence of the prediction (dark 0, bright 1)',
}
"""What a caption says beyond the name."""


def paint(shown: Tensor, classes: ClassSet) -> Uint8Array:
    """A tensor as a picture, uint8 (H, W, 3) RGB.

    Shape:
        shown: (3, H, W) RGB of 0..255, of any dtype; uint8 (H, W) train ids; or a float (H, W)
        map of 0..1, which becomes dark to bright.
    """
    if shown.ndim == 3:
        rgb: Uint8Array = shown.detach().cpu().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        return rgb
    values = shown.detach().cpu()
    if not values.is_floating_point():
        return classes.colorize(values.numpy())
    levels = values.float().clamp(0, 1).mul(255).byte().numpy()
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def paint_all(shown: Mapping[str, Tensor], classes: ClassSet) -> dict[str, Uint8Array]:
    """Every tensor as a picture, see `paint`."""
    return {name: paint(tensor, classes) for name, tensor in shown.items()}


@torch.no_grad()
def student_panels(student: HRDA, image: Uint8Array) -> dict[str, Uint8Array]:
    """What a student in eval mode says of a training crop: prediction, confidence, attention.

    Shape:
        image: uint8 (S, S, 3) RGB, a crop as in training (at the network's own scale).
    """
    student.eval()
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    crop = student.predict_crop(student.normalise(pixels))
    size = (image.shape[0], image.shape[1])
    probability, labels = resize(crop.fused.float(), size).softmax(dim=1).max(dim=1)
    shown = {'prediction': labels[0].byte(), 'confidence': probability[0]}
    if crop.attention is not None:
        shown['attention'] = resize(attention_of_prediction(crop), size)[0, 0]
    return paint_all(shown, student.classes)


def panel_sheet(pictures: Mapping[str, Uint8Array], classes: ClassSet) -> Uint8Array:
    """One picture of all: a grid with captions, and the classes' colours below.

    Shape:
        pictures: uint8 (H, W, 3) RGB, all of one size; result: uint8 (h, w, 3) RGB.
    """
    tiles = [_tile(name, picture) for name, picture in pictures.items()]
    rows = []
    for start in range(0, len(tiles), COLUMNS):
        row = tiles[start : start + COLUMNS]
        row += [np.full_like(tiles[0], 255)] * (min(COLUMNS, len(tiles)) - len(row))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate([*rows, _legend(classes, rows[0].shape[1])])


def _tile(name: str, picture: Uint8Array) -> Uint8Array:
    height = round(picture.shape[0] * TILE_WIDTH / picture.shape[1])
    # Nearest keeps the colours of classes pure.
    small = cv2.resize(picture, (TILE_WIDTH, height), interpolation=cv2.INTER_NEAREST)
    caption = np.full((CAPTION, TILE_WIDTH, 3), 255, np.uint8)
    _write(caption, EXPLAINED.get(name, name.replace('_', ' ')), 4, 0)
    return np.concatenate([caption, small])


def _legend(classes: ClassSet, width: int) -> Uint8Array:
    across = max(width // 160, 1)
    entries = [*zip(classes.names, classes.colors, strict=True), ('ignored', (0, 0, 0))]
    lines = -(-len(entries) // across)
    legend = np.full((lines * CAPTION, width, 3), 255, np.uint8)
    for number, (name, color) in enumerate(entries):
        x, y = number % across * 160, number // across * CAPTION
        legend[y + 5 : y + CAPTION - 5, x + 4 : x + 22] = color
        _write(legend, name, x + 27, y)
    return legend


def _write(canvas: Uint8Array, text: str, x: int, y: int) -> None:
    place = (x, y + CAPTION - 8)
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
