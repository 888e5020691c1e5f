"""One camera of the node: its topic, its newest frame, its results and its counts."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

from rclpy.node import Node

from hrda_core.classes import ClassSet
from hrda_core.image_codec import decode_compressed, decode_image
from hrda_ros.camera_info import CameraInfoRelay
from hrda_ros.diagnostics import judge, status_values
from hrda_ros.image_input import ImageInput, ImageMessage
from hrda_ros.image_segmenter import ImageSegmenter
from hrda_ros.latest_frame import LatestFrame
from hrda_ros.outputs import Outputs
from hrda_ros.settings import Settings
from hrda_ros.statistics import FrameStatistics

THROTTLE_S = 5.0


class Camera:
    """Takes images from a topic, keeps the newest, and publishes what a model says of it.

    Messages come in by the executor's thread; `process` and `report_failure` are called by the
    one that runs the model.

    Args:
        node: has the topics.
        settings: values that hold until a restart.
        read: gives the values as they are now.
        classes: what the labels mean.

    Attributes:
        input: the subscription.
        slot: the newest frame that waits for its turn.
        statistics: counts and rates.
        outputs: the publishers.
    """

    def __init__(
        self, node: Node, settings: Settings, read: Callable[[], Settings], classes: ClassSet
    ) -> None:
        self._node = node
        self._read = read
        self.outputs = Outputs(node, classes, settings.min_confidence)
        self.statistics = FrameStatistics()
        self.slot: LatestFrame[ImageMessage] = LatestFrame()
        self._warm_sizes: set[tuple[int, int]] = set()
        self._decode = (
            decode_compressed if settings.image_transport == 'compressed' else decode_image
        )
        self.input = ImageInput(
            node,
            settings.image_transport,
            settings.reliability,
            self._on_image,
            lambda: read().enabled,
        )
        self._info = CameraInfoRelay(node, self.input.topic) if settings.camera_info else None

    def process(self, message: ImageMessage, segmenter: ImageSegmenter) -> None:
        """Decode and segment a frame and publish the results; raises what either raises.

        A frame that nobody waits for only prepares the model, if that has not been done yet.
        """
        idle = self._idle()
        if idle and self._warm_sizes:
            return
        image = self._decode(message)
        self._warm_up(segmenter, image.shape[0], image.shape[1])
        if idle:
            return
        started_s = time.monotonic()
        result = segmenter.segment(image)
        inference_ms = (time.monotonic() - started_s) * 1000
        if self.slot.closed:
            return
        self.outputs.publish(message.header, image, result, self._read())
        if self._info is not None:
            self._info.publish(message.header)
        self.statistics.count_processed(inference_ms, self._age_ms(message))
        height, width = image.shape[:2]
        self._node.get_logger().info(
            f'first frame: {width}x{height}, {inference_ms:.0f} ms', once=True
        )

    def report_failure(self, error: Exception) -> None:
        """Count and log a frame that `process` could not finish."""
        if self.slot.closed or not self._node.context.ok():
            return
        reason = str(error) or type(error).__name__
        self.statistics.count_failed(reason)
        logger = self._node.get_logger()
        if isinstance(error, ValueError):  # of the decoder, or a size that cannot be segmented
            logger.error(f'frame dropped: {reason}', throttle_duration_sec=THROTTLE_S)
        else:
            logger.error(
                f'frame dropped, the model failed: {type(error).__name__}: {reason}',
                throttle_duration_sec=THROTTLE_S,
            )
            logger.debug(traceback.format_exc())

    def health(self) -> tuple[bytes, str, dict[str, str]]:
        """Diagnostic level, message and values of the last seconds."""
        snapshot = self.statistics.snapshot()
        level, message = judge(
            snapshot, self._read().enabled, self._idle(), self.input.silent_for_s()
        )
        return level, message, status_values(snapshot, self.slot.dropped)

    def log_rates(self) -> None:
        """Tell the rates of the last seconds at level debug."""
        snapshot = self.statistics.snapshot()
        if snapshot.inference_ms is not None:
            self._node.get_logger().debug(
                f'{snapshot.input_hz:.1f} Hz in, {snapshot.output_hz:.1f} Hz out, '
                f'{snapshot.inference_ms:.0f} ms each, {self.slot.dropped} replaced by newer, '
                f'{snapshot.failed} failed'
            )

    def _idle(self) -> bool:
        return self._read().lazy and not self.outputs.wanted()

    def _on_image(self, message: ImageMessage) -> None:
        if self._read().enabled:
            self.statistics.count_received()
            self.slot.put(message)

    def _warm_up(self, segmenter: ImageSegmenter, height: int, width: int) -> None:
        """Prepare for a new size of images, so that no frame counts as slow for being first."""
        if (height, width) in self._warm_sizes:
            return
        logger = self._node.get_logger()
        logger.info(f'warming up for images of {width}x{height}')
        started_s = time.monotonic()
        each_ms = segmenter.warm_up(height, width)
        self._warm_sizes.add((height, width))
        spent_s = time.monotonic() - started_s
        logger.info(f'warm after {spent_s:.1f} s: {each_ms:.0f} ms a frame')

    def _age_ms(self, message: ImageMessage) -> float | None:
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        now_ns = self._node.get_clock().now().nanoseconds
        # Simulated time without /clock reads 0, and a looped bag sends the clock back.
        return (now_ns - stamp_ns) / 1e6 if now_ns >= stamp_ns > 0 else None
