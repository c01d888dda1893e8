"""What can be chosen when the graph is started: declared once, for launch files and ``up`` alike.

An option at its default passes nothing on, so a parameter file and the defaults of the nodes rule.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from visionscaling_ros.errors import InvalidValueError

OptionValue = bool | int | str
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
MAX_PORT = 65535


def _option(default: OptionValue, description: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={'description': description, 'choices': choices})


@dataclass(frozen=True)
class Option:
    """One option: its name, default and what it means."""

    name: str
    default: OptionValue
    description: str
    choices: tuple[str, ...] = ()

    def parse(self, text: str | bool) -> OptionValue:
        """The value that ``text`` stands for; raises InvalidValueError."""
        if isinstance(self.default, bool):
            words = {'true': True, 'false': False}
            if str(text).lower() not in words:
                raise InvalidValueError(self.name, text, 'true, false')
            return words[str(text).lower()]
        if isinstance(self.default, int):
            if not str(text).isdecimal() or not 0 < int(text) <= MAX_PORT:
                raise InvalidValueError(self.name, text, f'a port, 1 to {MAX_PORT}')
            return int(text)
        if self.choices and text not in self.choices:
            raise InvalidValueError(self.name, text, ', '.join(self.choices))
        return str(text)


@dataclass(frozen=True)
class RespawnOptions:
    """Options of every graph."""

    use_respawn: bool = _option(False, 'start a process again when it ends by itself')


@dataclass(frozen=True)
class NodeOptions(RespawnOptions):
    """Options of every graph with ROS nodes."""

    namespace: str = _option('', 'namespace of all nodes')
    params_file: str = _option(
        '', 'file of node parameters; empty: their own defaults (demo: config/demo.yaml)'
    )
    use_sim_time: bool = _option(False, 'take the time from /clock')
    autostart: bool = _option(True, 'configure and activate the nodes when they start')
    log_level: str = _option('info', 'least severe messages to show', LOG_LEVELS)
    image_transport: str = _option(
        '', 'images as sensor_msgs Image (raw) or CompressedImage', ('', 'raw', 'compressed')
    )
    policy: str = _option('', 'policy of the controller')

    def __post_init__(self) -> None:
        """Raise InvalidValueError for a parameter file that is not there."""
        if self.params_file and not Path(self.params_file).is_file():
            raise InvalidValueError('params_file', self.params_file, 'an existing file')


@dataclass(frozen=True)
class CameraOptions(NodeOptions):
    """Options of every graph with a camera."""

    compose: bool = _option(True, 'run camera and inference in one process, frames in memory')
    source: str = _option(
        '', "camera: index, device, URL, video file, folder of images or 'synthetic'"
    )
    rate: str = _option(
        '', 'frames/s asked of the camera; of a replay: times as fast as it was recorded'
    )

    def __post_init__(self) -> None:
        """Raise InvalidValueError for a rate that is none, too."""
        super().__post_init__()
        if self.rate:
            _check_number('rate', self.rate, 'a number of frames/s above 0')


@dataclass(frozen=True)
class RobotOptions(CameraOptions):
    """Options of the robot's graph."""

    camera: bool = _option(True, "start camera_node; false: the robot's own publishes image_topic")
    image_topic: str = _option('', 'topic of the images, in place of image_raw')
    server: str = _option('', 'inference server, host:port')


@dataclass(frozen=True)
class EdgeOptions(RespawnOptions):
    """Options of the edge server's graph."""

    host: str = _option('127.0.0.1', 'address to listen on; 0.0.0.0 to serve other machines')
    port: int = _option(8001, 'port to listen on')
    tls_certificate: str = _option('', 'certificate of the server, PEM; empty: no TLS')
    tls_key: str = _option('', 'its private key, PEM, readable by its owner only')
    client_ca: str = _option('', 'CA that signs the certificates of robots, PEM; empty: none asked')
    tokens: str = _option('', 'file of robots, their tokens and quotas; empty: none asked')
    metrics_port: str = _option('', 'port of the Prometheus metrics on this machine; empty: none')

    def __post_init__(self) -> None:
        """Raise InvalidValueError for a file that is not there."""
        for name in ('tls_certificate', 'tls_key', 'client_ca', 'tokens'):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise InvalidValueError(name, path, 'an existing file')
        port = self.metrics_port
        if port and not (port.isdecimal() and int(port) <= MAX_PORT):
            raise InvalidValueError('metrics_port', port, f'a port, 0 to {MAX_PORT}; 0: a free one')


@dataclass(frozen=True)
class DemoOptions(CameraOptions):
    """Options of robot, shaped link and edge server on one machine."""

    trace: str = _option('', 'uplink over time: csv file of time_s,rate_bps, or a rate in bit/s')
    edge_port: int = _option(8001, 'port of the edge server')
    link_port: int = _option(8002, 'port of the shaped link that leads to it')


@dataclass(frozen=True)
class ReplayOptions(NodeOptions):
    """Options of the robot's nodes on the images of a bag."""

    use_sim_time: bool = _option(True, 'take the time from /clock, which the player publishes')
    bag: str = _option('', 'bag to replay: its folder, or its .mcap, .db3 or .bag file')
    image_topic: str = _option('', 'topic of the images in the bag; empty: the only one')
    server: str = _option('', 'inference server, host:port')
    rate: str = _option('1', 'times as fast as it was recorded')
    loop: bool = _option(False, 'begin the bag again at its end; false: the graph ends with it')
    start: str = _option('', 'begin so many seconds into the bag')
    duration: str = _option('', 'seconds of the bag to play')
    topics: str = _option('', 'topics to play besides the images, separated by commas')

    def __post_init__(self) -> None:
        """Raise InvalidValueError for what is no number, too."""
        super().__post_init__()
        for name in ('rate', 'duration'):
            if text := getattr(self, name):
                _check_number(name, text, 'a number above 0')
        if self.start:
            _check_number('start', self.start, '0 or a number above', least=0.0)


OptionsType = TypeVar('OptionsType', bound=RespawnOptions)


def declared_options(options_type: type[RespawnOptions]) -> tuple[Option, ...]:
    """The options of a graph."""
    return tuple(
        Option(name=item.name, default=item.default, **item.metadata)  # type: ignore[arg-type]
        for item in fields(options_type)
    )


def parse_options(options_type: type[OptionsType], texts: Mapping[str, str | bool]) -> OptionsType:
    """Options from what was typed; raises InvalidValueError for an unknown or a bad one."""
    declared = {option.name: option for option in declared_options(options_type)}
    for name, text in texts.items():
        if name not in declared:
            raise InvalidValueError(name, text, f'the options {", ".join(declared)}')
    values: dict[str, Any] = {name: declared[name].parse(text) for name, text in texts.items()}
    return options_type(**values)


def _check_number(
    name: str, text: str, allowed: str, least: float = sys.float_info.min
) -> None:
    try:
        good = least <= float(text) < float('inf')
    except ValueError:
        good = False
    if not good:
        raise InvalidValueError(name, text, allowed)
