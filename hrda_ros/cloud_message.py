"""PointCloud2 messages: coordinates out, labels and colours in, every other field kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from hrda_core.classes import IGNORE
from hrda_ros.cloud_geometry import CameraModel

Uint8Array = npt.NDArray[np.uint8]
COORDINATES = {PointField.FLOAT32: 'f4', PointField.FLOAT64: 'f8'}
UNLABELLED_GREY = 128
ADDED_BYTES = 8
ALIGNMENT = 4


class Cloud(NamedTuple):
    """The points of a message.

    Attributes:
        records: uint8 (N, point_step), each point's bytes.
        xyz: float64 (N, 3) [m].
    """

    records: Uint8Array
    xyz: npt.NDArray[np.float64]


def read_cloud(message: PointCloud2) -> Cloud:
    """The points of a cloud, whatever its fields, byte order and row padding.

    Raises:
        ValueError: it has no x, y, z of floats, or its sizes do not fit its data.
    """
    records = _records(message)
    fields = {field.name: field for field in message.fields}
    order = '>' if message.is_bigendian else '<'
    columns = []
    for name in 'xyz':
        field = fields.get(name)
        if field is None or field.datatype not in COORDINATES:
            raise ValueError(f'the cloud has no field {name} of float32 or float64')
        kind = np.dtype(order + COORDINATES[field.datatype])
        end = field.offset + kind.itemsize
        if end > message.point_step:
            raise ValueError(f'field {name} ends at byte {end} of {message.point_step}')
        column = np.ascontiguousarray(records[:, field.offset : end])
        columns.append(column.view(kind).reshape(-1).astype(np.float64))
    return Cloud(records, np.stack(columns, axis=1))


def _records(message: PointCloud2) -> Uint8Array:
    data = np.frombuffer(message.data, np.uint8)
    row_bytes = message.width * message.point_step
    if not message.point_step or message.row_step < row_bytes:
        raise ValueError(
            f'row_step {message.row_step} does not hold {message.width} points of '
            f'{message.point_step} bytes'
        )
    if data.size < message.height * message.row_step:
        raise ValueError(
            f'the cloud has {data.size} bytes; expected {message.height * message.row_step}'
        )
    rows = data[: message.height * message.row_step].reshape(message.height, message.row_step)
    return rows[:, :row_bytes].reshape(-1, message.point_step)


def painted_cloud(
    message: PointCloud2, records: Uint8Array, labels: Uint8Array, palette: Uint8Array | None
) -> PointCloud2:
    """A cloud with the fields `label` (uint8) and `rgb` (as RViz shows it) added.

    Fields of these names that the cloud has already become `label_in` and `rgb_in`.

    Shape:
        records: (N, point_step); labels: uint8 (N,); palette: (256, 3) RGB, None while the
        colours are not known. Unlabelled points are grey.
    """
    count, step = records.shape
    start = -(-step // ALIGNMENT) * ALIGNMENT
    colors = np.full((256, 3), UNLABELLED_GREY, np.uint8)
    if palette is not None:
        colors[:IGNORE] = palette[:IGNORE]
    points = np.zeros((count, start + ADDED_BYTES), np.uint8)
    points[:, :step] = records
    points[:, start] = labels
    rgb = slice(start + 5, start + 8) if message.is_bigendian else slice(start + 6, start + 3, -1)
    points[:, rgb] = colors[labels]
    taken = {'label': 'label_in', 'rgb': 'rgb_in'}
    kept = [
        PointField(
            name=taken.get(field.name, field.name),
            offset=field.offset,
            datatype=field.datatype,
            count=field.count,
        )
        for field in message.fields
    ]
    added = [
        PointField(name='label', offset=start, datatype=PointField.UINT8, count=1),
        PointField(name='rgb', offset=start + 4, datatype=PointField.FLOAT32, count=1),
    ]
    painted = PointCloud2(header=message.header, height=message.height, width=message.width)
    painted.fields = kept + added
    painted.is_bigendian, painted.is_dense = message.is_bigendian, message.is_dense
    painted.point_step = points.shape[1]
    painted.row_step = message.width * points.shape[1]
    painted.data.frombytes(points)
    return painted


def camera_model(info: CameraInfo, rectified: bool) -> CameraModel:
    """How the camera of a CameraInfo maps directions to the pixels of its images.

    Args:
        info: with binning and region of interest, if any.
        rectified: the images are rectified, so P holds and there is no distortion.

    Raises:
        ValueError: it is not calibrated, or its distortion is not understood.
    """
    matrix = np.array(info.k).reshape(3, 3)
    distortion, model = np.array(info.d, np.float64), info.distortion_model
    if rectified:
        matrix = np.array(info.p).reshape(3, 4)[:, :3]
    if rectified or not distortion.any():
        distortion, model = np.zeros(0), ''
    camera = CameraModel(info.height, info.width, matrix, distortion, model)
    if info.roi.width and info.roi.height:
        roi = info.roi
        camera = camera.cropped(roi.x_offset, roi.y_offset, roi.height, roi.width)
    if max(info.binning_x, info.binning_y) > 1:
        camera = camera.binned(max(info.binning_y, 1), max(info.binning_x, 1))
    return camera


def label_pixels(message: Image) -> Uint8Array:
    """The labels of a mono8 image, uint8 (H, W).

    Raises:
        ValueError: it is of another encoding, or cut off.
    """
    if message.encoding != 'mono8':
        raise ValueError(f'labels must be mono8, not {message.encoding}')
    data = np.frombuffer(message.data, np.uint8)
    if message.step < message.width or data.size < message.height * message.step:
        raise ValueError(f'labels of {message.width}x{message.height} are cut off')
    rows = data[: message.height * message.step].reshape(message.height, message.step)
    return rows[:, : message.width]
