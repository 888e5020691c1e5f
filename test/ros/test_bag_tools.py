"""Playing a bag as a camera and recording topics, as processes over real DDS."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')
pytest.importorskip('rosbags', reason='the bag tools need rosbags')

from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hrda_ros import bag_player
from hrda_ros.process import StartError

SCRIPTS = Path(__file__).resolve().parents[2] / 'scripts'
STAMP_NS = 1_600_000_000 * 10**9
PERIOD_NS = 50_000_000
Start = Callable[..., 'subprocess.Popen[str]']


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Ten images at 20 Hz and a topic that is no image."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    image_type, text_type = 'sensor_msgs/msg/Image', 'std_msgs/msg/String'
    with Writer(tmp_path / 'drive', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        images = writer.add_connection('/cam', image_type, typestore=store)
        texts = writer.add_connection('/text', text_type, typestore=store)
        for index in range(10):
            at_ns = STAMP_NS + index * PERIOD_NS
            time = types['builtin_interfaces/msg/Time'](*divmod(at_ns, 10**9))
            header = types['std_msgs/msg/Header'](time, 'front')
            pixels = np.full(48, index, np.uint8)
            image = types[image_type](header, 4, 4, 'rgb8', 0, 12, pixels)
            writer.write(images, at_ns, store.serialize_cdr(image, image_type))
            writer.write(texts, at_ns, store.serialize_cdr(types[text_type]('hi'), text_type))
    return tmp_path / 'drive'


def read(path: Path) -> list[tuple[str, int, Any]]:
    """Topic, time and message of everything in a bag."""
    with AnyReader([path]) as reader:
        return [
            (connection.topic, at_ns, reader.deserialize(data, connection.msgtype))
            for connection, at_ns, data in reader.messages()
        ]


def stamp_ns(message: Any) -> int:
    """Header stamp in nanoseconds."""
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def test_a_bag_played_as_a_camera_is_recorded_whole(
    start_process: Start, bag: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    recorder = start_process(
        SCRIPTS / 'record_topics', str(out), '/camera/image_raw:sensor_msgs/Image', '--count', '10'
    )
    before_ns = time.time_ns()
    player = start_process(
        SCRIPTS / 'play_bag', str(bag), '--to', '/camera/image_raw', '--start-when-subscribed'
    )
    assert 'played 10 messages' in player.communicate(timeout=30)[0]
    assert 'recorded 10 of /camera/image_raw' in recorder.communicate(timeout=30)[0]
    assert player.returncode == recorder.returncode == 0
    messages = read(out)
    assert [int(m.data[0]) for _, _, m in messages] == list(range(10))
    assert {topic for topic, _, _ in messages} == {'/camera/image_raw'}
    assert all(m.header.frame_id == 'front' for _, _, m in messages)
    assert all(before_ns < stamp_ns(m) <= at_ns for _, at_ns, m in messages)
    assert 0.3 < (messages[-1][1] - messages[0][1]) / 1e9 < 3
    assert [path.name for path in out.parent.glob('.*partial')] == []


def test_stamps_can_be_kept_and_the_pace_set(
    start_process: Start, bag: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    recorder = start_process(SCRIPTS / 'record_topics', str(out), '/cam:sensor_msgs/msg/Image')
    player = start_process(
        SCRIPTS / 'play_bag', str(bag), '--keep-stamps', '--hz', '100', '--start-when-subscribed'
    )
    assert player.wait(30) == 0
    recorder.send_signal(signal.SIGINT)
    output, _ = recorder.communicate(timeout=30)
    assert recorder.returncode == 0
    assert 'Traceback' not in output
    assert [stamp_ns(m) for _, _, m in read(out)] == [
        STAMP_NS + index * PERIOD_NS for index in range(10)
    ]


def test_a_loop_ends_cleanly_on_a_signal(start_process: Start, graph: Any, bag: Path) -> None:
    from sensor_msgs.msg import Image

    received: list[Any] = []
    graph.peer.create_subscription(Image, '/cam', received.append, 50)
    player = start_process(
        SCRIPTS / 'play_bag', str(bag), '--loop', '--hz', '50', '--start-when-subscribed'
    )
    graph.spin_until(lambda: len(received) > 12)
    player.send_signal(signal.SIGINT)
    output, _ = player.communicate(timeout=15)
    assert player.returncode == 0
    assert 'Traceback' not in output


@pytest.mark.parametrize(
    ('options', 'expected'),
    [(['--hz', '100'], [0.0, 0.01, 0.02, 0.03]), (['--rate', '2'], [0.0, 0.5, 0.0, 0.5])],
)
def test_a_fixed_rhythm_goes_on_from_loop_to_loop(
    monkeypatch: pytest.MonkeyPatch, options: list[str], expected: list[float]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(bag_player.time, 'sleep', slept.append)
    monkeypatch.setattr(bag_player.time, 'monotonic', lambda: 0.0)
    messages = [(None, 0, b''), (None, 10**9, b'')]
    player = bag_player.BagPlayer(
        SimpleNamespace(messages=lambda _: messages),
        [None],
        bag_player.parse_arguments(['drive', '--keep-stamps', *options]),
    )
    publisher = SimpleNamespace(publish=lambda data: None)
    assert player.play(publisher) + player.play(publisher) == 4
    assert slept == pytest.approx(expected)


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (
            ['--topic', '/nope'],
            'no topic /nope; choose with --topic (topic:= of bag.launch.py) among what it has: ',
        ),
        (['--hz', '-1'], 'invalid positive number value'),
    ],
)
def test_a_player_that_cannot_play_says_why(
    start_process: Start, bag: Path, arguments: list[str], sentence: str
) -> None:
    player = start_process(SCRIPTS / 'play_bag', str(bag), *arguments)
    output, _ = player.communicate(timeout=30)
    assert player.returncode != 0
    assert sentence in output
    assert 'Traceback' not in output


def test_a_missing_or_foreign_bag_is_one_sentence(start_process: Start, tmp_path: Path) -> None:
    (tmp_path / 'foreign.mcap').write_bytes(b'not a bag')
    for name in ('missing', 'foreign.mcap'):
        player = start_process(SCRIPTS / 'play_bag', str(tmp_path / name))
        output, _ = player.communicate(timeout=30)
        assert player.returncode == 1
        assert len(output.strip().splitlines()) == 1
        assert name in output


@pytest.mark.parametrize(
    ('name', 'content', 'reason'),
    [
        ('drive.mcap', b'garbage' * 99, 'File magic is invalid); name the folder of a rosbag2'),
        ('drive.db3', b'garbage' * 99, 'file is not a database); name the folder'),
        ('drive/metadata.yaml', b'a: [', 'Could not load YAML'),
        ('notes.txt', b'hello', "storage format '.txt'); name the folder"),
    ],
)
def test_what_is_no_bag_is_named_with_a_remedy(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    with pytest.raises(StartError) as caught:
        bag_player.open_bag(file.parent if file.suffix == '.yaml' else file)
    assert reason in str(caught.value) and '`mcap recover`' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_bag_of_ros_1_is_refused(tmp_path: Path) -> None:
    store, kind = get_typestore(Stores.ROS1_NOETIC), 'std_msgs/msg/String'
    with Writer1(tmp_path / 'old.bag') as writer:
        connection = writer.add_connection('/text', kind, typestore=store)
        text = store.types[kind]('hi')
        writer.write(connection, STAMP_NS, store.serialize_ros1(text, kind))
    with pytest.raises(StartError, match='a bag of ROS 1; convert it first: rosbags-convert'):
        bag_player.open_bag(tmp_path / 'old.bag')


def test_damage_in_the_middle_is_said_once_the_rest_was_played() -> None:
    def broken(_: Any) -> Iterator[tuple[None, int, bytes]]:
        yield None, 0, b''
        raise EOFError('the block\nends')

    published: list[bytes] = []
    options = bag_player.parse_arguments(['drive', '--keep-stamps'])
    player = bag_player.BagPlayer(SimpleNamespace(messages=broken), [None], options)
    with pytest.raises(StartError, match=r'drive: damaged behind its first 1 .*\(the block ends'):
        player.play(SimpleNamespace(publish=published.append))
    assert published == [b'']


def test_a_topic_without_messages_is_named(start_process: Start, tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / 'drive', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection('/cam', 'sensor_msgs/msg/Image', typestore=store)
    player = start_process(SCRIPTS / 'play_bag', str(tmp_path / 'drive'), '--loop')
    output, _ = player.communicate(timeout=30)
    assert player.returncode == 1
    assert '/cam has no messages; choose another topic' in output


def test_a_recording_without_messages_leaves_nothing(start_process: Start, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    recorder = start_process(
        SCRIPTS / 'record_topics', str(out), '/none:sensor_msgs/Image', '--seconds', '0.2'
    )
    output, _ = recorder.communicate(timeout=30)
    assert recorder.returncode == 1
    assert 'nothing was received' in output
    assert list(tmp_path.iterdir()) == []


def test_a_recording_never_overwrites(start_process: Start, bag: Path) -> None:
    before = sorted(bag.iterdir())
    recorder = start_process(SCRIPTS / 'record_topics', str(bag), '/cam:sensor_msgs/Image')
    output, _ = recorder.communicate(timeout=30)
    assert recorder.returncode == 1
    assert 'exists already' in output
    assert sorted(bag.iterdir()) == before
