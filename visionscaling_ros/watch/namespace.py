"""The namespace a robot's topics are in."""

from __future__ import annotations

import re

from visionscaling_ros.errors import InvalidValueError

_NAMESPACE = re.compile(r'(/[A-Za-z_][A-Za-z0-9_]*)+', re.ASCII)


def robot_namespace(text: str) -> str:
    """A namespace as topics begin with it, '' for the root; raises InvalidValueError."""
    namespace = f'/{text.strip("/")}' if text.strip('/') else ''
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise InvalidValueError('--namespace', text, 'a ROS namespace such as /drone1, or /')
    return namespace
