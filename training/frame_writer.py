"""One image message to one image file: copied where it is a file already, else encoded."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hrda_core.image_codec import (
    ImageDecodeError,
    check_format,
    decode_bytes,
    decode_image,
)
from hrda_core.image_headers import inspect_image
from training.bags import BagDamageError, RawMessage, decode_message
from training.manifest import FrameRecord, Manifest

ImageFormat = Literal['jpg', 'png']
JPEG_QUALITY = 95
PNG_LEVEL = 1  # higher levels cost far more time than they save space
_PART = '.part'
_SECOND_NS = 1_000_000_000


class _Picture(NamedTuple):
    """An image file that is not written yet."""

    data: bytes
    suffix: str
    encoding: str
    height: int
    width: int


class FrameWriter:
    """Writes frames of one topic of one bag and notes each in the manifest.

    A file appears under its name only when it is whole. A file that is there already is never
    overwritten: with the same bytes it is what an interrupted run left and is adopted, otherwise
    the new one gets a number.

    Args:
        root: output folder.
        manifest: gets one record per frame.
        drive: name of the bag.
        topic: name of the topic.
        image_format: of raw images, and of compressed ones that cannot be copied.
    """

    def __init__(
        self, root: Path, manifest: Manifest, drive: str, topic: str, image_format: ImageFormat
    ) -> None:
        self._root = root
        self._manifest = manifest
        self._format = image_format
        self.folder = root / drive / topic_folder(topic)
        if self.folder.is_dir():
            for part in self.folder.glob(f'.*{_PART}'):
                part.unlink()

    def store(self, message: RawMessage, record: FrameRecord) -> FrameRecord:
        """Write a frame, or note why that is not possible.

        Args:
            message: an image message.
            record: what is known of it so far.

        Returns:
            The record that was appended to the manifest.

        Raises:
            OSError: the folder cannot be written to.
        """
        try:
            image = decode_message(message)
            record = replace(record, frame_id=image.header.frame_id)
            picture = _picture(image, self._format)
            record = replace(
                record,
                encoding=picture.encoding,
                height=picture.height,
                width=picture.width,
                sha1=hashlib.sha1(picture.data, usedforsecurity=False).hexdigest(),
                file=self._place(picture, record.stamp_ns or record.record_ns),
                kept=True,
            )
        except (ImageDecodeError, BagDamageError) as error:
            record = replace(record, reason=str(error))
        self._manifest.append(record)
        return record

    def _place(self, picture: _Picture, time_ns: int) -> str:
        """Write the file under the first name that is free; its path relative to the root."""
        seconds, nanoseconds = divmod(time_ns, _SECOND_NS)
        number = 1
        while True:
            suffix = f'_{number}' if number > 1 else ''
            path = self.folder / f'{seconds}_{nanoseconds:09d}{suffix}{picture.suffix}'
            file = path.relative_to(self._root).as_posix()
            if not self._manifest.has_file(file):
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
    """Write a file so that it never exists in part under its name; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}{_PART}')
    try:
        part.write_bytes(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _picture(image: Any, image_format: ImageFormat) -> _Picture:
    if not hasattr(image, 'format'):
        rgb = decode_image(image)
        return _encode(rgb, image.encoding, image_format)
    check_format(image.format)
    data = image.data.tobytes()
    header = inspect_image(data)
    if header.bits == 8 and header.channels in (1, 3):
        suffix = '.jpg' if header.codec == 'jpeg' else '.png'
        return _Picture(data, suffix, image.format, header.height, header.width)
    return _encode(decode_bytes(data), image.format, image_format)


def _encode(rgb: npt.NDArray[np.uint8], encoding: str, image_format: ImageFormat) -> _Picture:
    suffix = f'.{image_format}'
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
    chosen = options[:2] if image_format == 'jpg' else options[2:]
    try:
        done, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), chosen)
    except cv2.error as error:
        raise ImageDecodeError(f'OpenCV cannot write this image as {suffix}: {error}') from error
    height, width = rgb.shape[:2]
    if not done:
        raise ImageDecodeError(
            f'an image of {width}x{height} pixels cannot be written as {suffix}; expected at '
            'most 65500 columns and rows for jpg; use --format png'
        )
    return _Picture(data.tobytes(), suffix, encoding, height, width)
