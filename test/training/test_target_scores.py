"""Scores without labels: what they reward, what they do not, and runs that go by them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_run
import torch

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import load_model, read_metadata
from hrda_core.classes import ClassSet
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from training.cli import main
from training.data.settings import TargetSettings
from training.evaluation.target_scores import TargetFrames, TargetScores, TargetTally, score_target
from training.run.folder import RunFolder
from training.run.state_file import read_state

CLASSES = ClassSet('three', ('a', 'b', 'c'), ((0, 0, 0),) * 3, ((0,), (1,), (2,)))


def probabilities(labels: list[int], confidence: float) -> torch.Tensor:
    """(3, N): `confidence` for each label, the rest shared by the others."""
    found = torch.full((3, len(labels)), (1 - confidence) / 2)
    found[torch.tensor(labels), torch.arange(len(labels))] = confidence
    return found


def scores_of(student: torch.Tensor, teacher: torch.Tensor | None = None) -> TargetScores:
    tally = TargetTally(CLASSES, 0.9)
    tally.add(student, teacher)
    return tally.scores(1)


def test_decided_diverse_and_agreeing_predictions_are_worth_one() -> None:
    sure = probabilities([0, 1, 2], 1.0)
    scores = scores_of(sure, sure)
    assert scores.value == pytest.approx(1)
    assert scores.coverage == 1 and scores.agreement == 1 and scores.entropy == 0
    assert scores.shares == pytest.approx({'a': 1 / 3, 'b': 1 / 3, 'c': 1 / 3})


def test_a_collapse_to_one_class_is_worth_nothing() -> None:
    one = probabilities([0, 0, 0], 1.0)
    scores = scores_of(one, one)
    assert scores.coverage == scores.agreement == 1 and scores.entropy == 0
    assert scores.value == pytest.approx(0)


def test_undecided_predictions_are_worth_nothing() -> None:
    undecided = torch.full((3, 4), 1 / 3)
    scores = scores_of(undecided)
    assert scores.entropy == pytest.approx(1) and scores.coverage == 0
    assert scores.value == pytest.approx(0, abs=1e-6)


def test_information_falls_with_doubt() -> None:
    values = [scores_of(probabilities([0, 1, 2], c)).value for c in (1.0, 0.8, 0.5)]
    assert values == sorted(values, reverse=True) and len(set(values)) == 3


def test_agreement_weighs_classes_alike() -> None:
    student = probabilities([0] * 8 + [1, 2], 1.0)
    teacher = probabilities([0] * 8 + [1, 1], 1.0)
    # a 1, b 1/2, c 0: nine of ten pixels agree, but only half of the classes do.
    assert scores_of(student, teacher).agreement == pytest.approx(0.5)


def test_without_a_teacher_information_alone_counts() -> None:
    scores = scores_of(probabilities([0, 1, 2], 0.9))
    assert math.isnan(scores.agreement) and scores.value == scores.information > 0
    assert scores.to_dict()['agreement'] is None
    assert 'target/agreement' not in scores.columns()
    assert 'agreement' not in scores.summary()


def test_pixels_add_up_over_images() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 50).softmax(dim=1)
    whole, parts = TargetTally(CLASSES, 0.5), TargetTally(CLASSES, 0.5)
    whole.add(student, teacher)
    for part in (slice(0, 20), slice(20, 50)):
        parts.add(student[:, part], teacher[:, part])
    assert parts.scores(2).columns() == pytest.approx(whole.scores(2).columns())


def test_nothing_counted_gives_no_value() -> None:
    assert math.isnan(TargetTally(CLASSES, 0.5).scores(0).value)


def write_images(folder: Path, count: int, size: tuple[int, int] = (40, 64)) -> TargetSettings:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f'{number:02}.png'), np.full((*size, 3), number, np.uint8))
    return TargetSettings(str(folder), kind='folder')


def test_frames_are_spread_evenly_and_always_the_same(tmp_path: Path) -> None:
    settings = write_images(tmp_path / 'camera', 10)
    shades = [[int(image[0, 0, 0]) for image, _ in TargetFrames(settings, 4)] for _ in range(2)]
    assert shades[0] == shades[1] == [0, 2, 5, 7]
    assert len(TargetFrames(settings, 50)) == 10


def test_margins_are_those_of_the_resized_frame(tmp_path: Path) -> None:
    settings = write_images(tmp_path / 'camera', 1)
    half = TargetSettings(settings.root, 'folder', size=(32, 20), margins=(0, 5, 2, 0))
    _, inside = next(iter(TargetFrames(half, 1)))
    expected = np.zeros((40, 64), np.uint8)
    expected[:30, 4:] = 1
    np.testing.assert_array_equal(inside, expected)


def test_segmenters_are_compared_on_whole_frames(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = Architecture('mit_b0', 16, 16, 16, context_size=64, detail_size=64)
    student = Segmenter(HRDA(small, CLASSES), InferenceSettings(device='cpu'))
    frames = TargetFrames(write_images(tmp_path / 'camera', 2, (300, 70)), 2)
    display: Any = SimpleNamespace(track=lambda items, *_: items)
    alone = score_target(student, None, frames, 0.4, display)
    itself = score_target(student, student, frames, 0.4, display)
    assert alone.images == 2 and itself.agreement == 1
    assert itself.value == alone.value == alone.information
    labels = np.stack([student.segment(image).labels for image, _ in frames])
    assert itself.shares['a'] == pytest.approx((labels == 0).mean())


@pytest.fixture(scope='module')
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps without validation frames, judged after each."""
    folder = tmp_path_factory.mktemp('unlabelled')
    tiny_run.write_data(folder)
    changes = {'loop__iterations': 2, 'loop__evaluate_every': 1, 'validation': None}
    settings = tiny_run.tiny_settings(folder, folder / 'run', **changes)
    settings['loop']['target_score_frames'] = 2
    assert main(['train', str(tiny_run.write_config(folder / 'run.yaml', settings))]) == 0
    return folder / 'run'


def test_a_run_without_labels_keeps_its_best_student(unlabelled: Path) -> None:
    folder = RunFolder(unlabelled)
    stored = [json.loads(path.read_text()) for path in sorted(folder.scores.iterdir())]
    assert [scores['by'] for scores in stored] == ['target_score'] * 2
    assert stored[0]['images'] == 2
    best = max(stored, key=lambda scores: scores['target_score'])
    assert load_model(folder.best).step == best['step']
    assert read_metadata(folder.best)['picked_by'] == 'target_score'
    assert read_state(folder.state)['best'] == best['target_score']
    assert 'target/coverage' in folder.metrics.read_text().splitlines()[0]


def test_values_of_different_kinds_are_not_compared(unlabelled: Path) -> None:
    validation = unlabelled.parent / 'validation'
    options = [f'--validation.root={validation}', '--validation.limit=1', '--loop.iterations=3']
    assert main(['train', '--resume', str(unlabelled), *options]) == 0
    assert read_metadata(RunFolder(unlabelled).best)['picked_by'] == 'mIoU'
