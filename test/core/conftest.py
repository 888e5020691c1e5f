"""Models with the weights of the golden numbers, made once per run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from official_recipe import GOLDEN, read_shapes, state_dict

from hrda_core.checkpoints import load_model
from hrda_core.hrda import HRDA
from hrda_core.published import import_published

PREFIXES = ('model.', 'ema_model.', 'imnet_model.')


@pytest.fixture(scope='session')
def published_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as published training stores it: student, teacher, ImageNet model."""
    shapes = read_shapes(GOLDEN / 'keys_mit_b0_64.txt')
    tensors = {}
    for prefix in PREFIXES:
        tensors |= state_dict({key: shapes[key] for key in shapes}, prefix)
    path = tmp_path_factory.mktemp('published') / 'b0.pth'
    torch.save({'meta': {'iter': 40000}, 'state_dict': tensors}, path)
    return path


def _load(published_file: Path, role: str, tmp_path: Path) -> HRDA:
    output = tmp_path / f'{role}.safetensors'
    import_published(published_file, output, role=role)
    model = load_model(output)
    model.architecture = replace(model.architecture, context_size=256, detail_size=128)
    return model


@pytest.fixture(scope='session')
def student(published_file: Path, tmp_path_factory: pytest.TempPathFactory) -> HRDA:
    """The student with a 256 px context and 128 px details, eval mode; do not change it."""
    return _load(published_file, 'student', tmp_path_factory.mktemp('student'))


@pytest.fixture(scope='session')
def teacher(published_file: Path, tmp_path_factory: pytest.TempPathFactory) -> HRDA:
    """The teacher of the same checkpoint."""
    return _load(published_file, 'teacher', tmp_path_factory.mktemp('teacher'))


@pytest.fixture(scope='session')
def golden() -> dict[str, np.ndarray]:
    """Inference numbers of the published code on these weights."""
    with np.load(GOLDEN / 'b0_eval.npz') as file:
        return dict(file)
