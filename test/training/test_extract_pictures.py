"""What an extraction does to frames: geometry, masks, calibration, anonymising; and training."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import yaml
from extracting import extract, manifest, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.image_codec import decode_bytes
from training.bags.writing import ImageBagWriter
from training.data.datasets import TargetDataset
from training.data.frames import target_images
from training.data.settings import TargetSettings
from training.doctor.findings import Findings
from training.doctor.frame_sets import FrameSet
from training.doctor.scale import report_masks
from training.extraction.geometry import Geometry
from training.extraction.settings import PictureSettings
from training.image_files import list_images

SECOND_NS = 1_000_000_000
FOLDER = 'drive/cam'
SIZE = (64, 48)
K = np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]])
BARREL = np.array([-0.3, 0.08, 0, 0, 0])


def picture(number=0):
    rough = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(rough, SIZE, interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def bag(tmp_path):
    with ImageBagWriter(tmp_path / 'drive') as writer:
        writer.write_camera_info('/camera_info', SECOND_NS, SIZE, K, BARREL)
        for number in range(3):
            data = cv2.imencode('.jpg', picture(number))[1].tobytes()
            writer.write_compressed('/cam', SECOND_NS + number, data)
    return tmp_path / 'drive'


@pytest.fixture
def mask(tmp_path):
    """A bonnet over the lower quarter."""
    drawn = np.full(SIZE[::-1], 255, np.uint8)
    drawn[36:] = 0
    cv2.imwrite(str(tmp_path / 'bonnet.png'), drawn)
    return tmp_path / 'bonnet.png'


def read(path):
    return decode_bytes(path.read_bytes())


def test_crop_and_resize(bag, tmp_path):
    out = tmp_path / 'out'
    assert (
        extract(bag, '-o', out, '--crop', '8,0,40,20', '--resize', '20x20', '--format', 'png') == 0
    )
    found = read(out / FOLDER / '1_000000000.png')
    whole = decode_bytes(cv2.imencode('.jpg', picture())[1].tobytes())
    expected = cv2.resize(whole[:20, 8:48], (20, 10), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(found, expected)
    info = yaml.safe_load((out / FOLDER / 'camera_info.yaml').read_text())
    assert (info['image_width'], info['image_height']) == (20, 10)
    assert info['camera_matrix']['data'] == pytest.approx([25, 0, 11.75, 0, 25, 11.75, 0, 0, 1])


def test_frames_are_never_enlarged(bag, tmp_path):
    extract(bag, '-o', tmp_path / 'out', '--resize', '640x480')
    assert read(tmp_path / 'out' / FOLDER / '1_000000000.jpg').shape == (48, 64, 3)


def test_a_crop_outside_of_the_frame_is_refused(bag, tmp_path, capsys):
    assert extract(bag, '-o', tmp_path / 'out', '--crop', '0,0,65,48') == 1
    assert 'leaves the frame of 64x48 px' in capsys.readouterr().err


def test_undistort_straightens_and_masks_the_border(bag, tmp_path):
    out = tmp_path / 'out'
    assert extract(bag, '-o', out, '--undistort', '--format', 'png') == 0
    whole = decode_bytes(cv2.imencode('.jpg', picture())[1].tobytes())
    expected = cv2.undistort(whole, K, BARREL)
    found = read(out / FOLDER / '1_000000000.png')
    assert np.abs(found.astype(int) - expected).mean() < 1
    info = yaml.safe_load((out / FOLDER / 'camera_info.yaml').read_text())
    assert not any(info['distortion_coefficients']['data'])


@settings(max_examples=20, deadline=None)
@given(
    shrink=st.floats(0.3, 1.0),
    left=st.integers(0, 20),
    top=st.integers(0, 20),
    barrel=st.floats(-0.3, 0.2),
)
def test_calibration_follows_the_pixels(shrink, left, top, barrel):
    """A point of the world is seen where the changed calibration says."""
    size = (200, 120)
    k = np.array([[150.0, 0, 99.5], [0, 150, 59.5], [0, 0, 1]])
    d = np.array([barrel, 0, 0, 0, 0])
    info = SimpleNamespace(
        header=None, width=200, height=120, distortion_model='plumb_bob', d=d, k=k.reshape(-1),
        r=np.eye(3).reshape(-1), p=np.hstack([k, np.zeros((3, 1))]).reshape(-1),
    )  # fmt: skip
    fitted = (round(150 * shrink), round(90 * shrink))
    asked = PictureSettings(undistort=True, crop=(left, top, 150, 90), resize=fitted)
    geometry = Geometry(asked, size, info)
    point = np.array([[[0.1, 0.05, 1.0]]])
    (((x, y),),), _ = cv2.projectPoints(point, np.zeros(3), np.zeros(3), k, d)
    spot = np.zeros((120, 200, 3), np.uint8)
    cv2.circle(spot, (round(float(x) * 16), round(float(y) * 16)), 6 * 16, (255,) * 3, -1, 0, 4)
    seen = geometry.apply(spot)[..., 0].astype(float)
    rows, columns = np.mgrid[: seen.shape[0], : seen.shape[1]]
    centre = [(columns * seen).sum() / seen.sum(), (rows * seen).sum() / seen.sum()]
    changed = np.reshape(geometry.calibration(info).k, (3, 3)) @ point[0, 0]
    assert np.abs(changed[:2] - centre).max() < 1.2


def test_without_calibration_undistort_is_refused(tmp_path, capsys):
    with ImageBagWriter(tmp_path / 'drive') as writer:
        writer.write_rgb('/cam', SECOND_NS, picture())
    assert extract(tmp_path / 'drive', '-o', tmp_path / 'out', '--undistort') == 1
    assert 'no CameraInfo' in capsys.readouterr().err


def test_unknown_and_empty_lenses_are_refused():
    fields = {
        'header': None,
        'width': 64,
        'height': 48,
        'd': [],
        'r': np.eye(3),
        'p': np.eye(3, 4),
    }
    for model, k, words in (('kannala', K, 'kannala'), ('plumb_bob', 0 * K, 'not calibrated')):
        info = SimpleNamespace(**fields, k=k, distortion_model=model)
        with pytest.raises(ValueError, match=words):
            Geometry(PictureSettings(undistort=True), SIZE, info)


@pytest.mark.parametrize(
    ('model', 'changes', 'words'),
    [
        (
            'plumb_bob',
            {'d': [0.1, 0.2]},
            'has 2 distortion coefficients; expected 4, 5, 8, 12, 14',
        ),
        ('equidistant', {'d': [0.1, 0.2]}, 'has 2 distortion coefficients; expected 4 for'),
        ('plumb_bob', {'d': [float('nan')] * 5}, 'no numbers'),
        ('plumb_bob', {'k': [[float('inf'), 0, 32], [0, 60, 24], [0, 0, 1]]}, 'no numbers'),
    ],
)
def test_lenses_that_cannot_be_are_refused(model, changes, words):
    fields = {'width': 64, 'height': 48, 'd': [], 'r': np.eye(3), 'p': np.eye(3, 4), 'k': K}
    info = SimpleNamespace(**{**fields, **changes}, distortion_model=model)
    with pytest.raises(ValueError, match=words):
        Geometry(PictureSettings(undistort=True), SIZE, info)


def test_the_mask_reaches_training_without_another_step(bag, mask, tmp_path):
    out = tmp_path / 'out'
    assert extract(bag, '-o', out, '--mask', mask) == 0
    target = TargetSettings(str(out), kind='bag_images')
    assert [path.name for path in target_images(target)] == [
        '1_000000000.jpg', '1_000000001.jpg', '1_000000002.jpg',
    ]  # fmt: skip
    assert len(list_images(out, '')) == 3
    sample = TargetDataset(target, crop_size=64, seed=0)[(0, 0)]
    valid = sample['valid'].numpy()
    assert valid[:36].all() and not valid[36:].any()


def test_the_doctor_knows_masks(bag, mask, tmp_path):
    extract(bag, '-o', tmp_path / 'out', '--mask', mask)
    images = tuple(target_images(TargetSettings(str(tmp_path / 'out'))))
    frames = FrameSet('target', tmp_path / 'out', images)
    findings = Findings()
    report_masks(frames, findings)
    cv2.imwrite(str(tmp_path / 'out' / FOLDER / 'mask.png'), np.zeros((5, 5), np.uint8))
    report_masks(frames, findings)
    error, note = findings
    assert (error.level, note.level) == ('error', 'note')
    assert 'is 5x5 px, 1_000000000.jpg is 64x48 px' in error.what
    assert 'keeps 25% of the frames' in note.what


def test_the_mask_follows_the_geometry(bag, mask, tmp_path):
    extract(
        bag, '-o', tmp_path / 'out', '--mask', mask, '--crop', '0,24,64,24', '--resize', '32x12'
    )
    found = read(tmp_path / 'out' / FOLDER / 'mask.png')[..., 0]
    assert found.shape == (12, 32)
    assert (found[:6] == 255).all() and not found[6:].any()


def test_a_mask_of_another_size_is_refused(bag, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'small.png'), np.full((4, 4), 255, np.uint8))
    assert extract(bag, '-o', tmp_path / 'out', '--mask', tmp_path / 'small.png') == 1
    assert '--mask is 4x4 px, the recorded frames are 64x48 px' in capsys.readouterr().err


def test_a_resize_that_changes_nothing_copies_the_bytes(bag, tmp_path):
    extract(bag, '-o', tmp_path / 'plain')
    extract(bag, '-o', tmp_path / 'out', '--resize', '640x480', '--crop', '0,0,64,48')
    assert tree(tmp_path / 'out') == tree(tmp_path / 'plain')


def test_camera_info_is_of_the_size_of_the_frames(tmp_path):
    """A driver that bins publishes frames of half the size of its calibration."""
    with ImageBagWriter(tmp_path / 'drive') as writer:
        writer.write_camera_info('/camera_info', SECOND_NS, (128, 96), 2 * K, BARREL)
        writer.write_compressed('/cam', SECOND_NS, cv2.imencode('.jpg', picture())[1].tobytes())
    extract(tmp_path / 'drive', '-o', tmp_path / 'out')
    info = yaml.safe_load((tmp_path / 'out' / FOLDER / 'camera_info.yaml').read_text())
    assert (info['image_width'], info['image_height']) == SIZE
    assert info['camera_matrix']['data'][:6] == pytest.approx(K.reshape(-1)[:6])
    assert info['distortion_coefficients']['data'] == pytest.approx(BARREL)


def test_calibration_of_a_region_of_interest():
    """The middle of a sensor of 128x96 px, two by two pixels put together."""
    roi = SimpleNamespace(x_offset=32, y_offset=24, width=64, height=48)
    info = SimpleNamespace(
        header=None, width=128, height=96, distortion_model='plumb_bob', d=BARREL, roi=roi,
        k=np.array([100.0, 0, 64, 0, 100, 48, 0, 0, 1]), r=np.eye(3), p=np.zeros((3, 4)),
    )  # fmt: skip
    for settings_ in (PictureSettings(), PictureSettings(undistort=True)):
        geometry = Geometry(settings_, (32, 24), info)
        assert np.reshape(geometry.calibration(info).k, (3, 3))[:2].tolist() == [
            [50, 0, 16], [0, 50, 12],
        ]  # fmt: skip


@pytest.mark.parametrize('threads', [1, 2])
@pytest.mark.parametrize('odd', [0, 2])
@pytest.mark.parametrize('options', [['--crop', '0,0,64,40'], ['--mask', 'MASK']])
def test_a_frame_of_another_size_is_damage_of_that_frame(
    tmp_path, mask, capsys, monkeypatch, threads, odd, options
):
    monkeypatch.setattr('training.extraction.pool.helper_threads', lambda _: threads - 1)
    with ImageBagWriter(tmp_path / 'drive') as writer:
        for number in range(4):
            shown = picture(number)[:20] if number == odd else picture(number)
            data = cv2.imencode('.jpg', shown)[1].tobytes()
            writer.write_compressed('/cam', SECOND_NS + number, data)
    out, given = tmp_path / 'out', [mask if word == 'MASK' else word for word in options]
    assert extract(tmp_path / 'drive', '-o', out, *given) == 3
    assert len(tree(out)) == 3 + (options[0] == '--mask')
    assert f'{tmp_path / "drive"}: /cam at {SECOND_NS + odd} ns: {options[0]}' in (
        capsys.readouterr().out
    )
    assert [line['reason'] for line in manifest(out)] == [
        'damaged' if number == odd else '' for number in range(4)
    ]


@pytest.mark.parametrize('count', [3, 30])
def test_a_crop_that_fits_no_frame_is_refused_by_name(tmp_path, capsys, count):
    with ImageBagWriter(tmp_path / 'drive') as writer:
        for number in range(count):
            writer.write_rgb('/cam', SECOND_NS + number, picture())
    out = tmp_path / 'out'
    assert extract(tmp_path / 'drive', '-o', out, '--crop', '0,0,65,48') == 1
    assert f'{tmp_path / "drive"}, /cam: --crop [0, 0, 65, 48]' in capsys.readouterr().err
    assert extract(tmp_path / 'drive', '-o', out, '--crop', '0,0,64,40') == 0


@pytest.mark.parametrize('processes', [1, 2])
def test_a_recording_that_does_not_fit_does_not_keep_the_others(bag, tmp_path, capsys, processes):
    with ImageBagWriter(tmp_path / 'small') as writer:
        for number in range(9):
            writer.write_rgb('/cam', SECOND_NS + number, picture()[:20])
    options = ['--crop', '0,0,64,40', '--processes', processes]
    assert extract(bag, tmp_path / 'small', '-o', tmp_path / 'out', *options) == 3
    assert len(tree(tmp_path / 'out')) == 3
    assert f'{tmp_path / "small"}, /cam: --crop' in capsys.readouterr().out


def test_a_recording_without_calibration_is_told_first_and_left_out(bag, tmp_path, capsys):
    with ImageBagWriter(tmp_path / 'bare') as writer:
        writer.write_rgb('/cam', SECOND_NS, picture())
    out = tmp_path / 'out'
    assert extract(bag, tmp_path / 'bare', '-o', out, '--undistort') == 3
    told = capsys.readouterr()
    assert f'{tmp_path / "bare"} has no CameraInfo beside /cam: it is left out' in told.err
    assert f'{tmp_path / "bare"}, /cam: --undistort: there is no CameraInfo' in told.out
    assert {name.split('/')[0] for name in tree(out)} == {'drive'}
