"""Message classes by the name of their type."""

from __future__ import annotations

import importlib
from typing import Any

from visionscaling_ros.errors import InvalidValueError


def message_class(message_type: str) -> Any:
    """The class of a type such as ``sensor_msgs/msg/Image``; raises InvalidValueError."""
    package, _, name = message_type.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidValueError(
            'message type', message_type, 'one whose package is installed and sourced'
        ) from error
