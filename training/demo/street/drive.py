"""Pictures of streets: a drive through one, or single views of many."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from training.demo.street.camera import Camera
from training.demo.street.layout import build_world
from training.demo.street.looks import Look, Sensor
from training.demo.street.scene import SIGHT_M, Frame, paint_scene

START_M = 12.0  # the drive begins so far behind the street's start


@lru_cache(maxsize=4)
def _camera(sensor: Sensor, width: int, height: int) -> Camera:
    return Camera(sensor, width, height)


class Drive:
    """A camera that drives along one street, frame by frame.

    Args:
        look: how the street looks, and through which sensor.
        seed: picks the street; two seeds have nothing in common but the look.
        frames: how many frames the drive has.
        rate_hz: frames per second.
        size: width and height of the image [px].
        speed: of the car [m/s].

    Raises:
        ValueError: no frames, or a rate or speed that is not positive.
    """

    def __init__(
        self,
        look: Look,
        seed: int,
        frames: int,
        rate_hz: float = 10.0,
        size: tuple[int, int] = (1024, 512),
        speed: float = 8.0,
    ) -> None:
        if frames < 1 or rate_hz <= 0 or speed <= 0:
            raise ValueError(
                f'a drive needs frames, rate and speed above 0, got {frames} frames '
                f'at {rate_hz} Hz and {speed} m/s'
            )
        self.look, self.seed, self.frames = look, seed, frames
        self.rate_hz, self.speed = rate_hz, speed
        self.camera = _camera(look.sensor, *size)
        seconds = frames / rate_hz
        rng = np.random.default_rng([seed, 0])
        self.world = build_world(
            look, rng, 0.0, START_M + speed * seconds + SIGHT_M + 20, speed, seconds
        )
        self._phases = rng.uniform(0, 2 * np.pi, 4)

    def place(self, index: int) -> tuple[float, float]:
        """Where the camera is at a frame: along the road, and right of its middle line [m]."""
        t = index / self.rate_hz
        sway = 0.22 * np.sin(0.45 * t + self._phases[0]) + 0.1 * np.sin(1.1 * t + self._phases[1])
        return START_M + self.speed * t, float(self.world.lane / 2 + sway)

    def frame(self, index: int) -> Frame:
        """Frame 0 .. frames - 1; the same index always gives the same picture.

        Raises:
            ValueError: there is no such frame.
        """
        if not 0 <= index < self.frames:
            raise ValueError(f'frame {index} is not in this drive of {self.frames} frames')
        t = index / self.rate_hz
        rng = np.random.default_rng([self.seed, 1, index])
        unit = self.camera.view.width / 1024
        nod = (1.4 * np.sin(2.3 * t + self._phases[2]) + rng.normal(0, 0.5)) * unit
        wander = self.look.sensor.exposure_wander * np.sin(0.31 * t + self._phases[3])
        s, d = self.place(index)
        painted = paint_scene(self.world, self.camera.scene_view, s, d, t, float(nod))
        return self.camera.capture(painted, rng, 1.0 + float(wander))


def snapshot(look: Look, seed: int, index: int, size: tuple[int, int] = (1024, 512)) -> Frame:
    """A single view of a street of its own; seed and index pick it."""
    rng = np.random.default_rng([seed, 2, index])
    camera = _camera(look.sensor, *size)
    world = build_world(look, rng, 0.0, SIGHT_M + 45)
    s, d = rng.uniform(START_M, START_M + 20), world.lane / 2 + rng.normal(0, 0.25)
    painted = paint_scene(
        world, camera.scene_view, s, d, rng.uniform(0, 3), rng.normal(0, 1.5) * size[0] / 1024
    )
    return camera.capture(painted, rng, 1.0 + rng.uniform(-1, 1) * look.sensor.exposure_wander)
