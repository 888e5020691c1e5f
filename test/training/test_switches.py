"""Every part of the network and of the methods can be switched by settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_run

from hrda_core.checkpoints import load_model
from training.cli import main
from training.run.folder import RunFolder


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp('data')
    tiny_run.write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(folder / 'cache'))
        yield folder


WIDE = {'model__context_size': 128}
DACS = {
    'model__encoder': 'resnet50_v1c',
    'model__head': 'deeplab_v2',
    'model__attention': 'none',
    'model__mode': 'whole',
    'self_training__ema_alpha': 0.99,
    'self_training__feature_distance_weight': 0.0,
    'self_training__rare_class_sampling': False,
}
ORACLE = {
    'method': 'source_only',
    'target': None,
    'source__photometric': True,
    'source__max_class_share': 0.75,
}
CASES: dict[str, dict[str, Any]] = {
    'one resolution': {'model__attention': 'none'},
    'one attention for all classes': {'model__attention': 'single', **WIDE},
    'fixed attention': {'model__fixed_attention': 0.5, **WIDE},
    'context at a quarter': {'model__context_scale': 0.25, **WIDE},
    'context at three quarters': {'model__context_scale': 0.75, **WIDE},
    'both at one scale': {'model__context_scale': 1.0, **WIDE},
    'windows side by side, blurred': {
        'model__detail_overlap': False,
        'model__detail_blur': True,
        **WIDE,
    },
    'context loss alone': {
        'self_training__detail_loss_weight': 0.0,
        'self_training__context_loss_weight': 0.1,
        **WIDE,
    },
    'the fast head': {'model__head': 'daformer_fast', **WIDE},
    'DACS without HRDA': DACS,
    'an oracle': ORACLE,
}


@pytest.mark.parametrize('case', CASES)
def test_a_switched_run_trains_and_scores(data: Path, tmp_path: Path, case: str) -> None:
    run = tmp_path / 'run'
    settings = tiny_run.tiny_settings(data, run, **CASES[case], loop__iterations=1)
    assert main(['train', str(tiny_run.write_config(tmp_path / 'c.yaml', settings))]) == 0
    folder = RunFolder(run)
    found = load_model(folder.model).architecture
    for name, value in settings['model'].items():
        assert getattr(found, name) == value
    assert (folder.scores / 'step_000001.json').is_file()


def test_a_context_too_small_for_the_encoder_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tiny_run.tiny_settings(data, tmp_path / 'run', model__context_scale=0.25)
    assert main(['train', str(tiny_run.write_config(tmp_path / 'c.yaml', settings))]) == 1
    assert 'context_size 64 at context_scale 0.25 leaves' in capsys.readouterr().err
