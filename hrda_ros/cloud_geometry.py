"""Where 3-D points appear in a camera's picture, and which label they get there. No ROS.

Frames follow REP-103: a camera looks along +z, x is right and y is down [m].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hrda_core.classes import IGNORE

Float64Array = npt.NDArray[np.float64]
Uint8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

NEAREST_M = 0.05
"""Points closer than this to the plane of the camera are not seen."""
COEFFICIENTS = {'': (0,), 'plumb_bob': (0, 4, 5), 'rational_polynomial': (8, 12, 14)}
FISHEYE = 'equidistant'


@dataclass(frozen=True)
class CameraModel:
    """How a camera maps directions to pixels, as CameraInfo has it.

    Attributes:
        height: rows of the picture [px].
        width: columns [px].
        matrix: float64 (3, 3), K.
        distortion: float64 (N,), D; empty for none.
        distortion_model: plumb_bob, rational_polynomial, equidistant (fisheye), or '' for none.

    Raises:
        ValueError: the matrix is not of a camera, or the distortion is not understood.
    """

    height: int
    width: int
    matrix: Float64Array
    distortion: Float64Array
    distortion_model: str = 'plumb_bob'

    def __post_init__(self) -> None:
        if self.matrix.shape != (3, 3) or not (self.matrix[0, 0] > 0 and self.matrix[1, 1] > 0):
            raise ValueError(
                'the camera is not calibrated: K of its CameraInfo has no focal lengths; '
                'calibrate it, e.g. with `ros2 run camera_calibration cameracalibrator`'
            )
        allowed = (4,) if self.fisheye else COEFFICIENTS.get(self.distortion_model)
        if allowed is None:
            raise ValueError(
                f'distortion model {self.distortion_model!r} is not known; expected plumb_bob, '
                f'rational_polynomial or {FISHEYE}, or rectified images'
            )
        if len(self.distortion) not in allowed:
            raise ValueError(
                f'{self.distortion_model or "no distortion"} has {len(self.distortion)} '
                f'coefficients; expected {" or ".join(map(str, allowed))}'
            )

    @property
    def fisheye(self) -> bool:
        """Whether the distortion is that of a fisheye lens."""
        return self.distortion_model == FISHEYE

    def cropped(self, x_offset: int, y_offset: int, height: int, width: int) -> CameraModel:
        """The model of a part of the picture (CameraInfo's roi)."""
        matrix = self.matrix.copy()
        matrix[0, 2] -= x_offset
        matrix[1, 2] -= y_offset
        return CameraModel(height, width, matrix, self.distortion, self.distortion_model)

    def binned(self, rows: int, columns: int) -> CameraModel:
        """The model of a picture in which that many pixels each way became one."""
        scale = np.array([1 / columns, 1 / rows, 1.0])
        matrix = self.matrix * scale[:, None]
        # The centre of the first pixel is at 0, so its corner at -1/2 is what stays in place.
        matrix[:2, 2] += (scale[:2] - 1) / 2
        return CameraModel(
            self.height // rows,
            self.width // columns,
            matrix,
            self.distortion,
            self.distortion_model,
        )


class Projection(NamedTuple):
    """Where points appear.

    Attributes:
        pixels: float64 (N, 2), column and row; the centre of the first pixel is (0, 0).
            Meaningless where a point is not seen.
        seen: bool (N,), whether a point lies in front of the camera and inside its picture.
    """

    pixels: Float64Array
    seen: BoolArray


def transform(points: Float64Array, rotation: Float64Array, shift: Float64Array) -> Float64Array:
    """Express points in another frame.

    Shape:
        points: (N, 3) [m]; rotation: (4,), quaternion x, y, z, w of any length but 0;
        shift: (3,) [m].

    Raises:
        ValueError: the quaternion is 0 or not finite.
    """
    norm = float(np.linalg.norm(rotation))
    if not 0 < norm < np.inf:
        raise ValueError(f'quaternion {rotation.tolist()} is no rotation')
    x, y, z, w = rotation / norm
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    moved: Float64Array = points @ matrix.T + shift
    return moved


def project(points: Float64Array, camera: CameraModel) -> Projection:
    """Project points of the camera's frame into its picture.

    Distortion polynomials hold for the directions that the picture shows; far outside they turn
    back, which would put points from beside the camera into the picture. Directions from there
    on are therefore not seen.

    Shape:
        points: (N, 3) [m]; those with a value that is not finite are not seen.
    """
    pixels = np.zeros((len(points), 2))
    seen: BoolArray = np.asarray(np.isfinite(points).all(axis=1))
    seen[seen] = points[seen, 2] >= NEAREST_M
    directions = points[seen, :2] / points[seen, 2:]
    seen[seen] = np.linalg.norm(directions, axis=1) <= widest_direction(camera)
    if seen.any():
        pixels[seen] = _pixels(np.ascontiguousarray(points[seen]), camera)
    column, row = pixels[:, 0], pixels[:, 1]
    inside = (column >= -0.5) & (column < camera.width - 0.5)
    inside &= (row >= -0.5) & (row < camera.height - 0.5)
    return Projection(pixels, seen & inside)


def _pixels(points: Float64Array, camera: CameraModel) -> Float64Array:
    none = np.zeros(3)
    if camera.fisheye:
        found, _ = cv2.fisheye.projectPoints(
            points[None], none, none, camera.matrix, camera.distortion
        )
    else:
        found, _ = cv2.projectPoints(points, none, none, camera.matrix, camera.distortion)
    return np.asarray(found, np.float64).reshape(-1, 2)


def widest_direction(camera: CameraModel) -> float:
    """Distance from the optical axis, at depth 1, from which on the distortion turns back."""
    if not camera.distortion.any():
        return np.inf
    away = np.concatenate([np.linspace(0, 5, 1001), np.geomspace(5.01, 100, 200)])
    points = np.stack([away, np.zeros_like(away), np.ones_like(away)], axis=1)
    turns = np.flatnonzero(np.diff(_pixels(points, camera)[:, 0]) <= 0)
    return float(away[turns[0]]) if turns.size else np.inf


def paint(points: Float64Array, labels: Uint8Array, camera: CameraModel) -> Uint8Array:
    """The label of the pixel that each point falls on.

    Every point in the picture gets one, also behind what the camera sees: nothing is hidden.

    Shape:
        points: (N, 3) of the camera's frame [m]; labels: uint8 (height, width) of the camera;
        result: uint8 (N,), 255 where a point is not seen.

    Raises:
        ValueError: the labels do not have the camera's size.
    """
    if labels.shape != (camera.height, camera.width):
        raise ValueError(
            f'labels of {labels.shape[1]}x{labels.shape[0]} do not fit CameraInfo of '
            f'{camera.width}x{camera.height}; both must be of the same camera'
        )
    pixels, seen = project(points, camera)
    column, row = np.floor(pixels[seen] + 0.5).astype(np.intp).T
    painted = np.full(len(points), IGNORE, np.uint8)
    painted[seen] = labels[row, column]
    return painted
