"""Painting image and labels at once, far things first, with haze."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training.demo.street.textures import Mipmap

Color = Sequence[float]
SHIFT = 4  # polygons are drawn with 1/16 pixel


class Canvas:
    """An RGB image and its labels, painted together.

    Every outline is filled once into the labels (hard) and once into the image (smooth), from
    the same corners, so that the labels are exact. Outlines are drawn half a pixel smaller,
    since OpenCV also fills the pixels that the border touches.

    Args:
        width, height: size in pixels.
        haze: colour that far things fade to (R, G, B).
        haze_m: distance at which 63 % of the haze is reached [m].

    Attributes:
        image: uint8 (H, W, 3) RGB.
        labels: uint8 (H, W) train ids.
    """

    def __init__(self, width: int, height: int, haze: Color, haze_m: float) -> None:
        self.image = np.zeros((height, width, 3), np.uint8)
        self.labels = np.zeros((height, width), np.uint8)
        self.haze = np.asarray(haze, np.float64)
        self._haze = tuple(float(c) for c in haze)
        self.haze_m = haze_m

    def fade(self, z: float) -> float:
        """Share of haze at distance z [m], 0..1."""
        return 1.0 - math.exp(-z / self.haze_m)

    def tone(self, color: Color, z: float) -> tuple[float, float, float]:
        """The colour as it looks through z metres of haze."""
        share = self.fade(z)
        r, g, b = (
            min(max(float(c) * (1 - share) + h * share, 0.0), 255.0)
            for c, h in zip(color, self._haze, strict=True)
        )
        return r, g, b

    def polygon(
        self, points: NDArray[np.float64], color: Color, z: float = 0.0, label: int | None = None
    ) -> None:
        """Fill an outline of pixels (N, 2); label None paints only the image."""
        self.outlines(points, [(0, len(points))], [color], [label], z)

    def outlines(
        self,
        points: NDArray[np.float64],
        bounds: Sequence[tuple[int, int]],
        colors: Sequence[Color],
        labels: Sequence[int | None],
        z: float,
    ) -> None:
        """Fill several outlines, one after the other.

        Args:
            points: corners of all outlines (N, 2) [px].
            bounds: first and last (exclusive) corner of each outline.
            colors: one per outline.
            labels: train ids; None paints only the image.
            z: distance of them all [m].
        """
        height, width = self.labels.shape
        starts = [first for first, _ in bounds]
        low = np.minimum.reduceat(points, starts)
        high = np.maximum.reduceat(points, starts)
        seen = (high >= -1).all(axis=1) & (low <= [width, height]).all(axis=1)
        if not seen.any():
            return
        middle = np.repeat((low + high) / 2, [last - first for first, last in bounds], axis=0)
        inset = np.minimum(np.maximum(middle, points - 0.5), points + 0.5)
        fixed = np.rint(inset * (1 << SHIFT)).astype(np.int32)
        for (first, last), color, label, visible in zip(
            bounds, colors, labels, seen.tolist(), strict=True
        ):
            if visible:
                outline = [fixed[first:last]]
                cv2.fillPoly(self.image, outline, self.tone(color, z), cv2.LINE_AA, SHIFT)
                if label is not None:
                    cv2.fillPoly(self.labels, outline, label, cv2.LINE_8, SHIFT)

    def disc(
        self,
        center: tuple[float, float],
        radius: tuple[float, float],
        color: Color,
        z: float = 0.0,
        label: int | None = None,
        corners: int = 16,
    ) -> None:
        """Fill an upright ellipse around center with half axes radius [px]."""
        turn = np.arange(corners) * (2 * np.pi / corners)
        points = np.stack(
            [center[0] + radius[0] * np.cos(turn), center[1] + radius[1] * np.sin(turn)], axis=-1
        )
        self.polygon(points, color, z, label)

    def line(self, points: NDArray[np.float64], color: Color, z: float = 0.0) -> None:
        """A smooth line, one pixel wide, through pixels (N, 2), in the image only."""
        fixed = np.rint(points * (1 << SHIFT)).astype(np.int32)
        cv2.polylines(self.image, [fixed], False, self.tone(color, z), 1, cv2.LINE_AA, SHIFT)

    def facade(
        self,
        texture: Mipmap,
        corners: NDArray[np.float64],
        depths: tuple[float, float],
        label: int,
        gain: float = 1.0,
        span: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Stretch a texture over a flat upright face.

        Args:
            texture: uint8 (h, w, 3).
            corners: pixels (4, 2) of its upper left, upper right, lower right, lower left.
            depths: distance of the texture's left and right edge [m].
            label: train id of the face.
            gain: light on the face.
            span: which part of the texture's width is shown, 0..1 from the left.
        """
        box = self._clip(corners)
        if box is None:
            return
        x1, y1, x2, y2 = box
        size = np.maximum(np.ptp(corners, axis=0), 1)
        shown = texture.width * max(span[1] - span[0], 1e-3)
        level = texture.level(float(np.sqrt(size[0] * size[1] / (shown * texture.height))))
        h, w = level.shape[:2]
        a, b = span[0] * w, span[1] * w
        source = np.array([[a, 0], [b, 0], [b, h], [a, h]], np.float32) - 0.5
        target = (corners - [x1, y1]).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        patch = cv2.warpPerspective(
            level,
            matrix,
            (x2 - x1, y2 - y1),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        mask = np.zeros(patch.shape[:2], np.uint8)
        fixed = np.rint(target * (1 << SHIFT)).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 1, cv2.LINE_8, SHIFT)
        self.labels[y1:y2, x1:x2][mask > 0] = label
        patch = self._light(patch, self._column_fade(corners, depths, x1, x2), gain)
        cv2.copyTo(patch, mask, self.image[y1:y2, x1:x2])

    def _column_fade(
        self, corners: NDArray[np.float64], depths: tuple[float, float], x1: int, x2: int
    ) -> NDArray[np.float32]:
        """Haze per column: 1/z is linear across the image of a flat face."""
        left, right = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
        place = (np.arange(x1, x2) - left[0]) / (right[0] - left[0] or 1e-6)
        inverse = (1 - np.clip(place, 0, 1)) / depths[0] + np.clip(place, 0, 1) / depths[1]
        return (1 - np.exp(-1 / (np.maximum(inverse, 1e-6) * self.haze_m))).astype(np.float32)

    def _light(
        self, patch: NDArray[np.uint8], fade: NDArray[np.float32], gain: float
    ) -> NDArray[np.uint8]:
        keep = np.repeat(((1 - fade) * gain)[None, :, None], 3, axis=2)
        add = fade[None, :, None] * self.haze.astype(np.float32) + 0.5
        return np.clip(patch * keep + add, 0, 255).astype(np.uint8)

    def sprite(
        self,
        texture: Mipmap,
        left: float,
        top: float,
        width: float,
        height: float,
        z: float,
        label: int,
        flip: bool = False,
        gain: float = 1.0,
    ) -> None:
        """Stamp a picture with transparency; labels follow where it is more than half opaque.

        Args:
            texture: uint8 (h, w, 4), colours already multiplied with the opacity.
            left: where its left edge goes [px].
            top: where its upper edge goes [px].
            width: as shown [px].
            height: as shown [px].
            z: distance [m].
            label: train id.
            flip: mirror it sideways.
            gain: light on it.
        """
        box = self._clip(np.array([[left, top], [left + width, top + height]]))
        if box is None:
            return
        x1, y1, x2, y2 = box
        level = texture.level(max(width / texture.width, height / texture.height))
        h, w = level.shape[:2]
        ax, ay = width / w, height / h
        if flip:
            ax, left = -ax, left + width
        matrix = np.array([[ax, 0, left - x1 + ax / 2 - 0.5], [0, ay, top - y1 + ay / 2 - 0.5]])
        patch = cv2.warpAffine(
            level,
            matrix,
            (x2 - x1, y2 - y1),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(0, 0, 0, 0),
        )
        alpha = patch[..., 3]
        self.labels[y1:y2, x1:x2][alpha >= 128] = label
        self._blend(patch, self.image[y1:y2, x1:x2], self.fade(z), gain)

    def _blend(
        self, patch: NDArray[np.uint8], under: NDArray[np.uint8], share: float, gain: float
    ) -> None:
        """Lay premultiplied RGBA over an image region, in place."""
        light = np.zeros((3, 4))
        light[:, :3] = np.eye(3) * (gain * (1 - share))
        light[:, 3] = self.haze * (share / 255)
        over = cv2.transform(patch, light)
        rest = cv2.bitwise_not(cv2.merge([patch[..., 3]] * 3))
        under[:] = cv2.add(over, cv2.multiply(under, rest, scale=1 / 255))

    def _clip(self, points: NDArray[np.float64]) -> tuple[int, int, int, int] | None:
        """The pixels that an outline may touch (x1, y1, x2, y2), half open; None if unseen."""
        height, width = self.labels.shape
        low = np.floor(points.min(axis=0)).astype(int)
        high = np.ceil(points.max(axis=0)).astype(int) + 1
        x1, y1 = max(int(low[0]), 0), max(int(low[1]), 0)
        x2, y2 = min(int(high[0]), width), min(int(high[1]), height)
        return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None
