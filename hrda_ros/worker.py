"""The thread that runs the model on the newest frames of all cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from threading import Condition, Thread
from typing import NamedTuple

from rclpy.impl.rcutils_logger import RcutilsLogger

from hrda_core.classes import Uint8Array
from hrda_ros.camera import THROTTLE_S, Camera
from hrda_ros.image_input import ImageMessage
from hrda_ros.latest_frame import Turns
from hrda_ros.model import Model
from hrda_ros.settings import Settings

JOIN_TIMEOUT_S = 3.0


class TakenUp(NamedTuple):
    """A decoded frame: its camera, its message, and its picture, uint8 (H, W, 3) RGB."""

    camera: Camera
    message: ImageMessage
    image: Uint8Array


class Worker:
    """Segments the newest frames of cameras that take turns with one model.

    With the parameter `batch_cameras`, those that wait and have one size go together; none is
    waited for. Without it, each goes alone, and none waits for more than one of each other.

    Args:
        cameras: whose slots share a condition.
        changed: that condition.
        model: what segments at first.
        read: gives the parameters as they are now.
        logger: told of batches that fail.

    Attributes:
        model: what segments from the next frame on; others may be set from any thread.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        changed: Condition,
        model: Model,
        read: Callable[[], Settings],
        logger: RcutilsLogger,
    ) -> None:
        self.model = model
        self._cameras, self._read, self._logger = cameras, read, logger
        self._turns = Turns([camera.slot for camera in cameras], changed)
        # A daemon, because a running inference cannot be stopped when the process ends.
        self._thread = Thread(target=self._work, name='inference', daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Take up no more frames."""
        for camera in self._cameras:
            camera.slot.close()

    def join(self) -> None:
        """Wait a little for a running inference, once the end is called."""
        self._thread.join(JOIN_TIMEOUT_S)

    def warm(self, model: Model) -> None:
        """Prepare a model for the frames that were seen so far; raises what it raises."""
        sizes = [camera.size for camera in self._cameras if camera.size is not None]
        for size in set(sizes):
            model.prepare(*size, self._together(sizes.count(size)))

    def _work(self) -> None:
        while True:
            taken = self._turns.take(
                self._together(min(len(self._cameras), self.model.most_images)), self._kind
            )
            if taken is None:
                return
            started_s = time.monotonic()
            model = self.model
            turns = [(self._cameras[number], message) for number, message in taken]
            for group in _of_one_size(self._take_up(turns, model)):
                self._segment(group, model)
            self._pause(turns, started_s)

    def _pause(self, turns: Sequence[tuple[Camera, ImageMessage]], started_s: float) -> None:
        """Let cameras that had their turn rest as the parameters ask for."""
        settings = self._read()
        if settings.max_rate > 0:
            for camera, _ in turns:
                camera.slot.rest(started_s + 1 / settings.max_rate)
        if len(self._cameras) == 1:  # of several, another has a frame while one waits
            self._cameras[0].slot.expect_newer(settings.wait_for_newer_ms / 1e3)

    def _together(self, count: int) -> int:
        return count if self._read().batch_cameras else 1

    def _kind(self, number: int, message: ImageMessage) -> object:
        """Equal for frames that probably have one size; compressed ones keep theirs inside."""
        if hasattr(message, 'height'):
            return message.height, message.width
        return self._cameras[number].size or number

    def _take_up(
        self, turns: Iterable[tuple[Camera, ImageMessage]], model: Model
    ) -> list[TakenUp]:
        """Decode frames and prepare the model for them; only those that somebody waits for."""
        frames = []
        for camera, message in turns:
            try:
                image = camera.take_up(message)
                if image is None:
                    continue
                self._prepare(camera, (image.shape[0], image.shape[1]), model)
            except Exception as error:
                camera.report_failure(error, model)
                continue
            if not camera.idle:
                frames.append(TakenUp(camera, message, image))
        return frames

    def _prepare(self, camera: Camera, size: tuple[int, int], model: Model) -> None:
        others = sum(other.size == size for other in self._cameras if other is not camera)
        model.prepare(*size, self._together(1 + others))
        camera.size = size

    def _segment(self, frames: Sequence[TakenUp], model: Model) -> None:
        """Segment frames of one size and publish; if they fail together, each on its own."""
        images, streams = [f.image for f in frames], [f.camera.name for f in frames]
        try:
            results = model.segment_batch(images, streams, self._read())
        except Exception as error:
            if len(frames) == 1:
                frames[0].camera.report_failure(error, model)
                return
            self._report_batch(error, len(frames), model)
            for frame in frames:
                self._segment([frame], model)
            return
        for frame, result in zip(frames, results, strict=True):
            try:
                frame.camera.publish(frame.message, frame.image, result, model, len(frames))
            except Exception as error:
                frame.camera.report_failure(error, model)

    def _report_batch(self, error: Exception, count: int, model: Model) -> None:
        self._logger.warning(
            f'{count} frames at once failed ({type(error).__name__}: '
            f'{str(error).partition(chr(10))[0]}), so each is segmented on its own',
            throttle_duration_sec=THROTTLE_S,
        )
        if done := model.make_room(error):
            self._logger.warning(f'memory ran out; from now on {done}')


def _of_one_size(frames: Iterable[TakenUp]) -> list[list[TakenUp]]:
    ordered = sorted(frames, key=_size)
    return [list(group) for _, group in groupby(ordered, key=_size)]


def _size(frame: TakenUp) -> tuple[int, int]:
    return frame.image.shape[0], frame.image.shape[1]
