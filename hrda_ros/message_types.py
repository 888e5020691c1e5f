"""Message classes by the names that bags and command lines use."""

from __future__ import annotations

import importlib
from typing import Any

from hrda_ros.process import StartError


def message_class(message_type: str) -> type[Any]:
    """Python class of a type name such as sensor_msgs/msg/Image (or sensor_msgs/Image).

    Raises:
        StartError: the type is not installed in this ROS.
    """
    package, _, name = message_type.partition('/')
    try:
        messages = importlib.import_module(f'{package}.msg')
        found: type[Any] = getattr(messages, name.rpartition('/')[2])
    except (ImportError, AttributeError, ValueError) as error:
        raise StartError(f'message type {message_type} is not installed ({error})') from error
    return found
