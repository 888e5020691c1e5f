"""One camera of the node: its topic, its newest frame, its results and its counts."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from rclpy.node import Node

from hrda_core.classes import ClassSet, Uint8Array
from hrda_ros.camera_info import CameraInfoRelay
from hrda_ros.decoder import Decoder
from hrda_ros.diagnostics import Condition, judge, status_values
from hrda_ros.image_input import ImageInput, ImageMessage
from hrda_ros.image_segmenter import Result
from hrda_ros.latest_frame import LatestFrame
from hrda_ros.model import Model
from hrda_ros.outputs import Outputs
from hrda_ros.settings import Settings
from hrda_ros.statistics import (
    MODEL_FAILED,
    STALE,
    UNDECODABLE,
    FrameResult,
    FrameStatistics,
)
from hrda_ros.stream_watch import StreamWatch, stamp_ns

THROTTLE_S = 5.0
LONGEST_REASON = 400


class Camera:
    """Takes images from a topic, keeps the newest, and publishes what a model says of it.

    Messages come in by the executor's thread; `take_up`, `publish` and `report_failure` are
    called by the one that runs the model.

    Args:
        node: has the topics.
        name: of the camera; its topics are NAME/image, ~/NAME/label, ..., or without a name
            image, ~/label, ...
        settings: values that hold until a restart.
        read: gives the values as they are now.
        classes: what the labels mean at first.
        decoder: turns its messages into pictures.
        changed: told of every new frame.

    Attributes:
        name: as given.
        input: the subscription.
        slot: the newest frame that waits for its turn.
        statistics: counts and rates.
        outputs: the publishers.
        size: height and width of the last frame, None before the first; set by the one that
            runs the model, once it is prepared for it.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        settings: Settings,
        read: Callable[[], Settings],
        classes: ClassSet,
        decoder: Decoder,
        changed: threading.Condition,
    ) -> None:
        self._node = node
        self._read = read
        self._logger = node.get_logger().get_child(name) if name else node.get_logger()
        self.name = name
        self.size: tuple[int, int] | None = None
        prefix = f'~/{name}' if name else '~'
        self.outputs = Outputs(node, classes, settings.min_confidence, prefix)
        self.statistics = FrameStatistics()
        self._stream = StreamWatch()
        self.slot: LatestFrame[ImageMessage] = LatestFrame(changed)
        self._decode = decoder.decode
        self.input = ImageInput(
            node,
            f'{name}/image' if name else 'image',
            settings.image_transport,
            settings.reliability,
            self._on_image,
            lambda: read().enabled,
        )
        self._info = (
            CameraInfoRelay(node, self.input.topic, name) if settings.camera_info else None
        )

    def take_up(self, message: ImageMessage) -> Uint8Array | None:
        """Decode a frame, uint8 (H, W, 3) RGB; raises what the decoder raises.

        Returns:
            None if the frame is of no use: too old, or nobody waits for it. The first is decoded
            in any case, because it tells which size the model has to be prepared for.
        """
        if self.idle and self.size is not None:
            return None
        self._watch_stream(message)
        return None if self._too_old(message) else self._decode(message)

    def publish(
        self, message: ImageMessage, image: Uint8Array, result: Result, model: Model, at_once: int
    ) -> None:
        """Publish what the model says of a frame, and count it.

        Args:
            message: the frame.
            image: its picture, uint8 (H, W, 3) RGB.
            result: of the model.
            model: where it is from.
            at_once: frames that the model worked on together.
        """
        if self.slot.closed:
            return
        self.outputs.publish(message.header, image, result, model.classes, self._read())
        if self._info is not None:
            self._info.publish(message.header)
        inference_ms = result.milliseconds
        windows = result.windows_computed, result.windows_planned
        self.statistics.count_processed(
            FrameResult(inference_ms, self._age_ms(message), windows, at_once)
        )
        height, width = result.labels.shape
        self._logger.info(f'first frame: {width}x{height}, {inference_ms:.0f} ms', once=True)
        model.look(image, self.name)

    def report_failure(self, error: Exception, model: Model) -> None:
        """Count and log a frame that is given up; make room if memory ran out."""
        if self.slot.closed or not self._node.context.ok():
            return
        # What a message holds may be quoted in full, and it may hold a megabyte of text.
        reason = (str(error) or type(error).__name__)[:LONGEST_REASON]
        if isinstance(error, ValueError):  # of the decoder, or a size that cannot be segmented
            self.statistics.count_dropped(UNDECODABLE, reason)
            self._logger.error(f'frame dropped: {reason}', throttle_duration_sec=THROTTLE_S)
            return
        self.statistics.count_dropped(MODEL_FAILED, f'{type(error).__name__}: {reason}')
        self._logger.error(
            f'frame dropped, the model failed: {type(error).__name__}: {reason}',
            throttle_duration_sec=THROTTLE_S,
        )
        self._logger.debug(traceback.format_exc())
        if done := model.make_room(error):
            self._logger.warning(f'memory ran out; from now on {done}')

    def health(self) -> tuple[bytes, str, dict[str, str]]:
        """Diagnostic level, message and values of the last seconds."""
        snapshot, settings = self.statistics.snapshot(), self._read()
        deadline_ms = settings.deadline_ms if settings.mode == 'anytime' else 0.0
        condition = Condition(
            enabled=settings.enabled,
            idle=self.idle,
            silent_s=self.input.silent_for_s(),
            deadline_ms=deadline_ms or None,
            silence=self.input.describe_silence(),
            mismatch=self.input.describe_mismatch(),
        )
        level, message = judge(snapshot, condition)
        return level, message, status_values(snapshot, self.slot.dropped)

    def log_rates(self) -> None:
        """Tell the rates of the last seconds at level debug."""
        snapshot = self.statistics.snapshot()
        if snapshot.inference_ms is not None:
            self._logger.debug(
                f'{snapshot.input_hz:.1f} Hz in, {snapshot.output_hz:.1f} Hz out, '
                f'{snapshot.inference_ms[0]:.0f} ms each, {self.slot.dropped} replaced by newer, '
                f'dropped: {dict(snapshot.dropped)}'
            )

    def _watch_stream(self, message: ImageMessage) -> None:
        if complaint := self._stream.complaint(message):
            self._logger.warning(
                f'{self.input.topic}: {complaint}', throttle_duration_sec=THROTTLE_S
            )

    def _too_old(self, message: ImageMessage) -> bool:
        age_ms, limit_ms = self._age_ms(message), self._read().max_age_ms
        if age_ms is None or not 0 < limit_ms < age_ms:
            return False
        reason = f'it is {age_ms:.0f} ms old, the parameter max_age_ms allows {limit_ms:g}'
        self.statistics.count_dropped(STALE, reason)
        self._logger.warning(f'frame dropped: {reason}', throttle_duration_sec=THROTTLE_S)
        return True

    @property
    def idle(self) -> bool:
        """Whether nobody waits for results, and the node is lazy."""
        return self._read().lazy and not self.outputs.wanted()

    def _on_image(self, message: ImageMessage) -> None:
        if self._read().enabled:
            self.statistics.count_received()
            self.slot.put(message)

    def _age_ms(self, message: ImageMessage) -> float | None:
        taken_ns = stamp_ns(message.header)
        now_ns = self._node.get_clock().now().nanoseconds
        # Simulated time without /clock reads 0, and a looped bag sends the clock back.
        return (now_ns - taken_ns) / 1e6 if now_ns >= taken_ns > 0 else None
