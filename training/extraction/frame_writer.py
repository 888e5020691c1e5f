"""Image files of one topic of one drive: whole or not there, and never over another one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from training.extraction.manifest import FrameRecord, Manifest
from training.extraction.pictures import Picture

_PART = '.part'
_SECOND_NS = 1_000_000_000
_LONGEST_NAME = 255
"""Of a folder [bytes], on all usual file systems."""


class StagedFrame(NamedTuple):
    """An image file that is whole, but hidden until its turn comes.

    Attributes:
        part: the hidden file.
        picture: what is in it.
        sha1: of its bytes.
    """

    part: str
    picture: Picture
    sha1: str


class FrameWriter:
    """Writes frames and notes each in the manifest.

    A file appears under its name only when it is whole. A file that is there already is never
    overwritten: with the same bytes it is what an interrupted run left and is adopted, otherwise
    the new one gets a number.

    Args:
        folder: of the images; parts of files that an interrupted run left are deleted.
        manifest: gets one record per frame.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._manifest = manifest
        self.delete_parts()
        # Asked of the system for each frame, it would cost as much as naming the file.
        self._there = frozenset(os.listdir(folder))  # noqa: PTH208

    def delete_parts(self) -> None:
        """Delete what was written and got no name, as on a full disk."""
        for part in self._folder.glob(f'.*{_PART}'):
            part.unlink()

    def stage(self, picture: Picture, number: int) -> StagedFrame:
        """Write a hidden file; several threads may do so at once.

        Args:
            picture: the bytes of the file.
            number: tells it from others that are not published yet.

        Raises:
            OSError: the folder cannot be written to.
        """
        part = f'{self._folder}/.{number}{_PART}'
        sha1 = hashlib.sha1(picture.data, usedforsecurity=False).hexdigest()
        try:
            _write(part, picture.data)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        return StagedFrame(part, picture, sha1)

    def publish(self, staged: StagedFrame, record: FrameRecord) -> None:
        """Give a staged frame its name and append its line to the manifest.

        Args:
            staged: the frame.
            record: what is known of it so far.

        Raises:
            OSError: the folder cannot be written to.
        """
        self._manifest.append(
            record._replace(
                height=staged.picture.height,
                width=staged.picture.width,
                sha1=staged.sha1,
                file=self._place(staged, record.stamp_ns or record.record_ns),
                kept=True,
            )
        )

    def _place(self, staged: StagedFrame, time_ns: int) -> str:
        """Rename the file to the first name that is free, and give that."""
        seconds, nanoseconds = divmod(time_ns, _SECOND_NS)
        number = 1
        while True:
            suffix = f'_{number}' if number > 1 else ''
            file = f'{seconds}_{nanoseconds:09d}{suffix}{staged.picture.suffix}'
            path = f'{self._folder}/{file}'
            if not self._manifest.has_file(file):
                if file not in self._there:
                    os.replace(staged.part, path)  # noqa: PTH105
                    return file
                if Path(path).read_bytes() == staged.picture.data:
                    Path(staged.part).unlink()
                    return file
            number += 1
        raise AssertionError('unreachable: the numbers do not end')


def _write(path: str, data: bytes | memoryview) -> None:
    """Write a file with as few calls as there can be: after each a thread waits for the others."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(data)
        while left:  # the end of a disk cuts a write short before it fails
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def topic_folder(topic: str) -> str:
    """A topic as the name of a folder: /camera/image_raw is camera__image_raw.

    ROS forbids two underscores in a row in the names of topics, so no two topics meet. What is
    too long for the name of a folder is cut off, and a hash tells such topics apart.
    """
    name = topic.strip('/').replace('/', '__') or 'root'
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha1(topic.encode(), usedforsecurity=False).hexdigest()[:12]
    start = name.encode()[: _LONGEST_NAME - len(digest) - 1].decode(errors='ignore')
    return f'{start}_{digest}'
