"""Commands look at the place of their results before they begin to work."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_run

from training.cli import main


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('place')
    tiny_run.write_frames(root / 'data', 2, 0)
    tiny_run.write_checkpoint(root / 'm.safetensors')
    tiny_run.write_data(root)
    tiny_run.write_config(root / 'c.yaml', tiny_run.tiny_settings(root, root / 'm.safetensors/x'))
    (root / 'folder').mkdir()
    return root


DATA = '--images {0}/data/images --labels {0}/data/labels'
A_FOLDER = 'folder is a folder; name a file'
A_FILE = 'm.safetensors is a file; name a folder'
BELOW_A_FILE = 'm.safetensors/x cannot be written'


@pytest.mark.parametrize(
    ('command', 'reason'),
    [
        (f'eval {{0}}/m.safetensors {DATA} --json {{0}}/folder', A_FOLDER),
        (f'eval {{0}}/m.safetensors {DATA} --plots {{0}}/m.safetensors', A_FILE),
        (f'calibrate {{0}}/m.safetensors {DATA} -o {{0}}/folder', A_FOLDER),
        ('tune-windows {0}/m.safetensors {0}/data/images -o {0}/m.safetensors/x', BELOW_A_FILE),
        ('domain-shift {0}/m.safetensors {0}/data/images --store -o {0}/folder', A_FOLDER),
        ('predict {0}/data/images --checkpoint {0}/m.safetensors -o {0}/m.safetensors', A_FILE),
        ('export {0}/m.safetensors -o {0}/m.safetensors/x', BELOW_A_FILE),
        ('import {0}/m.safetensors -o {0}/folder', A_FOLDER),
        ('compare {0}/run --csv {0}/folder', A_FOLDER),
        ('compare {0}/run -o {0}/m.safetensors', A_FILE),
        ('bench train --json {0}/folder', A_FOLDER),
        ('bench inference --json {0}/folder', A_FOLDER),
        ('bench bags --json {0}/folder', A_FOLDER),
        ('bench node -o {0}/m.safetensors', A_FILE),
        ('bench models --csv {0}/folder', A_FOLDER),
        (f'bench anytime {{0}}/m.safetensors {DATA} -o {{0}}/m.safetensors', A_FILE),
        ('train {0}/c.yaml', BELOW_A_FILE),
        ('distill {0}/m.safetensors {0}/c.yaml', BELOW_A_FILE),
        ('doctor {0}/c.yaml --report {0}/m.safetensors/x', BELOW_A_FILE),
    ],
)
def test_the_place_of_the_result_is_refused_first(
    place: Path, capsys: pytest.CaptureFixture[str], command: str, reason: str
) -> None:
    before = sorted(place.rglob('*'))
    assert main(command.format(place).split()) == 1
    error = capsys.readouterr().err
    assert reason in error and error.count('\n') == 1, error
    assert sorted(place.rglob('*')) == before
