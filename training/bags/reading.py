"""Reading recordings, whole or damaged, without ROS: files, folders, split bags, ROS 1 bags.

Each storage file is read on its own; metadata.yaml only tells their order and what is missing.
Message types are those of ROS 2 itself, which have not changed since Dashing, so that bags
without message definitions (Humble and older) read like all others.
"""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import yaml
from rosbags.typesys import Stores, get_typestore

from training.bags.mcap_file import McapFile
from training.bags.mcap_records import Channel
from training.bags.raw_message import BagDamageError, RawMessage, Topic
from training.bags.ros1_file import Ros1File
from training.bags.sqlite_file import SqliteFile
from training.bags.unpacked_file import UnpackedFile

__all__ = ['Bag', 'BagDamageError', 'RawMessage', 'Topic', 'decode_message', 'find_bags']

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)
_ROS1 = '.bag'
_STORAGES = {'.mcap': McapFile, '.db3': SqliteFile, _ROS1: Ros1File}
_PACKED_SUFFIX = '.zstd'
_ACTIVE_SUFFIX = '.active'
"""Of a ROS 1 bag that was never closed."""
_METADATA = 'metadata.yaml'
_YAML = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
"""The same in C takes a tenth of the time; not every PyYAML has it."""
_RESULTS = 'results'


class Storage(Protocol):
    """One storage file of a bag."""

    damage: list[str]

    def topics(self) -> list[Topic]:
        """The topics and their numbers of messages."""
        ...

    def channels(self) -> list[Channel]:
        """What the file says of its topics, after `topics` was asked."""
        ...

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of some topics in recorded order, as far as they can be read."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Bag:
    """A recording: a folder with or without metadata.yaml, or one .mcap, .db3 or .bag file.

    Nothing is kept open between calls, and reading never raises for damage: what cannot be read
    is told in `damage`. ROS 1 files of a folder are recordings of their own, see `find_bags`.

    Args:
        path: folder or file; file compression (.mcap.zstd, .db3.zstd) is unpacked to a
            temporary folder of the object, message and chunk compression in memory.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: not a recording.

    Attributes:
        path: as given.
        name: name of the folder, or of the file without its suffixes.
        files: the storage files in recorded order.
        damage: what could not be read so far, one sentence each.
        expected: messages per topic that metadata.yaml promises; empty without it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        _refuse_others(self.path)
        self.files = _storage_files(self.path)
        self.name = _bag_name(self.path.resolve())
        self.damage: list[str] = []
        self.expected: dict[str, int] = {}
        self._promised: list[Topic] = []
        self._topics: list[Topic] | None = None
        self._unpacked: UnpackedFile | None = None
        self._channels: dict[tuple[str, str], Channel] = {}
        if self.path.is_dir():
            self._read_metadata()

    def topics(self) -> list[Topic]:
        """The topics over all files, sorted by name, with the sums of their messages."""
        if self._topics is None:
            self._topics = self._count()
        return self._topics

    def channels(self) -> list[Channel]:
        """All that is known of the topics, in the order of `topics`.

        Definitions that the bag lacks are those of ROS 2 itself, where it has such a type.
        """
        keys = [(topic.name, topic.msgtype) for topic in self.topics()]
        return [_defined(self._channels.get(key, Channel(*key))) for key in keys]

    @property
    def is_packed(self) -> bool:
        """Whether looking into it means to unpack files."""
        return any(file.suffix == _PACKED_SUFFIX for file in self.files)

    def promised_topics(self) -> list[Topic]:
        """The topics as metadata.yaml lists them, if finding out would mean to unpack files."""
        if self._promised and self.is_packed:
            return sorted(self._promised, key=lambda topic: topic.name)
        return self.topics()

    def _count(self) -> list[Topic]:
        counts: dict[tuple[str, str], int] = {}
        for file in self.files:
            with self._open(file) as storage:
                for topic in storage.topics() if storage else ():
                    key = (topic.name, topic.msgtype)
                    counts[key] = counts.get(key, 0) + topic.count
                for channel in storage.channels() if storage else ():
                    self._channels.setdefault((channel.topic, channel.msgtype), channel)
        return [Topic(*key, count) for key, count in sorted(counts.items())]

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of some topics in recorded order, as far as they can be read.

        A message must be read before the next one is asked for.
        """
        for file in self.files:
            with self._open(file) as storage:
                if storage:
                    yield from storage.messages(topics)

    def check_outside(self, place: Path) -> None:
        """Refuse a place for results inside the recording, which other programs read as a whole.

        Args:
            place: a file or folder, which need not be there yet.

        Raises:
            ValueError: it lies there.
        """
        files = {file.resolve() for file in self.files}
        alone = self.path.is_file() and not (self.path.parent / _METADATA).exists()
        folder = (self.path if self.path.is_dir() else self.path.parent).resolve()
        if place.resolve() in files or (not alone and place.resolve().is_relative_to(folder)):
            raise ValueError(
                f'{place} would lie in the recording {self.path} itself; choose another --output, '
                f'such as {folder.parent / f"{self.name}_{_RESULTS}"}'
            )

    def drop_unpacked(self) -> None:
        """Delete the unpacked copy of a compressed file, which is made again when needed."""
        if self._unpacked is not None:
            self._unpacked.delete()
            self._unpacked = None

    @contextmanager
    def _open(self, file: Path) -> Iterator[Storage | None]:
        """One storage file, unpacked where needed; None when nothing of it can be read."""
        plain: UnpackedFile | None = None
        try:
            if file.suffix == _PACKED_SUFFIX:
                plain = self._unpack(file)
            storage = _STORAGES[_kind(file)](file if plain is None else plain.path)
        except (BagDamageError, OSError) as error:
            self.tell([str(error) if plain is None else plain.sentence(error)])
            yield None
            return
        try:
            yield storage
        finally:
            if plain is None or not plain.problem:  # which tells of all that follows from it
                self.tell(f'{file.parent}/{text}' for text in storage.damage)
            storage.close()

    def _unpack(self, file: Path) -> UnpackedFile:
        """A packed file, unpacked; one of them is kept, as it is mostly asked again."""
        if self._unpacked is None or self._unpacked.packed != file:
            self.drop_unpacked()
            self._unpacked = UnpackedFile(file)
        if problem := self._unpacked.problem:
            self.tell([f'{file} is damaged: {problem}; what followed is lost'])
        return self._unpacked

    def tell(self, sentences: Iterable[str]) -> None:
        """Add sentences to `damage` that it lacks."""
        self.damage += [text for text in sentences if text not in self.damage]

    def _read_metadata(self) -> None:
        """Put the files in the order of metadata.yaml and note the ones that are missing."""
        path = self.path / _METADATA
        if not path.exists():
            return
        try:
            information = yaml.load(path.read_text(), _YAML)['rosbag2_bagfile_information']
            names = [Path(name).name for name in information['relative_file_paths']]
            for entry in information['topics_with_message_count']:
                about, count = entry['topic_metadata'], int(entry['message_count'])
                self.expected[about['name']] = count
                self._promised.append(Topic(about['name'], about['type'], count))
        except (yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as error:
            self.tell([f'{path} is damaged ({type(error).__name__}); its files are read anyway'])
            return
        order = {name: number for number, name in enumerate(names)}
        present = {file.name for file in self.files}
        self.files.sort(key=lambda file: (order.get(file.name, len(order)), file.name))
        missing = [name for name in names if name not in present]
        if missing:
            self.tell([f'{self.path} lacks {", ".join(missing)}, named in its {_METADATA}'])


def find_bags(paths: Collection[Path]) -> list[Bag]:
    """The bags at some paths, each once, in the given order.

    A recording that is named twice, also as a folder and as a file in it, is taken once.
    A folder that is no bag but holds bags (a season of drives) stands for all of them, and so
    does a pattern with * or ? that the shell has left as it is; ** goes into folders.

    Raises:
        FileNotFoundError: a path that does not exist, or a pattern that fits none.
        ValueError: a path that is not a recording.
    """
    found: dict[Path, Bag] = {}
    for match in [match for path in paths for match in _matches(path)]:
        for bag in map(Bag, _inner_bags(match) or [match]):
            found.setdefault(bag.path.resolve(), bag)
    inside = {file.resolve() for bag in found.values() for file in bag.files if file != bag.path}
    return [bag for path, bag in found.items() if path not in inside]


def holds_bags(path: Path) -> bool:
    """Whether a path is a recording, or a folder of recordings."""
    return _is_storage(path) or _is_bag_folder(path) or bool(_inner_bags(path))


def decode_message(message: RawMessage) -> Any:
    """Turn a message into an object with the fields of its ROS type.

    Raises:
        BagDamageError: the bytes are not such a message.
    """
    data = message.data()
    try:
        if message.ros1:
            return _decode_ros1(data, message.msgtype)
        return _typestore().deserialize_cdr(data, message.msgtype)
    except Exception as error:  # rosbags raises whatever its generated code runs into
        raise BagDamageError(
            f'the message on {message.topic} recorded at {message.record_ns} ns is no '
            f'{message.msgtype} ({error or type(error).__name__}); leave it out'
        ) from error


@cache
def _typestore() -> Any:
    return get_typestore(Stores.ROS2_JAZZY)


@cache
def _ros1_typestore() -> Any:
    return get_typestore(Stores.ROS1_NOETIC)


def _decode_ros1(data: bytes, msgtype: str) -> Any:
    found = _ros1_typestore().deserialize_ros1(data, msgtype)
    if msgtype != CAMERA_INFO:
        return found
    # ROS 2 writes the matrices D, K, R and P in small letters.
    return SimpleNamespace(**{name.lower(): value for name, value in vars(found).items()})


def _defined(channel: Channel) -> Channel:
    """A channel with its definition, where that can be known."""
    store = _typestore()
    if channel.definition or channel.msgtype not in store.fielddefs:
        return channel
    text, _ = store.generate_msgdef(channel.msgtype, ros_version=2)
    return replace(channel, definition=text, encoding='ros2msg')


def _bag_name(path: Path) -> str:
    name = path.name
    for suffix in () if path.is_dir() else (_PACKED_SUFFIX, _ACTIVE_SUFFIX, *_STORAGES):
        name = name.removesuffix(suffix)
    return name


def _kind(file: Path) -> str:
    outer = file.suffix in (_PACKED_SUFFIX, _ACTIVE_SUFFIX)
    return Path(file.stem).suffix if outer else file.suffix


def _is_storage(file: Path) -> bool:
    return _kind(file) in _STORAGES and file.is_file() and not file.name.startswith('.')


def _storage_files(path: Path) -> list[Path]:
    """The storage files of a bag; an unpacked one stands before its packed twin."""
    if not path.is_dir():
        return [path]
    files = sorted(filter(_is_storage, path.iterdir()), key=_split_number)
    files = [file for file in files if _kind(file) != _ROS1]
    names = {file.name for file in files}
    return [f for f in files if f.suffix != _PACKED_SUFFIX or f.stem not in names]


def _split_number(file: Path) -> tuple[int, str]:
    """Sort key: NAME_2.mcap before NAME_10.mcap."""
    digits = file.name.split('.')[0].rpartition('_')[2]
    return (int(digits) if digits.isdecimal() else 0, file.name)


def _matches(path: Path) -> list[Path]:
    """The path itself, or what a pattern stands for."""
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    found = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
    bags: dict[Path, None] = {}
    for match in found:
        # What a pattern meets beside recordings (notes, checksums) is nobody's mistake, and
        # ** meets the files of a recording as well as the folder.
        if holds_bags(match) and not any(parent in bags for parent in match.parents):
            bags[match] = None
    if not bags:
        raise FileNotFoundError(f'{path} fits no recording; give folders, files or patterns')
    return list(bags)


def _is_bag_folder(path: Path) -> bool:
    return path.is_dir() and ((path / _METADATA).exists() or bool(_storage_files(path)))


def _inner_bags(path: Path) -> list[Path]:
    """The recordings in a folder that is none; each ROS 1 file is one of its own."""
    if not path.is_dir() or _is_bag_folder(path):
        return []
    return sorted(
        inner
        for inner in path.iterdir()
        if _is_bag_folder(inner) or (_is_storage(inner) and _kind(inner) == _ROS1)
    )


def _refuse_others(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f'there is no bag {path}; give a folder or file')
    if path.is_file() and not _is_storage(path):
        raise ValueError(
            f'{path} is no recording; expected .mcap, .db3, .bag or a folder with them'
        )
    if path.is_dir() and not _is_bag_folder(path):
        raise ValueError(f'{path} holds no .mcap, .db3 or .bag file; give a folder or file')
