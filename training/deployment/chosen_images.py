"""Images that a command measures as a whole: some of all, every one of which can be read.

A result of all images must not rest on fewer than were asked for, so a damaged one is refused
before the work. Where every image has a result of its own, as in `hrda predict`, it is left out
and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrda_core.preparation import check_size
from training.deployment.predict_files import find_inputs
from training.image_files import image_size, spread


def choose_images(inputs: Sequence[str], frames: int) -> list[Path]:
    """Images spread over all that are named; videos among them are left out.

    Args:
        inputs: images, or folders of them.
        frames: how many; 0 for all.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: there is no image, or one is damaged, cut off, or of a size that cannot be
            segmented.
    """
    if frames < 0:
        raise ValueError(f'--frames {frames} is negative; 0 takes all images')
    found = [file.path for file in find_inputs(inputs) if not file.is_video]
    if not found:
        raise ValueError(f'{inputs[0]} is a video; name images or folders of them')
    chosen = spread(found, frames or len(found))
    for path in chosen:
        width, height = image_size(path)
        try:
            check_size(height, width)
        except ValueError as error:
            raise ValueError(f'{path}: {error}; remove it from the folder') from error
    return chosen
