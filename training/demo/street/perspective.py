"""Pinhole view of a gently winding road: road coordinates (s, d, y) in metres to pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEAR_M = 0.7  # nothing is projected from nearer than this
SIGHT_M = 500.0  # from here on the road is taken as straight


@dataclass(frozen=True)
class View:
    """A pinhole camera that looks along the road, without roll.

    Pixel centres lie at whole numbers, as in OpenCV. The horizon is the row cy.
    """

    width: int
    height: int
    focal: float  # [px]
    cx: float  # [px]
    cy: float  # [px]
    eye_m: float = 1.45  # height above the road [m]

    @classmethod
    def of_size(cls, width: int, height: int) -> View:
        """The demo's lens (68 degrees across) for an image of width x height pixels."""
        if width < 64 or height < 32:
            raise ValueError(f'a view of {width}x{height} is too small: use at least 64x32')
        return cls(width, height, 0.745 * width, (width - 1) / 2, round(0.43 * height) - 0.5)

    def padded(self, columns: int, rows: int) -> View:
        """The same camera with a wider frame: columns and rows more on each side."""
        return replace(
            self,
            width=self.width + 2 * columns,
            height=self.height + 2 * rows,
            cx=self.cx + columns,
            cy=self.cy + rows,
        )


@dataclass(frozen=True)
class RoadShape:
    """How the road winds: sine waves (amplitude [m], wavelength [m], phase [rad])."""

    waves: tuple[tuple[float, float, float], ...] = ()

    def bend(self, s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sideways position of the road's middle at the travelled distance s [m]."""
        total = np.zeros_like(s)
        for amplitude, length, phase in self.waves:
            total = total + amplitude * np.sin(2 * np.pi * s / length + phase)
        return total

    def slope(self, s: float) -> float:
        """Heading of the road at s against its mean direction (small angle) [rad]."""
        return float(
            sum(
                a * 2 * np.pi / length * np.cos(2 * np.pi * s / length + phase)
                for a, length, phase in self.waves
            )
        )


class Perspective:
    """A view from one place on the road.

    Args:
        view: the camera.
        road: how the road winds.
        s: travelled distance of the camera along the road [m].
        d: camera's place across the road, right of the middle line [m].
        pitch_px: how far the horizon moved down with the car's nodding [px].
    """

    def __init__(
        self, view: View, road: RoadShape, s: float, d: float, pitch_px: float = 0.0
    ) -> None:
        self.view = replace(view, cy=view.cy + pitch_px)
        self.road, self.s, self.d = road, s, d
        self.heading = road.slope(s)
        self._depths = np.arange(0.0, SIGHT_M, 1.0)
        ahead = road.bend(np.append(s, s + self._depths))
        self._offsets = ahead[1:] - ahead[0] - self.heading * self._depths - d

    def offset(self, z: ArrayLike) -> NDArray[np.float64]:
        """Sideways shift of the road's middle line z metres ahead, less the camera's d [m]."""
        return np.interp(z, self._depths, self._offsets)

    def points(self, s: ArrayLike, d: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Pixels (N, 2) of road coordinates (N,); what is too near is moved to NEAR_M."""
        z = np.maximum(np.subtract(s, self.s), NEAR_M)
        scale = self.view.focal / z
        u = self.view.cx + (d + self.offset(z)) * scale
        v = self.view.cy - np.subtract(y, self.view.eye_m) * scale
        result = np.empty((*np.broadcast(u, v).shape, 2))
        result[..., 0] = u
        result[..., 1] = v
        return result

    def across(self, s: float, d: float) -> float:
        """Sideways distance of (s, d) from the camera's axis, right positive [m]."""
        return d + float(self.offset(max(s - self.s, NEAR_M)))

    def scale(self, s: float) -> float:
        """Pixels per metre at s."""
        return self.view.focal / max(s - self.s, NEAR_M)

    def ground_rows(self) -> tuple[int, NDArray[np.float64]]:
        """First image row below the horizon, and the depth z of each row from there on [m]."""
        first = max(0, int(np.floor(self.view.cy)) + 1)
        rows = np.arange(first, self.view.height)
        return first, self.view.focal * self.view.eye_m / np.maximum(rows - self.view.cy, 0.25)
