"""``host:port`` addresses."""

from __future__ import annotations

from visionscaling_ros.errors import InvalidValueError


def parse_address(text: str, name: str = 'address') -> tuple[str, int]:
    """Split ``host:port`` (``[host]:port`` for IPv6); raises InvalidValueError naming ``name``."""
    host, separator, port = text.rpartition(':')
    if not (separator and host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise InvalidValueError(name, text, 'HOST:PORT with a port from 0 to 65535')
    return host.removeprefix('[').removesuffix(']'), int(port)


def format_address(host: str, port: int) -> str:
    """The reverse of :func:`parse_address`."""
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
