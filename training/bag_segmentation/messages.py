"""What is written beside the images of a camera: topics, and results as ROS messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hrda_core.classes import ClassSet, Uint8Array
from training.bags.image_topics import TWIN
from training.bags.mcap_records import Channel
from training.bags.reading import COMPRESSED_IMAGE, IMAGE
from training.bags.rosbag2_metadata import numbered_qos, qos_text

LABEL_INFO = 'vision_msgs/msg/LabelInfo'
KINDS = {'label': IMAGE, 'confidence': IMAGE, 'label_info': LABEL_INFO}
OVERLAY = 'overlay/compressed'
JPEG_QUALITY = 90
JPEG_FORMAT = 'rgb8; jpeg compressed bgr8'
_SECOND_NS = 1_000_000_000
_DEFINITIONS = {
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name\n',
    LABEL_INFO: (
        'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n'
    ),
}


@dataclass(frozen=True)
class Topics:
    """The topics of a result.

    Args:
        channels: all of them, numbered from 1.
        copied: number of each topic that is copied, by name and type.
        made: numbers of what is made of the images of a topic, by kind.
    """

    channels: Sequence[Channel]
    copied: Mapping[tuple[str, str], int]
    made: Mapping[str, Mapping[str, int]]


def plan_topics(recorded: Sequence[Channel], cameras: Sequence[str], overlay: bool) -> Topics:
    """Name the topics of a result.

    Args:
        recorded: what is copied.
        cameras: names of the image topics that are segmented.
        overlay: whether pictures of class colours over the images are made.

    Raises:
        ValueError: a topic has that name already, or two cameras share it.
    """
    channels = [_portable(channel) for channel in recorded]
    copied = {(c.topic, c.msgtype): number for number, c in enumerate(channels, 1)}
    names = {channel.topic for channel in channels}
    kinds = KINDS | ({OVERLAY: COMPRESSED_IMAGE} if overlay else {})
    made: dict[str, dict[str, int]] = {}
    for camera in cameras:
        made[camera] = {}
        for kind, msgtype in kinds.items():
            name = f'{camera.removesuffix(TWIN)}/{kind}'
            if name in names:
                raise ValueError(
                    f'topic {name} cannot be made of {camera}: there is one of that name; '
                    'leave it out with --copy images, or choose another --topic'
                )
            names.add(name)
            channels.append(_channel(name, msgtype))
            made[camera][kind] = len(channels)
    return Topics(channels, copied, made)


def label_info(classes: ClassSet, min_confidence: float, stamp_ns: int) -> bytes:
    """The names of the classes and the least confidence as a LabelInfo, stamped with a time [ns].

    255, the largest id, means unlabelled by the definition of the message and is no entry.
    """
    types = _typestore().types
    named = types['vision_msgs/msg/VisionClass']
    entries = [named(class_id=n, class_name=name) for n, name in enumerate(classes.names)]
    seconds, nanoseconds = divmod(stamp_ns, _SECOND_NS)
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    header = types['std_msgs/msg/Header'](stamp=stamp, frame_id='')
    return _serialise(LABEL_INFO, header=header, class_map=entries, threshold=min_confidence)


def mono_image(header: Any, pixels: Uint8Array) -> bytes:
    """Bytes per pixel as an Image (mono8).

    Shape:
        pixels: uint8 (H, W).
    """
    height, width = pixels.shape
    return _serialise(
        IMAGE,
        header=header,
        height=height,
        width=width,
        encoding='mono8',
        is_bigendian=0,
        step=width,
        data=np.ascontiguousarray(pixels).reshape(-1),
    )


def jpeg_image(header: Any, rgb: Uint8Array) -> bytes:
    """A picture as a CompressedImage (JPEG).

    Shape:
        rgb: uint8 (H, W, 3).
    """
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return _serialise(COMPRESSED_IMAGE, header=header, format=JPEG_FORMAT, data=data.reshape(-1))


def _channel(name: str, msgtype: str) -> Channel:
    store = _typestore()
    definition, _ = store.generate_msgdef(msgtype, ros_version=2)
    durability = 'transient_local' if msgtype == LABEL_INFO else 'volatile'
    qos, digest = qos_text(durability), store.hash_rihs01(msgtype)
    return Channel(name, msgtype, definition, 'ros2msg', qos, digest)


def _portable(channel: Channel) -> Channel:
    """A recorded topic with profiles that every release of rosbag2 can read."""
    return replace(channel, qos=numbered_qos(channel.qos))


def _serialise(msgtype: str, **fields: Any) -> bytes:
    store = _typestore()
    return bytes(store.serialize_cdr(store.types[msgtype](**fields), msgtype))


@cache
def _typestore() -> Any:
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for name, text in _DEFINITIONS.items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store
