"""The node `segmentation`: camera images in, labels, confidence and overlay out."""

from __future__ import annotations

import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from threading import Thread
from typing import Any, NoReturn

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hrda_ros.camera import Camera
from hrda_ros.diagnostics import PERIOD_S, DiagnosticsPublisher
from hrda_ros.image_input import steady_clock
from hrda_ros.image_segmenter import ImageSegmenter, load_segmenter
from hrda_ros.model_facts import ModelFacts
from hrda_ros.parameters import NodeParameters
from hrda_ros.process import own_arguments, quiet_signals
from hrda_ros.settings import Settings, describe

LOG_PERIOD_S = 5.0
JOIN_TIMEOUT_S = 3.0
SIGNAL_POLL_S = 0.1


class SegmentationNode(Node):
    """Segments the newest frame of a camera, one at a time, in a thread of its own.

    The executor's thread only lays frames into a one-place slot, so parameters, services and
    diagnostics answer during an inference, and no frame waits for more than one inference.

    Args:
        make_segmenter: builds the model from the parameters' values.
        node_options: passed on to rclpy's Node (context, namespace, parameter_overrides, ...).

    Attributes:
        cameras: the topics that are segmented.

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
        self.cameras = (Camera(self, settings, self._values.read, self._segmenter.classes),)
        self._facts = ModelFacts(settings.checkpoint)
        self._health = DiagnosticsPublisher(self, settings.checkpoint)
        self.create_timer(PERIOD_S, self._publish_health, clock=steady_clock())
        self.create_timer(LOG_PERIOD_S, self._log_rates, clock=steady_clock())
        # A daemon, because a running inference cannot be stopped when the process ends.
        self._worker = Thread(target=self._work, name='inference', daemon=True)
        self._worker.start()
        self._log_start(settings)

    def close(self) -> None:
        """End the worker, waiting a little for a running inference, and destroy the node."""
        for camera in self.cameras:
            camera.slot.close()
        self._worker.join(JOIN_TIMEOUT_S)
        self.destroy_node()

    def _log_start(self, settings: Settings) -> None:
        for camera in self.cameras:
            self.get_logger().info(
                f'{settings.checkpoint or "model"} ({self._segmenter.description}); '
                f'{camera.input.topic} [{settings.image_transport}] -> '
                + ', '.join(camera.outputs.topics)
            )

    def _work(self) -> None:
        camera = self.cameras[0]
        while (message := camera.slot.take()) is not None:
            started_s = time.monotonic()
            try:
                camera.process(message, self._segmenter)
            except Exception as error:
                camera.report_failure(error, self._segmenter)
            max_rate = self._values.read().max_rate
            if max_rate > 0:
                camera.slot.pause(started_s + 1 / max_rate - time.monotonic())

    def _publish_health(self) -> None:
        for camera in self.cameras:
            level, message, values = camera.health()
            values |= self._facts.values(self._segmenter)
            self._health.publish(level, message, values)

    def _log_rates(self) -> None:
        for camera in self.cameras:
            camera.log_rates()


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
