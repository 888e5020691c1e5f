"""The score of domain shift as the node tells it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='the score is of a network')

import tiny_run

from hrda_core import segmenter
from hrda_core.checkpoints import add_metadata, load_model
from hrda_core.domain_shift import EarlyFeatures, FeatureDomain
from hrda_core.inference import InferenceSettings
from hrda_ros.domain_watch import DomainWatch
from hrda_ros.inference import WatchedSegmenter
from hrda_ros.model import Model


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, (64, 96, 3), np.uint8)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')
    features = EarlyFeatures(load_model(path))
    domain = FeatureDomain.fit([features.statistics(picture(seed)) for seed in range(30)])
    add_metadata(path, {FeatureDomain.key: domain.to_json()}, path)
    return str(path)


def load(path: str | Path) -> WatchedSegmenter:
    return WatchedSegmenter.from_checkpoint(path, InferenceSettings('cpu'))


def test_a_camera_has_a_score_once_it_was_looked_at(checkpoint: str) -> None:
    watch = DomainWatch(load(checkpoint).domain, '', print)
    assert watch.value('front') == 'unknown: no image was looked at yet'
    watch.look(picture(99), 'front')
    watch.look(picture(99) // 4, 'rear')
    assert float(watch.value('front')) < 1.5 < float(watch.value('rear'))


def test_the_checkpoint_is_read_once(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(
        segmenter, 'load_model', lambda path: (loaded.append(path), load_model(path))[1]
    )
    assert load(checkpoint).domain is not None
    assert loaded == [checkpoint]


def test_without_a_domain_the_remedy_stands_in_place_of_the_score(tmp_path: Path) -> None:
    path = tiny_run.write_checkpoint(tmp_path / 'm.safetensors')
    model = Model(load(path), str(path), lambda text: None)
    model.look(picture(0), '')
    assert model.facts('')['domain_shift'].startswith(
        'unknown: the checkpoint does not say which images it is for; hrda domain-shift'
    )


def test_a_domain_that_cannot_be_used_is_told(checkpoint: str, tmp_path: Path) -> None:
    broken = tmp_path / 'broken.safetensors'
    add_metadata(checkpoint, {FeatureDomain.key: '{}'}, broken)
    loaded, said = load(broken), []
    assert loaded.domain is None
    Model(loaded, str(broken), said.append)
    assert "no score of domain shift: the metadata 'domain'" in said[0]


def test_running_out_of_memory_ends_the_scores_alone(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError('none left')

    said: list[str] = []
    watch = DomainWatch(load(checkpoint).domain, '', said.append)
    monkeypatch.setattr(EarlyFeatures, 'statistics', fail)
    watch.look(picture(0), '')
    assert said == ['no more scores of domain shift: none left']
    assert watch.value('') == 'unknown: none left'
