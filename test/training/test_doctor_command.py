"""`hrda doctor` from its arguments to its report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_run import tiny_settings, write_config, write_data

from hrda_core.classes import CITYSCAPES
from training.cli import main
from training.doctor import memory
from training.doctor.sheet import Row, Tile, contact_sheet
from training.memory.estimate import MemoryEstimate


@pytest.fixture
def no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the estimate of memory, which takes seconds and has tests of its own."""
    monkeypatch.setattr(memory, 'estimate', lambda _: MemoryEstimate('cpu', *[0] * 8))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a tiny run on good data."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    write_data(tmp_path / 'data')
    return write_config(tmp_path / 'c.yaml', tiny_settings(tmp_path / 'data', tmp_path / 'run'))


def _report(folder: Path) -> dict:
    return json.loads((folder / 'doctor.json').read_text())


def test_good_settings(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['doctor', str(config)]) == 0
    folder, printed = tmp_path / 'run.doctor', capsys.readouterr().out
    assert 'training can start' in printed and str(folder) in printed
    report = _report(folder)
    assert report['errors'] == 0
    assert set(report['sets']) == {'source', 'target', 'validation'}
    assert report['speed']['steps'] >= 1 and report['speed']['step_s'] > 0
    assert {'network', 'disk', 'device', 'memory', 'time'} <= set(report['estimates'])
    with Image.open(folder / 'contact_sheet.png') as sheet:
        assert sheet.width > 1000 and sheet.height > 800
    assert 'contact_sheet.png' in (folder / 'report.html').read_text()
    assert not (tmp_path / 'run').exists()


@pytest.mark.usefixtures('no_estimate')
def test_what_was_counted_needs_no_counting_in_training(config: Path, tmp_path: Path) -> None:
    assert main(['doctor', str(config), '--no-time']) == 0
    assert _report(tmp_path / 'run.doctor')['speed'] is None
    assert list((tmp_path / 'cache' / 'hrda_ros').glob('class_counts_*.json'))


@pytest.mark.usefixtures('no_estimate')
def test_errors_give_code_1_and_stop_nothing(config: Path, tmp_path: Path) -> None:
    data = tmp_path / 'data'
    (data / 'source' / 'images' / '01.png').write_bytes(b'')
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(data / 'validation' / 'labels' / '00.png')
    overrides = [
        '--validation.score=[dragon]',
        '--model.start_from=nothing.safetensors',
        '--target.root=nowhere',
    ]
    assert main(['doctor', str(config), *overrides, f'--report={tmp_path / "r"}']) == 1
    report = _report(tmp_path / 'r')
    areas = {f['area'] for f in report['findings'] if f['level'] == 'error'}
    assert any('dragon' in finding['what'] for finding in report['findings'])
    assert areas == {'source', 'target', 'validation', 'model.start_from'}
    assert (tmp_path / 'r' / 'contact_sheet.png').is_file()


@pytest.mark.usefixtures('no_estimate')
def test_quick_reads_headers_alone(config: Path, tmp_path: Path) -> None:
    assert main(['doctor', str(config), '--quick', '--no-time']) == 0
    report = _report(tmp_path / 'run.doctor')
    assert report['classes'] == [] and report['sets']['source']['sizes'] == {'96x80': 3}


def test_missing_classes_are_reported(config: Path, tmp_path: Path) -> None:
    assert main(['doctor', str(config), '--classes=nothing.yaml']) == 1
    assert _report(tmp_path / 'run.doctor')['findings'][0]['area'] == 'classes'


def test_unknown_settings_are_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['doctor', str(config), '--loop.iteration=3']) == 1
    assert 'did you mean loop.iterations?' in capsys.readouterr().err


@pytest.mark.usefixtures('no_estimate')
def test_a_source_alone_is_enough(config: Path, tmp_path: Path) -> None:
    alone = ['--method=source_only', '--target=null', '--validation=null', '--no-time']
    assert main(['doctor', str(config), *alone]) == 0
    assert set(_report(tmp_path / 'run.doctor')['sets']) == {'source'}


@pytest.mark.usefixtures('no_estimate')
def test_few_labels_and_more_sources_are_looked_at(config: Path, tmp_path: Path) -> None:
    data = tmp_path / 'data'
    more = [
        f'--extra_sources=[{{root: {data / "target"}, weight: 2.0}}]',
        f'--few_labels.root={data / "validation"}',
    ]
    assert main(['doctor', str(config), *more, '--no-time']) == 1
    report = _report(tmp_path / 'run.doctor')
    assert {'source', 'extra_sources[0]', 'few_labels'} <= set(report['sets'])
    leak = next(f for f in report['findings'] if f['area'] == 'few_labels / validation')
    assert leak['level'] == 'error' and len(leak['files']) == 3


def test_a_picture_that_cannot_be_read_has_a_place_on_the_sheet() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    rows = [Row('source', '', (Tile(picture, ('a', '60 x 40 px')), Tile(None, ('x' * 200,))))]
    sheet = contact_sheet('title', rows, CITYSCAPES)
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    assert sheet.shape == contact_sheet('title', rows[:1], CITYSCAPES).shape
