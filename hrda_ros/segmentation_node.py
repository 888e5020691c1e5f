"""The node `segmentation`: camera images in, labels, confidence and overlay out."""

from __future__ import annotations

import time
import traceback
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hrda_core.classes import ClassSet
from hrda_core.image_codec import decode_compressed, decode_image
from hrda_ros.diagnostics import PERIOD_S, DiagnosticsPublisher, judge, status_values
from hrda_ros.image_input import ImageInput, ImageMessage, steady_clock
from hrda_ros.latest_frame import LatestFrame
from hrda_ros.outputs import Outputs, Result
from hrda_ros.parameters import NodeParameters
from hrda_ros.process import StartError, explain_missing, own_arguments, quiet_signals
from hrda_ros.settings import Settings, describe
from hrda_ros.statistics import FrameStatistics

THROTTLE_S = 5.0
LOG_PERIOD_S = 5.0
JOIN_TIMEOUT_S = 3.0
SIGNAL_POLL_S = 0.1


class ImageSegmenter(Protocol):
    """What the node needs of hrda_core's Segmenter; tests bring a smaller one."""

    classes: ClassSet
    description: str

    def segment(self, image: npt.NDArray[np.uint8]) -> Result:
        """Label an image, uint8 (H, W, 3) RGB."""

    def warm_up(self, height: int, width: int) -> float:
        """Prepare for images of a size; returns the time of one [ms]."""


def load_segmenter(settings: Settings) -> ImageSegmenter:
    """Load the checkpoint that the parameters name.

    Raises:
        StartError: no checkpoint is named, it cannot be used, or torch is missing.
    """
    if not settings.checkpoint:
        raise StartError(
            'no checkpoint given; add checkpoint:=/path/to/model.safetensors to ros2 launch, '
            'or --ros-args -p checkpoint:=/path/to/model.safetensors to ros2 run'
        )
    if not Path(settings.checkpoint).is_file():
        raise StartError(f'checkpoint {settings.checkpoint} is not a file')
    try:
        # Here, because an interpreter without torch must still get to its one sentence.
        from hrda_core.segmenter import Segmenter
        from hrda_ros.inference import inference_settings

        return Segmenter.from_checkpoint(settings.checkpoint, inference_settings(settings))
    except ImportError as error:
        raise StartError(explain_missing(error)) from error
    except (ValueError, OSError, RuntimeError) as error:
        raise StartError(str(error).partition('\n')[0]) from error


class SegmentationNode(Node):
    """Segments the newest frame of a camera, one at a time, in a thread of its own.

    The executor's thread only lays frames into a one-place slot, so parameters, services and
    diagnostics answer during an inference, and no frame waits for more than one inference.

    Args:
        make_segmenter: builds the model from the parameters' values.
        node_options: passed on to rclpy's Node (context, namespace, parameter_overrides, ...).

    Raises:
        StartError: a parameter's value or the checkpoint is refused.
    """

    def __init__(
        self,
        make_segmenter: Callable[[Settings], ImageSegmenter] = load_segmenter,
        **node_options: Any,
    ) -> None:
        super().__init__(
            'segmentation', automatically_declare_parameters_from_overrides=True, **node_options
        )
        self._values = NodeParameters(self)
        settings = self._values.read()
        self._segmenter = make_segmenter(settings)
        self._outputs = Outputs(self, self._segmenter.classes)
        self._statistics = FrameStatistics()
        self._slot: LatestFrame[ImageMessage] = LatestFrame()
        self._warm_sizes: set[tuple[int, int]] = set()
        self._decode = (
            decode_compressed if settings.image_transport == 'compressed' else decode_image
        )
        self._input = ImageInput(
            self,
            settings.image_transport,
            settings.reliability,
            self._on_image,
            lambda: self._values.read().enabled,
        )
        self._health = DiagnosticsPublisher(self, settings.checkpoint)
        self.create_timer(PERIOD_S, self._publish_health, clock=steady_clock())
        self.create_timer(LOG_PERIOD_S, self._log_rates, clock=steady_clock())
        # A daemon, because a running inference cannot be stopped when the process ends.
        self._worker = Thread(target=self._work, name='inference', daemon=True)
        self._worker.start()
        self._log_start(settings)

    def close(self) -> None:
        """End the worker, waiting a little for a running inference, and destroy the node."""
        self._slot.close()
        self._worker.join(JOIN_TIMEOUT_S)
        self.destroy_node()

    def _log_start(self, settings: Settings) -> None:
        self.get_logger().info(
            f'{settings.checkpoint or "model"} ({self._segmenter.description}); '
            f'{self._input.topic} [{settings.image_transport}] -> '
            + ', '.join(self._outputs.topics)
        )

    def _on_image(self, message: ImageMessage) -> None:
        if self._values.read().enabled:
            self._statistics.count_received()
            self._slot.put(message)

    def _work(self) -> None:
        while (message := self._slot.take()) is not None:
            started_s = time.monotonic()
            try:
                self._process(message)
            except Exception as error:
                self._report_failure(error)
            max_rate = self._values.read().max_rate
            if max_rate > 0:
                self._slot.pause(started_s + 1 / max_rate - time.monotonic())

    def _process(self, message: ImageMessage) -> None:
        image = self._decode(message)
        self._warm_up(image.shape[0], image.shape[1])
        started_s = time.monotonic()
        result = self._segmenter.segment(image)
        inference_ms = (time.monotonic() - started_s) * 1000
        if self._slot.closed:
            return
        self._outputs.publish(message.header, image, result, self._values.read().overlay_alpha)
        self._statistics.count_processed(inference_ms, self._age_ms(message))
        height, width = image.shape[:2]
        self.get_logger().info(f'first frame: {width}x{height}, {inference_ms:.0f} ms', once=True)

    def _warm_up(self, height: int, width: int) -> None:
        """Prepare for a new size of images, so that no frame counts as slow for being first."""
        if (height, width) in self._warm_sizes:
            return
        self.get_logger().info(f'warming up for images of {width}x{height}')
        started_s = time.monotonic()
        each_ms = self._segmenter.warm_up(height, width)
        self._warm_sizes.add((height, width))
        spent_s = time.monotonic() - started_s
        self.get_logger().info(f'warm after {spent_s:.1f} s: {each_ms:.0f} ms a frame')

    def _report_failure(self, error: Exception) -> None:
        if self._slot.closed or not self.context.ok():
            return
        reason = str(error) or type(error).__name__
        self._statistics.count_failed(reason)
        if isinstance(error, ValueError):  # of the decoder, or a size that cannot be segmented
            self.get_logger().error(f'frame dropped: {reason}', throttle_duration_sec=THROTTLE_S)
        else:
            self.get_logger().error(
                f'frame dropped, the model failed: {type(error).__name__}: {reason}',
                throttle_duration_sec=THROTTLE_S,
            )
            self.get_logger().debug(traceback.format_exc())

    def _age_ms(self, message: ImageMessage) -> float | None:
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        now_ns = self.get_clock().now().nanoseconds
        # Simulated time without /clock reads 0, and a looped bag sends the clock back.
        return (now_ns - stamp_ns) / 1e6 if now_ns >= stamp_ns > 0 else None

    def _publish_health(self) -> None:
        snapshot = self._statistics.snapshot()
        level, message = judge(snapshot, self._values.read().enabled, self._input.silent_for_s())
        values = status_values(snapshot, self._slot.dropped)
        values['model'] = self._segmenter.description
        self._health.publish(level, message, values)

    def _log_rates(self) -> None:
        snapshot = self._statistics.snapshot()
        if snapshot.inference_ms is not None:
            self.get_logger().debug(
                f'{snapshot.input_hz:.1f} Hz in, {snapshot.output_hz:.1f} Hz out, '
                f'{snapshot.inference_ms:.0f} ms each, {self._slot.dropped} replaced by newer, '
                f'{snapshot.failed} failed'
            )


def main(make_segmenter: Callable[[Settings], ImageSegmenter] = load_segmenter) -> int:
    """Run the node until SIGINT or SIGTERM; the exit code of the process."""
    ArgumentParser(
        prog='segment',
        description='Segment a camera topic: set parameters with --ros-args -p NAME:=VALUE.',
        epilog='parameters:\n' + describe(),
        formatter_class=RawDescriptionHelpFormatter,
    ).parse_args(own_arguments())
    # The handlers of rclpy end the context from a thread of their own, which at times collides
    # with our ending it; those of `process` raise KeyboardInterrupt here.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = SegmentationNode(make_segmenter)
        try:
            _spin(node)
        finally:
            quiet_signals()
            node.close()
    except KeyboardInterrupt:
        pass
    finally:
        quiet_signals()
        rclpy.try_shutdown()
    return 0


def _spin(node: Node) -> NoReturn:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while True:
        executor.spin_once(timeout_sec=SIGNAL_POLL_S)
