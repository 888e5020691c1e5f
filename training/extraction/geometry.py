"""Moving pixels: lens distortion out, a part cut out, made smaller; mask and calibration alike."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.data.transforms import fit_size
from training.extraction.picture_errors import FrameSizeError, PictureError
from training.extraction.settings import PictureSettings

Uint8Array = npt.NDArray[np.uint8]
Size = tuple[int, int]
_LENSES = ('plumb_bob', 'rational_polynomial', '')
_FISHEYES = ('equidistant', 'fisheye')
_LENS_COEFFICIENTS, _FISHEYE_COEFFICIENTS = (4, 5, 8, 12, 14), 4
"""Numbers of distortion coefficients that OpenCV knows; of a fisheye more are left out."""


@dataclass(frozen=True)
class Lens:
    """A camera that distorts, as its CameraInfo tells.

    Attributes:
        k: (3, 3) intrinsic matrix of the distorted frame [px].
        d: distortion coefficients, by the model.
        r: (3, 3) rectification.
        straight: (3, 3) intrinsic matrix of the undistorted frame [px].
        fisheye: whether the coefficients are those of an equidistant lens.
    """

    k: npt.NDArray[np.float64]
    d: npt.NDArray[np.float64]
    r: npt.NDArray[np.float64]
    straight: npt.NDArray[np.float64]
    fisheye: bool

    def maps(self, size: Size) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Where every pixel of the undistorted frame comes from, for cv2.remap."""
        make = cv2.fisheye if self.fisheye else cv2
        first, second = make.initUndistortRectifyMap(
            self.k, self.d, self.r, self.straight, size, cv2.CV_16SC2
        )
        return first, second


def read_lens(info: Any, size: Size) -> Lens:
    """Take a lens from a CameraInfo message.

    Args:
        info: anything with the fields of sensor_msgs/CameraInfo.
        size: (width, height) of the frames [px]; for those of a part of the sensor, or binned
            ones, a calibration of all of it is moved and scaled.

    Raises:
        PictureError: the camera is not calibrated, or its calibration cannot be used.
    """
    model = str(info.distortion_model)
    k = np.array(info.k, np.float64).reshape(3, 3)
    if model not in (*_LENSES, *_FISHEYES):
        known = ', '.join((*_LENSES[:2], *_FISHEYES))
        raise PictureError(
            f'--undistort: distortion model {model!r} is not known; expected one of {known}'
        )
    if k[0, 0] <= 0 or not info.width or not info.height:
        raise PictureError(
            '--undistort: the CameraInfo of the recording is empty, the camera was not '
            'calibrated; leave --undistort out'
        )
    p = np.array(info.p, np.float64).reshape(3, 4)[:, :3]
    r = np.array(info.r, np.float64).reshape(3, 3)
    d = np.array(info.d, np.float64).reshape(-1)
    if not all(np.isfinite(values).all() for values in (k, d, r, p)):
        raise PictureError(
            '--undistort: the CameraInfo of the recording holds values that are no numbers; '
            'leave --undistort out, or calibrate the camera again'
        )
    scale = _recorded(info, size)
    fisheye = model in _FISHEYES
    return Lens(
        k=scale @ k,
        d=_coefficients(d, fisheye),
        r=r if r.any() else np.eye(3),
        straight=scale @ (p if p[0, 0] > 0 else k),
        fisheye=fisheye,
    )


def _recorded(info: Any, size: Size) -> npt.NDArray[np.float64]:
    """From pixels of the calibration to those of the recorded frames, (3, 3).

    Drivers publish a region of interest, or pixels put together (binning), with the calibration
    of the whole sensor (sensor_msgs/CameraInfo).

    Args:
        info: anything with the fields of sensor_msgs/CameraInfo.
        size: (width, height) of the recorded frames [px].
    """
    whole = (info.width, info.height)
    if not all(whole) or whole == size:
        return np.eye(3)
    roi = getattr(info, 'roi', None)
    has_roi = roi is not None and roi.width and roi.height
    left, top = (roi.x_offset, roi.y_offset) if has_roi else (0, 0)
    width, height = (roi.width, roi.height) if has_roi else whole
    scale = np.diag([size[0] / width, size[1] / height, 1.0])
    return scale @ np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])


def _coefficients(d: npt.NDArray[np.float64], fisheye: bool) -> npt.NDArray[np.float64]:
    """Distortion coefficients as OpenCV takes them; none are zeros."""
    if not d.size:
        return np.zeros(_FISHEYE_COEFFICIENTS)
    if fisheye and d.size >= _FISHEYE_COEFFICIENTS:
        return d[:_FISHEYE_COEFFICIENTS]
    if fisheye or d.size not in _LENS_COEFFICIENTS:
        expected = _FISHEYE_COEFFICIENTS if fisheye else ', '.join(map(str, _LENS_COEFFICIENTS))
        raise PictureError(
            f'--undistort: the CameraInfo of the recording has {d.size} distortion coefficients; '
            f'expected {expected} for its model; leave --undistort out, or calibrate the camera '
            'again'
        )
    return d


class Geometry:
    """What is done to all frames of one size, and what that does to masks and calibrations.

    Args:
        settings: what to do.
        size: (width, height) of the recorded frames [px].
        info: CameraInfo of the recording; needed to undistort.

    Attributes:
        size: (width, height) of the frames that come out [px].

    Raises:
        FrameSizeError: the crop leaves the frame.
        PictureError: the calibration cannot be used.
    """

    def __init__(self, settings: PictureSettings, size: Size, info: Any | None) -> None:
        self._recorded = size
        self._part = _checked(settings.crop, size)
        self._lens = read_lens(info, size) if settings.undistort and info is not None else None
        self._maps = None if self._lens is None else self._lens.maps(size)
        self.size: Size = self._part[2:]
        if settings.resize is not None:
            fitted = fit_size(*self.size, settings.resize)
            # Enlarging would only cost room: training resizes as it is told.
            self.size = min(self.size, fitted)

    @property
    def changes_nothing(self) -> bool:
        """Whether frames come out as they are, as when they are small enough already."""
        return self._lens is None and self._part == (0, 0, *self.size) == (0, 0, *self._recorded)

    def apply(self, picture: Uint8Array) -> Uint8Array:
        """Change a frame, uint8 (H, W, 3), of the recorded size."""
        if self._maps is not None:
            picture = np.asarray(cv2.remap(picture, *self._maps, cv2.INTER_LINEAR), np.uint8)
        left, top, width, height = self._part
        picture = picture[top : top + height, left : left + width]
        if self.size != (width, height):
            picture = cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(picture)

    def valid(self, mask: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_]:
        """Where frames that come out show something to learn from.

        Args:
            mask: (H, W) of the recorded frames; None where all of them is to be used.

        Returns:
            (H, W) of `size`, False also in the border that undistorting leaves.

        Raises:
            FrameSizeError: the mask is of another size.
        """
        width, height = self._recorded
        given = np.ones((height, width), bool) if mask is None else mask
        if given.shape != (height, width):
            raise FrameSizeError(
                f'--mask is {given.shape[1]}x{given.shape[0]} px, the recorded frames are '
                f'{width}x{height} px; draw it on a frame as it was recorded'
            )
        # A pixel that takes even a part from outside is not valid: only 255 is all inside.
        return self.apply(np.repeat(given[..., None] * np.uint8(255), 3, 2))[..., 0] == 255

    def calibration(self, info: Any) -> Any:
        """The fields of a CameraInfo, as they are for frames that come out.

        Sizes and focal lengths are scaled as image_proc's resize node does it.
        """
        left, top, width, height = self._part
        before = _recorded(info, self._recorded)
        shift = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
        scale = np.diag([self.size[0] / width, self.size[1] / height, 1.0])
        change = scale @ shift
        k = change @ before @ np.array(info.k, np.float64).reshape(3, 3)
        p = change @ before @ np.array(info.p, np.float64).reshape(3, 4)
        straight = self._lens is not None
        return SimpleNamespace(
            header=info.header,
            width=self.size[0],
            height=self.size[1],
            distortion_model='plumb_bob' if straight else info.distortion_model,
            d=np.zeros(5) if straight else info.d,
            k=(change @ self._lens.straight if self._lens is not None else k).reshape(-1),
            r=np.eye(3).reshape(-1) if straight else info.r,
            p=p.reshape(-1),
        )


def read_mask(data: bytes, name: str) -> npt.NDArray[np.bool_]:
    """Read a mask picture: bool (H, W), False where it is black.

    Raises:
        PictureError: the bytes are no picture.
    """
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if grey is None:
        raise PictureError(f'--mask {name} is no picture; draw a PNG, black where not to learn')
    return np.asarray(grey > 127, bool)


def _checked(crop: tuple[int, int, int, int] | None, size: Size) -> tuple[int, int, int, int]:
    if crop is None:
        return (0, 0, *size)
    left, top, width, height = crop
    if min(left, top) < 0 or min(width, height) < 1:
        raise PictureError(
            f'--crop {list(crop)} must be left and top from 0, a width and a height'
        )
    if left + width > size[0] or top + height > size[1]:
        raise FrameSizeError(
            f'--crop {list(crop)} (left, top, width, height) leaves the frame of '
            f'{size[0]}x{size[1]} px; make it smaller'
        )
    return crop
