"""Reading recordings: storages, compressions, folders, split bags, damage."""

from __future__ import annotations

import shutil
import sqlite3
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from training.bags.mcap_file import McapFile, walk_records
from training.bags.mcap_records import CHUNK, RECORD_HEAD
from training.bags.raw_message import HEAD_BYTES
from training.bags.reading import (
    COMPRESSED_IMAGE,
    Bag,
    BagDamageError,
    RawMessage,
    decode_message,
    find_bags,
)
from training.bags.writing import ImageBagWriter, TimedImage, write_image_bag

TOPIC = '/camera/image_raw/compressed'
SECOND_NS = 1_000_000_000
BIG = (96, 128)  # frames of some 15 kB, so that a bag has several chunks


def frames(bag):
    """The JPEG bytes of all frames that can be read, each message read at once."""
    return [decode_message(message).data.tobytes() for message in bag.messages([TOPIC])]


VARIANTS = [
    ('mcap', 'none'),
    ('mcap', 'message'),
    ('mcap', 'file'),
    ('mcap', 'chunk'),
    ('sqlite3', 'none'),
    ('sqlite3', 'message'),
    ('sqlite3', 'file'),
]


@pytest.mark.parametrize('metadata', [True, False])
@pytest.mark.parametrize(('storage', 'compression'), VARIANTS)
def test_every_storage_and_compression(camera_bag, jpeg, storage, compression, metadata):
    path = camera_bag(count=5, storage=storage, compression=compression)
    if not metadata:
        (path / 'metadata.yaml').unlink()
    bag = Bag(path)
    assert [(topic.name, topic.count) for topic in bag.topics()] == [(TOPIC, 5)]
    assert frames(bag) == [jpeg(number) for number in range(5)]
    assert bag.damage == []


@pytest.mark.parametrize(('storage', 'compression'), VARIANTS)
def test_bare_files(camera_bag, jpeg, storage, compression):
    folder = camera_bag(count=3, storage=storage, compression=compression)
    (file,) = (path for path in folder.iterdir() if path.name != 'metadata.yaml')
    bag = Bag(file)
    assert bag.name == 'drive'
    assert frames(bag) == [jpeg(number) for number in range(3)]


@pytest.mark.parametrize(('storage', 'compression'), VARIANTS)
def test_the_stamp_is_read_without_the_rest(camera_bag, storage, compression):
    bag = Bag(camera_bag(count=3, storage=storage, compression=compression))
    stamps = [message.header_stamp_ns() for message in bag.messages([TOPIC])]
    assert stamps == [SECOND_NS + number * SECOND_NS // 10 for number in range(3)]


def test_the_head_of_an_uncompressed_message_costs_its_own_bytes_only(camera_bag):
    for message in Bag(camera_bag(count=2)).messages([TOPIC]):
        assert len(message.head()) == HEAD_BYTES


def test_big_endian_stamp():
    data = b'\x00\x00\x00\x00' + struct.pack('>iI', 7, 5) + bytes(20)
    message = RawMessage('/t', 'x', 0, lambda size: data[:size])
    assert message.header_stamp_ns() == 7 * SECOND_NS + 5


def test_a_bag_without_message_definitions(camera_bag, jpeg):
    path = camera_bag(count=2, storage='sqlite3')
    with sqlite3.connect(path / 'drive.db3') as base:
        base.execute('DROP TABLE message_definitions')
        base.execute('DROP TABLE schema')
        base.execute('ALTER TABLE topics DROP COLUMN type_description_hash')
    base.close()
    assert frames(Bag(path)) == [jpeg(0), jpeg(1)]


def test_only_the_wanted_topics_come(tmp_path, jpeg):
    with ImageBagWriter(tmp_path / 'two') as bag:
        for number in range(4):
            bag.write_compressed('/a' if number % 2 else '/b', SECOND_NS + number, jpeg(number))
    messages = Bag(tmp_path / 'two').messages(['/a'])
    assert [message.record_ns - SECOND_NS for message in messages] == [1, 3]


def test_split_bags_are_read_in_the_order_of_their_numbers(camera_bag, tmp_path, jpeg):
    split = tmp_path / 'split'
    split.mkdir()
    for number in range(11):
        part = camera_bag(f'part{number}', count=1 + number)
        shutil.move(part / f'part{number}.mcap', split / f'split_{number}.mcap')
    counts = [1 + number for number in range(11)]
    bag = Bag(split)
    assert frames(bag) == [jpeg(n) for count in counts for n in range(count)]
    assert bag.topics()[0].count == sum(counts)


def test_a_missing_part_of_a_bag_is_told(camera_bag):
    path = camera_bag()
    file = path / 'metadata.yaml'
    file.write_text(file.read_text().replace('- drive.mcap', '- drive.mcap\n  - lost.mcap'))
    bag = Bag(path)
    assert len(frames(bag)) == 20
    assert 'lost.mcap' in bag.damage[0]


def test_a_compressed_bag_is_counted_without_unpacking_it(camera_bag):
    path = camera_bag(count=4, compression='file')
    (path / 'drive.mcap.zstd').write_bytes(b'')
    bag = Bag(path)
    assert [(topic.name, topic.count) for topic in bag.promised_topics()] == [(TOPIC, 4)]
    assert bag.damage == []


def test_a_folder_of_bags_stands_for_all_of_them(camera_bag, tmp_path):
    camera_bag('season/a', count=1)
    camera_bag('season/b', count=1)
    assert [bag.name for bag in find_bags([tmp_path / 'season'])] == ['a', 'b']


def test_a_bag_given_twice_is_read_once(camera_bag):
    path = camera_bag(count=1)
    assert len(find_bags([path, path / '..' / 'drive'])) == 1
    for named in ([path, path / 'drive.mcap'], [path / 'drive.mcap', path]):
        assert [bag.path for bag in find_bags(named)] == [path]


@pytest.mark.parametrize('compression', ['none', 'chunk', 'file'])
@pytest.mark.parametrize('part', [0.3, 0.6, 0.9])
def test_a_truncated_mcap_gives_what_it_holds(camera_bag, jpeg, compression, part):
    path = camera_bag(count=200, compression=compression, size=BIG)
    (file,) = path.glob('drive.mcap*')
    data = file.read_bytes()
    file.write_bytes(data[: int(part * len(data))])
    bag = Bag(path)
    found = frames(bag)
    assert found == [jpeg(number, *BIG) for number in range(len(found))]
    assert len(found) >= 200 * part - 10
    assert 'cut off' in bag.damage[0]
    assert bag.expected[TOPIC] == 200


def test_a_chunk_that_is_called_something_else_is_missed(camera_bag):
    path = camera_bag(count=200, compression='chunk', size=BIG)
    file = path / 'drive.mcap'
    data = bytearray(file.read_bytes())
    records = walk_records(lambda start, size: bytes(data[start : start + size]), 8, len(data) - 8)
    bodies = [record.start for record in records if record.opcode == CHUNK]
    assert len(bodies) > 1
    data[bodies[0] - RECORD_HEAD.size] = 0xEE  # an opcode for private use
    file.write_bytes(data)
    bag = Bag(file)
    assert 0 < len(frames(bag)) < 200
    assert 'the chunk at byte' in bag.damage[0]


def test_a_length_that_cannot_be_is_called_damaged(camera_bag):
    path = camera_bag(count=4)
    file = path / 'drive.mcap'
    data = bytearray(file.read_bytes())
    position = 8 + 9 + struct.unpack_from('<Q', data, 9)[0]  # behind the header
    data[position + 7] = 0xFF
    file.write_bytes(data)
    bag = Bag(file)
    frames(bag)
    assert f'of a file of {len(data)}; what followed is lost' in bag.damage[0]


def test_an_mcap_without_its_index_loses_nothing_and_says_so(camera_bag):
    path = camera_bag(count=4)
    file = path / 'drive.mcap'
    file.write_bytes(file.read_bytes()[:-20])
    bag = Bag(path)
    assert [topic.count for topic in bag.topics()] == [4]
    assert len(frames(bag)) == 4
    assert 'no message before it is lost' in bag.damage[0]


def test_an_mcap_that_was_written_without_a_summary(camera_bag):
    path = camera_bag(count=4)
    file = path / 'drive.mcap'
    data = bytearray(file.read_bytes())
    data[-28:-12] = bytes(16)  # the footer's two offsets: 0 for absent
    file.write_bytes(data)
    bag = Bag(path)
    assert [topic.count for topic in bag.topics()] == [4]
    assert bag.damage == []


@pytest.mark.parametrize('opcode', [0x03, 0x04])
def test_an_mcap_whose_summary_lacks_schemas_or_channels(camera_bag, opcode):
    path = camera_bag(count=4)
    file = path / 'drive.mcap'
    data = bytearray(file.read_bytes())
    (position,) = struct.unpack_from('<Q', data, len(data) - 28)
    while data[position] != 0x02:
        (length,) = struct.unpack_from('<Q', data, position + 1)
        data[position] = 0x80 if data[position] == opcode else data[position]  # private record
        position += 9 + length
    file.write_bytes(data)
    bag = Bag(path)
    assert [(topic.msgtype, topic.count) for topic in bag.topics()] == [(COMPRESSED_IMAGE, 4)]
    assert len(frames(bag)) == 4
    assert bag.damage == []


def test_a_damaged_chunk_loses_only_itself(camera_bag):
    path = camera_bag(count=200, compression='chunk', size=BIG)
    file = path / 'drive.mcap'
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    file.write_bytes(data)
    bag = Bag(path)
    assert 100 <= len(list(bag.messages([TOPIC]))) < 200
    assert 'chunk' in bag.damage[0]


def test_behind_a_damaged_record_the_next_chunk_is_read(camera_bag, jpeg):
    """The index at the end tells where it begins."""
    path = camera_bag(count=200, size=BIG)
    file = path / 'drive.mcap'
    starts = sorted(McapFile(file)._chunk_channels)
    assert len(starts) > 2
    data = bytearray(file.read_bytes())
    data[starts[1] : starts[1] + 9] = bytes(9)
    file.write_bytes(data)
    bag = Bag(path)
    found = frames(bag)
    assert 0 < len(found) < 200
    assert found[-1] == jpeg(199, *BIG)
    assert any(f'lost, up to the chunk at byte {starts[2]}' in text for text in bag.damage)


def test_a_tail_of_zeros_is_told(camera_bag):
    path = camera_bag(count=3)
    file = path / 'drive.mcap'
    whole = file.read_bytes()
    size = len(whole) - 2000
    file.write_bytes(whole[:size] + bytes(100_000))
    bag = Bag(path)
    list(bag.messages([TOPIC]))
    assert bag.damage


@pytest.mark.parametrize('name', ['x.mcap', 'x.db3'])
@pytest.mark.parametrize('data', [b'', b'\x89MCAP0\r\n', b'garbage' * 100])
def test_files_that_hold_nothing_readable_are_damage_not_a_crash(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    bag = Bag(tmp_path / name)
    assert bag.topics() == []
    assert list(bag.messages([TOPIC])) == []
    assert bag.damage


def test_a_truncated_db3_gives_what_it_holds_and_names_the_remedy(camera_bag, jpeg):
    path = camera_bag(count=100, storage='sqlite3', size=BIG)
    file = path / 'drive.db3'
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    bag = Bag(path)
    found = []
    for message in bag.messages([TOPIC]):
        try:
            found.append(decode_message(message).data.tobytes())
        except BagDamageError:
            continue
    assert found == [jpeg(number, *BIG) for number in range(len(found))]
    assert len(found) > 30
    assert '.recover' in bag.damage[0]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.floats(0, 1), noise=st.binary(min_size=1, max_size=40))
@example(position=0.361328125, noise=b'\x80')  # in the name of a topic
@example(position=0.9727397312144181, noise=b'\x01')  # in the length of a record of the index
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_no_damage_crashes_the_reader(camera_bag, tmp_path, storage, position, noise):
    folder = tmp_path / 'drive'
    if not folder.exists():
        camera_bag(count=8, storage=storage)
    (source,) = (path for path in folder.iterdir() if path.suffix in ('.mcap', '.db3'))
    data = bytearray(source.read_bytes())
    start = int(position * len(data))
    data[start : start + len(noise)] = noise
    file = tmp_path / f'noisy{source.suffix}'
    file.write_bytes(data)
    bag = Bag(file)
    bag.topics()
    for message in bag.messages([TOPIC]):
        try:
            message.header_stamp_ns()
            assert decode_message(message).format is not None
        except BagDamageError as error:
            assert str(error)


@pytest.mark.parametrize(
    ('name', 'words'),
    [('a.txt', 'no recording'), ('empty', 'holds no .mcap')],
)
def test_other_things_are_refused(tmp_path, name, words):
    path = tmp_path / name
    if '.' in name:
        path.write_bytes(b'#ROSBAG V2.0')
    else:
        path.mkdir()
    with pytest.raises(ValueError, match=words):
        Bag(path)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        Bag(tmp_path / 'nowhere')


def test_a_written_bag_is_whole_or_absent(tmp_path, jpeg):
    def failing():
        yield TimedImage(SECOND_NS, jpeg(0))
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_image_bag(tmp_path / 'bag', failing())
    assert list(tmp_path.iterdir()) == []


def test_rosbags_reads_what_is_written(tmp_path):
    from rosbags.highlevel import AnyReader

    rgb = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    images = [TimedImage(SECOND_NS + 5, rgb)]
    write_image_bag(tmp_path / 'bag', images, '/cam/image_raw', 'optical')
    with AnyReader([tmp_path / 'bag']) as reader:
        ((connection, record_ns, raw),) = reader.messages()
        message = reader.deserialize(raw, connection.msgtype)
    assert (connection.topic, record_ns) == ('/cam/image_raw', SECOND_NS + 5)
    assert (message.header.stamp.nanosec, message.header.frame_id) == (5, 'optical')
    np.testing.assert_array_equal(message.data.reshape(3, 4, 3), rgb)
