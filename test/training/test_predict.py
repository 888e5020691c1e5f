"""`hrda predict`: image files in, labels, confidence and overlays out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import save_model
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from training.cli import main
from training.deployment.predict_files import find_inputs


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')


def test_results_equal_the_segmenter_and_keep_the_folders(
    tmp_path: Path, checkpoint: Path
) -> None:
    tiny_run.write_frames(tmp_path / 'in' / 'drive', 2, 0)
    out = tmp_path / 'out'
    options = ['--checkpoint', str(checkpoint), '--device', 'cpu']
    assert main(['predict', str(tmp_path / 'in'), '-o', str(out), *options]) == 0
    source = cv2.imread(str(tmp_path / 'in/drive/images/01.png'))
    expected = Segmenter.from_checkpoint(checkpoint, InferenceSettings(device='cpu')).segment(
        source[..., ::-1].copy()
    )
    labels = cv2.imread(str(out / 'labels/drive/images/01.png'), cv2.IMREAD_UNCHANGED)
    confidence = cv2.imread(str(out / 'confidence/drive/images/01.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels, expected.labels)
    np.testing.assert_array_equal(confidence, expected.confidence)
    assert cv2.imread(str(out / 'overlay/drive/images/01.jpg')).shape == source.shape
    assert not list(out.rglob('*.part'))


def test_single_files_are_named_after_themselves(tmp_path: Path) -> None:
    tiny_run.write_frames(tmp_path, 1, 0)
    (image,) = find_inputs([str(tmp_path / 'images' / '00.png')])
    assert image.name == Path('00')


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ('a', 'b'):
        tiny_run.write_frames(tmp_path / name, 1, 0)
    with pytest.raises(ValueError, match='both become 00'):
        find_inputs([str(tmp_path / name / 'images') for name in ('a', 'b')])


@pytest.mark.parametrize(
    ('name', 'words'),
    [('none.jpg', 'no such file'), ('notes.txt', 'expected an image'), ('empty', 'no images')],
)
def test_inputs_that_are_no_images(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    (tmp_path / 'notes.txt').write_text('x')
    (tmp_path / 'empty').mkdir()
    options = ['-o', str(tmp_path / 'out'), '--checkpoint', str(checkpoint)]
    assert main(['predict', str(tmp_path / name), *options]) == 1
    assert words in capsys.readouterr().err


def test_a_recording_is_told_where_it_belongs(camera_bag: Callable[..., Path]) -> None:
    bag = camera_bag(count=1)
    for path in (bag, bag / 'drive.mcap', bag.parent):
        with pytest.raises(ValueError, match='recordings are for hrda segment-bag, and hrda ext'):
            find_inputs([str(path)])


def test_a_damaged_image_is_named_and_the_others_are_labelled(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, out = tmp_path / 'images', tmp_path / 'out'
    images.mkdir()
    (images / 'a_bad.png').write_bytes(b'\x89PNG nothing')
    cv2.imwrite(str(images / 'good.png'), np.zeros((64, 80, 3), np.uint8))
    assert main(['predict', str(images), '-o', str(out), '--checkpoint', str(checkpoint)]) == 3
    assert 'left out' in (told := capsys.readouterr().err) and 'a_bad.png' in told
    assert [path.name for path in (out / 'labels').iterdir()] == ['good.png']


def test_attention_is_written_when_asked_for(tmp_path: Path, checkpoint: Path) -> None:
    tiny_run.write_frames(tmp_path / 'in', 1, 0)
    out = tmp_path / 'out'
    image = tmp_path / 'in' / 'images' / '00.png'
    options = ['-o', str(out), '--checkpoint', str(checkpoint), '--device', 'cpu', '--attention']
    assert main(['predict', str(image), *options]) == 0
    pixels = cv2.imread(str(image))[..., ::-1].copy()
    expected = Segmenter.from_checkpoint(checkpoint, InferenceSettings(device='cpu')).explain(
        pixels
    )
    shown = cv2.imread(str(out / 'attention' / '00.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(shown, expected.attention)
    labels = cv2.imread(str(out / 'labels' / '00.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels, expected.segmentation.labels)


def test_attention_of_one_resolution_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single = Architecture('mit_b0', 16, 16, attention='none', context_size=64)
    save_model(tmp_path / 'one.safetensors', HRDA(single, CITYSCAPES), step=0)
    tiny_run.write_frames(tmp_path / 'in', 1, 0)
    options = ['--checkpoint', str(tmp_path / 'one.safetensors'), '--attention']
    assert main(['predict', str(tmp_path / 'in'), '-o', str(tmp_path / 'out'), *options]) == 1
    assert 'has one resolution only' in capsys.readouterr().err


@pytest.mark.parametrize('output', ['in', 'in/looks'])
def test_an_output_in_the_input_folder_is_refused(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    tiny_run.write_frames(tmp_path / 'in', 1, 0)
    options = ['-o', str(tmp_path / output), '--checkpoint', str(checkpoint)]
    assert main(['predict', str(tmp_path / 'in'), *options]) == 1
    assert 'choose a folder outside' in capsys.readouterr().err
    assert not (tmp_path / 'in' / 'looks').exists()


def test_what_stands_beside_extracted_frames_is_no_image(tmp_path: Path) -> None:
    tiny_run.write_frames(tmp_path, 1, 0)
    frames = tmp_path / 'images'
    for record, picture in (('splits.json', 'contact_sheet.jpg'), ('extraction.json', 'mask.png')):
        (frames / record).write_text('{}')
        (frames / picture).write_bytes(b'')
    assert [file.path.name for file in find_inputs([str(frames)])] == ['00.png']
