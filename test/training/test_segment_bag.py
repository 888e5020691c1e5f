"""`hrda segment-bag`: recordings in, labels beside the images out, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from segmenting import CAMERA, SECOND_NS, TOPIC, contents, images, topics

from hrda_core.classes import CITYSCAPES
from hrda_core.image_codec import decode_bytes
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from training.bags.reading import Bag
from training.bags.writing import ImageBagWriter


def test_results_are_those_of_the_segmenter_under_the_headers_of_the_images(
    camera_bag: Callable[..., Path],
    jpeg: Callable[..., bytes],
    segment: Callable[..., int],
    checkpoint: Path,
    tmp_path: Path,
) -> None:
    bag, out = camera_bag(count=3), tmp_path / 'out.mcap'
    assert segment(bag, '-o', out) == 0
    segmenter = Segmenter.from_checkpoint(checkpoint, InferenceSettings(device='cpu'))
    with AnyReader([out]) as reader:
        found = [(c.topic, t, reader.deserialize(d, c.msgtype)) for c, t, d in reader.messages()]
    for number in range(3):
        stamp = SECOND_NS + number * SECOND_NS // 10
        at = {topic: message for topic, record_ns, message in found if record_ns == stamp}
        expected = segmenter.segment(decode_bytes(jpeg(number)))
        for kind, pixels in (('label', expected.labels), ('confidence', expected.confidence)):
            image = at[f'{CAMERA}/{kind}']
            assert (image.encoding, image.height, image.width, image.step) == ('mono8', 24, 32, 32)
            assert image.header == at[TOPIC].header
            np.testing.assert_array_equal(image.data.reshape(24, 32), pixels)
        assert at[TOPIC].data.tobytes() == jpeg(number)


def test_label_info_is_latched_and_of_the_type_that_ros_knows(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    out = tmp_path / 'out.mcap'
    assert segment(camera_bag(count=2), '-o', out) == 0
    (channel,) = (c for c in Bag(out).channels() if c.topic == f'{CAMERA}/label_info')
    assert channel.msgtype == 'vision_msgs/msg/LabelInfo'
    # As rosidl computes it for vision_msgs 4.1.
    assert channel.type_hash == (
        'RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783'
    )
    with AnyReader([out]) as reader:
        wanted = [c for c in reader.connections if c.topic == channel.topic]
        ((connection, record_ns, data),) = reader.messages(wanted)
        info = reader.deserialize(data, connection.msgtype)
        assert connection.ext.offered_qos_profiles[0].durability.name == 'TRANSIENT_LOCAL'
    assert record_ns == SECOND_NS
    assert [(c.class_id, c.class_name) for c in info.class_map] == [*enumerate(CITYSCAPES.names)]


@pytest.mark.parametrize(
    ('copy', 'every', 'expected'),
    [
        ('all', [], {TOPIC: 4, '/imu': 1}),
        ('images', [], {TOPIC: 4}),
        ('none', [], {}),
        ('images', ['--every', '0.2s'], {TOPIC: 2}),
        ('all', ['--every', '0.2s'], {TOPIC: 4, '/imu': 1}),
    ],
)
def test_what_is_copied(
    segment: Callable[..., int],
    jpeg: Callable[..., bytes],
    tmp_path: Path,
    copy: str,
    every: list[str],
    expected: dict[str, int],
) -> None:
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write('/imu', 'std_msgs/msg/UInt8', SECOND_NS + 5, data=7)
        for number in range(4):
            bag.write_compressed(TOPIC, SECOND_NS * (10 + number) // 10, jpeg(number))
    out = tmp_path / 'out.mcap'
    assert segment(tmp_path / 'drive', '-o', out, '--copy', copy, *every) == 0
    labels = 2 if every else 4
    made = {f'{CAMERA}/label': labels, f'{CAMERA}/confidence': labels, f'{CAMERA}/label_info': 1}
    assert topics(out) == expected | made
    if copy == 'all':
        copied = [entry for entry in contents(out) if entry[0] in (TOPIC, '/imu')]
        assert copied == contents(tmp_path / 'drive')


def test_overlay_and_video(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    film = tmp_path / 'film.mp4'
    arguments = (camera_bag(count=4), '-o', tmp_path / 'out.mcap', '--overlay', '--video', film)
    assert segment(*arguments) == 0
    overlays = images(tmp_path / 'out.mcap', f'{CAMERA}/overlay/compressed')
    assert [decode_bytes(i.data.tobytes()).shape for i in overlays] == [(24, 32, 3)] * 4
    video = cv2.VideoCapture(str(film))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    film.unlink()
    assert segment(*arguments) == 0
    assert film.exists()
    (tmp_path / 'out.mcap').unlink()
    assert segment(*arguments) == 1
    assert f'{film} exists already' in capsys.readouterr().err


def test_sizes_may_change_in_the_middle(
    segment: Callable[..., int], jpeg: Callable[..., bytes], tmp_path: Path
) -> None:
    sizes = [(24, 32), (40, 30), (24, 32), (8, 8)]
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number, size in enumerate(sizes):
            bag.write_compressed(TOPIC, SECOND_NS + number, jpeg(number, *size))
    film, out = tmp_path / 'film.mp4', tmp_path / 'out.mcap'
    assert segment(tmp_path / 'drive', '-o', out, '--video', film) == 3  # 8 px are too few
    labels = images(out, f'{CAMERA}/label')
    assert [(label.height, label.width) for label in labels] == sizes[:3]
    assert cv2.VideoCapture(str(film)).get(cv2.CAP_PROP_FRAME_COUNT) == 3


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--topic', '/left'], 'expected one of: /camera/image_raw/compressed'),
        (['--mode', 'anytime', '--deadline_ms', '50'], 'results depend on the speed'),
        (['--deadline_ms', '50'], 'results depend on the speed'),
        (['--output', ''], '--output is empty'),
        (['--mode', 'anytime', '--ageing', '1'], 'depend on the frames before'),
        (['--shard', '3/2'], 'expected i/n'),
        (['--shard', '1/2'], 'is one file for parts of a recording'),
        (['--alpha', '2'], 'outside 0..1'),
        (['--video', 'x.gif'], 'expected a video name'),
    ],
)
def test_what_cannot_be_meant_is_refused(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    assert segment(camera_bag(count=1), '-o', tmp_path / 'out.mcap', *arguments) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'out.mcap').exists()


def test_outputs_that_would_mix_with_something_else(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag = camera_bag('season/drive', count=1)
    assert segment(bag, '-o', tmp_path / 'season') == 1
    assert 'would lie in the recording' in capsys.readouterr().err
    assert segment(bag, '-o', bag / 'out.mcap') == 1
    assert 'would lie in the recording' in capsys.readouterr().err
    assert segment(bag, '-o', tmp_path / 'out', '--shard', '1/2') == 0
    assert segment(bag, '-o', tmp_path / 'out') == 1
    assert 'does not belong to the result' in capsys.readouterr().err
    out = tmp_path / 'labelled.mcap'
    assert segment(bag, '-o', out) == 0
    assert segment(out, '-o', tmp_path / 'again.mcap', '--topic', TOPIC) == 1
    assert 'there is one of that name' in capsys.readouterr().err


def test_uncertain_pixels_become_unlabelled(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    out = tmp_path / 'out.mcap'
    assert segment(camera_bag(count=1), '-o', out, '--min-confidence', '0.055') == 0
    ((label,), (confidence,)) = (images(out, f'{CAMERA}/{k}') for k in ('label', 'confidence'))
    np.testing.assert_array_equal(label.data == 255, confidence.data < 15)
    assert 0 < (label.data == 255).sum() < label.data.size


def test_two_cameras(
    segment: Callable[..., int],
    jpeg: Callable[..., bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(4):
            name = '/left' if number % 2 else '/right'
            bag.write_rgb(name, SECOND_NS + number, decode_bytes(jpeg(number)))
    out = tmp_path / 'out.mcap'
    assert segment(tmp_path / 'drive', '-o', out) == 1
    assert 'choose with --topic' in capsys.readouterr().err
    both = ['--topic', '/left', '--topic', '/right', '--copy', 'none']
    assert segment(tmp_path / 'drive', '-o', out, *both) == 0
    expected = {
        f'{name}/{kind}': 2 for name in ('/left', '/right') for kind in ('label', 'confidence')
    }
    assert topics(out) == expected | {'/left/label_info': 1, '/right/label_info': 1}


def test_a_bag_without_images(
    segment: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write('/imu', 'std_msgs/msg/UInt8', SECOND_NS, data=7)
    assert segment(tmp_path / 'drive', '-o', tmp_path / 'out.mcap') == 2
    assert '/imu (std_msgs/msg/UInt8)' in capsys.readouterr().out
