"""Replaying choices of windows: as the segmenter would label, and the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_run import write_checkpoint, write_frames

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import save_model
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from training.benchmark.anytime_curves import SHARES, distinct_shares
from training.benchmark.anytime_replay import BEST, ORDERS, RANDOM, Replay
from training.benchmark.pictures import made_up_image
from training.cli import main

IMAGE = made_up_image(0, (192, 128))
GENERATOR = np.random.default_rng(0)


def tiny(**limits: object) -> Segmenter:
    torch.manual_seed(0)
    network = HRDA(Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64), CITYSCAPES)
    limits = {'device': 'cpu', 'precision': 'fp32', 'mode': 'anytime'} | limits
    return Segmenter(network, InferenceSettings(**limits))


@pytest.fixture(scope='module')
def replay() -> Replay:
    return Replay(tiny(), IMAGE)


@pytest.mark.parametrize('budget', [0, 1, 3, 6])
def test_a_replayed_budget_gives_the_labels_of_the_segmenter(replay: Replay, budget: int) -> None:
    chosen = replay.order('attention_uncertainty', GENERATOR)[:budget]
    assert np.mean(replay.labels(chosen) == tiny(budget=budget).segment(IMAGE).labels) >= 0.999


def test_a_replayed_threshold_gives_the_labels_of_the_segmenter(replay: Replay) -> None:
    scores = replay.scores('attention_uncertainty')
    threshold = float(np.median(scores))
    found = tiny(threshold=threshold).segment(IMAGE)
    chosen = [number for number, score in enumerate(scores) if score >= threshold]
    assert found.windows_computed == len(chosen) < replay.windows
    assert np.mean(replay.labels(chosen) == found.labels) >= 0.999


def test_all_windows_flip_nothing_in_any_order(replay: Replay) -> None:
    for name in ORDERS:
        order = replay.order(name, GENERATOR)
        assert sorted(order) == list(range(replay.windows))
        assert replay.flips(order) == 0


def test_the_best_possible_order_begins_with_the_window_that_changes_most(replay: Replay) -> None:
    differ = replay.labels(()) != replay.everything
    first, last = (replay.order(BEST, GENERATOR)[place] for place in (0, -1))

    def changed(number: int) -> int:
        row, column = divmod(number, 3)
        return int(differ[64 * row : 64 * row + 64, 64 * column : 64 * column + 64].sum())

    assert changed(first) == max(map(changed, range(6)))
    assert changed(last) == min(map(changed, range(6)))


def test_chance_is_another_order_every_time(replay: Replay) -> None:
    orders = {tuple(replay.order(RANDOM, GENERATOR)) for _ in range(20)}
    assert len(orders) > 1


def test_the_command_writes_figure_and_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frames(tmp_path / 'data', 2, 0)
    data = [f'--{name}={tmp_path / "data" / name}' for name in ('images', 'labels')]
    checkpoint = write_checkpoint(tmp_path / 'tiny.safetensors')
    options = ['--device=cpu', '--precision=fp32', '--image-scale=1.5', f'-o={tmp_path / "out"}']
    assert main(['bench', 'anytime', str(checkpoint), *data, *options]) == 0
    rows = list(csv.DictReader((tmp_path / 'out' / 'anytime.csv').read_text().splitlines()))
    by = {(row['order'], row['limit'], float(row['value'])): row for row in rows}
    assert by['published plan', 'none', 1.0]['images'] == '2'
    whole = by['attention_uncertainty', 'budget', 1.0]
    assert float(whole['flips']) == 0 and 0 <= float(whole['mIoU']) <= 1
    assert float(whole['windows']) == float(whole['windows planned']) == 4
    assert {limit for _, limit, _ in by} == {'none', 'budget', 'threshold', 'deadline'}
    assert all(float(row['ms']) > 0 for row in rows)
    assert json.loads((tmp_path / 'out' / 'anytime.json').read_text())['points']
    assert (tmp_path / 'out' / 'anytime.png').stat().st_size > 10_000
    assert 'published plan' in capsys.readouterr().out


def test_images_need_no_labels(tmp_path: Path) -> None:
    write_frames(tmp_path / 'data', 1, 0)
    checkpoint = write_checkpoint(tmp_path / 'tiny.safetensors')
    data = f'--images={tmp_path / "data" / "images"}'
    options = ['--device=cpu', f'-o={tmp_path / "out"}']
    assert main(['bench', 'anytime', str(checkpoint), data, *options]) == 0
    figures = json.loads((tmp_path / 'out' / 'anytime.json').read_text())
    assert all(point['mIoU'] is None for point in figures['points'])


def test_a_network_without_a_choice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frames(tmp_path / 'data', 1, 0)
    small = Architecture('mit_b0', 8, 8, 8, attention='none', context_size=64, detail_size=64)
    save_model(tmp_path / 'one.safetensors', HRDA(small, CITYSCAPES), step=0)
    data = f'--images={tmp_path / "data" / "images"}'
    assert main(['bench', 'anytime', str(tmp_path / 'one.safetensors'), data, '--device=cpu']) == 1
    assert 'needs a network with a detail branch' in capsys.readouterr().err


def test_images_of_two_sizes_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, size in enumerate((64, 80)):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.zeros((64, size, 3), np.uint8))
    checkpoint = write_checkpoint(tmp_path / 'tiny.safetensors')
    assert main(['bench', 'anytime', str(checkpoint), f'--images={tmp_path}', '--device=cpu']) == 1
    assert 'must be of one size' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('windows', 'counts'), [(1, [0, 1]), (4, [0, 1, 2, 3, 4]), (8, [0, 1, 2, 3, 4, 6, 8])]
)
def test_few_windows_have_no_share_twice(windows: int, counts: list[int]) -> None:
    shares = distinct_shares(SHARES, windows)
    assert [round(share * windows) for share in shares] == counts
    assert all(share in SHARES for share in shares)


def test_of_shares_alike_the_exact_one_is_kept() -> None:
    assert distinct_shares((0.0, 0.125, 0.375, 0.5, 1.0), 4) == [0.0, 0.5, 1.0]
