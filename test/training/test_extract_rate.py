"""Which frames `--every` takes: intervals as text, and the clock that takes the nearest ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from extracting import SECOND_NS, extract, tree

from training.cli import main
from training.extraction.rate import FrameClock, parse_interval


@pytest.mark.parametrize('text', ['', '0', '-1s', '5 parsec', '0Hz', 'nan', '1e3s'])
def test_impossible_intervals_are_refused(text):
    with pytest.raises(ValueError, match='interval'):
        parse_interval(text)


@pytest.mark.parametrize('every', [['--every', '-1s'], ['--every=-1s'], ['--every', '']])
def test_an_impossible_interval_is_told_however_it_is_typed(every, tmp_path, capsys):
    assert main(['extract', 'drive', '-o', str(tmp_path / 'out'), *every]) == 1
    error = capsys.readouterr().err
    assert "--every '" in error and 'is no interval; expected a time above zero' in error


def test_a_jittering_camera_keeps_its_rate():
    rng = np.random.default_rng(0)
    clock = FrameClock(SECOND_NS // 2)
    jitter = rng.integers(-2_000_000, 2_000_000, 600)
    stamps = [SECOND_NS + n * SECOND_NS // 30 + int(j) for n, j in enumerate(jitter)]
    taken = [stamp for stamp in stamps if clock.takes(stamp)]
    assert len(taken) == 40
    assert np.ptp(np.diff(taken)) < 2 * SECOND_NS / 30


def test_a_camera_at_the_asked_rate_loses_no_frame():
    clock = FrameClock(SECOND_NS // 2)
    stamps = [SECOND_NS + n * SECOND_NS // 2 + (-1) ** n * 3_000_000 for n in range(50)]
    assert all(clock.takes(stamp) for stamp in stamps)


def test_a_stamp_that_jumps_back_starts_the_grid_anew():
    clock = FrameClock(SECOND_NS)
    stamps = [100.0, 100.5, 101.0, 5.0, 5.5, 6.0]
    assert [clock.takes(round(s * SECOND_NS)) for s in stamps] == [True, False, True] * 2


@pytest.mark.parametrize('every', ['0.5s', '500ms', '2Hz', '.5'])
def test_every_takes_frames_by_stamp(camera_bag, tmp_path, every):
    extract(camera_bag(count=20), '-o', tmp_path / 'out', '--every', every)
    names = sorted(Path(name).stem for name in tree(tmp_path / 'out'))
    assert names == ['1_000000000', '1_500000000', '2_000000000', '2_500000000']
