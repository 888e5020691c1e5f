"""The score of domain shift as the node tells it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='the score is of a network')

import tiny_run

from hrda_core.checkpoints import add_metadata, load_model
from hrda_core.domain_shift import METADATA_KEY, EarlyFeatures, FeatureDomain
from hrda_ros.domain_watch import UNKNOWN, DomainWatch


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, (64, 96, 3), np.uint8)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')
    features = EarlyFeatures(load_model(path))
    domain = FeatureDomain.fit([features.statistics(picture(seed)) for seed in range(30)])
    add_metadata(path, {METADATA_KEY: domain.to_json()}, path)
    return str(path)


def test_a_camera_has_a_score_once_it_was_looked_at(checkpoint: str) -> None:
    watch = DomainWatch(checkpoint, 'cpu', print)
    assert watch.value('front') == UNKNOWN
    watch.look(picture(99), 'front')
    watch.look(picture(99) // 4, 'rear')
    assert float(watch.value('front')) < 1.5 < float(watch.value('rear'))


@pytest.mark.parametrize('name', ['', '/no/such.safetensors'])
def test_without_a_checkpoint_there_is_no_score(name: str) -> None:
    watch = DomainWatch(name, 'cpu', lambda text: None)
    watch.look(picture(0), '')
    assert watch.value('') == UNKNOWN


def test_a_domain_that_cannot_be_used_is_told(checkpoint: str, tmp_path: Path) -> None:
    broken, said = tmp_path / 'broken.safetensors', []
    add_metadata(checkpoint, {METADATA_KEY: '{}'}, broken)
    assert DomainWatch(str(broken), 'cpu', said.append).value('') == UNKNOWN
    assert "no score of domain shift: the metadata 'domain'" in said[0]


def test_running_out_of_memory_ends_the_scores_alone(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError('none left')

    said: list[str] = []
    watch = DomainWatch(checkpoint, 'cpu', said.append)
    monkeypatch.setattr(EarlyFeatures, 'statistics', fail)
    watch.look(picture(0), '')
    assert said == ['no more scores of domain shift: none left']
