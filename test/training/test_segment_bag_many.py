"""`hrda segment-bag` on several recordings, parts of one, and recordings of other kinds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from segmenting import CAMERA, SECOND_NS, TOPIC, contents, topics

from training.bags.writing import ImageBagWriter


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


def test_a_camera_is_labelled_raw_or_compressed_as_each_bag_has_it(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    compressed = camera_bag('monday', count=2, topic=f'{CAMERA}/compressed')
    with ImageBagWriter(tmp_path / 'tuesday') as bag:
        bag.write_rgb(CAMERA, SECOND_NS, np.zeros((48, 64, 3), np.uint8))
    assert segment(compressed, tmp_path / 'tuesday', '-o', tmp_path / 'out') == 0
    for day, count in (('monday', 2), ('tuesday', 1)):
        with AnyReader([tmp_path / 'out' / day]) as reader:
            counts = {connection.topic: connection.msgcount for connection in reader.connections}
        assert counts[f'{CAMERA}/label'] == count


def test_two_bags_of_one_name_get_two_recordings(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    bags = [camera_bag(f'{place}/monday/drive', count=1) for place in 'ab']
    assert segment(*bags, '-o', tmp_path / 'out') == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'a_monday_drive',
        'b_monday_drive',
    ]


@pytest.mark.parametrize('first', ['a', 'ab'])
def test_a_result_keeps_its_name_whatever_recording_stands_beside_it(
    camera_bag: Callable[..., Path],
    segment: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    first: str,
) -> None:
    bags = {place: camera_bag(f'{place}/drive', count=2 + (place == 'b')) for place in 'ab'}
    out = tmp_path / 'out'
    assert segment(*(bags[place] for place in first), '-o', out) == 0
    capsys.readouterr()
    assert segment(*(bags[place] for place in ('ab' if first == 'a' else 'b')), '-o', out) == 0
    known = 2 if first == 'a' else 3
    assert f'{known} were there already' in capsys.readouterr().out
    expected = {'drive', 'b_drive'} if first == 'a' else {'a_drive', 'b_drive'}
    assert {path.name for path in out.iterdir()} == expected


def test_copies_of_a_recording_keep_their_names_in_any_order(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    bags = [camera_bag('a/drive', count=2)]
    bags.append(shutil.copytree(bags[0], tmp_path / 'b' / 'drive'))
    for shard in ('2/2', '1/2'):
        assert segment(*bags, '-o', tmp_path / 'out', '--shard', shard) == 0
    names = ['a_drive', 'b_drive']
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == names


def test_a_recording_that_is_named_twice_is_segmented_once(
    camera_bag: Callable[..., Path], segment: Callable[..., int], tmp_path: Path
) -> None:
    bag = camera_bag(count=2)
    assert segment(bag / 'drive.mcap', bag, '-o', tmp_path / 'out.mcap') == 0
    assert topics(tmp_path / 'out.mcap')[f'{CAMERA}/label'] == 2


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
