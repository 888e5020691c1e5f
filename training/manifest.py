"""The manifest of an extraction: one line of JSON per frame, written at once, read to resume."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

FILE_NAME = 'manifest.jsonl'


@dataclass(frozen=True)
class FrameRecord:
    """What became of one frame.

    Args:
        bag: path of the bag as it was given.
        drive: name of the bag; the folder below the output folder.
        topic: name of the image topic.
        record_ns: when it was recorded [ns since the epoch].
        stamp_ns: stamp of the header [ns], 0 when it was not set.
        frame_id: frame of the header.
        encoding: encoding of a raw image, format of a compressed one.
        width: columns [px], 0 when unknown.
        height: rows [px], 0 when unknown.
        sha1: of the bytes that were written; empty when none were.
        kept: whether there is an image file.
        reason: why there is none; empty when there is one.
        file: image file relative to the output folder; empty when there is none.
    """

    bag: str
    drive: str
    topic: str
    record_ns: int
    stamp_ns: int
    frame_id: str = ''
    encoding: str = ''
    width: int = 0
    height: int = 0
    sha1: str = ''
    kept: bool = False
    reason: str = ''
    file: str = ''

    @property
    def key(self) -> FrameKey:
        """What tells frames apart, wherever the bag lies."""
        return (self.drive, self.topic, self.record_ns, self.stamp_ns)


FrameKey = tuple[str, str, int, int]


class Manifest:
    """The frames that are known, and the file that they are appended to.

    Args:
        path: the manifest file; what an interrupted run left of a last line is cut off.
        file: the same file, open for appending.

    Raises:
        ValueError: another line is no frame record.

    Attributes:
        records: the frames of earlier runs and of this one, in order.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._file = file
        self.records = _read(path)
        self._known: dict[FrameKey, list[FrameRecord]] = {}
        for record in self.records:
            self._known.setdefault(record.key, []).append(record)
        self._met: Counter[FrameKey] = Counter()
        self._files = {record.file for record in self.records if record.kept}

    def known(self, key: FrameKey) -> FrameRecord | None:
        """What an earlier run made of a frame; frames with equal keys are told in turn."""
        earlier = self._known.get(key, [])
        self._met[key] += 1
        return earlier[self._met[key] - 1] if self._met[key] <= len(earlier) else None

    def has_file(self, file: str) -> bool:
        """Whether an image file belongs to a known frame."""
        return file in self._files

    def append(self, record: FrameRecord) -> None:
        """Write a line; it is in the file when this returns."""
        self._file.write(json.dumps(vars(record), ensure_ascii=False).encode() + b'\n')
        self._file.flush()
        self.records.append(record)
        if record.kept:
            self._files.add(record.file)


@contextmanager
def open_manifest(folder: Path) -> Iterator[Manifest]:
    """Open the manifest of an output folder, alone.

    Raises:
        ValueError: another process is writing to it, or it is damaged.
    """
    path = folder / FILE_NAME
    with path.open('ab') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f'another process is extracting to {folder}; wait for it or choose another folder'
            ) from error
        yield Manifest(path, file)


def read_records(path: Path) -> list[FrameRecord]:
    """The frames of a manifest, without what an interrupted run left of a last line.

    Raises:
        ValueError: a line is no frame record.
    """
    data = path.read_bytes()
    whole = data[: data.rfind(b'\n') + 1]
    return [_parse(path, n, line) for n, line in enumerate(whole.splitlines(), 1) if line]


def _read(path: Path) -> list[FrameRecord]:
    data = path.read_bytes()
    whole = data.rfind(b'\n') + 1
    if whole < len(data):
        os.truncate(path, whole)
    return read_records(path)


def _parse(path: Path, number: int, line: bytes) -> FrameRecord:
    names = {field.name for field in fields(FrameRecord)}
    try:
        values = {name: value for name, value in json.loads(line).items() if name in names}
        return FrameRecord(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f'line {number} of {path} is no frame record ({error}); delete the line to have that '
            'frame extracted again, or extract to a new folder'
        ) from error
