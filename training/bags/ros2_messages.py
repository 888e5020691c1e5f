"""Messages of any recording as ROS 2 stores them."""

from __future__ import annotations

from functools import cache
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_typestore

from training.bags.mcap_records import Channel
from training.bags.reading import BagDamageError, RawMessage, decode_message


def is_portable(channel: Channel) -> bool:
    """Whether messages of a recorded topic can be written as ROS 2 stores them."""
    # Other serialisations than CDR stand in brackets behind the type.
    if ' ' in channel.msgtype:
        return False
    return channel.encoding != 'ros1' or channel.msgtype in _typestore().fielddefs


def cdr_data(message: RawMessage) -> bytes:
    """The data of a message as CDR; of ROS 1 the fields that ROS 2 has.

    Raises:
        BagDamageError: it cannot be read, or ROS 2 has no such type.
    """
    if not message.ros1:
        return message.data()
    found = decode_message(message)
    try:
        converted = _converted(found, message.msgtype)
        return bytes(_typestore().serialize_cdr(converted, message.msgtype))
    except Exception as error:  # rosbags raises whatever its generated code runs into
        raise BagDamageError(
            f'the message on {message.topic} recorded at {message.record_ns} ns cannot become a '
            f'{message.msgtype} of ROS 2 ({error or type(error).__name__}); leave it out'
        ) from error


def _converted(value: Any, msgtype: str) -> Any:
    store = _typestore()
    _, fields = store.fielddefs[msgtype]
    return store.types[msgtype](**{n: _field(getattr(value, n), kind) for n, kind in fields})


def _field(value: Any, kind: Any) -> Any:
    node, details = kind
    if node == Nodetype.NAME:
        return _converted(value, details)
    if node in (Nodetype.ARRAY, Nodetype.SEQUENCE) and details[0][0] == Nodetype.NAME:
        return [_converted(entry, details[0][1]) for entry in value]
    return value


@cache
def _typestore() -> Any:
    return get_typestore(Stores.ROS2_JAZZY)
