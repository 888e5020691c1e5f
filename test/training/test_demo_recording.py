"""What the demo writes: a data set and a bag, whole or not at all, labels named by stamp."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from hrda_core.classes import ClassSet
from training.demo.recording import (
    COMPRESSED_TOPIC,
    IMAGE_TOPIC,
    INFO_TOPIC,
    DriveSettings,
    record_camera_bag,
    stamp_name,
    stamps_ns,
    write_simulator_dataset,
)
from training.demo.street.labels import STREET_CLASSES

SMALL = (256, 128)
DRIVE = DriveSettings(seed=5, frames=4, raw_every=2, size=SMALL)


class Interrupt:
    """A progress callback that is interrupted at its second call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, done: int, total: int) -> None:
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope='module')
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('recorded')
    assert record_camera_bag(folder / 'drive', folder / 'labels', DRIVE)
    return folder / 'drive', folder / 'labels'


def messages(bag: Path, topic: str) -> list:
    with AnyReader([bag]) as reader:
        connections = [c for c in reader.connections if c.topic == topic]
        return [
            reader.deserialize(data, c.msgtype)
            for c, _, data in reader.messages(connections=connections)
        ]


def test_a_data_set_has_a_label_for_every_image(tmp_path):
    write_simulator_dataset(tmp_path / 'sim', 3, 0, size=SMALL)
    images = sorted((tmp_path / 'sim/images').iterdir())
    for path in images:
        labels = cv2.imread(str(tmp_path / f'sim/labels/{path.stem}.png'), cv2.IMREAD_UNCHANGED)
        assert labels.shape == cv2.imread(str(path)).shape[:2] == (128, 256)
        assert labels.max() < len(STREET_CLASSES)
    assert len(images) == 3


def test_a_data_set_brings_its_classes(tmp_path):
    write_simulator_dataset(tmp_path / 'sim', 1, 0, size=SMALL)
    assert ClassSet.from_yaml(tmp_path / 'sim/classes.yaml') == STREET_CLASSES


def test_a_data_set_that_is_there_is_left_alone(tmp_path):
    assert write_simulator_dataset(tmp_path / 'sim', 1, 0, size=SMALL)
    before = (tmp_path / 'sim/images/00000.jpg').stat().st_mtime_ns
    assert not write_simulator_dataset(tmp_path / 'sim', 1, 0, size=SMALL)
    assert (tmp_path / 'sim/images/00000.jpg').stat().st_mtime_ns == before


def test_a_data_set_of_other_settings_is_replaced(tmp_path):
    write_simulator_dataset(tmp_path / 'sim', 2, 0, size=SMALL)
    assert write_simulator_dataset(tmp_path / 'sim', 1, 0, size=SMALL)
    assert len(list((tmp_path / 'sim/images').iterdir())) == 1


def test_an_interrupted_data_set_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_simulator_dataset(tmp_path / 'sim', 3, 0, Interrupt(), SMALL)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_rewrite_keeps_the_data_set_before_it(tmp_path):
    write_simulator_dataset(tmp_path / 'sim', 1, 0, size=SMALL)
    with pytest.raises(KeyboardInterrupt):
        write_simulator_dataset(tmp_path / 'sim', 3, 0, Interrupt(), SMALL)
    assert not write_simulator_dataset(tmp_path / 'sim', 1, 0, size=SMALL)


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / '.sim.part/sim/images').mkdir(parents=True)
    write_simulator_dataset(tmp_path / 'sim', 1, 0, size=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ['sim']


def test_an_empty_data_set_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='at least 1'):
        write_simulator_dataset(tmp_path / 'sim', 0, 0)


def test_the_bag_holds_the_asked_messages(recorded):
    counts = {
        topic: len(messages(recorded[0], topic))
        for topic in (IMAGE_TOPIC, COMPRESSED_TOPIC, INFO_TOPIC)
    }
    assert counts == {IMAGE_TOPIC: 2, COMPRESSED_TOPIC: 4, INFO_TOPIC: 4}


def test_the_bag_is_mcap(recorded):
    assert [path.suffix for path in recorded[0].glob('drive*')] == ['.mcap']


def test_raw_images_are_rgb8_of_the_right_size(recorded):
    message = messages(recorded[0], IMAGE_TOPIC)[0]
    assert (message.encoding, message.height, message.width, message.step) == (
        'rgb8',
        128,
        256,
        768,
    )
    assert len(message.data) == 128 * 768


def test_compressed_images_show_the_raw_ones(recorded):
    raw = messages(recorded[0], IMAGE_TOPIC)[0]
    packed = messages(recorded[0], COMPRESSED_TOPIC)[0]
    image = cv2.imdecode(np.frombuffer(packed.data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert 'jpeg' in packed.format
    assert np.abs(image.astype(int) - raw.data.reshape(128, 256, 3)).mean() < 8


def test_stamps_run_at_the_rate(recorded):
    stamps = [
        m.header.stamp.sec * 10**9 + m.header.stamp.nanosec
        for m in messages(recorded[0], COMPRESSED_TOPIC)
    ]
    assert stamps == stamps_ns(DRIVE)
    assert np.abs(np.diff(stamps) - 10**8).max() < 5 * 10**6


def test_labels_are_named_by_stamp(recorded):
    stems = sorted(path.stem for path in recorded[1].glob('*.png'))
    assert stems == [stamp_name(stamp) for stamp in stamps_ns(DRIVE)]
    assert all(len(stem.split('_')[1]) == 9 for stem in stems)


def test_the_bag_holds_no_labels(recorded):
    with AnyReader([recorded[0]]) as reader:
        assert set(reader.topics) == {IMAGE_TOPIC, COMPRESSED_TOPIC, INFO_TOPIC}


def test_camera_info_describes_the_lens(recorded):
    info = messages(recorded[0], INFO_TOPIC)[0]
    assert info.distortion_model == 'plumb_bob'
    assert info.k[0] == pytest.approx(0.745 * 256)
    assert info.d[0] < 0
    assert info.header.frame_id == 'camera_optical_frame'


def test_a_recording_that_is_there_is_left_alone(recorded):
    assert not record_camera_bag(*recorded, DRIVE)


def test_an_interrupted_recording_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        record_camera_bag(tmp_path / 'drive', tmp_path / 'labels', DRIVE, Interrupt())
    assert list(tmp_path.iterdir()) == []


def test_a_negative_raw_share_is_an_error():
    with pytest.raises(ValueError, match='raw_every is -1'):
        DriveSettings(seed=0, frames=1, raw_every=-1)
