"""Frames of a data set: which image belongs to which label, and reading both."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hrda_core.classes import ClassSet
from training.data.kinds import Layout, Split
from training.data.label_maps.choice import choose_codec
from training.data.label_maps.codecs import LabelCodec
from training.data.layouts import FramePlace, find_places, label_files, place_remedy
from training.data.settings import LabelFileSettings, TargetSettings
from training.extraction.splits import FILE_NAME as SPLITS_FILE
from training.extraction.splits import read_splits
from training.image_files import exclude_images, image_size, list_images, read_image

Uint8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledFrames:
    """Pairs of image and label files, and how the labels are read.

    Attributes:
        root: folder of the data set.
        images: image files, sorted.
        labels: the label file of each image.
        codec: turns label files into train ids.
        classes: the class set.
        remedy: what to do about a frame that cannot be used.
    """

    root: Path
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    codec: LabelCodec
    classes: ClassSet
    remedy: str = ''

    def __len__(self) -> int:
        return len(self.images)

    def part(self, indices: Sequence[int]) -> LabelledFrames:
        """Some of the frames, in this order."""
        images = tuple(self.images[index] for index in indices)
        labels = tuple(self.labels[index] for index in indices)
        return replace(self, images=images, labels=labels)

    def left_out(self) -> str:
        """A sentence about what is labelled and ignored for want of a class; '' = nothing."""
        names = self.codec.left_out
        if not names:
            return ''
        return f'class set {self.classes.name} lacks {", ".join(names)}: such pixels are ignored'

    def name(self, index: int) -> str:
        """Path of an image below the root."""
        return os.path.relpath(self.images[index], self.root)

    def read_label(self, index: int) -> Uint8Array:
        """Train ids of a frame, uint8 (H, W), 255 = ignored.

        Raises:
            ValueError: the label cannot be read or holds an id that is no class.
        """
        return self.codec.read(self.labels[index])

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
                f'{self.remedy}'
            )


def find_labelled(settings: LabelFileSettings, classes: ClassSet, role: str) -> LabelledFrames:
    """List the frames of a data set and find the label of each.

    Args:
        settings: where they are.
        classes: what the labels mean.
        role: 'source', 'validation', ...: the name of the settings, for errors.

    Raises:
        ValueError: a folder or label file is missing, or the settings fit no data set.
    """
    root = Path(settings.root).expanduser()
    layout, places = find_places(settings, root, role)
    _check_label_folders(places, settings, role)
    placed = _list_images(settings, root, layout, places, role)
    options = label_files(settings, layout)
    found = [
        [place.label_of(image, layout.image_suffix, files.suffix) for image, place in placed]
        for files in options
    ]
    missing = [sum(not label.is_file() for label in labels) for labels in found]
    best = missing.index(min(missing))
    images = tuple(image for image, _ in placed)
    if missing[best]:
        _complain_of_missing(images, found[best], layout.image_suffix, role)
    codec = choose_codec(settings, options[best], classes, role)
    remedy = f'; leave the image out with {role}.exclude, or mend the label'
    return LabelledFrames(root, images, tuple(found[best]), codec, classes, remedy)


def target_images(settings: TargetSettings) -> list[Path]:
    """List the images of a data set; labels are not looked for.

    Raises:
        ValueError: a folder is missing or empty, or the settings fit no data set.
    """
    root = Path(settings.root).expanduser()
    layout, places = find_places(settings, root, 'target')
    return [image for image, _ in _list_images(settings, root, layout, places, 'target')]


def _list_images(
    settings: LabelFileSettings | TargetSettings,
    root: Path,
    layout: Layout,
    places: Sequence[FramePlace],
    role: str,
) -> list[tuple[Path, FramePlace]]:
    remedy = place_remedy(settings, role, 'root', 'images')
    skip_suffix = getattr(settings, 'label_suffix', None) or ''
    found = {
        image: place
        for place in places
        for image in list_images(
            place.images,
            remedy,
            skip_suffix,
            suffix=layout.image_suffix,
            skip_folder=place.labels,
        )
    }
    images = list(found)
    if settings.kind == 'bag_images':
        images = _of_split(images, root, settings.split, role)
    kept = exclude_images(images, root, settings.exclude, f'{role}.exclude')
    return [(image, found[image]) for image in kept]


def _of_split(images: list[Path], root: Path, split: Split | None, role: str) -> list[Path]:
    """Frames of the drives that are in a part; all where an extraction has but one part."""
    parts = read_splits(root)
    if split is None and len(set(parts.values())) < 2:
        return images
    wanted = split or ('val' if role == 'validation' else 'train')
    drives = {image: image.relative_to(root).parts[0] for image in images}
    chosen = [image for image in images if parts.get(drives[image], 'train') == wanted]
    if not chosen:
        raise ValueError(
            f'{role}.split: no drive below {root} is for {wanted!r}; hrda extract draws the '
            f'drives with --val and --test and writes them to {SPLITS_FILE}'
        )
    return chosen


def _check_label_folders(
    places: Sequence[FramePlace], settings: LabelFileSettings, role: str
) -> None:
    for place in places:
        if place.labels is None:
            raise ValueError(
                f'kind {settings.kind} has no labels of its own; name their folder in '
                f'{role}.labels'
            )
        if not place.labels.is_dir():
            remedy = place_remedy(settings, role, 'root', 'labels')
            raise ValueError(f'there is no folder {place.labels}; {remedy}')


def _complain_of_missing(
    images: Sequence[Path], labels: Sequence[Path], image_suffix: str, role: str
) -> None:
    missing = [i for i, label in enumerate(labels) if not label.is_file()]
    image, label = images[missing[0]], labels[missing[0]]
    others = f' (and {len(missing) - 1} more)' if len(missing) > 1 else ''
    stem = image.stem.removesuffix(image_suffix)
    alike = sorted(label.parent.glob(f'{glob.escape(stem)}*.png'))
    remedy = (
        f'leave the image out with {role}.exclude, or set {role}.labels and {role}.label_suffix'
    )
    if alike:
        suffix = alike[0].stem.removeprefix(stem)
        remedy = f'{alike[0].name} is there: set {role}.label_suffix to {suffix!r}?'
    raise ValueError(f'image {image} has no label {label}{others}; {remedy}')
