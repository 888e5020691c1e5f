"""A data set of a few small frames and the settings of a run that takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import save_model
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA

WIDTH, HEIGHT = 96, 80


def write_frames(folder: Path, count: int, seed: int) -> None:
    """Write images/NN.png and labels/NN.png: a road below, sky above, a car between."""
    rng = np.random.default_rng(seed)
    for name in ('images', 'labels'):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        label = np.full((HEIGHT, WIDTH), 10, np.uint8)
        label[HEIGHT // 2 :] = 0
        x, y = rng.integers(0, WIDTH - 40), rng.integers(20, 40)
        label[y : y + 30, x : x + 40] = 13
        label[:4] = 255
        noise = rng.integers(0, 40, (HEIGHT, WIDTH, 3), np.uint8)
        image = noise + (label[..., None] * 7 % 200).astype(np.uint8)
        cv2.imwrite(str(folder / 'images' / f'{number:02}.png'), image)
        cv2.imwrite(str(folder / 'labels' / f'{number:02}.png'), label)


def write_data(folder: Path) -> None:
    """Write the frames of source, target and validation."""
    for seed, name in enumerate(('source', 'target', 'validation')):
        write_frames(folder / name, 3, seed)


def tiny_settings(folder: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a run on `write_data(folder)`.

    Args:
        folder: the data.
        output: the run folder.
        changes: dotted names with __ for dots, such as loop__iterations=3.
    """
    small = {'head_channels': 16, 'embed_channels': 16, 'attention_embed_channels': 16}
    settings: dict[str, Any] = {
        'source': {'root': str(folder / 'source')},
        'target': {'root': str(folder / 'target'), 'kind': 'folder', 'images': 'images'},
        'validation': {'root': str(folder / 'validation'), 'limit': 1},
        'output': str(output),
        'method': 'self_training',
        'model': {'encoder': 'mit_b0', **small, 'context_size': 64, 'detail_size': 64},
        'self_training': {'rare_class_min_pixels': 100, 'pseudo_threshold': 0.06},
        'optimiser': {'lr': 1e-3, 'warmup_steps': 2},
        'loop': {
            'iterations': 6,
            'workers': 0,
            'device': 'cpu',
            'log_every': 2,
            'checkpoint_every': 2,
            'evaluate_every': 4,
        },
    }
    for name, value in changes.items():
        *groups, last = name.split('__')
        place = settings
        for group in groups:
            place = place[group]
        place[last] = value
    return settings


TWO_BATCHES_OF_ONE = {'loop__batch_size': 1, 'loop__accumulate': 2}
"""Changes that split the batches of `plain_settings`."""


def plain_settings(folder: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Settings of three steps of SGD in which images of a batch do not look at each other.

    The network has no batch norm and drops nothing, every pseudo label counts, and ClassMix
    chooses per image.
    """
    plain = {
        'model__head': 'deeplab_v2',
        'model__drop_path': 0.0,
        'self_training__class_mix_scope': 'image',
        'self_training__pseudo_threshold': 0.0,
        'optimiser': {'name': 'sgd', 'lr': 0.003, 'warmup_steps': 0},
        'loop__iterations': 3,
        'loop__target_score_frames': 0,
        'validation': None,
    }
    return tiny_settings(folder, output, **(plain | changes))


def write_config(path: Path, settings: dict[str, Any]) -> Path:
    """Write settings as YAML; returns the path."""
    path.write_text(yaml.safe_dump(settings))
    return path


def write_checkpoint(path: Path) -> Path:
    """Write a small network with random weights that are always the same; returns the path."""
    torch.manual_seed(0)
    small = Architecture('mit_b0', 16, 16, 16, context_size=64, detail_size=64)
    save_model(path, HRDA(small, CITYSCAPES), step=0)
    return path
