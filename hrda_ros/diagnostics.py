"""The node's health as a diagnostic message that a human understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from hrda_ros.image_input import SILENCE_S
from hrda_ros.statistics import STALE, WINDOW_S, Snapshot

PERIOD_S = 1.0


class Condition(NamedTuple):
    """What the frames alone do not tell.

    Attributes:
        enabled: whether frames are to be segmented at all.
        idle: whether nobody listens and the node is lazy.
        silent_s: time since the last frame [s].
        deadline_ms: time that there is for a frame [ms]; None for no limit.
        silence: what is known of the camera's publishers, in words.
        mismatch: why a publisher cannot be heard, and the remedy; '' if all can.
    """

    enabled: bool
    idle: bool
    silent_s: float
    deadline_ms: float | None = None
    silence: str = ''
    mismatch: str = ''


def judge(snapshot: Snapshot, condition: Condition) -> tuple[bytes, str]:
    """Level and message for what happened in the last seconds."""
    if not condition.enabled:
        return DiagnosticStatus.OK, 'switched off by the parameter enabled'
    if condition.mismatch and condition.silent_s > PERIOD_S:
        return DiagnosticStatus.ERROR, condition.mismatch
    if condition.silent_s > SILENCE_S:
        return DiagnosticStatus.WARN, condition.silence
    if snapshot.failing:
        level = DiagnosticStatus.WARN if snapshot.failing == STALE else DiagnosticStatus.ERROR
        return level, f'last frame dropped: {snapshot.last_error}'
    if snapshot.lately_dropped:
        return DiagnosticStatus.WARN, (
            f'{snapshot.lately_dropped} frames dropped in the last {WINDOW_S:.0f} s, at last: '
            f'{snapshot.last_error}'
        )
    if condition.idle:
        return DiagnosticStatus.OK, 'idle: nobody listens to an output image (parameter lazy)'
    if snapshot.inference_ms is None:
        return DiagnosticStatus.OK, 'waiting for the first result'
    if late := _too_tight(snapshot, condition.deadline_ms):
        return DiagnosticStatus.WARN, late
    return DiagnosticStatus.OK, (
        f'{snapshot.input_hz:.1f} Hz in, {snapshot.output_hz:.1f} Hz out, '
        f'{snapshot.inference_ms[0]:.0f} ms each'
    )


def _too_tight(snapshot: Snapshot, deadline_ms: float | None) -> str:
    """Why no frame can meet the deadline, and the remedy; '' if frames can."""
    if deadline_ms is None or snapshot.recent_ms is None or snapshot.windows is None:
        return ''
    # A window was computed where the context left time for one.
    if snapshot.windows[0] > 0 or snapshot.recent_ms <= deadline_ms:
        return ''
    together = f' of {snapshot.at_once:.1f} frames at once' if (snapshot.at_once or 1) > 1 else ''
    return (
        f'the deadline of {deadline_ms:g} ms cannot be met: the context alone{together} takes '
        f'{snapshot.recent_ms:.0f} ms; raise deadline_ms, or take a smaller network or smaller '
        'images' + (', or set batch_cameras to false' if together else '')
    )


def status_values(snapshot: Snapshot, replaced: int) -> dict[str, str]:
    """The numbers behind the message, as diagnostics want them: text by text.

    Args:
        snapshot: the frames so far.
        replaced: frames that a newer one replaced before their turn came.
    """
    p50, p95, p99 = snapshot.inference_ms or (None, None, None)
    age_ms, oldest_ms = snapshot.age_ms or (None, None)
    computed, planned = snapshot.windows or (None, None)
    return {
        'input_hz': f'{snapshot.input_hz:.2f}',
        'output_hz': f'{snapshot.output_hz:.2f}',
        'inference_ms_p50': _number(p50),
        'inference_ms_p95': _number(p95),
        'inference_ms_p99': _number(p99),
        'age_ms': _number(age_ms),
        'age_ms_max': _number(oldest_ms),
        'windows_computed': _number(computed),
        'windows_planned': _number(planned),
        'frames_at_once': _number(snapshot.at_once),
        'frames_received': str(snapshot.received),
        'frames_published': str(snapshot.processed),
        'dropped_replaced_by_newer': str(replaced),
        **{f'dropped_{reason}': str(count) for reason, count in snapshot.dropped.items()},
        'last_error': snapshot.last_error,
    }


def _number(value: float | None) -> str:
    return 'unknown' if value is None else f'{value:.1f}'


class DiagnosticsPublisher:
    """Publishes a status per camera on /diagnostics; call `publish` at 1 Hz.

    Attributes:
        hardware_id: the checkpoint in use.
    """

    def __init__(self, node: Node, hardware_id: str) -> None:
        self._node = node
        self.hardware_id = hardware_id
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish(
        self, level: bytes, message: str, values: Mapping[str, str], camera: str = ''
    ) -> None:
        """Send a status under the node's full name, followed by the camera's if it has one."""
        name = self._node.get_fully_qualified_name().lstrip('/')
        status = DiagnosticStatus(
            level=level,
            name=f'{name}: {camera}' if camera else name,
            message=message,
            hardware_id=self.hardware_id,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
