"""Writing .mcap files: what other readers see, and going on after a kill at any byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from training.bags import mcap_writer
from training.bags.mcap_records import Channel
from training.bags.mcap_writer import McapWriter, is_finished
from training.bags.reading import Bag
from training.bags.rosbag2_metadata import file_facts, metadata_text, numbered_qos, qos_text
from training.whole_files import part_of

TYPE = 'std_msgs/msg/String'
HASH = 'RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18'
CHANNELS = [
    Channel('/a', TYPE, 'string data\n', 'ros2msg', qos_text('volatile'), HASH),
    Channel('/b', TYPE, 'string data\n', 'ros2msg', qos_text('transient_local')),
]
NOTES = {'network': 'x'}
COUNT = 40


def text(number: int) -> bytes:
    """A std_msgs/String as CDR."""
    words = f'message {number}'.encode() * 5 + b'\0'
    return b'\0\1\0\0' + len(words).to_bytes(4, 'little') + words


def write(path: Path, compression: str = 'zstd', stop: int = COUNT, finish: bool = True) -> int:
    """Write up to a message, or go on; returns the first message that was written now."""
    with McapWriter(path, CHANNELS, NOTES, compression) as writer:
        first = writer.kept.sequence + 1
        for number in range(first, stop):
            writer.add(1 + number % 2, 1000 + number, number, text(number))
            writer.settle()
        if finish:
            writer.finish()
    return first


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcap_writer, 'CHUNK_BYTES', 400)


@pytest.mark.parametrize('compression', ['zstd', 'none'])
def test_other_readers_find_what_was_written(tmp_path: Path, compression: str) -> None:
    write(path := tmp_path / 'x.mcap', compression)
    expected = [('/b' if n % 2 else '/a', 1000 + n, text(n)) for n in range(COUNT)]
    with path.open('rb') as file:
        reader = make_reader(file, validate_crcs=True)
        found = [(c.topic, m.log_time, m.data) for _, c, m in reader.iter_messages()]
        summary = reader.get_summary()
        notes = [metadata.metadata for metadata in reader.iter_metadata()]
    assert found == expected
    assert summary.statistics.channel_message_counts == {1: 20, 2: 20}
    assert summary.statistics.chunk_count > 3
    assert notes[0] == NOTES
    with AnyReader([path]) as any_reader:
        read = [(c.topic, time, bytes(data)) for c, time, data in any_reader.messages()]
        durability = [
            c.ext.offered_qos_profiles[0].durability.name for c in any_reader.connections
        ]
    assert read == expected
    assert durability == ['VOLATILE', 'TRANSIENT_LOCAL']
    assert [(m.topic, m.record_ns, m.data()) for m in Bag(path).messages(['/a', '/b'])] == expected


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.floats(0, 1), compression=st.sampled_from(['zstd', 'none']), tail=st.binary())
def test_a_kill_at_any_byte_leaves_no_trace(
    tmp_path: Path, cut: float, compression: str, tail: bytes
) -> None:
    path, whole = tmp_path / 'x.mcap', tmp_path / f'{compression}.mcap'
    if not whole.exists():
        write(whole, compression)
    data = whole.read_bytes()
    head = len(mcap_writer.file_head(CHANNELS, NOTES))
    size = int(cut * len(data))
    part_of(path).write_bytes(data[:size] + (tail if size >= head else b''))
    path.unlink(missing_ok=True)
    first = write(path, compression)
    assert path.read_bytes() == data
    assert not part_of(path).exists()
    assert first >= min(max(size - head, 0) / (len(data) - head), 0.5) * COUNT - 12


def test_zeros_that_a_failing_disk_left_are_written_again(tmp_path: Path) -> None:
    write(path := tmp_path / 'x.mcap')
    data = path.read_bytes()
    damaged = bytearray(data[: len(data) // 2])
    damaged[-200:] = bytes(200)
    path.unlink()
    part_of(path).write_bytes(damaged)
    write(path)
    assert path.read_bytes() == data


def test_what_was_begun_otherwise_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / 'x.mcap'
    write(path, stop=30, finish=False)
    with (
        pytest.raises(ValueError, match='begun with another network; give the command'),
        McapWriter(path, CHANNELS, {'network': 'y'}),
    ):
        pass
    assert write(path) > 0


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    with (
        McapWriter(tmp_path / 'x.mcap', CHANNELS, NOTES),
        pytest.raises(ValueError, match='another process is writing'),
        McapWriter(tmp_path / 'x.mcap', CHANNELS, NOTES),
    ):
        pass


def test_a_finished_file_is_known_and_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'x.mcap'
    assert not is_finished(path, CHANNELS, NOTES)
    write(path)
    assert is_finished(path, CHANNELS, NOTES)
    with pytest.raises(ValueError, match='made with another network'):
        is_finished(path, CHANNELS, {'network': 'y'})
    path.write_bytes(b'mine')
    with pytest.raises(ValueError, match='made by something else'):
        is_finished(path, CHANNELS, NOTES)


def test_metadata_makes_a_bag_of_several_files(tmp_path: Path) -> None:
    files = [tmp_path / 'bag' / f'bag_{number}.mcap' for number in range(2)]
    for file in files:
        write(file)
    (tmp_path / 'bag' / 'metadata.yaml').write_text(metadata_text(list(map(file_facts, files))))
    with AnyReader([tmp_path / 'bag']) as reader:
        assert reader.message_count == len(list(reader.messages())) == 2 * COUNT
        assert {c.topic: c.msgcount for c in reader.connections} == {'/a': 40, '/b': 40}


def test_a_file_without_messages_is_whole(tmp_path: Path) -> None:
    write(path := tmp_path / 'x.mcap', stop=0)
    bag = Bag(path)
    assert [(topic.name, topic.count) for topic in bag.topics()] == [('/a', 0), ('/b', 0)]
    assert list(bag.messages(['/a'])) == [] and bag.damage == []


def test_profiles_of_every_release_become_numbers() -> None:
    named = json.dumps([{'history': 'keep_last', 'depth': 3, 'durability': 'transient_local'}])
    assert numbered_qos(named) == '- history: 1\n  depth: 3\n  durability: 1\n'
    assert numbered_qos(numbered_qos(named)) == numbered_qos(named)
    assert [numbered_qos(text) for text in ('', '[', 'x', '- history: odd')] == [''] * 4
