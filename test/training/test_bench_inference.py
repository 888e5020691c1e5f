"""The benchmark of inference: the published order of work, contenders, turns and the command."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import write_checkpoint

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from hrda_core.windows import plan_windows
from training.benchmark.bag_work import Pass, encode_only
from training.benchmark.contenders import Contender, Peak
from training.benchmark.inference import parse_wxh
from training.benchmark.inference_report import (
    Measured,
    Turn,
    all_windows,
    cold_note,
    inference_table,
)
from training.benchmark.inference_specs import Spec, default_specs, parse_spec
from training.benchmark.inference_turns import take_turns
from training.benchmark.inference_work import Answer
from training.benchmark.network_cost import NetworkCost
from training.benchmark.pictures import images_to_measure, made_up_image
from training.benchmark.published_inference import PublishedInference
from training.cli import main

EXACT = InferenceSettings(device='cpu', precision='fp32')


def tiny(**changes: object) -> HRDA:
    torch.manual_seed(0)
    sizes = {'context_size': 128, 'detail_size': 64} | changes
    return HRDA(Architecture('mit_b0', 8, 8, 8, **sizes), CITYSCAPES)


@pytest.mark.parametrize('size', [(128, 192), (72, 150)])
@pytest.mark.parametrize('scale', [1.0, 1.3])
@pytest.mark.parametrize('batch', [None, 2])
def test_the_published_order_finds_the_labels_of_the_segmenter(
    size: tuple[int, int], scale: float, batch: int | None
) -> None:
    model = tiny(image_scale=scale)
    image = made_up_image(0, (size[1], size[0]))
    labels = PublishedInference(model, batch).segment(image)
    found = Segmenter(model, EXACT).segment(image).labels
    assert np.mean(labels == found) >= 0.999


def test_the_published_order_wants_the_published_network() -> None:
    with pytest.raises(ValueError, match='leave the contender published out'):
        PublishedInference(tiny(attention='none'))


def test_a_spec_is_a_mode_with_settings() -> None:
    spec = parse_spec('anytime, precision=bf16, threshold=0.1, window_size=128', 'cpu')
    assert spec.settings == InferenceSettings(
        device='cpu', precision='bf16', mode='anytime', threshold=0.1, window_size=128
    )


@pytest.mark.parametrize(
    ('share', 'windows', 'budget'), [('25%', 24, 6), ('25%', 1, 1), ('0%', 8, 0)]
)
def test_a_share_becomes_a_number_of_windows(share: str, windows: int, budget: int) -> None:
    spec = parse_spec(f'anytime,budget={share}', 'cpu')
    assert spec.for_plan(windows).budget == budget


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('fast', 'must begin with'),
        ('anytime,budget', 'is not NAME=VALUE'),
        ('anytime,budget=125%', 'no share of the windows'),
        ('anytime,budget=many', 'budget'),
        ('anytime,windows=3', 'windows'),
        ('anytime,threshold=2', 'outside 0..1'),
    ],
)
def test_a_spec_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_spec(text, 'cpu')


def test_a_tuned_network_chooses_by_its_own_threshold() -> None:
    assert 'budget=30%' in default_specs('30%', 'cpu', tuned=False)[-1]
    assert 'budget' not in default_specs('30%', 'cpu', tuned=True)[-1]


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        *((text, 'is no size; expected width x height') for text in ('2048', '2048x', '-5x20')),
        *((text, 'is outside 16..8192 px a side') for text in ('8x8', '2048x9000')),
    ],
)
def test_a_size_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f'--size .*{reason}'):
        parse_wxh(text)


class Slow:
    """A contender that takes the times it was given."""

    def __init__(self, *milliseconds: float) -> None:
        self.name, self._times = 'slow', iter(milliseconds)

    def ask(self, image: object, kind: type[Answer]) -> Answer:
        return Answer(next(self._times), np.zeros((2, 2), np.uint8), 1, 1)


def times(turns: list[Turn]) -> list[float]:
    return [turn.answer.milliseconds for turn in turns]


def test_the_first_turn_is_a_warm_up_and_time_ends_them() -> None:
    quick, slow = Slow(9, 1, 2, 3), Slow(900, 600, 600)
    images = [np.zeros((2, 2, 3), np.uint8)] * 2
    turns = take_turns([quick, slow], images, 3, 1.0, str)
    assert times(turns[0]) == [1, 2, 3] and times(turns[1]) == [600, 600]
    assert [turn.image for turn in turns[0]] == [0, 1, 0]


def test_a_warm_up_that_takes_all_the_time_counts() -> None:
    (turns,) = take_turns([Slow(1500)], [np.zeros((2, 2, 3), np.uint8)], 3, 1.0, str)
    assert times(turns) == [1500] and turns[0].first


def test_a_contender_of_which_only_the_first_frame_was_measured_is_marked() -> None:
    warm, other = (measured(parse_spec(name, 'cpu'), 0, 9.0) for name in ('exact', 'published'))
    cold = replace(other, turns=tuple(turn._replace(first=True) for turn in other.turns))
    table = inference_table([warm, cold])
    assert {str(c.header): list(c.cells) for c in table.columns}['frames'] == ['1', '1 (cold)']
    assert 'cold: published: ' in cold_note([warm, cold]) and cold_note([warm]) == ''


def measured(spec: Spec, labels: int, milliseconds: float) -> Measured:
    answer = Answer(milliseconds, np.full((2, 2), labels, np.uint8), 1, 4)
    return Measured(spec, (Turn(0, answer),), Peak(200, 100), 1e9, 1e12)


def test_flips_are_counted_against_the_same_plan_with_all_its_windows() -> None:
    texts = ('anytime,budget=1', 'anytime,threshold=0,window_size=128', 'anytime,threshold=0')
    everyone = [measured(parse_spec(text, 'cpu'), 0, 1.0) for text in texts]
    assert all_windows(everyone[0], everyone) is everyone[2]
    assert all_windows(measured(parse_spec('exact', 'cpu'), 0, 1.0), everyone) is None


def test_the_table_compares_with_the_published_order() -> None:
    everyone = [
        measured(parse_spec('published', 'cpu'), 3, 100.0),
        measured(parse_spec('exact', 'cpu'), 3, 40.0),
    ]
    cells = {
        str(column.header): list(column.cells) for column in inference_table(everyone).columns
    }
    assert cells['faster'] == ['1.00x', '2.50x'] and cells['memory'] == ['1.00x', '1.00x']
    assert cells['labels as published'] == ['100.00%', '100.00%'] and cells['flips'] == ['-', '-']


def test_arithmetic_grows_by_the_same_with_every_window() -> None:
    model = tiny().to('meta').eval()
    plan = plan_windows(128, 192, model.architecture)
    cost = NetworkCost(model)
    none, one, all_of_them = (cost.flops(plan, n) for n in (0, 1, len(plan.windows)))
    assert 0 < none < one
    assert all_of_them == pytest.approx(none + len(plan.windows) * (one - none))


def test_images_of_a_folder_are_spread_evenly_and_resized(tmp_path: Path) -> None:
    import cv2

    for number in range(4):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((20, 30, 3), 50 * number, np.uint8))
    images = images_to_measure(str(tmp_path), 2, (48, 32))
    assert [image.shape for image in images] == [(32, 48, 3)] * 2
    assert [int(image.mean()) for image in images] == [0, 100]


def test_the_command_measures_contenders_and_writes_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, file = write_checkpoint(tmp_path / 'tiny.safetensors'), tmp_path / 'a' / 'f.json'
    options = ['--size=128x64', '--frames=2', '--device=cpu', '--threads=1', f'--json={file}']
    contenders = ['--contenders', 'published', 'exact,precision=fp32', 'anytime,budget=50%']
    assert main(['bench', 'inference', f'--checkpoint={checkpoint}', *options, *contenders]) == 0
    published, exact, anytime = json.loads(file.read_text())['cases'][0]['contenders']
    assert len(exact['milliseconds']) == 2 and exact['agreement'] >= 0.999
    assert published['peak_bytes'] > published['before_bytes'] > 0
    assert anytime['windows_computed'] == 1 and anytime['windows_planned'] == 2
    assert exact['flops'] <= published['flops'] and exact['used_rate'] > 0
    assert '128x64' in capsys.readouterr().out


def test_a_checkpoint_has_an_encoder_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['bench', 'inference', '--checkpoint=x', '--encoder=mit_b0']) == 1
    assert 'leave --encoder out' in capsys.readouterr().err


def test_contenders_leave_ctrl_c_to_the_process_that_asks():
    contender = Contender('any', partial(encode_only, (64, 48), 3), torch.device('cpu'), 1, '')
    (process,) = multiprocessing.active_children()
    os.kill(process.pid, signal.SIGINT)
    assert contender.ask(0, Pass).frames == 3
    contender.end()
