"""Video files: rates, odd sizes, rotation, cut-off files, and `hrda predict` on them."""

from __future__ import annotations

import math
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run
from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.classes import Uint8Array
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from training.cli import main
from training.video import CODECS, VideoReader, VideoWriter

ROOT = Path(__file__).parents[2]


def frames(count: int, width: int = 64, height: int = 48) -> list[Uint8Array]:
    """Flat frames, each brighter than the one before, red on the left."""
    shown = []
    for number in range(count):
        frame = np.full((height, width, 3), number * 200 // max(count, 1), np.uint8)
        frame[:, : width // 2] = (255, 0, 0)
        shown.append(frame)
    return shown


def write_video(
    path: Path, count: int = 6, rate_hz: float = 12.5, size: tuple[int, int] = (64, 48)
) -> Path:
    with VideoWriter(path, rate_hz) as writer:
        for frame in frames(count, *size):
            writer.add(frame)
    return path


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')


def predict(checkpoint: Path, source: Path, out: Path, *options: str) -> int:
    common = ['--checkpoint', str(checkpoint), '--device', 'cpu']
    return main(['predict', str(source), '-o', str(out), *common, *options])


@pytest.mark.parametrize('suffix', CODECS)
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    reader = VideoReader(write_video(tmp_path / f'v{suffix}'))
    shown = list(reader)
    assert len(shown) == reader.read == 6 and not reader.cut_off and not reader.uneven
    assert reader.rate_hz == pytest.approx(12.5)
    expected = np.stack(frames(6)).astype(int)
    assert abs(np.stack(shown).astype(int) - expected)[..., 8:24, :].mean() < 12
    assert [path.name for path in tmp_path.iterdir()] == [f'v{suffix}']


@settings(max_examples=25, deadline=None)
@given(st.integers(16, 90), st.integers(16, 90), st.integers(1, 5))
def test_odd_sides_are_extended_and_not_cut(width: int, height: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_video(Path(folder) / 'v.mp4', count, size=(width, height))
        shown = list(VideoReader(path))
    even = (height + height % 2, width + width % 2, 3)
    assert [frame.shape for frame in shown] == [even] * count


def test_a_video_that_lies_on_its_side_is_set_upright(tmp_path: Path) -> None:
    content = write_video(tmp_path / 'v.mp4').read_bytes()
    upright = struct.pack('>9i', 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack('>9i', 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    place = content.index(upright, content.index(b'tkhd'))
    content = content[:place] + turned + content[place + len(turned) :]
    (tmp_path / 'turned.mp4').write_bytes(content)
    (frame, *_) = VideoReader(tmp_path / 'turned.mp4')
    assert frame.shape == (64, 48, 3)
    assert frame[16, 24, 0] > 200 > frame[48, 24, 0], 'left has become top'


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / 'v.mp4', 10)
    with pytest.raises(ValueError, match='32x16 px does not fit into a video of 64x48'), writer:
        writer.add(frames(1)[0])
        writer.add(np.zeros((16, 32, 3), np.uint8))
    assert not list(tmp_path.iterdir()), 'a failed video leaves nothing'


def test_an_older_video_survives_a_failure(tmp_path: Path) -> None:
    before = write_video(tmp_path / 'v.mp4').read_bytes()
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / 'v.mp4', 10) as writer:
        writer.add(frames(1)[0])
        raise KeyboardInterrupt
    assert (tmp_path / 'v.mp4').read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ['v.mp4']


@pytest.mark.parametrize(('name', 'rate_hz'), [('v.gif', 10.0), ('v.mp4', 0.0), ('v.mp4', 1e6)])
def test_impossible_videos_are_refused(tmp_path: Path, name: str, rate_hz: float) -> None:
    with pytest.raises(ValueError, match=r'expected a video name|frame rate'):
        VideoWriter(tmp_path / name, rate_hz)


def test_stamps_tell_a_variable_rate(tmp_path: Path) -> None:
    reader = VideoReader(write_video(tmp_path / 'v.mp4'))
    reader._stamps_ms = [0, 40, 80, 120, 240]
    assert reader.uneven
    reader._stamps_ms = [0, 33.3, 66.7, 100, 133.3]
    assert not reader.uneven


def test_a_video_becomes_a_video_of_the_same_rate(tmp_path: Path, checkpoint: Path) -> None:
    source, out = write_video(tmp_path / 'drive.avi', 3), tmp_path / 'out'
    assert predict(checkpoint, source, out, '--alpha', '1') == 0
    assert [path.relative_to(out) for path in out.rglob('*.*')] == [Path('overlay/drive.mp4')]
    reader = VideoReader(out / 'overlay' / 'drive.mp4')
    assert len(list(reader)) == 3 and reader.rate_hz == pytest.approx(12.5)


def test_frames_are_written_as_pictures_when_asked_for(tmp_path: Path, checkpoint: Path) -> None:
    source, out = write_video(tmp_path / 'drive.avi', 2), tmp_path / 'out'
    assert predict(checkpoint, source, out, '--frames', '--attention') == 0
    for kind in ('labels', 'confidence', 'attention'):
        names = sorted(path.name for path in (out / kind / 'drive').iterdir())
        assert names == ['000000.png', '000001.png']
    first = next(iter(VideoReader(source)))
    expected = (
        Segmenter.from_checkpoint(checkpoint, InferenceSettings(device='cpu'))
        .segment(first)
        .labels
    )
    labels = cv2.imread(str(out / 'labels' / 'drive' / '000000.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels, expected)


def test_images_become_a_video(tmp_path: Path, checkpoint: Path) -> None:
    tiny_run.write_frames(tmp_path / 'in', 3, 0)
    film = tmp_path / 'films' / 'drive.mp4'
    options = ['--video', str(film), '--rate', '5']
    assert predict(checkpoint, tmp_path / 'in' / 'images', tmp_path / 'out', *options) == 0
    reader = VideoReader(film)
    assert len(list(reader)) == 3 and reader.rate_hz == pytest.approx(5)
    assert len(list((tmp_path / 'out' / 'labels').iterdir())) == 3


def test_images_of_other_sizes_are_made_to_fit_into_the_video_and_told(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out, film = tmp_path / 'in', tmp_path / 'out', tmp_path / 'drive.mp4'
    folder.mkdir()
    for name, size in (('a', (64, 96)), ('b', (128, 96)), ('c', (64, 96))):
        cv2.imwrite(str(folder / f'{name}.png'), np.full((*size, 3), 200, np.uint8))
    assert predict(checkpoint, folder, out, '--video', str(film), '--alpha', '0') == 0
    assert '1 of 3 images are of another size than the first' in capsys.readouterr().err
    assert cv2.imread(str(out / 'labels' / 'b.png'), cv2.IMREAD_UNCHANGED).shape == (128, 96)
    _, frame, _ = VideoReader(film)
    assert frame.shape == (64, 96, 3)
    assert frame[32, :16].max() < 50 < 150 < frame[32, 32:64].min()


def test_a_cut_off_video_gives_what_can_be_read(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = write_video(tmp_path / 'whole.mkv', 30).read_bytes()
    source = tmp_path / 'cut.mkv'
    source.write_bytes(content[: len(content) // 2])
    assert predict(checkpoint, source, tmp_path / 'out') == 3
    read = len(list(VideoReader(tmp_path / 'out' / 'overlay' / 'cut.mp4')))
    assert 0 < read < 30
    assert f'{read} of 30 frames could be read' in capsys.readouterr().err


def test_a_video_that_cannot_be_opened_is_named(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / 'x.mp4'
    source.write_bytes(write_video(tmp_path / 'y.mp4').read_bytes()[:900])
    assert predict(checkpoint, source, tmp_path / 'out') == 3
    assert 'x.mp4 cannot be opened as a video' in capsys.readouterr().err
    assert not list((tmp_path / 'out').rglob('*.mp4'))


def test_videos_that_would_overwrite_each_other_are_refused(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'overlay').mkdir()
    source = write_video(tmp_path / 'overlay' / 'a.mp4')
    assert predict(checkpoint, source, tmp_path) == 1
    assert 'is the input itself' in capsys.readouterr().err
    other = write_video(tmp_path / 'b.avi')
    options = ['-o', str(tmp_path / 'out'), '--checkpoint', str(checkpoint)]
    film = ['--video', str(tmp_path / 'c.mp4')]
    assert main(['predict', str(source), str(other), *options, *film]) == 1
    assert '--video makes one video' in capsys.readouterr().err


def test_an_interrupted_video_leaves_no_half(tmp_path: Path, checkpoint: Path) -> None:
    source, out = write_video(tmp_path / 'drive.mp4', 1000), tmp_path / 'out'
    command = [sys.executable, '-m', 'training.cli', 'predict', str(source), '-o', str(out)]
    options = ['--checkpoint', str(checkpoint), '--device', 'cpu']
    environment = os.environ | {'OMP_NUM_THREADS': '1'}
    with subprocess.Popen([*command, *options], cwd=ROOT, env=environment) as process:
        deadline = time.monotonic() + 60
        while not list(out.rglob('*.mp4')):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not [path for path in out.rglob('*') if path.is_file()]


def test_a_file_without_a_rate_gets_one(
    tmp_path: Path,
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = write_video(tmp_path / 'drive.mp4', 2)
    opened = VideoReader.__init__

    def without_rate(reader: VideoReader, path: Path) -> None:
        opened(reader, path)
        reader.rate_hz = math.nan

    monkeypatch.setattr(VideoReader, '__init__', without_rate)
    assert predict(checkpoint, source, tmp_path / 'out') == 0
    assert 'does not tell its frame rate' in capsys.readouterr().err
