"""`hrda calibrate`: confidence that holds, and labels that stay."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run
import torch

from hrda_core.checkpoints import add_metadata, load_model, read_metadata, save_model
from hrda_core.image_codec import decode_bytes
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from hrda_core.temperature import FittedTemperature
from training.cli import main
from training.evaluation.calibration import Calibration
from training.evaluation.temperature import LabelledPixels, fit_temperature

CPU = InferenceSettings(device='cpu')
IMAGE = np.random.default_rng(3).integers(0, 256, (80, 96, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')
    model = load_model(path)
    torch.nn.init.normal_(model.head.classify.weight, std=1.0)  # sure of something
    save_model(path, model, step=0)
    return path


@pytest.fixture(scope='module')
def frames(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """Two images with labels drawn from what the network says, were it three times less sure."""
    root = tmp_path_factory.mktemp('frames')
    tiny_run.write_frames(root, 2, 0)
    torch.manual_seed(0)
    segmenter = Segmenter.from_checkpoint(checkpoint, CPU)
    for path in (root / 'images').iterdir():
        rows = list(segmenter.probabilities(decode_bytes(path.read_bytes())))
        honest = torch.cat(rows, 1).log().div(3).softmax(0)
        drawn = honest.flatten(1).T.multinomial(1).reshape(honest.shape[1:])
        cv2.imwrite(str(root / 'labels' / path.name), drawn.numpy().astype(np.uint8))
    return root


def heated(checkpoint: Path, output: Path, temperature: float) -> Segmenter:
    fitted = FittedTemperature(temperature, 0.1, 0.0, 1)
    add_metadata(checkpoint, {FittedTemperature.key: fitted.to_json()}, output)
    return Segmenter.from_checkpoint(output, CPU)


class KnownScores:
    """A segmenter of given log probabilities, in strips of one row."""

    def __init__(self, logits: torch.Tensor) -> None:
        self._logits = logits

    def probabilities(self, _image: np.ndarray):
        for row in self._logits.softmax(0).unbind(1):
            yield row[:, None]


@pytest.mark.parametrize('true', [0.4, 1.0, 3.0])
def test_the_temperature_of_labels_drawn_at_it_is_found(true):
    torch.manual_seed(0)
    logits = torch.randn(4, 60, 500) * 2
    drawn = (logits / true).softmax(0).flatten(1).T.multinomial(1).reshape(60, 500)
    pixels = LabelledPixels(lambda ids: ids, 4, per_image=10**6)
    label = drawn.numpy().astype(np.uint8)
    label[:2] = 255
    pixels.add(KnownScores(logits), IMAGE, label)
    assert len(pixels) == 58 * 500
    assert fit_temperature(pixels.loss) == pytest.approx(true, rel=0.05)
    assert pixels.calibration(true).error() < 0.02


def test_merged_classes_add_their_probabilities():
    logits = torch.log(torch.tensor([0.2, 0.3, 0.5]))[:, None, None]
    merged = np.array([0, 0, 2], np.uint8)
    table = np.append(merged, np.zeros(253, np.uint8))
    table[255] = 255
    pixels = LabelledPixels(lambda ids: table[ids], 3, per_image=10)
    pixels.add(KnownScores(logits), IMAGE, np.array([[1]], np.uint8))
    assert pixels.loss(1.0) == pytest.approx(-np.log(0.5), rel=1e-5)


def test_few_pixels_of_an_image_are_drawn_with_their_own_labels():
    logits = torch.full((3, 20, 30), -20.0)
    label = np.random.default_rng(0).integers(0, 3, (20, 30), dtype=np.uint8)
    logits.scatter_(0, torch.from_numpy(label).long()[None], 0.0)
    pixels = LabelledPixels(lambda ids: ids, 3, per_image=50)
    pixels.add(KnownScores(logits), IMAGE, label)
    assert len(pixels) == 50
    assert pixels.loss(1.0) == pytest.approx(0, abs=1e-6)


def test_a_temperature_changes_confidence_and_no_label(checkpoint, tmp_path):
    plain = Segmenter.from_checkpoint(checkpoint, CPU)
    hot = heated(checkpoint, tmp_path / 'hot.safetensors', 2.0)
    before, after = plain.segment(IMAGE), hot.segment(IMAGE)
    assert np.array_equal(before.labels, after.labels)
    expected = torch.cat(list(plain.probabilities(IMAGE)), 1).log().div(2).softmax(0)
    found = torch.cat(list(hot.probabilities(IMAGE)), 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    difference = after.confidence.astype(int) - expected.amax(0).mul(255).round().numpy()
    assert np.abs(difference).max() <= 1


def test_weights_that_still_change_are_not_calibrated(checkpoint, tmp_path):
    heated(checkpoint, tmp_path / 'hot.safetensors', 2.0)
    model = load_model(tmp_path / 'hot.safetensors')
    assert Segmenter(model, CPU, live=True).temperature == 1


def test_calibrating_again_starts_anew(checkpoint, frames, tmp_path, capsys):
    outputs = [tmp_path / name for name in ('once.safetensors', 'twice.safetensors')]
    arguments = ['--images', str(frames / 'images'), '--labels', str(frames / 'labels')]
    for source, output in zip((checkpoint, outputs[0]), outputs, strict=True):
        command = ['calibrate', str(source), *arguments, '--device=cpu', '-o', str(output)]
        assert main(command) == 0
    once, twice = (json.loads(read_metadata(output)[FittedTemperature.key]) for output in outputs)
    assert once == twice
    assert once['images'] == 2
    text = ' '.join(capsys.readouterr().out.split())
    assert 'calibration error there' in text
    assert main(['eval', str(outputs[0]), *arguments, '--device=cpu']) == 0
    assert f'(temperature {once["temperature"]:.3f})' in capsys.readouterr().out


def test_a_temperature_that_makes_the_error_worse_is_not_written(
    checkpoint, frames, tmp_path, capsys, monkeypatch
):
    errors = iter([0.01, 0.02])
    monkeypatch.setattr(Calibration, 'error', lambda self: next(errors))
    folders = ['--images', str(frames / 'images'), '--labels', str(frames / 'labels')]
    output = tmp_path / 'out.safetensors'
    assert main(['calibrate', str(checkpoint), *folders, '--device=cpu', '-o', str(output)]) == 1
    assert 'error rises from 1.00 to 2.00 %' in capsys.readouterr().err
    assert not output.exists()


def test_labels_without_a_class_are_refused(checkpoint, frames, tmp_path, capsys):
    (tmp_path / 'labels').mkdir()
    for name in ('00.png', '01.png'):
        cv2.imwrite(str(tmp_path / 'labels' / name), np.full((80, 96), 255, np.uint8))
    folders = ['--images', str(frames / 'images'), '--labels', str(tmp_path / 'labels')]
    assert main(['calibrate', str(checkpoint), *folders, '--device=cpu']) == 1
    assert 'none of the 2 labels' in capsys.readouterr().err


@pytest.mark.parametrize('text', ['{', '{"temperature": 1}', '{"temperature": 0}'])
def test_metadata_that_cannot_be_used_name_the_remedy(checkpoint, text):
    model = load_model(checkpoint)
    model.metadata[FittedTemperature.key] = text
    with pytest.raises(ValueError, match='hrda calibrate'):
        Segmenter(model, CPU)
