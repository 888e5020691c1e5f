"""Crops that are larger than the frames they are cut from, so that a part of them is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from training.data.transforms import fit_size
from training.image_files import image_size, spread

LOOKED_AT = 200
"""Frames of a set, spread over it, that tell whether it is too small for the crops."""
Size = tuple[int, int]


class CropPadding(NamedTuple):
    """Frames that are smaller than a crop, in words.

    Attributes:
        small: numbers of these frames.
        what: how many they are, and how much of a crop is empty.
        remedy: what to do.
    """

    small: tuple[int, ...]
    what: str
    remedy: str


def resized(size: Size, settings_size: Size | None) -> Size:
    """(width, height) [px] of an image as crops are cut from it; None = it is not resized."""
    return size if settings_size is None else fit_size(*size, settings_size)


def crop_padding(
    role: str, sizes: Mapping[int, Size], settings_size: Size | None, crop: int
) -> CropPadding | None:
    """What crops lack because frames are too small; None where they lack nothing.

    Args:
        role: name of the settings of the frames: source, target.
        sizes: (width, height) of each frame that was looked at [px], by its number.
        settings_size: what frames are resized to fit into [px]; None = not resized.
        crop: side of the crops [px].
    """
    seen = {number: resized(size, settings_size) for number, size in sizes.items()}
    small = {number: size for number, size in seen.items() if min(size) < crop}
    if not small:
        return None
    width, height = Counter(small.values()).most_common(1)[0][0]
    empty = 1 - min(width, crop) * min(height, crop) / crop**2
    return CropPadding(
        tuple(small),
        f'{len(small)} of {len(sizes)} frames are smaller than the crop of {crop}x{crop} px, '
        f'{width}x{height} px when resized: {empty:.0%} of such a crop is padding',
        f'enlarge {role}.size, or lower model.context_size (crop_size)',
    )


def padding_notes(
    role: str, images: Sequence[Path], settings_size: Size | None, crop: int
) -> tuple[str, ...]:
    """A sentence about frames that are smaller than a crop, judged by some of them; or none.

    Raises:
        ValueError: one of them is missing, cut off or no image.
    """
    sizes = {number: image_size(path) for number, path in enumerate(spread(images, LOOKED_AT))}
    found = crop_padding(role, sizes, settings_size, crop)
    if found is None:
        return ()
    some = '' if len(sizes) == len(images) else f' ({len(sizes)} of {len(images)} looked at)'
    return (f'{role}{some}: {found.what}; {found.remedy}',)
