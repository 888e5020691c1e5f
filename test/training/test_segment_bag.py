"""`hrda segment-bag`: recordings in, labels beside the images out; interrupted, damaged, split."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_processes
import tiny_run
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from hrda_core.classes import CITYSCAPES
from hrda_core.image_codec import decode_bytes
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter
from training.bags import mcap_writer
from training.bags.reading import Bag, decode_message
from training.bags.writing import ImageBagWriter
from training.cli import main
from training.whole_files import part_of

CAMERA = '/camera/image_raw'
TOPIC = f'{CAMERA}/compressed'
SECOND_NS = 1_000_000_000
FRAMES = 25
BLOB = 'std_msgs/msg/UInt8MultiArray'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')


@pytest.fixture
def segment(checkpoint: Path) -> Callable[..., int]:
    """`hrda segment-bag ARGUMENTS` with the tiny network -> exit code."""
    return lambda *arguments: main(command(checkpoint, *arguments))


@pytest.fixture
def long_bag(tmp_path: Path, jpeg: Callable[..., bytes]) -> Path:
    """Small frames between messages so large that the result has several chunks."""
    rng = np.random.default_rng(0)
    with ImageBagWriter(tmp_path / 'long') as bag:
        types = bag._store.types
        layout = types['std_msgs/msg/MultiArrayLayout'](dim=[], data_offset=0)
        for number in range(FRAMES):
            record_ns = SECOND_NS + number
            bag.write_compressed(TOPIC, record_ns, jpeg(number))
            blob = rng.integers(0, 256, 150_000, np.uint8)
            bag.write('/blob', BLOB, record_ns, layout=layout, data=blob)
    return tmp_path / 'long'


def command(checkpoint: Path, *arguments: object) -> list[str]:
    options = ['--checkpoint', str(checkpoint), '--device', 'cpu']
    return ['segment-bag', *map(str, arguments), *options]


def contents(*paths: Path) -> list[tuple[str, int, bytes]]:
    """Topic, record time and data of all messages, in order."""
    return [
        (message.topic, message.record_ns, message.data())
        for path in paths
        for message in Bag(path).messages([topic.name for topic in Bag(path).topics()])
    ]


def images(path: Path, topic: str) -> list[Any]:
    return [decode_message(message) for message in Bag(path).messages([topic])]


def topics(path: Path) -> dict[str, int]:
    return {topic.name: topic.count for topic in Bag(path).topics()}


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


def test_killed_again_and_again_the_result_is_the_same_to_the_byte(
    long_bag: Path, segment: Callable[..., int], checkpoint: Path, tmp_path: Path
) -> None:
    assert segment(long_bag, '-o', tmp_path / 'whole.mcap') == 0
    out = tmp_path / 'killed.mcap'
    for size in (1, 500_000, 1_500_000):
        process = tiny_processes.start(command(checkpoint, long_bag, '-o', out), tmp_path / 'log')
        while process.is_alive() and (
            not part_of(out).exists() or part_of(out).stat().st_size < size
        ):
            time.sleep(0.001)
        process.kill()
        process.join()
        assert not out.exists(), (tmp_path / 'log').read_text()
    assert segment(long_bag, '-o', out) == 0
    assert out.read_bytes() == (tmp_path / 'whole.mcap').read_bytes()
    assert not part_of(out).exists()


def test_a_signal_stops_in_good_order(
    long_bag: Path, segment: Callable[..., int], checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out.mcap'
    process = tiny_processes.start(command(checkpoint, long_bag, '-o', out), tmp_path / 'log')
    while process.is_alive() and not part_of(out).exists():
        time.sleep(0.001)
    os.kill(process.pid or 0, signal.SIGTERM)
    assert tiny_processes.finish(process) == [130]
    assert 'SIGTERM: stopped; the same command goes on' in (tmp_path / 'log').read_text()
    assert segment(long_bag, '-o', out) == 0
    assert topics(out)[f'{CAMERA}/label'] == FRAMES


def test_a_full_disk_is_told_and_gone_on_from(
    long_bag: Path,
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A limit on the size of files stands in for the end of the disk."""
    out = tmp_path / 'out.mcap'
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    try:
        assert segment(long_bag, '-o', out) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 'cannot be written (File too large); make room' in capsys.readouterr().err
    assert segment(long_bag, '-o', out) == 0
    told = capsys.readouterr().out
    assert ' 0 were there already' not in told and ' 0 could not be labelled' in told
    assert topics(out)[f'{CAMERA}/label'] == FRAMES


def test_a_frame_that_is_damaged_is_told_also_when_gone_on(
    segment: Callable[..., int],
    jpeg: Callable[..., bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcap_writer, 'CHUNK_BYTES', 10_000)
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(10):
            bag.write_compressed(TOPIC, SECOND_NS * (1 + number), jpeg(number))
            if number == 2:
                fields = {'header': bag.header(5), 'format': 'jpeg'}
                kind = bag._connections[TOPIC].msgtype
                broken = np.frombuffer(b'no picture', np.uint8)
                bag.write(TOPIC, kind, SECOND_NS * (1 + number) + 5, **fields, data=broken)
    out = tmp_path / 'out.mcap'
    assert segment(tmp_path / 'drive', '-o', out) == 3
    first = capsys.readouterr().out
    assert '10 images labelled' in first and '1 could not be labelled' in first
    assert f'{TOPIC} at 3000000005 ns: ' in first
    assert topics(out) == {
        TOPIC: 11, f'{CAMERA}/label': 10, f'{CAMERA}/confidence': 10, f'{CAMERA}/label_info': 1
    }  # fmt: skip
    whole = out.read_bytes()
    part_of(out).write_bytes(whole[: len(whole) * 2 // 3])
    out.unlink()
    assert segment(tmp_path / 'drive', '-o', out) == 3
    second = capsys.readouterr().out
    assert ' 0 were there already' not in second
    assert second.splitlines()[1:] == first.splitlines()[1:]
    assert out.read_bytes() == whole
    assert segment(tmp_path / 'drive', '-o', out) == 3
    third = capsys.readouterr().out
    assert '10 were there already' in third and '1 images could not be labelled when' in third


def test_of_a_bag_that_is_cut_off_what_can_be_read_is_labelled(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag = camera_bag(count=20)
    file = bag / 'drive.mcap'
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert segment(bag, '-o', tmp_path / 'out.mcap') == 3
    told = capsys.readouterr().out
    assert 'cut off' in told and 'of the 20 messages' in told
    assert 5 <= topics(tmp_path / 'out.mcap')[f'{CAMERA}/label'] < 15


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


def test_several_bags_become_bags_in_a_folder(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    for number in range(3):
        camera_bag(f'season/drive{number}', count=number + 1)
    out = tmp_path / 'out'
    assert segment(tmp_path / 'season' / 'drive*', '-o', out, '--shard', '1/2') == 0
    assert sorted(path.name for path in out.iterdir()) == ['drive0', 'drive2']
    assert segment(tmp_path / 'season', '-o', out, '--shard', '2/2') == 0
    for number in range(3):
        with AnyReader([out / f'drive{number}']) as reader:
            counts = {connection.topic: connection.msgcount for connection in reader.connections}
        assert counts[f'{CAMERA}/label'] == number + 1


def test_two_bags_of_one_name_get_two_recordings(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    bags = [camera_bag(f'{place}/monday/drive', count=1) for place in 'ab']
    assert segment(*bags, '-o', tmp_path / 'out') == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'a_monday_drive',
        'b_monday_drive',
    ]


def test_a_file_and_a_folder_of_one_name_do_not_share_a_result(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag = camera_bag(count=1)
    file = shutil.copy(bag / 'drive.mcap', tmp_path / 'drive.mcap')
    assert segment(bag, file, '-o', tmp_path / 'out') == 1
    assert 'several recordings would become' in capsys.readouterr().err


@pytest.mark.parametrize(('copy', 'count'), [('all', 2), ('none', 3), ('all', 6)])
def test_parts_of_one_bag_are_together_the_whole(
    segment: Callable[..., int],
    jpeg: Callable[..., bytes],
    tmp_path: Path,
    copy: str,
    count: int,
) -> None:
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(4):
            bag.write('/imu', 'std_msgs/msg/UInt8', SECOND_NS + 10 * number - 1, data=number)
            bag.write_compressed(TOPIC, SECOND_NS + 10 * number, jpeg(number))
        bag.write('/imu', 'std_msgs/msg/UInt8', SECOND_NS + 99, data=9)
    out, whole = tmp_path / 'out', tmp_path / 'whole'
    assert segment(tmp_path / 'drive', '-o', whole, '--copy', copy) == 0
    for number in range(count, 0, -1):
        assert not (out / 'drive' / 'metadata.yaml').exists()
        shard = f'{number}/{count}'
        assert segment(tmp_path / 'drive', '-o', out, '--copy', copy, '--shard', shard) == 0
    files = [out / 'drive' / f'drive_{number}.mcap' for number in range(count)]
    assert contents(*files) == contents(whole / 'drive')
    with AnyReader([out / 'drive']) as parts, AnyReader([whole / 'drive']) as one:
        read = [[(c.topic, t, bytes(d)) for c, t, d in r.messages()] for r in (parts, one)]
    assert read[0] == read[1]


def test_what_is_done_is_left_alone_and_something_else_is_refused(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag, out = camera_bag(count=2), tmp_path / 'out.mcap'
    assert segment(bag, '-o', out) == 0
    before = out.stat().st_mtime_ns
    capsys.readouterr()
    assert segment(bag, '-o', out) == 0
    assert '0 images labelled, 2 were there already' in capsys.readouterr().out
    assert out.stat().st_mtime_ns == before
    assert segment(bag, '-o', out, '--alpha', '0.2') == 1
    assert 'exists already, made with --alpha 0.5 (now 0.2); delete it' in capsys.readouterr().err
    file = bag / 'drive.mcap'
    data = bytearray(file.read_bytes())
    data[300] ^= 1
    file.write_bytes(data)
    assert segment(bag, '-o', out) == 1
    assert 'made with another input' in capsys.readouterr().err


def test_recordings_of_other_kinds(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    expected = None
    for number, (storage, compression) in enumerate(
        [('mcap', 'chunk'), ('sqlite3', 'none'), ('sqlite3', 'message'), ('mcap', 'file')]
    ):
        bag = camera_bag(f'{number}/drive', count=2, storage=storage, compression=compression)
        out = tmp_path / f'{number}.mcap'
        assert segment(bag, '-o', out) == 0
        expected = expected or contents(out)
        assert contents(out) == expected
        with AnyReader([out]) as reader:
            assert len(list(reader.messages())) == 7


def test_a_ros1_bag_becomes_a_ros2_bag(segment: Callable[..., int], tmp_path: Path) -> None:
    from rosbags.rosbag1 import Writer

    store = get_typestore(Stores.ROS1_NOETIC)
    kinds = store.types
    pixels = np.random.default_rng(0).integers(0, 256, 24 * 32 * 3, np.uint8)
    with Writer(tmp_path / 'old.bag') as bag:
        camera = bag.add_connection(CAMERA, 'sensor_msgs/msg/Image', typestore=store)
        path = bag.add_connection('/path', 'nav_msgs/msg/Path', typestore=store)
        stamp = kinds['builtin_interfaces/msg/Time'](sec=3, nanosec=4)
        header = kinds['std_msgs/msg/Header'](seq=9, stamp=stamp, frame_id='optical')
        image = kinds['sensor_msgs/msg/Image'](header, 24, 32, 'rgb8', 0, 96, pixels)
        bag.write(camera, 7, store.serialize_ros1(image, 'sensor_msgs/msg/Image'))
        nothing = kinds['nav_msgs/msg/Path'](header, [])
        bag.write(path, 8, store.serialize_ros1(nothing, 'nav_msgs/msg/Path'))
    assert segment(tmp_path / 'old.bag', '-o', tmp_path / 'out.mcap') == 0
    with AnyReader([tmp_path / 'out.mcap']) as reader:
        found = {c.topic: reader.deserialize(d, c.msgtype) for c, _, d in reader.messages()}
    np.testing.assert_array_equal(found[CAMERA].data, pixels)
    assert found['/path'].poses == []
    assert found[f'{CAMERA}/label'].header == found[CAMERA].header
    assert found[CAMERA].header.frame_id == 'optical'


def test_definitions_of_ones_own_types_are_kept(
    segment: Callable[..., int], jpeg: Callable[..., bytes], tmp_path: Path
) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import get_types_from_msg

    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg('uint8 own', 'own_msgs/msg/Own'))
    with ImageBagWriter(tmp_path / 'a') as bag:
        bag.write_compressed(TOPIC, SECOND_NS, jpeg(0))
    for storage in (StoragePlugin.MCAP, StoragePlugin.SQLITE3):
        drive, out = tmp_path / storage.name, tmp_path / f'{storage.name}.mcap'
        with Writer(drive, version=9, storage_plugin=storage) as writer:
            own = writer.add_connection('/own', 'own_msgs/msg/Own', typestore=store)
            camera = writer.add_connection(
                TOPIC, 'sensor_msgs/msg/CompressedImage', typestore=store
            )
            writer.write(own, 5, b'\0\1\0\0\7')
            writer.write(camera, 6, contents(tmp_path / 'a')[0][2])
        assert segment(drive, '-o', out) == 0
        with AnyReader([out]) as reader:
            (message,) = (
                reader.deserialize(d, c.msgtype)
                for c, _, d in reader.messages()
                if c.topic == '/own'
            )
        assert message.own == 7


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--topic', '/left'], 'expected one of: /camera/image_raw/compressed'),
        (['--mode', 'anytime', '--deadline_ms', '50'], 'results depend on the speed'),
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
    assert 'choose one with --topic' in capsys.readouterr().err
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
