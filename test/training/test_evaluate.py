"""Scores against published numbers, and the `hrda eval` command."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run
import torch

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import save_model
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from training.cli import main
from training.data.settings import ValidationSettings
from training.data.validation_frames import ValidationFrames
from training.deployment.effort import Effort
from training.evaluation.arguments import open_frames, parse_merge
from training.evaluation.calibration import Calibration
from training.evaluation.scores import ConfusionMatrix

GOLDEN = np.load(Path(__file__).parents[1] / 'golden' / 'scores.npz')
ROAD, WALL, FENCE, CAR = (CITYSCAPES.index(name) for name in ('road', 'wall', 'fence', 'car'))


def matrix_of(predicted: list[int], labels: list[int], **options: object) -> ConfusionMatrix:
    matrix = ConfusionMatrix(CITYSCAPES, **options)  # type: ignore[arg-type]
    matrix.add(np.array([predicted], np.uint8), np.array([labels], np.uint8))
    return matrix


def test_scores_equal_the_published_ones() -> None:
    matrix = ConfusionMatrix(CITYSCAPES)
    for predicted, labels in zip(GOLDEN['predicted'], GOLDEN['labels'], strict=True):
        matrix.add(predicted, labels)
    scores = matrix.scores()
    np.testing.assert_allclose(scores.iou, GOLDEN['iou'], rtol=1e-12)
    np.testing.assert_allclose(scores.recall, GOLDEN['recall'], rtol=1e-12)
    assert scores.miou == pytest.approx(float(GOLDEN['miou']), rel=1e-12)
    assert scores.accuracy == pytest.approx(float(GOLDEN['accuracy']), rel=1e-12)
    assert scores.images == 2


def test_ignored_pixels_do_not_count() -> None:
    scores = matrix_of([ROAD, CAR], [ROAD, 255]).scores()
    assert scores.accuracy == 1
    assert math.isnan(scores.iou[CAR])


def test_merge_acts_on_predictions_and_labels() -> None:
    merge = {'wall': 'fence'}
    scores = matrix_of([WALL, FENCE, ROAD], [FENCE, WALL, ROAD], merge=merge).scores()
    assert scores.iou[FENCE] == 1
    assert math.isnan(scores.iou[WALL])
    assert scores.miou == 1


def test_score_chooses_the_classes_of_the_mean() -> None:
    everything = matrix_of([ROAD, CAR], [ROAD, FENCE]).scores()
    chosen = matrix_of([ROAD, CAR], [ROAD, FENCE], score=['road', 'bus']).scores()
    assert everything.miou == pytest.approx(1 / 3)
    assert chosen.miou == 1, 'a scored class that does not occur is left out'


def test_no_labels_at_all_give_no_score() -> None:
    scores = matrix_of([ROAD], [255]).scores()
    assert math.isnan(scores.miou) and math.isnan(scores.accuracy)
    assert scores.to_dict()['miou'] is None


def test_unknown_classes_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"no class 'lorry'.*truck"):
        ConfusionMatrix(CITYSCAPES, {'lorry': 'truck'})
    with pytest.raises(ValueError, match="'wall' is scored, but also merged"):
        ConfusionMatrix(CITYSCAPES, {'wall': 'fence'}, ['wall'])


def test_labels_outside_the_class_set_are_refused() -> None:
    with pytest.raises(ValueError, match='label 19'):
        matrix_of([ROAD], [19])
    with pytest.raises(ValueError, match='differ'):
        ConfusionMatrix(CITYSCAPES).add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


def test_merge_arguments() -> None:
    merge = parse_merge(['traffic light=traffic sign', 'bus = car'])
    assert merge == {'traffic light': 'traffic sign', 'bus': 'car'}
    with pytest.raises(ValueError, match='CLASS=CLASS'):
        parse_merge(['bus'])


def test_eval_command_prints_a_table_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    small = Architecture('mit_b0', 16, 16, 16, context_size=64, detail_size=64)
    checkpoint, out = tmp_path / 'm.safetensors', tmp_path / 'out' / 'scores.json'
    save_model(checkpoint, HRDA(small, CITYSCAPES), step=3)
    tiny_run.write_frames(tmp_path / 'data', 2, 0)
    data = ['--images', str(tmp_path / 'data/images'), '--labels', str(tmp_path / 'data/labels')]
    options = ['--score', 'road,sky', '--merge', 'bus=car', 'truck=car', '--device', 'cpu']
    code = main(['eval', str(checkpoint), *data, *options, '--json', str(out)])
    stored = json.loads(out.read_text())
    assert code == 0
    assert stored['images'] == 2 and stored['scored'] == ['road', 'sky']
    assert stored['classes']['road']['pixels'] > 0
    counts = np.array(stored['confusion']['counts'])
    assert counts.shape == (19, 20), 'the last column: no class'
    assert counts[ROAD].sum() == stored['classes']['road']['pixels']
    assert stored['confusion']['labelled'][ROAD] == 'road'
    assert f'{stored["miou"] * 100:.2f}' in capsys.readouterr().out


def test_the_means_of_the_synthia_benchmarks() -> None:
    fence, terrain = CITYSCAPES.index('fence'), CITYSCAPES.index('terrain')
    scores = matrix_of([ROAD, fence, CAR], [ROAD, CAR, terrain]).scores()
    # road 1, fence 0, car 0, terrain 0
    assert scores.miou == pytest.approx(1 / 4)
    assert scores.benchmarks() == {
        'SYNTHIA, 16 classes': pytest.approx(1 / 3),
        'SYNTHIA, 13 classes': pytest.approx(1 / 2),
    }
    assert matrix_of([ROAD], [ROAD], score=['road']).scores().benchmarks() == {}
    assert matrix_of([ROAD], [ROAD], merge={'bus': 'car'}).scores().benchmarks() == {}


def test_calibration_error_is_the_mean_gap_over_pixels() -> None:
    calibration = Calibration()
    confidence = np.array([[255, 255, 128, 128, 0]], np.uint8)
    predicted = np.array([[1, 1, 2, 2, 9]], np.uint8)
    labels = np.array([[1, 2, 2, 2, 255]], np.uint8)
    calibration.add(confidence, predicted, labels)
    # Two pixels of confidence 1 and accuracy 0.5, two of 0.502 and 1; the last has no label.
    assert calibration.error() == pytest.approx((0.5 + (1 - 128 / 255)) / 2)
    assert [b.pixels for b in calibration.bins() if b.pixels] == [2, 2]


def test_calibration_adds_up_over_images() -> None:
    rng = np.random.default_rng(0)
    confidence, predicted, labels = rng.integers(0, 256, (3, 8, 9), np.uint8)
    whole, halves = Calibration(), Calibration()
    whole.add(confidence, predicted % 3, labels % 3)
    for rows in (slice(0, 4), slice(4, 8)):
        halves.add(confidence[rows], predicted[rows] % 3, labels[rows] % 3)
    assert whole.to_dict() == halves.to_dict()
    assert whole.error() > 0


def test_calibration_without_labels_is_unknown() -> None:
    assert math.isnan(Calibration().error())
    assert Calibration().to_dict()['error'] is None


@pytest.fixture(scope='module')
def example(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments of `hrda eval` for a small network and two labelled frames."""
    folder = tmp_path_factory.mktemp('example')
    torch.manual_seed(0)
    small = Architecture('mit_b0', 16, 16, 16, context_size=64, detail_size=64)
    save_model(folder / 'm.safetensors', HRDA(small, CITYSCAPES), step=3)
    tiny_run.write_frames(folder / 'data', 2, 0)
    data = ['--images', str(folder / 'data/images'), '--labels', str(folder / 'data/labels')]
    return [str(folder / 'm.safetensors'), *data, '--device', 'cpu']


def test_eval_scores_context_and_detail_beside_the_fused_result(
    example: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, parts = tmp_path / 'plain.json', tmp_path / 'parts.json'
    assert main(['eval', *example, '--json', str(plain)]) == 0
    assert main(['eval', *example, '--json', str(parts), '--parts']) == 0
    stored = [json.loads(path.read_text()) for path in (plain, parts)]
    assert stored[0]['classes'] == stored[1]['classes'], 'the fused result is the same'
    assert stored[0]['calibration'] == stored[1]['calibration']
    assert set(stored[1]['parts']) == {'context', 'detail'}
    assert stored[1]['parts']['context'] != stored[1]['parts']['detail']
    assert 'fused' in capsys.readouterr().out


def test_eval_in_mode_anytime_tells_windows_and_time(
    example: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'scores.json'
    assert main(['eval', *example, '--mode=anytime', '--budget=1', '--json', str(out)]) == 0
    shown = re.search(r'1 of (\d+) windows computed per image .*ms per', capsys.readouterr().out)
    effort = json.loads(out.read_text())['effort']
    assert shown and effort['windows_planned'] == int(shown[1])
    assert effort['windows_computed'] == 1 and effort['median_ms'] > 0


def test_effort_without_images_is_unknown() -> None:
    assert set(Effort().to_dict().values()) == {None}
    assert Effort().summary(InferenceSettings('cpu')) == 'no image was segmented'


@pytest.mark.parametrize(('windows', 'too_short'), [(0, True), (1, False)])
def test_a_deadline_that_cannot_be_met_is_told(windows: int, too_short: bool) -> None:
    effort = Effort([windows] * 3, [6] * 3, [90.0, 80.0, 70.0])
    settings = InferenceSettings('cpu', mode='anytime', deadline_ms=60.0)
    assert ('the deadline of 60 ms cannot be met' in effort.summary(settings)) == too_short


def test_eval_draws_confusion_and_reliability(example: list[str], tmp_path: Path) -> None:
    assert main(['eval', *example, '--plots', str(tmp_path / 'looks')]) == 0
    files = sorted(path.name for path in (tmp_path / 'looks').iterdir())
    assert files == ['confusion.png', 'reliability.png']
    assert all(cv2.imread(str(tmp_path / 'looks' / name)).std() > 10 for name in files)


def test_parts_of_a_network_of_one_resolution_are_refused(
    example: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single = Architecture('mit_b0', 16, 16, attention='none', context_size=64)
    save_model(tmp_path / 'one.safetensors', HRDA(single, CITYSCAPES), step=0)
    code = main(['eval', str(tmp_path / 'one.safetensors'), *example[1:], '--parts'])
    assert code == 1
    assert 'has one resolution only' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('option', 'remedy'),
    [('--images', 'check --images'), ('--labels', 'check --labels')],
)
def test_errors_of_eval_name_its_options(
    example: list[str], option: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['eval', *example, option, '/nowhere']) == 1
    error = capsys.readouterr().err
    assert remedy in error and 'validation.' not in error


def test_eval_of_a_missing_checkpoint_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['--images', str(tmp_path), '--labels', str(tmp_path)]
    assert main(['eval', str(tmp_path / 'none.safetensors'), *arguments]) == 1
    assert 'none.safetensors: no such file' in capsys.readouterr().err


def test_eval_of_a_data_set_as_downloaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = Architecture('mit_b0', 16, 16, 16, context_size=64, detail_size=64)
    checkpoint, out = tmp_path / 'm.safetensors', tmp_path / 'scores.json'
    save_model(checkpoint, HRDA(small, CITYSCAPES), step=3)
    image = tmp_path / 'data/leftImg8bit/val/ulm/ulm_1_leftImg8bit.png'
    label = tmp_path / 'data/gtFine/val/ulm/ulm_1_gtFine_labelIds.png'
    for path, pixels in ((image, (64, 64, 3)), (label, (64, 64))):
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.full(pixels, 26, np.uint8))
    data = ['--kind', 'cityscapes', '--root', str(tmp_path / 'data'), '--split', 'val']
    assert main(['eval', str(checkpoint), *data, '--device', 'cpu', '--json', str(out)]) == 0
    assert json.loads(out.read_text())['classes']['car']['pixels'] == 64 * 64


def test_eval_without_data_says_what_to_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['eval', 'm.safetensors', '--images', 'x']) == 1
    assert '--kind and --root' in capsys.readouterr().err


def test_eval_names_its_own_arguments(tmp_path: Path) -> None:
    settings = ValidationSettings(str(tmp_path), kind='cityscapes')
    with pytest.raises(ValueError, match=r'check --root and --images'):
        open_frames(settings, CITYSCAPES)


def test_labels_without_a_class_are_refused(tmp_path: Path) -> None:
    tiny_run.write_frames(tmp_path, 2, 0)
    for label in (tmp_path / 'labels').iterdir():
        cv2.imwrite(str(label), np.full((80, 96), 255, np.uint8))
    words = r'none of the 2 labels, such as .*00\.png, has a pixel .*all are 255.*--label-map'
    with pytest.raises(ValueError, match=words):
        open_frames(ValidationSettings(str(tmp_path)), CITYSCAPES)


def test_wrong_validation_labels_are_found_before_they_are_scored(tmp_path: Path) -> None:
    tiny_run.write_frames(tmp_path / 'data', 2, 0)
    cv2.imwrite(str(tmp_path / 'data/labels/01.png'), np.full((80, 96), 99, np.uint8))
    frames = ValidationFrames(ValidationSettings(str(tmp_path / 'data')), CITYSCAPES)
    with pytest.raises(ValueError, match=r'01\.png holds id 99'):
        frames.check_labels(tmp_path / 'cache')
