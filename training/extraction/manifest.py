"""The manifest of a topic of a drive: one line of JSON per frame, read to resume.

Every DRIVE/TOPIC folder has its own, so that drives can be extracted at the same time, by several
processes or machines, and moved about.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

from training.whole_files import naming, write_text

FILE_NAME = 'manifest.jsonl'
SETTINGS_FILE = 'extraction.json'
DAMAGED = 'damaged'
"""Reason of frames that could not be read or decoded."""
_PATIENCE_S = 2.0
"""A process that was just killed may hold its lock for a moment longer."""
_FLUSH_EVERY_S = 0.1
_KINDS = {'record_ns': int, 'stamp_ns': int, 'kept': bool, 'reason': str, 'file': str}
"""What a run depends on in the lines of an earlier one."""
_IMAGE_NAME = re.compile(r'\d+_\d{9}(_\d+)?\.(jpg|png)')
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False)
"""To look for lists within themselves takes a third of the time, and records hold none."""


class FrameRecord(NamedTuple):
    """What became of one frame.

    Args:
        bag: path of the bag, in full.
        drive: name of the bag; the folder below the output folder.
        topic: name of the image topic.
        record_ns: when it was recorded [ns since the epoch].
        stamp_ns: stamp of the header [ns], 0 when it was not set.
        frame_id: frame of the header.
        encoding: encoding of a raw image, format of a compressed one.
        width: columns of what was written [px], 0 when nothing was.
        height: rows of what was written [px], 0 when nothing was.
        sha1: of the bytes that were written; empty when none were.
        brightness: mean grey level, 0..255; absent, like the next four, where nobody asked.
        white: share of white pixels, 0..1.
        sharpness: variance of the Laplacian at half size; smaller is more blurred.
        motion: mean difference to the last kept frame [grey levels].
        change: bits of 256 that its difference hash differs in from the last kept frame.
        kept: whether there is an image file.
        reason: a word for why there is none: 'every', 'dark', ..., 'damaged'; empty otherwise.
        detail: a sentence about the damage.
        file: image file, beside the manifest; empty when there is none.
        again: the frame was damaged when an earlier run read it, and this line takes the place
            of that one: the first, second, ... of those with its times. Absent where not.
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
    brightness: float | None = None
    white: float | None = None
    sharpness: float | None = None
    motion: float | None = None
    change: int | None = None
    kept: bool = False
    reason: str = ''
    detail: str = ''
    file: str = ''
    again: int | None = None

    @property
    def key(self) -> FrameKey:
        """What tells frames apart, wherever the bag lies."""
        return (self.drive, self.topic, self.record_ns, self.stamp_ns)


FrameKey = tuple[str, str, int, int]
_TIMES, _SHA1, _FILE = map(FrameRecord._fields.index, ('record_ns', 'sha1', 'file'))
"""Places in a record; `stamp_ns` follows on `record_ns`."""


class Manifest:
    """The frames that are known, and the file that they are appended to.

    Args:
        path: the manifest file; what an interrupted run left of a last line is cut off.
        file: the same file, open for appending.

    Raises:
        ValueError: another line is no frame record.

    Attributes:
        kept_ns: record times of the frames that earlier runs kept [ns].
        compared: keys of those of them that the next frame to decide on comes after.
        bags: paths of the recordings that earlier runs took frames from.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._file = file
        self._known: dict[FrameKey, list[FrameRecord]] = {}
        self._files: set[str] = set()
        self.kept_ns: list[int] = []
        self.compared: set[FrameKey] = set()
        self.bags: set[str] = set()
        newest: FrameRecord | None = None
        for record in _mended(path):
            self._known.setdefault(record.key, []).append(record)
            self.bags.add(record.bag)
            if record.kept:
                self._files.add(record.file)
                self.kept_ns.append(record.record_ns)
                newest = record
            elif record.reason == DAMAGED and newest is not None:
                self.compared.add(newest.key)
        if newest is not None:
            self.compared.add(newest.key)
        self._met: Counter[FrameKey] = Counter()
        self._flushed_s = time.monotonic()

    def known(self, key: FrameKey) -> FrameRecord | None:
        """What an earlier run made of a frame; frames with equal keys are told in turn.

        A damaged one comes with the `again` of a line that takes its place.
        """
        if not self._known:
            return None
        # Of a damaged frame even the stamp may not have been readable.
        return self._next(key) or self._next((*key[:-1], 0), DAMAGED)

    def _next(self, key: FrameKey, reason: str = '') -> FrameRecord | None:
        """The first frame of a key that was not met yet, if it has this reason."""
        known, met = self._known.get(key, ()), self._met[key]
        if met >= len(known) or reason not in ('', known[met].reason):
            return None
        self._met[key] += 1
        record = known[met]
        return record._replace(again=met + 1) if record.reason == DAMAGED else record

    def has_file(self, file: str) -> bool:
        """Whether an image file belongs to a known frame."""
        return file in self._files

    def append(self, record: FrameRecord) -> None:
        """Write a line; it is in the file a moment later, or after `flush`.

        What a kill loses is told by the image files: the same frames are the same bytes.
        A frame that is damaged still has its line already.
        """
        if record.again and record.reason == DAMAGED:
            return
        self._file.write(_line(record))
        is_due = time.monotonic() > self._flushed_s + _FLUSH_EVERY_S
        if record.kept:
            is_due = is_due or not self._files  # the first one binds the folder to its settings
            self._files.add(record.file)
        if is_due:
            self.flush()

    def flush(self) -> None:
        """Have all lines so far in the file."""
        self._file.flush()
        self._flushed_s = time.monotonic()


@contextmanager
def open_manifest(folder: Path, settings: Mapping[str, Any]) -> Iterator[Manifest]:
    """Open the manifest of a DRIVE/TOPIC folder, alone; makes the folder.

    Args:
        folder: of the images.
        settings: what they are extracted with, as plain values; noted beside the manifest.

    Raises:
        ValueError: another process is writing to it, it is damaged, or the folder holds frames
            that were extracted with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    with path.open('ab') as file:
        _lock(file, folder)
        # Images whose lines were lost, as on a full disk, are as binding as lines are, and of
        # those that nobody knows anything of, none must stand among anonymous ones.
        binds = (folder / SETTINGS_FILE).exists() or 'anonymise' in settings
        if _kept_any(path) or (binds and _holds_images(folder)):
            _compare_settings(folder / SETTINGS_FILE, dict(settings))
        else:
            # Left by a run that failed before its first image, perhaps by what is mended now.
            file.truncate(0)
            write_text(folder / SETTINGS_FILE, json.dumps(dict(settings), indent=2) + '\n')
        manifest = Manifest(path, file)
        try:
            yield manifest
        finally:
            with naming(folder):
                manifest.flush()


def _holds_images(folder: Path) -> bool:
    return any(_IMAGE_NAME.fullmatch(file.name) for file in folder.iterdir())


def _kept_any(path: Path) -> bool:
    return any(record.kept for record in _lines(path))


def _lock(file: IO[bytes], folder: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise ValueError(
                    f'another process is extracting to {folder}; wait for it or choose another '
                    'output folder'
                ) from error
            time.sleep(0.05)


def _compare_settings(path: Path, settings: dict[str, Any]) -> None:
    """Refuse settings that differ from the noted ones."""
    try:
        noted = json.loads(path.read_text())
        if not isinstance(noted, dict):
            raise ValueError('it holds no names and values')
    except OSError as error:
        raise ValueError(
            f'{path} cannot be read ({error.strerror}), so that nobody knows what the frames '
            'beside it were extracted with; put it back, or extract to a new folder'
        ) from error
    except (ValueError, TypeError) as error:
        raise ValueError(f'{path} is damaged ({error}); extract to a new folder') from error
    differ = [
        f'{_given(name, noted)}, now {_given(name, settings)}'
        for name in sorted({*noted, *settings})
        if noted.get(name) != settings.get(name)
    ]
    if differ:
        raise ValueError(
            f'{path.parent} was extracted with other settings ({"; ".join(differ)}); extract to '
            'another folder, or delete that one first'
        )


def _given(name: str, settings: Mapping[str, Any]) -> str:
    """A setting as it is given on the command line."""
    option = {'every_ns': '--every', 'image_format': '--format'}.get(name)
    option = option or f'--{name.replace("_", "-")}'
    if name not in settings:
        return f'no {option}'
    value = settings[name]
    if name == 'every_ns' and isinstance(value, int):
        value = f'{value / 1e9:g}s'
    if name == 'mask':
        value = f'(a picture of sha1 {str(value)[:8]})'
    return f'{option} {value}'


def read_records(path: Path) -> Iterator[FrameRecord]:
    """The frames of a manifest in recorded order, without half a last line.

    Of a frame that was damaged at first, what became of it later stands in its place.

    Raises:
        ValueError: a line is no frame record.
    """
    later: dict[int, list[FrameRecord]] = {}
    for record in _lines(path, b'"again"'):
        later.setdefault(record.record_ns, []).append(record)
    met: Counter[FrameKey] = Counter()
    for record in _lines(path):
        if record.again:
            continue
        if record.record_ns in later:
            met[record.key] += 1
            yield _replaced(record, met[record.key], later[record.record_ns])
        else:
            yield record


def _replaced(record: FrameRecord, number: int, later: Sequence[FrameRecord]) -> FrameRecord:
    """What became of the so-manieth frame of its times, if it was damaged; else itself."""
    for other in later if record.reason == DAMAGED else ():
        # Even the stamp may not have been readable.
        if other.again == number and record.stamp_ns in (other.stamp_ns, 0):
            return other
    return record


def first_record(path: Path) -> FrameRecord | None:
    """The first line of a manifest; None without any."""
    return next(_lines(path), None)


def _lines(path: Path, word: bytes = b'') -> Iterator[FrameRecord]:
    """The whole lines of a manifest that hold a word."""
    with path.open('rb') as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b'\n') and line.strip() and word in line:
                yield _parse(path, number, line)


def _mended(path: Path) -> Iterator[FrameRecord]:
    """The frames of a manifest, from which half a last line is cut off."""
    data = path.read_bytes()
    whole = data.rfind(b'\n') + 1
    if whole < len(data):
        os.truncate(path, whole)
    return read_records(path)


def _line(record: FrameRecord) -> bytes:
    """A record as a line of JSON; what many frames have in common is encoded once."""
    before, after = _pairs(0, record[:_TIMES]), _TIMES + 2
    times = f'"record_ns": {record.record_ns}, "stamp_ns": {record.stamp_ns}'
    rest = _kept_pairs(record, after) if record.kept else _pairs(after, record[after:])
    return f'{{{before}, {times}, {rest}}}\n'.encode()


def _kept_pairs(record: FrameRecord, start: int) -> str:
    """What `_pairs` gives, of a frame with an image file: its hash and name are its own."""
    text = _ENCODER.encode
    form, choice = record[start:_SHA1], record[_SHA1 + 1 : _FILE]
    again = '' if record.again is None else f', "again": {record.again}'
    return (
        f'{_pairs(start, form)}, "sha1": {text(record.sha1)}, '
        f'{_pairs(_SHA1 + 1, choice)}, "file": {text(record.file)}{again}'
    )


@lru_cache(maxsize=32)
def _pairs(start: int, values: tuple[Any, ...]) -> str:
    """Values of a record from a place on as JSON, without the brackets around them."""
    pairs = zip(FrameRecord._fields[start:], values, strict=False)
    return _ENCODER.encode({name: value for name, value in pairs if value is not None})[1:-1]


def _parse(path: Path, number: int, line: bytes) -> FrameRecord:
    names = FrameRecord._fields
    try:
        values = {name: value for name, value in json.loads(line).items() if name in names}
        record = FrameRecord(**values)
        for name, kind in _KINDS.items():
            if type(getattr(record, name)) is not kind:
                raise TypeError(f'{name} is {getattr(record, name)!r}')
        return record
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f'line {number} of {path} is no frame record ({error}); delete the line to have that '
            'frame extracted again, or extract to a new folder'
        ) from error
