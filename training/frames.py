"""Finding and reading the image and label files of a data set, with errors that name the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from hrda_core.classes import IGNORE, ClassSet
from training.data_settings import LabelledSettings, ValidationSettings

Uint8Array = npt.NDArray[np.uint8]
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')
ID_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')
"""Pillow's names of pictures with one number per pixel; P has a palette over its numbers."""


def list_images(folder: Path, remedy: str, skip_suffix: str = '') -> list[Path]:
    """All images below a folder, sorted; hidden files and folders are left out.

    Args:
        folder: searched recursively for .jpg, .jpeg and .png.
        remedy: what to do about a missing or empty folder, for the error.
        skip_suffix: leave out .png files whose name ends so (labels among the images).

    Raises:
        ValueError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise ValueError(f'there is no folder {folder}; {remedy}')
    found = []
    for directory, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        found += [
            Path(directory, name)
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')
        ]
    if skip_suffix:
        found = [path for path in found if not path.name.endswith(f'{skip_suffix}.png')]
    if not found:
        raise ValueError(f'{folder} holds no image ({", ".join(IMAGE_SUFFIXES)}); {remedy}')
    return sorted(found)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) [px] of an image or label, from its header alone.

    Raises:
        ValueError: the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f'{path} cannot be read as an image: {error}') from error


def read_image(path: Path) -> Uint8Array:
    """Read an image as uint8 (H, W, 3) RGB.

    Raises:
        ValueError: the file is missing, cut off or no image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f'{path} cannot be read as an image; remove it or copy it again')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_ids(path: Path) -> npt.NDArray[np.integer[Any]]:
    """Read a label file's numbers, uint8 or uint16 (H, W); of a palette picture its indices.

    Raises:
        ValueError: the file cannot be read, or holds colours instead of one number per pixel.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ID_MODES:
                raise ValueError(
                    f'label {path} is a {image.mode} picture; expected one id per pixel '
                    '(8 or 16 bit grey, or palette)'
                )
            ids = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise ValueError(f'label {path} cannot be read: {error}') from error
    return ids.astype(np.uint8 if ids.dtype.itemsize == 1 else np.uint16)


@dataclass(frozen=True)
class LabelledFrames:
    """Pairs of image and label files, and how the labels' numbers are meant.

    Attributes:
        root: folder of the data set.
        images: image files, sorted.
        labels: the label file of each image.
        label_ids: 'train' for class indices, 'raw' for ids that the class set maps.
        classes: the class set.
    """

    root: Path
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    label_ids: Literal['train', 'raw']
    classes: ClassSet

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """Path of an image below the root."""
        return os.path.relpath(self.images[index], self.root)

    def read_label(self, index: int) -> Uint8Array:
        """Train ids of a frame, uint8 (H, W), 255 = ignored.

        Raises:
            ValueError: the label cannot be read or holds an id that is no class.
        """
        path = self.labels[index]
        ids = read_ids(path)
        if self.label_ids == 'raw':
            return self.classes.encode(ids)
        wrong = (ids >= len(self.classes)) & (ids != IGNORE)
        if wrong.any():
            raise ValueError(
                f'label {path} holds id {int(ids[wrong].min())}, but class set '
                f'{self.classes.name!r} has 0..{len(self.classes) - 1} and 255 = ignored; '
                'name another class set, or set label_ids: raw if these are raw ids'
            )
        return ids.astype(np.uint8)

    def read(self, index: int) -> tuple[Uint8Array, Uint8Array]:
        """Image uint8 (H, W, 3) RGB and label uint8 (H, W) of a frame.

        Raises:
            ValueError: a file cannot be read, or the two differ in size.
        """
        image, label = read_image(self.images[index]), self.read_label(index)
        self._check_size(index, (image.shape[1], image.shape[0]), (label.shape[1], label.shape[0]))
        return image, label

    def check_header(self, index: int) -> None:
        """Raise ValueError if image or label is unreadable or they differ in size; fast."""
        self._check_size(index, image_size(self.images[index]), image_size(self.labels[index]))

    def _check_size(self, index: int, image: tuple[int, int], label: tuple[int, int]) -> None:
        if image != label:
            raise ValueError(
                f'label {self.labels[index]} is {label[0]}x{label[1]} px, its image '
                f'{self.images[index]} is {image[0]}x{image[1]} px; both must be of one size'
            )


def find_labelled(
    settings: LabelledSettings | ValidationSettings, classes: ClassSet, role: str
) -> LabelledFrames:
    """List the frames of a data set and find the label of each.

    Args:
        settings: where they are.
        classes: what the ids mean.
        role: 'source', 'validation' or the like, the name of the settings in errors.

    Raises:
        ValueError: a folder or label file is missing.
    """
    root = Path(settings.root).expanduser()
    image_folder, label_folder = root / settings.images, root / settings.labels
    remedy = f'check {role}.root and {role}.images'
    images = list_images(image_folder, remedy, settings.label_suffix)
    if not label_folder.is_dir():
        raise ValueError(f'there is no folder {label_folder}; check {role}.root and {role}.labels')
    labels = [
        label_folder
        / image.relative_to(image_folder).parent
        / f'{image.stem}{settings.label_suffix}.png'
        for image in images
    ]
    _check_present(images, labels, role)
    label_ids = 'raw' if getattr(settings, 'kind', '') == 'gta' else settings.label_ids
    return LabelledFrames(root, tuple(images), tuple(labels), label_ids, classes)


def _check_present(images: Sequence[Path], labels: Sequence[Path], role: str) -> None:
    missing = [i for i, label in enumerate(labels) if not label.is_file()]
    if not missing:
        return
    image, label = images[missing[0]], labels[missing[0]]
    others = f' (and {len(missing) - 1} more)' if len(missing) > 1 else ''
    alike = sorted(label.parent.glob(f'{image.stem}*.png'))
    remedy = f'remove the image, or set {role}.labels and {role}.label_suffix'
    if alike:
        suffix = alike[0].stem.removeprefix(image.stem)
        remedy = f'{alike[0].name} is there: set {role}.label_suffix to {suffix!r}?'
    raise ValueError(f'image {image} has no label {label}{others}; {remedy}')
