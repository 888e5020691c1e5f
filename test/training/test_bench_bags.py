"""The benchmark of recordings: what is compared with what, on tiny frames."""

from __future__ import annotations

import json

import pytest

from training.benchmark.bag_files import JPEG_TOPIC, RAW_TOPIC, write_jpegs, write_raw
from training.benchmark.bag_work import Pass, encode_only, extract, read_plainly
from training.benchmark.bags import _comparisons
from training.cli import main

SIZE = (64, 48)


class Asked:
    """Requests that end after two."""

    def __init__(self):
        self.answers = []

    def __iter__(self):
        return iter((0, 1))

    def answer(self, value):
        self.answers.append(value)


@pytest.fixture
def recordings(tmp_path):
    write_jpegs(tmp_path / 'jpeg', SIZE, 31)
    write_raw(tmp_path / 'raw', SIZE, 5)
    return tmp_path


@pytest.mark.parametrize('write', [True, False])
def test_every_contender_goes_through_the_whole_recording(recordings, write):
    asked = Asked()
    read_plainly(recordings / 'jpeg', JPEG_TOPIC, write, asked)
    extract(recordings / 'jpeg', JPEG_TOPIC, 10**9, asked)
    extract(recordings / 'raw', RAW_TOPIC, 0, asked)
    encode_only(SIZE, 5, asked)
    assert [each.frames for each in asked.answers] == [31, 31, 31, 31, 5, 5, 5, 5]
    assert all(each.rate > 0 for each in asked.answers)


def test_ratios_are_medians_over_rounds():
    names = ('read', 'write', 'jpeg', 'copy', 'every', 'encode', 'read raw', 'raw', 'every raw')
    rates = {name: [10.0, 20.0, 40.0] for name in names}
    rates |= {'alone': [10.0, 20.0, 40.0], 'two': [16.0, 40.0, 60.0]}
    (two,) = (each for each in _comparisons(rates) if each.wanted == 1.6)
    assert two.ratio == 1.6
    assert Pass(30, 2.0).rate == 15


def test_it_measures_and_writes_its_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('training.benchmark.bags.compare', lambda *_: [])
    monkeypatch.setattr('training.benchmark.bags.peak_bytes', lambda *_: 5_000_000)
    file = tmp_path / 'figures.json'
    arguments = ['--size=64x48', '--frames=3', '--raw-frames=2', f'--json={file}']
    assert main(['bench', 'bags', *arguments]) == 0
    assert '5' in capsys.readouterr().out
    assert json.loads(file.read_text())['peak_bytes'] == {'100': 5_000_000, '2000': 5_000_000}
    assert main(['bench', 'bags', '--rounds=0']) == 1
