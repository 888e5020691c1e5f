"""`hrda tune-windows`: the fewest windows that change few labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_run

from hrda_core.checkpoints import load_model
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from hrda_core.tuning import TunedWindows
from training.cli import main
from training.deployment.tune_windows import parse_share
from training.deployment.window_tuning import Curve, measure

ANYTIME = InferenceSettings('cpu', mode='anytime', window_size=64)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('camera')
    tiny_run.write_frames(root, 3, 0)
    return root / 'images'


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (128, 192, 3), dtype=np.uint8)


def tune(checkpoint: Path, folder: Path, *options: str) -> int:
    return main(
        ['tune-windows', str(checkpoint), str(folder), '--device', 'cpu', '--sizes=64', *options]
    )


def curve() -> Curve:
    return Curve([[0.9, 0.4, 0.1], [0.5, 0.3, 0.2]], [[0.3, 0.1, 0.02, 0], [0.1, 0.05, 0.01, 0]])


def test_a_threshold_gives_the_mean_over_images():
    trial = Curve(curve().scores, curve().flips, [10.0, 10.0], [4.0] * 6).trial(0.4)
    assert (trial.share, trial.milliseconds) == (0.5, 16.0)
    assert trial.flips == pytest.approx((0.02 + 0.05) / 2)


def test_the_cheapest_keeps_to_the_limit():
    measured = Curve(curve().scores, curve().flips, [10.0], [4.0])
    assert measured.cheapest(0.035).threshold == 0.4
    assert measured.cheapest(0.0).share == 1
    assert measured.cheapest(1.0).share == 0


def test_flips_are_those_of_the_segmenter(checkpoint):
    """A threshold from the curve, used for real, changes as many labels as it says."""
    model, image = load_model(checkpoint), picture(0)
    measured = measure(Segmenter(model, ANYTIME), [image])
    trial = measured.trial(sorted(measured.scores[0])[3])
    some = InferenceSettings('cpu', mode='anytime', window_size=64, threshold=trial.threshold)
    found = Segmenter(model, some).segment(image)
    everything = Segmenter(model, ANYTIME).segment(image).labels
    assert found.windows_computed == round(trial.share * found.windows_planned)
    assert (found.labels != everything).mean() == pytest.approx(trial.flips)


def test_no_image_is_refused(checkpoint):
    with pytest.raises(ValueError, match='no image to measure'):
        measure(Segmenter(load_model(checkpoint), ANYTIME), [])


def test_the_checkpoint_then_holds_the_threshold(checkpoint, folder, tmp_path):
    output = tmp_path / 'tuned.safetensors'
    assert tune(checkpoint, folder, '--max-flips=5%', '-o', str(output)) == 0
    model = load_model(output)
    tuned = TunedWindows.of(model)
    assert tuned is not None and (tuned.window_size, tuned.max_flips) == (64, 0.05)
    assert TunedWindows.of(load_model(checkpoint)) is None
    before = load_model(checkpoint).state_dict()
    assert all((before[name] == tensor).all() for name, tensor in model.state_dict().items())


def test_in_place_it_is_found_by_mode_anytime(checkpoint, folder, tmp_path):
    own = tmp_path / 'own.safetensors'
    own.write_bytes(checkpoint.read_bytes())
    assert tune(own, folder, '--max-flips=100%') == 0
    result = Segmenter.from_checkpoint(own, InferenceSettings('cpu', mode='anytime'))
    assert result.segment(picture(1)).windows_computed == 0


@pytest.mark.parametrize(('text', 'share'), [('0.2%', 0.002), ('0.002', 0.002), (' 1 % ', 0.01)])
def test_shares_are_read(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize('text', ['', '%', 'few', '150%', '-1', '1.2.3'])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match=r'expected a share such as 0.2%'):
        parse_share(text)


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--sizes=big'], 'expected sizes in pixels'),
        (['--sizes=50'], 'multiple of 16'),
        (['--frames=-1'], 'is negative'),
        (['--threshold=0.5'], 'there is no argument --threshold'),
        (['--mode=anytime'], 'there is no argument --mode'),
    ],
)
def test_wrong_options_are_named(checkpoint, folder, capsys, options, reason):
    assert tune(checkpoint, folder, *options) != 0
    assert reason in capsys.readouterr().err


def test_a_damaged_image_is_named(checkpoint, tmp_path, capsys):
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\n')
    assert tune(checkpoint, tmp_path) != 0
    assert 'broken.png' in capsys.readouterr().err
