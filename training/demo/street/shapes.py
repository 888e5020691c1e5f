"""Small solid things as lists of flat faces, made once and painted wherever they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.demo.street.canvas import Canvas
from training.demo.street.perspective import Perspective


class Face(NamedTuple):
    """A flat outline of a shape: which corners, of what, how bright, and with what label."""

    first: int
    last: int
    material: str
    shade: float
    label: int | None  # None: only a detail of the picture


class Shape(NamedTuple):
    """Faces in painting order.

    Shape:
        corners: (N, 3) along the road, across it, up, from the foot of the thing [m].
    """

    corners: NDArray[np.float64]
    faces: tuple[Face, ...]


class ShapeBuilder:
    """Collects the faces of a shape, farthest first."""

    def __init__(self) -> None:
        self._corners: list[NDArray[np.float64]] = []
        self._faces: list[Face] = []
        self._count = 0

    def face(
        self,
        s: ArrayLike,
        d: ArrayLike,
        y: ArrayLike,
        material: str,
        shade: float = 1.0,
        label: int | None = None,
    ) -> None:
        """Add an outline; s, d, y [m] broadcast to one value per corner."""
        corners = np.stack(np.broadcast_arrays(*(np.asarray(v, float) for v in (s, d, y))), -1)
        self._corners.append(corners)
        self._faces.append(Face(self._count, self._count + len(corners), material, shade, label))
        self._count += len(corners)

    def upright(
        self,
        d: float,
        y: tuple[float, float],
        half: float,
        material: str,
        shade: float = 1.0,
        label: int | None = None,
        taper: float = 1.0,
    ) -> None:
        """Add a standing bar around d, from y[0] to y[1], half its width at the foot [m]."""
        self.face(
            0.0,
            d + half * np.array([-1, -taper, taper, 1]),
            [y[0], y[1], y[1], y[0]],
            material,
            shade,
            label,
        )

    def disc(
        self,
        d: float,
        y: float,
        radius: tuple[float, float],
        material: str,
        shade: float = 1.0,
        label: int | None = None,
        corners: int = 16,
        turn: float = 0.0,
    ) -> None:
        """Add an ellipse or, with few corners, a polygon that faces the camera."""
        angles = np.arange(corners) * 2 * np.pi / corners + turn
        self.face(
            0.0,
            d + radius[0] * np.cos(angles),
            y + radius[1] * np.sin(angles),
            material,
            shade,
            label,
        )

    def build(self) -> Shape:
        """The finished shape."""
        return Shape(np.concatenate(self._corners), tuple(self._faces))


def paint_shape(
    canvas: Canvas,
    perspective: Perspective,
    shape: Shape,
    s: float,
    d: float,
    colors: Mapping[str, Sequence[float]],
    scale: float = 1.0,
) -> None:
    """Paint a shape that stands at (s, d) [m], in the colours (RGB, 0..255) of its materials."""
    along, across, up = (shape.corners * scale).T
    points = perspective.points(s + along, d + across, up)
    canvas.outlines(
        points,
        [(face.first, face.last) for face in shape.faces],
        [[c * face.shade for c in colors[face.material]] for face in shape.faces],
        [face.label for face in shape.faces],
        s - perspective.s,
    )
