"""Clouds as messages, and the node that paints them, over real DDS."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import String

from hrda_core.classes import CITYSCAPES
from hrda_ros.cloud_message import camera_model, label_pixels, painted_cloud, read_cloud
from hrda_ros.label_info import label_info
from hrda_ros.process import StartError
from hrda_ros.transforms import FixedTransform

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'cloud_painter'
POINTS = np.array([[0, 0, 4.0], [0.5, 0, 2], [0, 0, -3], [50, 0, 1], [np.nan, 0, 1]])
# x forward, y left, z up, to x right, y down, z forward
TO_OPTICAL = '0 0 0 0.5 -0.5 0.5 0.5'


def cloud_of(
    points: Any, big: bool = False, row_padding: int = 0, kind: str = 'f4'
) -> PointCloud2:
    """A cloud of two rows with an intensity before and a ring behind the coordinates."""
    order = '>' if big else '<'
    layout = np.dtype(
        {
            'names': ['intensity', 'x', 'y', 'z', 'ring'],
            'formats': [order + 'f4', *[order + kind] * 3, order + 'u2'],
        }
    )
    records = np.zeros(len(points), layout)
    records['ring'] = np.arange(len(points))
    for name, column in zip('xyz', np.asarray(points).T, strict=True):
        records[name] = column
    message = PointCloud2(height=1, width=len(points), is_bigendian=big)
    types = {'f4': PointField.FLOAT32, 'f8': PointField.FLOAT64, 'u2': PointField.UINT16}
    for name in layout.names:
        kind_of, offset = layout.fields[name][:2]
        datatype = types[kind_of.newbyteorder('<').str[1:]]
        message.fields.append(PointField(name=name, offset=offset, datatype=datatype, count=1))
    message.point_step = layout.itemsize
    message.row_step = layout.itemsize * len(points) + row_padding
    message.data.frombytes(records.tobytes() + bytes(row_padding))
    message.header.frame_id = 'lidar'
    message.header.stamp.sec = 100
    return message


def info_of(height: int = 60, width: int = 100) -> CameraInfo:
    """A pinhole with its centre in the middle of the picture."""
    info = CameraInfo(height=height, width=width, distortion_model='plumb_bob')
    info.k = [80.0, 0, (width - 1) / 2, 0, 80.0, (height - 1) / 2, 0, 0, 1]
    info.p = [40.0, 0, (width - 1) / 2, 0, 0, 40.0, (height - 1) / 2, 0, 0, 0, 1, 0]
    info.d = [0.0] * 5
    return info


def label_of(labels: Any) -> Image:
    """A label image."""
    message = Image(height=labels.shape[0], width=labels.shape[1], encoding='mono8')
    message.step = labels.shape[1]
    message.data.frombytes(np.ascontiguousarray(labels).tobytes())
    message.header.frame_id = 'camera_optical_frame'
    message.header.stamp.sec, message.header.stamp.nanosec = 100, 20_000_000
    return message


def column_of(cloud: PointCloud2, name: str, kind: str) -> Any:
    """A field of all points."""
    field = next(field for field in cloud.fields if field.name == name)
    records = np.frombuffer(cloud.data, np.uint8).reshape(-1, cloud.point_step)
    end = field.offset + np.dtype(kind).itemsize
    return np.ascontiguousarray(records[:, field.offset : end]).view(kind).reshape(-1)


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('kind', ['f4', 'f8'])
def test_coordinates_are_read_whatever_the_layout(big: bool, kind: str) -> None:
    cloud = read_cloud(cloud_of(POINTS, big, row_padding=7, kind=kind))
    assert np.allclose(cloud.xyz, POINTS, equal_nan=True)


@pytest.mark.parametrize('big', [False, True])
def test_painting_keeps_every_field_and_adds_two(big: bool) -> None:
    message = cloud_of(POINTS, big, row_padding=3)
    message.fields[0].name = 'rgb'
    labels = np.array([0, 13, 255, 255, 255], np.uint8)
    painted = painted_cloud(message, read_cloud(message).records, labels, CITYSCAPES.palette)
    order = '>' if big else '<'
    assert painted.header == message.header
    assert (painted.width, len(painted.data)) == (5, 5 * painted.point_step)
    assert column_of(painted, 'ring', order + 'u2').tolist() == [0, 1, 2, 3, 4]
    assert column_of(painted, 'rgb_in', order + 'f4').tolist() == [0] * 5
    assert column_of(painted, 'label', 'u1').tolist() == labels.tolist()
    colors = column_of(painted, 'rgb', order + 'u4').tolist()
    assert colors == [0x804080, 0x00008E, 0x808080, 0x808080, 0x808080]


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda m: m.fields.pop(1), 'no field x'),
        (lambda m: setattr(m, 'data', m.data[:50]), r'the cloud has 50 bytes; expected'),
        (lambda m: setattr(m, 'row_step', 3), r'row_step 3 does not hold 5 points'),
        (lambda m: setattr(m.fields[1], 'offset', 1000), r'field x ends at byte 1004'),
    ],
)
def test_a_cloud_that_does_not_fit_is_refused(
    change: Callable[[PointCloud2], Any], reason: str
) -> None:
    message = cloud_of(POINTS)
    change(message)
    with pytest.raises(ValueError, match=reason):
        read_cloud(message)


def test_calibration_follows_rectification_region_and_binning() -> None:
    info = info_of()
    assert camera_model(info, rectified=False).matrix[0, 0] == 80
    assert camera_model(info, rectified=True).matrix[0, 0] == 40
    info.roi.x_offset, info.roi.width, info.roi.height = 20, 60, 40
    info.binning_x = info.binning_y = 2
    camera = camera_model(info, rectified=False)
    assert (camera.height, camera.width) == (20, 30)
    assert camera.matrix[0].tolist() == [40, 0, (49.5 - 20 + 0.5) / 2 - 0.5]


def test_labels_of_another_encoding_are_refused() -> None:
    with pytest.raises(ValueError, match='labels must be mono8, not rgb8'):
        label_pixels(Image(encoding='rgb8'))


@pytest.mark.parametrize('text', ['1 2 3', 'a b c d e f g', '0 0 0 0 0 0 0', '0 0 0 nan 0 0 1'])
def test_a_pose_that_is_none_ends_the_start(text: str) -> None:
    with pytest.raises(StartError, match='points_to_camera must be seven numbers'):
        FixedTransform(text)


def test_the_node_paints_what_the_camera_saw(graph: Any, start_process: Any) -> None:
    process = start_process(
        SCRIPT, '--ros-args', '-p', f"points_to_camera:='{TO_OPTICAL}'", '-p', 'tolerance_ms:=30'
    )
    painted = graph.listen('cloud_painter/points', PointCloud2, timeout_s=60)
    infos = graph.camera(topic='camera_info', kind=CameraInfo)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    classes = graph.peer.create_publisher(String, 'label_info_json', latched)
    classes.publish(String(data=json.dumps(label_info(CITYSCAPES))))
    labels, clouds = graph.camera(topic='label'), graph.camera(topic='points', kind=PointCloud2)
    picture = np.zeros((60, 100), np.uint8)
    picture[:, 50:] = 13
    forward = np.array([[4.0, -0.5, 0], [4, 0.5, 0], [-4, 0, 0]])  # right, left, behind

    def publish_until_painted() -> bool:
        infos.publish(info_of())
        clouds.publish(cloud_of(forward))
        labels.publish(label_of(picture))
        graph.spin_for(0.3)
        return bool(painted)

    graph.spin_until(publish_until_painted)
    assert column_of(painted[-1], 'label', 'u1').tolist() == [13, 0, 255]
    assert column_of(painted[-1], 'rgb', '<u4').tolist() == [0x00008E, 0x804080, 0x808080]
    assert painted[-1].header == cloud_of(forward).header
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert 'Traceback' not in output


def test_without_tf_and_pose_the_start_ends_in_one_sentence(start_process: Any) -> None:
    try:
        import tf2_ros  # noqa: F401
    except ImportError:
        process = start_process(SCRIPT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert len(output.strip().splitlines()) == 1
        assert 'give the parameter points_to_camera instead of tf' in output
    else:
        pytest.skip('tf2_ros is installed here')


TF2 = """
from geometry_msgs.msg import TransformStamped

class TransformException(Exception):
    pass

class ExtrapolationException(TransformException):
    pass

class Buffer:
    def __init__(self, node):
        pass
    def lookup_transform(self, target, source, time):
        if source != 'lidar':
            raise TransformException(f'"{source}" is not in the tree')
        found = TransformStamped()
        found.transform.translation.z = time.nanoseconds / 1e9
        found.transform.rotation.w = 1.0
        return found
    def lookup_transform_full(self, target, target_time, source, source_time, fixed):
        found = self.lookup_transform(target, source, target_time)
        found.transform.translation.x = source_time.nanoseconds / 1e9
        return found

class TransformListener:
    def __init__(self, buffer, node):
        pass
"""


@pytest.mark.parametrize(('fixed', 'shift'), [('', [0, 0, 100]), ('odom', [100, 0, 100.02])])
def test_tf_is_asked_for_both_stamps_only_with_a_fixed_frame(
    graph: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fixed: str,
    shift: list[float],
) -> None:
    pytest.importorskip('geometry_msgs')
    from hrda_ros.transforms import TfTransforms

    (tmp_path / 'tf2_ros.py').write_text(TF2)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'tf2_ros', raising=False)
    transforms = TfTransforms(graph.peer, fixed)
    camera, sensor = label_of(np.zeros((1, 1), np.uint8)).header, cloud_of(POINTS).header
    rotation, found = transforms.lookup(camera, sensor)
    assert rotation.tolist() == [0, 0, 0, 1]
    assert np.allclose(found, shift)
    sensor.frame_id = 'nowhere'
    with pytest.raises(ValueError, match='no transform: "nowhere" is not in the tree'):
        transforms.lookup(camera, sensor)


LATE_TF2 = TF2.replace(
    """        if source != 'lidar':
            raise TransformException(f'"{source}" is not in the tree')
""",
    """        self.asked = [*getattr(self, 'asked', []), time.nanoseconds]
        if self.asked.count(time.nanoseconds) < 3:
            raise ExtrapolationException('extrapolation into the future')
""",
)


def test_a_cloud_waits_for_tf_that_comes_late(
    graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('geometry_msgs')
    from hrda_ros.cloud_painter import CloudPainter

    (tmp_path / 'tf2_ros.py').write_text(LATE_TF2)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'tf2_ros', raising=False)
    painter = CloudPainter(context=graph.context)
    graph.executor.add_node(painter)
    painted = graph.listen('cloud_painter/points', PointCloud2)
    infos = graph.camera(topic='camera_info', kind=CameraInfo)
    labels, clouds = graph.camera(topic='label'), graph.camera(topic='points', kind=PointCloud2)
    cloud, label = cloud_of(POINTS), label_of(np.zeros((60, 100), np.uint8))

    def publish_others_until_painted() -> bool:
        cloud.header.stamp.sec += 1
        label.header.stamp.sec += 1
        infos.publish(info_of())
        clouds.publish(cloud)
        labels.publish(label)
        graph.spin_for(0.3)
        return bool(painted)

    graph.spin_until(publish_others_until_painted)
    graph.executor.remove_node(painter)
    painter.close()
