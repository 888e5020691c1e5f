"""One image message of a recording, decoded only as far as somebody asks."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import numpy.typing as npt

from hrda_core.image_codec import (
    ImageDecodeError,
    check_format,
    check_image,
    decode_bytes,
    decode_image,
)
from hrda_core.image_headers import ImageHeader, inspect_image
from hrda_core.jpeg import decode_half_grey
from training.bags.image_message import read_image_message
from training.bags.reading import RawMessage
from training.extraction.figures import FrameFigures, half_grey, measure_grey

Uint8Array = npt.NDArray[np.uint8]
_STORED_BGR = ('bgr8', '8uc3')


class Frame:
    """An image or compressed image.

    Args:
        message: of a recording.

    Attributes:
        frame_id: frame of the header.
        encoding: encoding of a raw image, format of a compressed one.
        is_file: whether the message holds a JPEG or PNG file.

    Raises:
        BagDamageError: the message cannot be read.
        ImageDecodeError: (also of all other members) the picture cannot be decoded.
    """

    def __init__(self, message: RawMessage) -> None:
        self._image = read_image_message(message)
        self.frame_id = str(self._image.header.frame_id)
        self.is_file = hasattr(self._image, 'format')
        self.encoding = str(self._image.format if self.is_file else self._image.encoding)
        self._header: ImageHeader | None = None
        self._rgb: Uint8Array | None = None
        if self.is_file:
            check_format(self.encoding)

    @property
    def file(self) -> memoryview:
        """The bytes of the JPEG or PNG file, where they are; empty for a raw image."""
        return memoryview(self._image.data if self.is_file else b'')

    @property
    def header(self) -> ImageHeader:
        """What the file says of itself, once it is known to be whole."""
        if self._header is None:
            self._header = inspect_image(self.file)
        return self._header

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) [px]."""
        if self.is_file:
            return self.header.width, self.header.height
        return int(self._image.width), int(self._image.height)

    @property
    def copyable(self) -> bool:
        """Whether the bytes are a file that every reader of pictures understands."""
        return self.is_file and self.header.bits == 8 and self.header.channels in (1, 3)

    @property
    def rgb(self) -> Uint8Array:
        """uint8 (H, W, 3) RGB."""
        if self._rgb is None:  # cached_property has one lock for all frames before Python 3.12
            image = self._image
            self._rgb = decode_bytes(self.file) if self.is_file else decode_image(image)
        return self._rgb

    @property
    def bgr(self) -> Uint8Array:
        """uint8 (H, W, 3) BGR, as OpenCV encodes it; what is BGR already is not copied."""
        if not self.is_file and self.encoding.strip().lower() in _STORED_BGR:
            check_image(self._image)  # by its own name
            # Named rgb8, its channels come out in the order in which they are stored.
            return decode_image(SimpleNamespace(**{**vars(self._image), 'encoding': 'rgb8'}))
        return np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2BGR), np.uint8)

    def measure(self) -> FrameFigures:
        """What the pixels say; a JPEG is decoded at half size for it, without its colours."""
        return measure_grey(self._half_jpeg() if self._is_jpeg() else half_grey(self.rgb))

    def _is_jpeg(self) -> bool:
        return self.is_file and self.header.codec == 'jpeg'

    def _half_jpeg(self) -> Uint8Array:
        half = decode_half_grey(self.file, self.header)
        if half is not None:
            return half
        flags = cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            grey = cv2.imdecode(np.frombuffer(self.file, np.uint8), flags)
        except cv2.error as error:
            raise ImageDecodeError(f'OpenCV cannot decode this jpeg: {error}') from error
        if grey is None:
            raise ImageDecodeError(
                'this jpeg cannot be decoded; expected an undamaged file; the frame cannot be used'
            )
        return np.asarray(grey, np.uint8)
