"""Lens and sensor: what happens to a picture between the street and the recorded image."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from training.demo.street.looks import Sensor
from training.demo.street.perspective import View
from training.demo.street.scene import Frame

NOISE_SPARE = 64  # the noise tile is larger than the image by this [px]


class Camera:
    """A camera of a given sensor and image size.

    Args:
        sensor: lens, noise and tone.
        width, height: of the recorded image [px].

    Attributes:
        view: pinhole model of the recorded image, without its distortion.
        scene_view: the pinhole view to paint, wide enough for the lens to bend into the image.
        matrix: float64 (3, 3) camera matrix K of the recorded image.
        distortion: float64 (5,) plumb_bob coefficients of the recorded image.
    """

    def __init__(self, sensor: Sensor, width: int, height: int) -> None:
        self.sensor = sensor
        self.view = view = View.of_size(width, height)
        self.matrix = np.array([[view.focal, 0, view.cx], [0, view.focal, view.cy], [0, 0, 1.0]])
        self.distortion = np.array([sensor.k1, sensor.k2, 0.0, 0.0, 0.0])
        self._map = None
        self.scene_view = view
        if sensor.k1 or sensor.k2:
            self._bend_rays()
        self._table = _tone_table(sensor)
        self._noise_level = _noise_table(sensor)
        self._vignette = _vignette(view, sensor.vignette)

    def _bend_rays(self) -> None:
        """Where each recorded pixel looks in the painted picture."""
        view = self.view
        grid = np.stack(np.meshgrid(np.arange(view.width), np.arange(view.height)), axis=-1)
        rays = cv2.undistortPoints(
            grid.reshape(-1, 1, 2).astype(np.float64), self.matrix, self.distortion, P=self.matrix
        )
        place = rays.reshape(view.height, view.width, 2)
        spare = np.ceil(
            np.maximum(-place.min((0, 1)), place.max((0, 1)) - [view.width - 1, view.height - 1])
        ).astype(int)
        columns, rows = (max(int(v), 0) for v in spare)
        self.scene_view = view.padded(columns, rows)
        self._map = (place + np.array([columns, rows])).astype(np.float32)

    def capture(self, frame: Frame, rng: np.random.Generator, exposure: float = 1.0) -> Frame:
        """Record a painted picture.

        Args:
            frame: painted with scene_view.
            rng: source of noise and shake.
            exposure: factor on the sensor's own exposure.

        Returns:
            The recorded image, and labels that the lens bent in the same way (nearest pixel).
        """
        image, labels = self._through_lens(frame)
        image = self._blur(image, rng)
        if self._vignette is not None:
            image = cv2.multiply(image, self._vignette, scale=1 / 255)
        image = cv2.transform(image, _color_matrix(self.sensor, exposure))
        image = cv2.LUT(image, self._table)
        if self._noise_level is not None:
            image = self._add_noise(image, rng)
        return Frame(image, labels)

    def _through_lens(self, frame: Frame) -> Frame:
        if self._map is None:
            return frame
        image = cv2.remap(
            frame.image, self._map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        labels = cv2.remap(
            frame.labels, self._map, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        return Frame(image, labels)

    def _blur(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Defocus, and a short smear in a random direction, mostly up and down."""
        unit = self.view.width / 1024
        if self.sensor.defocus_px > 0:
            image = cv2.GaussianBlur(image, (0, 0), self.sensor.defocus_px * unit)
        length = rng.uniform(0, self.sensor.shake_px) * unit
        if length < 0.5:
            return image
        angle = rng.normal(np.pi / 2, 0.5)
        steps = np.linspace(-length / 2, length / 2, 9)
        kernel = np.zeros((7, 7), np.float32)
        for x, y in zip(3 + steps * np.cos(angle), 3 + steps * np.sin(angle), strict=True):
            kernel += np.outer(
                np.clip(1 - np.abs(np.arange(7) - y), 0, 1),
                np.clip(1 - np.abs(np.arange(7) - x), 0, 1),
            )
        return cv2.filter2D(image, -1, kernel / kernel.sum())

    def _add_noise(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        y, x = (int(v) for v in rng.integers(0, NOISE_SPARE, 2))
        noise = _noise_tile(height, width)[y : y + height, x : x + width]
        grain = cv2.multiply(noise, cv2.LUT(image, self._noise_level))
        return cv2.add(image, grain, dtype=cv2.CV_8U)


def _tone_table(sensor: Sensor) -> NDArray[np.uint8]:
    """Gamma and veiling glare, uint8 (256,)."""
    light = (np.arange(256) / 255) ** sensor.gamma
    return np.rint(255 * (sensor.lift + (1 - sensor.lift) * light)).astype(np.uint8)


def _noise_table(sensor: Sensor) -> NDArray[np.float32] | None:
    """Standard deviation of the noise for each grey level, float32 (256,)."""
    if sensor.read_noise == sensor.shot_noise == 0:
        return None
    level = np.arange(256) / 255
    return (sensor.read_noise + sensor.shot_noise * np.sqrt(level)).astype(np.float32)


def _color_matrix(sensor: Sensor, exposure: float) -> NDArray[np.float64]:
    """Saturation around the grey axis, then white balance and exposure."""
    grey = np.tile([0.299, 0.587, 0.114], (3, 1))
    mix = grey * (1 - sensor.saturation) + np.eye(3) * sensor.saturation
    return np.diag(sensor.balance) @ mix * (sensor.exposure * exposure)


def _vignette(view: View, strength: float) -> NDArray[np.uint8] | None:
    """Fall of light to the corners, uint8 (H, W, 3), 255 in the middle."""
    if strength == 0:
        return None
    x = (np.arange(view.width) - view.width / 2)[None, :]
    y = (np.arange(view.height) - view.height / 2)[:, None]
    radius = (x**2 + y**2) / (view.width**2 + view.height**2) * 4
    fall = np.rint(255 * (1 - strength * radius)).astype(np.uint8)
    return np.repeat(fall[..., None], 3, axis=2)


@lru_cache(maxsize=2)
def _noise_tile(height: int, width: int) -> NDArray[np.float32]:
    """Grain with the short correlation of a colour filter array, standard deviation 1."""
    rng = np.random.default_rng(2)
    tile = rng.standard_normal((height + NOISE_SPARE, width + NOISE_SPARE, 3), dtype=np.float32)
    tile = cv2.GaussianBlur(tile, (0, 0), 0.55)
    return tile / tile.std()
