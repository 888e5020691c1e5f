"""Golden numbers of published training operations, and tiny networks and data sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_run
import torch
from official_recipe import GOLDEN
from PIL import Image

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA

__all__ = ['cache', 'data', 'figures', 'ops', 'tiny_model', 'write_frames']


@pytest.fixture(scope='session')
def ops() -> dict[str, np.ndarray]:
    """Inputs and outputs of the published code's single operations."""
    with np.load(GOLDEN / 'training_ops.npz') as file:
        return dict(file)


@pytest.fixture(scope='session')
def figures() -> dict[str, Any]:
    """Scalars that belong to `ops`."""
    return json.loads((GOLDEN / 'training_ops.json').read_text())


@pytest.fixture
def tiny_model() -> HRDA:
    """A small network for context crops of 128 px with details of 64 px."""
    torch.manual_seed(0)
    return HRDA(
        Architecture(
            'mit_b0',
            head_channels=8,
            embed_channels=8,
            attention_embed_channels=8,
            context_size=128,
            detail_size=64,
        ),
        CITYSCAPES,
    )


@pytest.fixture
def write_frames(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder data set: `write_frames([(image, label), ...])` gives its root."""

    def write(frames: list[tuple[np.ndarray, np.ndarray]]) -> Path:
        for folder in ('images', 'labels'):
            (tmp_path / folder).mkdir(exist_ok=True)
        for number, (image, label) in enumerate(frames):
            Image.fromarray(image).save(tmp_path / 'images' / f'{number:03}.png')
            Image.fromarray(label).save(tmp_path / 'labels' / f'{number:03}.png')
        return tmp_path

    return write


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the frames of `tiny_run`, which a module's tests share."""
    folder = tmp_path_factory.mktemp('data')
    tiny_run.write_data(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class counts are kept with the tests' files, not with the user's."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.getbasetemp() / 'cache'))
