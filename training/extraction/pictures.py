"""From a frame to the bytes of an image file: copied where nothing has to change, else encoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hrda_core.image_codec import ImageDecodeError
from training.extraction.anonymise import load_anonymiser
from training.extraction.frame import Frame
from training.extraction.geometry import Geometry, Size
from training.extraction.picture_errors import PictureError
from training.extraction.settings import ImageFormat, PictureSettings

Uint8Array = npt.NDArray[np.uint8]
JPEG_QUALITY = 95
JPEG_SIDE = 65500
"""Most columns and rows of a JPEG file."""
PNG_LEVEL = 1  # higher levels cost far more time than they save space


class Picture(NamedTuple):
    """An image file that is not written yet; sizes in pixels."""

    data: bytes | memoryview
    suffix: str
    height: int
    width: int


Made = Picture | Uint8Array
"""A picture, or uint8 (H, W, 3) BGR that is still to be encoded."""


class PictureMaker:
    """Makes image files of frames.

    Args:
        settings: what is done to them.
        info: CameraInfo of the recording, if it has one.
        alive: called again and again while a frame is made anonymous; what it raises ends that.

    Raises:
        PictureError: the CameraInfo is missing or no good.
        ValueError: the anonymiser is.
    """

    def __init__(
        self,
        settings: PictureSettings,
        info: Any | None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._info = info
        self._geometries: dict[Size, Geometry] = {}
        self._anonymise = None
        if settings.undistort and info is None:
            raise PictureError(
                '--undistort: there is no CameraInfo beside the images in this recording; leave '
                '--undistort out'
            )
        if settings.anonymise is not None:
            self._anonymise = load_anonymiser(settings.anonymise, alive)

    def geometry(self, size: Size) -> Geometry:
        """What happens to frames of a recorded size (width, height) [px]."""
        if size not in self._geometries:
            self._geometries[size] = Geometry(self._settings, size, self._info)
        return self._geometries[size]

    def can_work_ahead(self, frame: Frame) -> bool:
        """Whether it pays to prepare a frame in another thread, and is safe: hooks may not be."""
        is_copied = self._settings.copies and frame.is_file
        return not is_copied and self._anonymise is None

    def prepare(self, frame: Frame) -> Made:
        """Copy the file of a frame, or do all that is to be done to its pixels.

        Raises:
            ImageDecodeError: the frame cannot be decoded, or is too large for a JPEG file.
            FrameSizeError: the settings do not fit its size.
            AnonymiseError: it could not be made anonymous.
        """
        if frame.is_file and self._is_copied(frame) and frame.copyable:
            header = frame.header
            suffix = '.jpg' if header.codec == 'jpeg' else '.png'
            return Picture(frame.file, suffix, header.height, header.width)
        if self._anonymise is None:
            bgr = frame.bgr
        else:
            bgr = np.asarray(cv2.cvtColor(self._anonymise(frame.rgb), cv2.COLOR_RGB2BGR), np.uint8)
        if self._settings.changes_geometry:
            bgr = self.geometry(frame.size).apply(bgr)
        if self._settings.image_format == 'jpg' and max(bgr.shape[:2]) > JPEG_SIDE:
            raise ImageDecodeError(
                f'an image of {bgr.shape[1]}x{bgr.shape[0]} px is larger than a JPEG file can be '
                f'({JPEG_SIDE} columns and rows); use --format png'
            )
        return bgr

    def _is_copied(self, frame: Frame) -> bool:
        """Whether nothing has to change the bytes of a JPEG or PNG."""
        if self._settings.copies:
            return True
        return self._anonymise is None and self.geometry(frame.size).changes_nothing

    def encode(self, bgr: Uint8Array) -> Picture:
        """Encode what `prepare` gave."""
        return encode(bgr, self._settings.image_format)


def encode(bgr: Uint8Array, image_format: ImageFormat) -> Picture:
    """Encode uint8 (H, W, 3) BGR.

    Raises:
        ImageDecodeError: OpenCV cannot.
    """
    suffix = f'.{image_format}'
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
    chosen = options[:2] if image_format == 'jpg' else options[2:]
    try:
        done, data = cv2.imencode(suffix, bgr, chosen)
    except cv2.error as error:
        raise ImageDecodeError(f'OpenCV cannot write this image as {suffix}: {error}') from error
    if not done:
        raise ImageDecodeError(f'OpenCV cannot write this image as {suffix}')
    return Picture(data.tobytes(), suffix, *bgr.shape[:2])
