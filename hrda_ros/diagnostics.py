"""The node's health as a diagnostic message that a human understands."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from hrda_ros.image_input import SILENCE_S
from hrda_ros.statistics import Snapshot

PERIOD_S = 1.0


def judge(snapshot: Snapshot, enabled: bool, idle: bool, silent_s: float) -> tuple[bytes, str]:
    """Level and message for what happened in the last seconds."""
    if not enabled:
        return DiagnosticStatus.OK, 'switched off by the parameter enabled'
    if silent_s > SILENCE_S:
        return DiagnosticStatus.WARN, f'no frame for {silent_s:.0f} s'
    if snapshot.failing:
        return DiagnosticStatus.ERROR, f'last frame failed: {snapshot.last_error}'
    if idle:
        return DiagnosticStatus.OK, 'idle: nobody listens to an output image (parameter lazy)'
    if snapshot.inference_ms is None:
        return DiagnosticStatus.OK, 'waiting for the first result'
    return DiagnosticStatus.OK, (
        f'{snapshot.input_hz:.1f} Hz in, {snapshot.output_hz:.1f} Hz out, '
        f'{snapshot.inference_ms:.0f} ms each'
    )


def status_values(snapshot: Snapshot, dropped: int) -> dict[str, str]:
    """The numbers behind the message, as diagnostics want them: text by text."""
    return {
        'input_hz': f'{snapshot.input_hz:.2f}',
        'output_hz': f'{snapshot.output_hz:.2f}',
        'inference_ms': _number(snapshot.inference_ms),
        'age_ms': _number(snapshot.age_ms),
        'frames_received': str(snapshot.received),
        'frames_published': str(snapshot.processed),
        'frames_replaced_by_newer': str(dropped),
        'frames_failed': str(snapshot.failed),
        'last_error': snapshot.last_error,
    }


def _number(value: float | None) -> str:
    return 'unknown' if value is None else f'{value:.1f}'


class DiagnosticsPublisher:
    """Publishes one status on /diagnostics; call `publish` at 1 Hz."""

    def __init__(self, node: Node, hardware_id: str) -> None:
        self._node = node
        self._hardware_id = hardware_id
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish(self, level: bytes, message: str, values: Mapping[str, str]) -> None:
        """Send a status under the node's full name."""
        status = DiagnosticStatus(
            level=level,
            name=self._node.get_fully_qualified_name().lstrip('/'),
            message=message,
            hardware_id=self._hardware_id,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
