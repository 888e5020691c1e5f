"""Writing camera recordings as rosbag2 folders, without ROS, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hrda_core.image_headers import inspect_image
from training.bags.reading import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from training.whole_files import naming

_SECOND_NS = 1_000_000_000
_STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
_COMPRESSIONS = {
    'none': CompressionMode.NONE,
    'message': CompressionMode.MESSAGE,
    'file': CompressionMode.FILE,
    'chunk': CompressionMode.STORAGE,
}


class TimedImage(NamedTuple):
    """A picture and when it was taken.

    `picture` is the bytes of a JPEG or PNG file, or uint8 (H, W, 3) RGB; `stamp_ns` is
    nanoseconds since the epoch.
    """

    stamp_ns: int
    picture: bytes | npt.NDArray[np.uint8]


class ImageBagWriter:
    """Writes camera messages into a new rosbag2 folder; use it with `with`.

    The folder appears when the block ends without an error, and then it is whole. Messages are
    recorded at the time of their stamp.

    Args:
        path: folder to make.
        frame_id: frame of all headers.
        storage: 'mcap' or 'sqlite3'.
        compression: zstd of each 'message', of the 'file', of mcap's 'chunk's, or 'none'.

    Raises:
        ValueError: there is something at `path` already.
    """

    def __init__(
        self,
        path: Path,
        frame_id: str = 'camera',
        storage: Literal['mcap', 'sqlite3'] = 'mcap',
        compression: Literal['none', 'message', 'file', 'chunk'] = 'none',
    ) -> None:
        if path.exists():
            raise ValueError(f'{path} exists already; delete it or write to another folder')
        self._path = path
        self._frame_id = frame_id
        self._storage = _STORAGES[storage]
        self._compression = _COMPRESSIONS[compression]
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> ImageBagWriter:
        """Begin the recording beside its final place."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        hidden = tempfile.mkdtemp(prefix=f'.{self._path.name}.', dir=self._path.parent)
        self._hidden = Path(hidden)
        # rosbags names the storage file after its folder, so only the parent is temporary.
        self._writer = Writer(
            self._hidden / self._path.name, version=9, storage_plugin=self._storage
        )
        self._writer.set_compression(self._compression, CompressionFormat.ZSTD)
        self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish and publish the recording, or throw it away after an error."""
        try:
            with naming(self._path):
                self._writer.__exit__(kind, error, trace)
                if kind is None:
                    os.rename(self._hidden / self._path.name, self._path)  # noqa: PTH104
        finally:
            shutil.rmtree(self._hidden, ignore_errors=True)

    def write_compressed(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Write the bytes of a JPEG or PNG file, unchanged, as a CompressedImage.

        Raises:
            ImageDecodeError: the bytes are no whole JPEG or PNG file.
        """
        codec = inspect_image(data).codec
        self.write(
            topic,
            COMPRESSED_IMAGE,
            stamp_ns,
            header=self.header(stamp_ns),
            format=codec,
            data=np.frombuffer(data, np.uint8),
        )

    def write_rgb(self, topic: str, stamp_ns: int, rgb: npt.NDArray[np.uint8]) -> None:
        """Write uint8 (H, W, 3) RGB as an rgb8 Image."""
        height, width, _ = rgb.shape
        self.write(
            topic,
            IMAGE,
            stamp_ns,
            header=self.header(stamp_ns),
            height=height,
            width=width,
            encoding='rgb8',
            is_bigendian=0,
            step=3 * width,
            data=np.ascontiguousarray(rgb).reshape(-1),
        )

    def write_camera_info(
        self,
        topic: str,
        stamp_ns: int,
        size: tuple[int, int],
        k: npt.NDArray[np.float64],
        d: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Write the CameraInfo of a camera.

        Args:
            topic: usually beside the image topic: /camera/camera_info.
            stamp_ns: of the image it belongs to.
            size: (width, height) [px].
            k: (3, 3) intrinsic matrix [px].
            d: (5,) plumb_bob distortion; None: a lens without any.
        """
        region = self._store.types['sensor_msgs/msg/RegionOfInterest']
        self.write(
            topic,
            CAMERA_INFO,
            stamp_ns,
            header=self.header(stamp_ns),
            width=size[0],
            height=size[1],
            distortion_model='plumb_bob',
            d=np.zeros(5) if d is None else np.asarray(d, np.float64),
            k=np.asarray(k, np.float64).reshape(-1),
            r=np.eye(3).reshape(-1),
            p=np.hstack([k, np.zeros((3, 1))]).astype(np.float64).reshape(-1),
            binning_x=0,
            binning_y=0,
            roi=region(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
        )

    def write(self, topic: str, msgtype: str, record_ns: int, **fields: Any) -> None:
        """Write any message of a ROS 2 type, given by its fields, at a record time [ns]."""
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(topic, msgtype, typestore=self._store)
            self._connections[topic] = connection
        data = self._store.serialize_cdr(self._store.types[msgtype](**fields), msgtype)
        with naming(self._path):
            self._writer.write(connection, record_ns, data)

    def header(self, stamp_ns: int) -> Any:
        """A std_msgs/Header for `write`, of a stamp [ns]."""
        time = self._store.types['builtin_interfaces/msg/Time']
        seconds, nanoseconds = divmod(stamp_ns, _SECOND_NS)
        return self._store.types['std_msgs/msg/Header'](
            stamp=time(sec=seconds, nanosec=nanoseconds), frame_id=self._frame_id
        )


def write_image_bag(
    path: Path,
    images: Iterable[TimedImage],
    topic: str = '/camera/image_raw',
    frame_id: str = 'camera',
) -> int:
    """Write pictures into a new mcap recording, as a camera would.

    Args:
        path: folder to make.
        images: file bytes go to TOPIC/compressed unchanged, arrays to TOPIC as rgb8.
        topic: the raw topic of the camera.
        frame_id: frame of the headers.

    Returns:
        How many pictures were written.

    Raises:
        ValueError: `path` exists, or bytes that are no JPEG or PNG file.
    """
    count = 0
    with ImageBagWriter(path, frame_id) as bag:
        for stamp_ns, picture in images:
            if isinstance(picture, bytes):
                bag.write_compressed(f'{topic}/compressed', stamp_ns, picture)
            else:
                bag.write_rgb(topic, stamp_ns, picture)
            count += 1
    return count
