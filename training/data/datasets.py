"""Data sets addressed by training step: the same step always gives the same crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hrda_core.classes import IGNORE
from hrda_core.windows import Box
from training.data.crop_padding import padding_notes
from training.data.frame_masks import frame_mask
from training.data.frames import LabelledFrames, target_images
from training.data.sampling import RareClassSampler
from training.data.settings import LabelledSettings, TargetSettings
from training.data.transforms import (
    CROP_REDRAWS,
    balanced_crop,
    pad,
    photometric_distortion,
    random_crop,
    resize_image,
    resize_label,
)
from training.image_files import check_images, read_image
from training.randomness import Stream, step_generator

Uint8Array = npt.NDArray[np.uint8]
Place = tuple[int, int]
"""Where a sample belongs: (step, slot in the batch)."""
MEAN_COLOUR = (124, 116, 104)
"""RGB that normalises to about 0 with the usual mean; images are padded with it."""


class SourceDataset(Dataset[dict[str, Any]]):
    """Random crops of labelled source frames.

    `dataset[(step, slot)]` is {'image': uint8 (3, S, S) RGB, 'label': uint8 (S, S) train ids,
    'file': str}; S is the crop size, smaller frames are padded (label 255).

    Args:
        frames: the files.
        settings: size, class share and photometric distortion.
        crop_size: side of the crops [px].
        seed: base of all draws, at least 0.
        sampler: draws frames by rare classes; None = uniformly.
        fill: RGB of padding.
    """

    def __init__(
        self,
        frames: LabelledFrames,
        settings: LabelledSettings,
        *,
        crop_size: int,
        seed: int,
        sampler: RareClassSampler | None = None,
        fill: tuple[int, int, int] = MEAN_COLOUR,
    ) -> None:
        self.frames = frames
        self._settings = settings
        self._crop_size = crop_size
        self._seed = seed
        self._sampler = sampler
        self._fill = fill

    def __len__(self) -> int:
        return len(self.frames)

    def left_out(self) -> tuple[str, ...]:
        """Sentences about what is labelled and ignored for want of a class."""
        text = self.frames.left_out()
        return (text,) if text else ()

    def padding(self, role: str = 'source') -> tuple[str, ...]:
        """A sentence about frames that are smaller than the crops, or none.

        Args:
            role: name of the settings of the frames.
        """
        return padding_notes(role, self.frames.images, self._settings.size, self._crop_size)

    def __getitem__(self, place: Place) -> dict[str, Any]:
        generator = step_generator(self._seed, Stream.SOURCE, *place)
        train_id, min_pixels = None, 0.0
        if self._sampler is None:
            index = int(generator.integers(len(self.frames)))
        else:
            drawn = self._sampler.draw(generator)
            index, train_id, min_pixels = drawn.frame, drawn.train_id, drawn.min_pixels
        image, label = self.frames.read(index)
        image = resize_image(image, self._settings.size)
        label = resize_label(label, self._settings.size)
        box = self._draw_crop(label, train_id, min_pixels, generator)
        image, label = _cut(image, box), _cut(label, box)
        if generator.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        if self._settings.photometric:
            image = photometric_distortion(np.ascontiguousarray(image), generator)
        return {
            'image': _image_tensor(pad(image, self._crop_size, self._fill)),
            'label': _tensor(pad(label, self._crop_size, IGNORE)),
            'file': self.frames.name(index),
        }

    def _draw_crop(
        self,
        label: Uint8Array,
        train_id: int | None,
        min_pixels: float,
        generator: np.random.Generator,
    ) -> Box:
        """A crop with enough of the drawn class, or the last of 11 tries (HRDA spec 3.7)."""
        share = self._settings.max_class_share
        box = balanced_crop(label, self._crop_size, share, generator)
        if train_id is None:
            return box
        for _ in range(CROP_REDRAWS):
            if np.count_nonzero(_cut(label, box) == train_id) > min_pixels:
                break
            box = balanced_crop(label, self._crop_size, share, generator)
        return box


class TargetDataset(Dataset[dict[str, Any]]):
    """Random crops of unlabelled target frames, uniformly drawn.

    `dataset[(step, slot)]` is {'image': uint8 (3, S, S) RGB, 'valid': uint8 (S, S), 'file':
    str}; 'valid' is 0 in the margins, in the mask and in padding, else 1.

    Raises:
        ValueError: the folder is missing or empty, an image cannot be read, or the margins
            leave nothing of it.
    """

    def __init__(
        self,
        settings: TargetSettings,
        *,
        crop_size: int,
        seed: int,
        fill: tuple[int, int, int] = MEAN_COLOUR,
    ) -> None:
        self.root = Path(settings.root).expanduser()
        self.images = target_images(settings)
        check_images(self.images)
        if min(settings.margins) < 0:
            raise ValueError(f'target.margins {settings.margins} must not be negative')
        self._settings = settings
        self._crop_size = crop_size
        self._seed = seed
        self._fill = fill

    def __len__(self) -> int:
        return len(self.images)

    def padding(self) -> tuple[str, ...]:
        """A sentence about frames that are smaller than the crops, or none."""
        return padding_notes('target', self.images, self._settings.size, self._crop_size)

    def __getitem__(self, place: Place) -> dict[str, Any]:
        generator = step_generator(self._seed, Stream.TARGET, *place)
        path = self.images[int(generator.integers(len(self.images)))]
        image = resize_image(read_image(path), self._settings.size)
        valid = target_valid(path, image.shape[0], image.shape[1], self._settings)
        if not valid.any():
            raise ValueError(
                f'target.margins {self._settings.margins}, and the mask beside it if there is '
                f'one, leave nothing of {path}, which is {image.shape[1]}x{image.shape[0]} px '
                'when resized'
            )
        box = random_crop(valid.shape[0], valid.shape[1], self._crop_size, generator)
        image, valid = _cut(image, box), _cut(valid, box)
        if generator.random() < 0.5:
            image, valid = image[:, ::-1], valid[:, ::-1]
        return {
            'image': _image_tensor(pad(image, self._crop_size, self._fill)),
            'valid': _tensor(pad(valid, self._crop_size, 0)),
            'file': str(path.relative_to(self.root)),
        }


def target_valid(path: Path, height: int, width: int, settings: TargetSettings) -> Uint8Array:
    """1 where pseudo labels of a frame count, 0 in margins and mask; uint8 (H, W).

    Args:
        path: of the frame; one that `hrda extract` wrote may have a mask beside it.
        height: of the resized frame [px].
        width: likewise.
        settings: of the target.
    """
    valid = valid_mask(height, width, settings.margins)
    mask = frame_mask(path, (width, height)) if settings.kind == 'bag_images' else None
    return valid if mask is None else valid & mask


def valid_mask(height: int, width: int, margins: tuple[int, int, int, int]) -> Uint8Array:
    """1 inside the margins (top, bottom, left, right) [px], 0 in them; uint8 (H, W)."""
    top, bottom, left, right = margins
    mask = np.zeros((height, width), np.uint8)
    mask[top : max(height - bottom, 0), left : max(width - right, 0)] = 1
    return mask


def _cut(array: Uint8Array, box: Box) -> Uint8Array:
    return array[box.y1 : box.y2, box.x1 : box.x2]


def _tensor(array: Uint8Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _image_tensor(image: Uint8Array) -> Tensor:
    return _tensor(image.transpose(2, 0, 1))
