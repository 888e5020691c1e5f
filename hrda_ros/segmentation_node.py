"""The node `segmentation`: camera images in, labels, confidence and overlay out."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
from typing import Any

from rclpy.node import Node

from hrda_ros.camera import Camera
from hrda_ros.decoder import choose_decoder
from hrda_ros.diagnostics import PERIOD_S, DiagnosticsPublisher
from hrda_ros.image_input import steady_clock
from hrda_ros.image_segmenter import ImageSegmenter, check_checkpoint, load_segmenter
from hrda_ros.model import Model
from hrda_ros.parameters import NodeParameters
from hrda_ros.services import ReloadService, offer_enable
from hrda_ros.settings import Settings, describe
from hrda_ros.spinning import run_node
from hrda_ros.worker import Worker

LOG_PERIOD_S = 5.0


class SegmentationNode(Node):
    """Segments the newest frames of its cameras in a thread of its own.

    The executor's thread only lays frames into a one-place slot per camera, so parameters,
    services and diagnostics answer during an inference. The cameras share one model.

    Args:
        make_segmenter: builds the model from the parameters' values.
        check_checkpoint: raises ValueError for a file that it could not be built from.
        node_options: passed on to rclpy's Node (context, namespace, parameter_overrides, ...).

    Attributes:
        cameras: the topics that are segmented.

    Raises:
        StartError: a parameter's value or the checkpoint is refused.
    """

    def __init__(
        self,
        make_segmenter: Callable[[Settings], ImageSegmenter] = load_segmenter,
        check_checkpoint: Callable[[str], None] = check_checkpoint,
        **node_options: Any,
    ) -> None:
        super().__init__(
            'segmentation', automatically_declare_parameters_from_overrides=True, **node_options
        )
        self._values = NodeParameters(self, Settings, {'checkpoint': check_checkpoint})
        self._make_segmenter = make_segmenter
        settings = self._values.read()
        model = self._load(settings)
        decoder = choose_decoder(settings.image_transport)
        self.get_logger().info(decoder.reason)
        changed, read, classes = Condition(), self._values.read, model.classes
        self.cameras = tuple(
            Camera(self, name, settings, read, classes, decoder, changed)
            for name in settings.cameras
        )
        self._health = DiagnosticsPublisher(self, settings.checkpoint)
        self.create_timer(PERIOD_S, self._publish_health, clock=steady_clock())
        self.create_timer(LOG_PERIOD_S, self._log_rates, clock=steady_clock())
        offer_enable(self)
        self._reload_service = ReloadService(self, self.reload)
        self._worker = Worker(self.cameras, changed, model, read, self.get_logger())
        self._log_start(settings)

    def close(self) -> None:
        """End the worker, waiting a little for a running inference, and destroy the node."""
        self._worker.end()
        self._reload_service.close()
        self._worker.join()
        self.destroy_node()

    def reload(self) -> str:
        """Load the checkpoint that the parameter names now, and use it from the next frame on.

        The old model serves until the new one is warm for the sizes of images in use.

        Returns:
            What is in use now.

        Raises:
            Exception: the new model cannot be used; the old one stays.
        """
        model = self._load(self._values.read())
        self._worker.warm(model)
        self._worker.model = model
        self._health.hardware_id = model.checkpoint
        return str(model)

    def _load(self, settings: Settings) -> Model:
        segmenter = self._make_segmenter(settings)
        return Model(segmenter, settings.checkpoint, self.get_logger().info)

    def _log_start(self, settings: Settings) -> None:
        self.get_logger().info(str(self._worker.model))
        if settings.mode == 'exact' and settings.limited:
            self.get_logger().warning(
                'threshold, budget and deadline_ms have no effect in mode exact; set mode: anytime'
            )
        for camera in self.cameras:
            self.get_logger().info(
                f'{camera.input.topic} [{settings.image_transport}] -> '
                + ', '.join(camera.outputs.topics)
            )

    def _publish_health(self) -> None:
        for camera in self.cameras:
            level, message, values = camera.health()
            values |= self._worker.model.facts(camera.name)
            self._health.publish(level, message, values, camera.name)

    def _log_rates(self) -> None:
        for camera in self.cameras:
            camera.log_rates()


def main(
    make_segmenter: Callable[[Settings], ImageSegmenter] = load_segmenter,
    made: Callable[[SegmentationNode], None] = lambda node: None,
) -> int:
    """Run the node until SIGINT or SIGTERM; the exit code of the process.

    Args:
        make_segmenter: see `SegmentationNode`.
        made: gets the node before it spins.
    """

    def make_node() -> SegmentationNode:
        node = SegmentationNode(make_segmenter)
        made(node)
        return node

    return run_node(
        make_node,
        prog='segment',
        description='Segment a camera topic: set parameters with --ros-args -p NAME:=VALUE.',
        parameters=describe(),
    )
