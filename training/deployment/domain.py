"""Tells checkpoints which images they were made for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hrda_core.checkpoints import add_metadata, load_model
from hrda_core.classes import Uint8Array, resolve_classes
from hrda_core.domain_shift import (
    FEWEST_IMAGES,
    EarlyFeatures,
    FeatureDomain,
    Statistics,
)
from training.data.frames import find_labelled, target_images
from training.image_files import read_image, spread
from training.progress import Display
from training.settings.run import TrainSettings

IMAGES = 200
"""Images that are looked at, spread over all there are."""


def remember_domain(
    checkpoints: Mapping[Path, Path], images: Iterable[Uint8Array]
) -> dict[Path, FeatureDomain]:
    """Write into checkpoints what early features of some images are like.

    Args:
        checkpoints: each with the file that is written, which may be itself.
        images: uint8 (H, W, 3) RGB; gone through once.

    Returns:
        What was written, by checkpoint.

    Raises:
        ValueError: a checkpoint or an image cannot be used, or there are too few images.
    """
    features = {path: EarlyFeatures(load_model(path)) for path in checkpoints}
    found: dict[Path, list[Statistics]] = {path: [] for path in checkpoints}
    for image in images:
        for path, early in features.items():
            found[path].append(early.statistics(image))
    domains = {path: FeatureDomain.fit(statistics) for path, statistics in found.items()}
    for path, output in checkpoints.items():
        add_metadata(path, {FeatureDomain.key: domains[path].to_json()}, output)
    return domains


def domain_of_training(settings: TrainSettings) -> list[Path]:
    """Images that a run adapts its network to: those of the target, or of the source alone.

    Raises:
        ValueError: they are not there any more.
    """
    if settings.target is not None and settings.method != 'source_only':
        return target_images(settings.target)
    if settings.source is None:
        raise ValueError('the run has neither source nor target')
    classes = resolve_classes(settings.classes)
    return list(find_labelled(settings.source, classes, 'source').images)


def remember_training(
    settings: TrainSettings, checkpoints: Iterable[Path], display: Display
) -> str:
    """Tell the checkpoints of a finished run which images they were made for.

    Returns:
        What was done, in a sentence; a run is finished all the same where it cannot be done.
    """
    paths = {path: path for path in checkpoints if path.is_file()}
    try:
        images = spread(domain_of_training(settings), IMAGES)
        if len(images) < FEWEST_IMAGES:
            return f'{len(images)} images are too few for scores of domain shift'
        shown = display.track(images, 'remembering the domain', len(images))
        remember_domain(paths, (read_image(path) for path in shown))
    except (ValueError, OSError) as error:
        return f'the checkpoints know no domain: {error}'
    return f'the checkpoints know their domain from {len(images)} images'
