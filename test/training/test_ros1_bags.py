"""ROS 1 recordings: every compression, calibration, damage."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore

from training.bags.reading import Bag, BagDamageError, decode_message, find_bags
from training.cli import main

TOPIC = '/camera/image_raw/compressed'
SECOND_NS = 1_000_000_000
STORE = get_typestore(Stores.ROS1_NOETIC)
BIG = (96, 128)


def header(number):
    stamp_ns = SECOND_NS + number * SECOND_NS // 10
    time = STORE.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, SECOND_NS))
    return stamp_ns, STORE.types['std_msgs/msg/Header'](seq=number, stamp=time, frame_id='cam')


def write(writer, connections, topic, msgtype, number, **fields):
    if topic not in connections:
        connections[topic] = writer.add_connection(topic, msgtype, typestore=STORE)
    stamp_ns, head = header(number)
    message = STORE.types[msgtype](header=head, **fields)
    writer.write(connections[topic], stamp_ns + 7, STORE.serialize_ros1(message, msgtype))


def camera_info(k):
    region = STORE.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    matrices = {'D': np.zeros(5), 'K': k.reshape(-1), 'R': np.eye(3).reshape(-1)}
    p = np.hstack([k, np.zeros((3, 1))]).reshape(-1)
    sizes = {'height': 24, 'width': 32, 'distortion_model': 'plumb_bob'}
    return {**sizes, **matrices, 'P': p, 'binning_x': 0, 'binning_y': 0, 'roi': region}


@pytest.fixture
def ros1_bag(tmp_path, jpeg):
    """Write a ROS 1 bag of JPEG frames and one CameraInfo."""

    def make(name='drive.bag', count=8, compression=None, size=(24, 32)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = Writer(path)
        if compression:
            writer.set_compression(Writer.CompressionFormat[compression])
        with writer:
            connections = {}
            kind = 'sensor_msgs/msg/CameraInfo'
            k = np.array([[100.0, 0, 16], [0, 100, 12], [0, 0, 1]])
            write(writer, connections, '/camera/camera_info', kind, 0, **camera_info(k))
            for number in range(count):
                data = np.frombuffer(jpeg(number, *size), np.uint8)
                kind = 'sensor_msgs/msg/CompressedImage'
                write(writer, connections, TOPIC, kind, number, format='jpeg', data=data)
        return path

    return make


def frames(bag):
    return [decode_message(message).data.tobytes() for message in bag.messages([TOPIC])]


@pytest.mark.parametrize('compression', [None, 'BZ2', 'LZ4'])
def test_every_compression(ros1_bag, jpeg, compression):
    bag = Bag(ros1_bag(compression=compression))
    assert bag.name == 'drive'
    assert [(topic.name, topic.count) for topic in bag.topics()][1] == (TOPIC, 8)
    assert frames(bag) == [jpeg(number) for number in range(8)]
    assert bag.damage == []


def test_stamps_and_record_times(ros1_bag):
    messages = Bag(ros1_bag(count=2)).messages([TOPIC])
    times = [(message.header_stamp_ns(), message.record_ns) for message in messages]
    later = 11 * SECOND_NS // 10
    assert times == [(SECOND_NS, SECOND_NS + 7), (later, later + 7)]


def test_extraction_with_calibration(ros1_bag, jpeg, tmp_path):
    assert main(['extract', str(ros1_bag(count=2)), '-o', str(tmp_path / 'out')]) == 0
    folder = tmp_path / 'out/drive/camera__image_raw__compressed'
    assert (folder / '1_100000000.jpg').read_bytes() == jpeg(1)
    info = yaml.safe_load((folder / 'camera_info.yaml').read_text())
    assert info['camera_matrix']['data'][:3] == [100.0, 0.0, 16.0]


def test_raw_images(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    with Writer(tmp_path / 'drive.bag') as writer:
        sizes = {'height': 4, 'width': 5, 'encoding': 'rgb8', 'is_bigendian': 0, 'step': 15}
        kind = 'sensor_msgs/msg/Image'
        write(writer, {}, '/cam', kind, 0, **sizes, data=rgb.reshape(-1))
    (found,) = map(decode_message, Bag(tmp_path / 'drive.bag').messages(['/cam']))
    np.testing.assert_array_equal(found.data.reshape(4, 5, 3), rgb)


@pytest.mark.parametrize('compression', [None, 'LZ4'])
def test_a_truncated_bag_gives_what_it_holds(ros1_bag, jpeg, compression):
    file = ros1_bag(count=200, compression=compression, size=BIG)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    bag = Bag(file)
    found = frames(bag)
    assert found == [jpeg(number, *BIG) for number in range(len(found))]
    assert 40 < len(found) < 120
    assert any('cut off' in text for text in bag.damage)


def test_a_bag_that_was_never_closed_is_read(ros1_bag, jpeg):
    path = ros1_bag(count=4)
    data = bytearray(path.read_bytes())
    start = data.index(b'index_pos=') + len(b'index_pos=')
    end = int.from_bytes(data[start : start + 8], 'little')
    data[start : start + 8] = bytes(8)
    active = path.with_suffix('.bag.active')
    active.write_bytes(data[:end])
    bag = Bag(active)
    assert bag.name == 'drive'
    assert frames(bag) == [jpeg(number) for number in range(4)]
    assert 'not closed' in bag.damage[0]


@pytest.mark.parametrize('name', [b'compression=', b'op=\x05'])
def test_a_damaged_chunk_header_loses_that_chunk_alone(ros1_bag, jpeg, name):
    file = ros1_bag(count=300, size=BIG)
    data = file.read_bytes()
    heads = data.split(name)
    assert len(heads) > 4
    file.write_bytes(heads[0] + name + heads[1] + b'?' * len(name) + name.join(heads[2:]))
    bag = Bag(file)
    found = frames(bag)
    whole = [jpeg(number, *BIG) for number in range(300)]
    lost = next(number for number in range(300) if found[number] != whole[number])
    assert found == whole[:lost] + whole[lost + 300 - len(found) :]
    assert 200 < len(found) < 300
    assert 'up to the chunk at byte' in bag.damage[0]
    assert len(bag.damage) == 1


def heads(data):
    """Of each record, where its header starts and ends, and the header."""
    start = 13
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], 'little')
        yield start, end, data[start + 4 : end]
        start = end + 4 + int.from_bytes(data[end : end + 4], 'little')


def test_a_length_that_jumps_over_chunks_loses_no_chunk(ros1_bag, jpeg):
    file = ros1_bag(count=300, size=BIG)
    data = bytearray(file.read_bytes())
    found = list(heads(data))
    chunks = [start for start, _, head in found if b'op=\x05' in head]
    assert len(chunks) > 4
    end = next(end for _, end, head in found if b'op=\x04' in head)  # index data of a chunk
    data[end : end + 4] = (chunks[3] - end - 4).to_bytes(4, 'little')
    file.write_bytes(data)
    bag = Bag(file)
    assert frames(bag) == [jpeg(number, *BIG) for number in range(300)]


def test_a_damaged_first_record_loses_no_message(ros1_bag, jpeg):
    file = ros1_bag(count=4)
    data = bytearray(file.read_bytes())
    data[13:17] = b'????'
    file.write_bytes(data)
    bag = Bag(file)
    assert frames(bag) == [jpeg(number) for number in range(4)]
    assert 'its first record is damaged' in bag.damage[0]


def test_an_index_that_names_another_topic_is_not_believed(ros1_bag, jpeg):
    file = ros1_bag(count=4)
    data = bytearray(file.read_bytes())
    start = data.rindex(b'conn=', 0, data.rindex(b'op=\x07')) + 5
    data[start] ^= 0xFF
    file.write_bytes(data)
    bag = Bag(file)
    assert len(frames(bag)) == 4
    assert 'index' in bag.damage[0]


@pytest.mark.parametrize(
    ('place', 'noise'), [(b'index_pos=', b'index_pos=\7\7'), (b'chunk_pos=', b'?' * 10)]
)
def test_a_damaged_index_loses_no_message(ros1_bag, jpeg, place, noise):
    file = ros1_bag(count=8)
    data = bytearray(file.read_bytes())
    start = data.index(place)
    data[start : start + len(noise)] = noise
    file.write_bytes(data)
    bag = Bag(file)
    assert [topic.count for topic in bag.topics() if topic.name == TOPIC] == [8]
    assert frames(bag) == [jpeg(number) for number in range(8)]
    assert any('index' in text for text in bag.damage)


def test_each_file_of_a_folder_is_a_recording(ros1_bag, tmp_path):
    ros1_bag('season/b.bag', 1)
    ros1_bag('season/a.bag', 1)
    assert [bag.name for bag in find_bags([tmp_path / 'season'])] == ['a', 'b']


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.floats(0, 1), noise=st.binary(min_size=1, max_size=40))
def test_no_damage_crashes_the_reader(ros1_bag, tmp_path, position, noise):
    source = tmp_path / 'drive.bag'
    data = bytearray((source if source.exists() else ros1_bag()).read_bytes())
    start = int(position * len(data))
    data[start : start + len(noise)] = noise
    file = tmp_path / 'noisy.bag'
    file.write_bytes(data)
    bag = Bag(file)
    bag.topics()
    for message in bag.messages([TOPIC]):
        try:
            message.header_stamp_ns()
            decode_message(message)
        except BagDamageError as error:
            assert str(error)
