"""The table of encoders."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from training.cli import main


def test_the_command_measures_every_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, file = tmp_path / 'models.csv', tmp_path / 'models.json'
    options = ['--encoders', 'mit_b0', '--size=64x64', '--frames=1', '--device=cpu', '--threads=1']
    assert main(['bench', 'models', *options, f'--csv={table}', f'--json={file}']) == 0
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row['encoder'] == 'mit_b0' and 5 < float(row['parameters [M]']) < 10
    assert float(row['GMAC exact']) == pytest.approx(float(row['GMAC anytime']))
    assert float(row['ms anytime']) > 0
    assert len(json.loads(file.read_text())['cases'][0]['contenders']) == 2
    assert 'mit_b0' in capsys.readouterr().out


def test_an_unknown_encoder_is_found_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(['bench', 'models', '--encoders', 'mit_b0', 'mit_b7', '--device=cpu']) == 1
    assert "unknown encoder 'mit_b7'" in capsys.readouterr().err
