"""Image files of one topic of one drive: whole or not there, and never over another one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from training.extraction.pictures import Picture
from training.manifest import FrameRecord, Manifest
from training.whole_files import part_of

_SECOND_NS = 1_000_000_000


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
        for part in folder.glob('.*.part'):
            part.unlink()

    def store(self, picture: Picture, record: FrameRecord) -> FrameRecord:
        """Write a frame.

        Args:
            picture: the bytes of its file.
            record: what is known of it so far.

        Returns:
            The record that was appended to the manifest.

        Raises:
            OSError: the folder cannot be written to.
        """
        record = replace(
            record,
            height=picture.height,
            width=picture.width,
            sha1=hashlib.sha1(picture.data, usedforsecurity=False).hexdigest(),
            file=self._place(picture, record.stamp_ns or record.record_ns),
            kept=True,
        )
        self._manifest.append(record)
        return record

    def _place(self, picture: Picture, time_ns: int) -> str:
        """Write the file under the first name that is free, and give that."""
        seconds, nanoseconds = divmod(time_ns, _SECOND_NS)
        number = 1
        while True:
            suffix = f'_{number}' if number > 1 else ''
            file = f'{seconds}_{nanoseconds:09d}{suffix}{picture.suffix}'
            if not self._manifest.has_file(file):
                path = self._folder / file
                if not path.exists():
                    write_whole(path, picture.data)
                    return file
                if path.read_bytes() == picture.data:
                    return file
            number += 1
        raise AssertionError('unreachable: the numbers do not end')


def topic_folder(topic: str) -> str:
    """A topic as the name of a folder: /camera/image_raw is camera__image_raw.

    ROS forbids two underscores in a row in the names of topics, so no two topics meet.
    """
    return topic.strip('/').replace('/', '__') or 'root'


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it never exists in part under its name, nor stays in part at all."""
    part = part_of(path)
    try:
        part.write_bytes(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
