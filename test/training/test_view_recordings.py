"""What `hrda view` can show: bags, videos and images, frame by frame from any place on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from hrda_core.image_codec import decode_bytes
from training.bags.writing import ImageBagWriter
from training.progress import SilentDisplay
from training.video import VideoWriter
from training.view.recordings import Cursor, Recording, open_recording


def opened(path: Path, topic: str | None = None, rate_hz: float = 10.0) -> Recording:
    return open_recording(path, topic, rate_hz, SilentDisplay())


def flat(value: int) -> np.ndarray:
    return np.full((32, 48, 3), value, np.uint8)


@pytest.mark.parametrize(
    ('storage', 'compression'), [('mcap', 'chunk'), ('sqlite3', 'message'), ('mcap', 'file')]
)
def test_frames_of_a_bag_are_found_by_number(camera_bag, jpeg, storage, compression):
    recording = opened(camera_bag(count=6, storage=storage, compression=compression))
    cursor = Cursor(recording)
    for index in (0, 3, 4, 1, 5, 0):
        np.testing.assert_array_equal(cursor.read(index), decode_bytes(jpeg(index)))
    np.testing.assert_allclose(recording.times_s, np.arange(6) / 10, atol=1e-6)


def test_raw_images_of_a_bag_are_shown(tmp_path):
    with ImageBagWriter(tmp_path / 'raw', 'camera', 'mcap') as bag:
        bag.write_rgb('/image', 10**9, flat(70))
    np.testing.assert_array_equal(Cursor(opened(tmp_path / 'raw')).read(0), flat(70))


def test_drives_follow_each_other_without_the_hours_between(camera_bag, tmp_path, jpeg):
    for name in ('season/a', 'season/b'):
        (tmp_path / 'season').mkdir(exist_ok=True)
        camera_bag(name, count=3, rate_hz=5)
    recording = opened(tmp_path / 'season')
    np.testing.assert_allclose(recording.times_s, np.arange(6) / 5, atol=1e-6)
    np.testing.assert_array_equal(Cursor(recording).read(4), decode_bytes(jpeg(1)))


def test_several_cameras_need_a_choice(camera_bag, tmp_path):
    with ImageBagWriter(tmp_path / 'two', 'camera', 'mcap') as bag:
        for topic in ('/left', '/right'):
            bag.write_rgb(topic, 10**9, flat(len(topic)))
    with pytest.raises(ValueError, match='--topic'):
        opened(tmp_path / 'two')
    assert Cursor(opened(tmp_path / 'two', '/right')).read(0)[0, 0, 0] == len('/right')


@pytest.mark.parametrize('index', [0, 7, 3, 11])
def test_frames_of_a_video_are_found_by_number(tmp_path, index):
    with VideoWriter(tmp_path / 'v.avi', 20.0) as writer:
        for number in range(12):
            writer.add(flat(number * 20))
    recording = opened(tmp_path / 'v.avi')
    assert Cursor(recording).read(index).mean() == pytest.approx(index * 20, abs=4)
    np.testing.assert_allclose(recording.times_s, np.arange(12) / 20)


def test_a_video_that_is_shorter_than_it_promises_says_so(tmp_path, monkeypatch):
    with VideoWriter(tmp_path / 'v.avi', 20.0) as writer:
        writer.add(flat(9))
    recording = opened(tmp_path / 'v.avi')
    recording.times_s = np.arange(4) / 20
    cursor = Cursor(recording)
    with pytest.raises(ValueError, match='frame 4 of 4 is not there'):
        cursor.read(3)
    assert cursor.read(0).mean() == pytest.approx(9, abs=2)


def test_a_folder_of_images_is_shown_at_the_given_rate(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), flat(number))
    recording = opened(tmp_path, rate_hz=4)
    assert recording.times_s.tolist() == [0, 0.25, 0.5]
    assert Cursor(recording).read(2)[0, 0, 0] == 2


def test_a_damaged_image_does_not_end_the_recording(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), flat(number))
    (tmp_path / '1.png').write_bytes(b'\x89PNG and no more')
    cursor = Cursor(opened(tmp_path))
    with pytest.raises(ValueError, match=r'1\.png'):
        cursor.read(1)
    assert cursor.read(2)[0, 0, 0] == 2


@pytest.mark.parametrize(
    ('name', 'error', 'words'),
    [
        ('missing', FileNotFoundError, 'no such file'),
        ('empty', ValueError, 'holds no image'),
        ('notes.txt', ValueError, 'is no recording'),
        ('broken.mp4', ValueError, 'cannot be opened as a video'),
        ('broken.mcap', ValueError, 'no image messages.*damaged'),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, name, error, words):
    (tmp_path / 'empty').mkdir()
    for file in ('notes.txt', 'broken.mp4', 'broken.mcap'):
        (tmp_path / file).write_text('x' * 100)
    with pytest.raises(error, match=words):
        opened(tmp_path / name)
