"""Devices to simulate, as data: what they run, what it costs, where the figures are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.datatypes import OperatingPoint
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields, near, read_fields
from visionscaling_ros.simulation.thermal import Thermal

FOLDER = Path(__file__).resolve().parent / 'profiles'
PROFILE_NAMES = tuple(sorted(path.stem for path in FOLDER.glob('*.yaml')))

_Range = tuple[float, float]
_SCALARS: dict[str, _Range] = {
    'arrival_fps': (0.1, 1e3),
    'full_rate_fps': (0.1, 1e3),
    'accuracy_target_map': (0.0, 1.0),
}
_DEVICE: dict[str, _Range] = {
    'alpha_w_per_ghz3': (0.0, 1e6),
    'beta_w': (0.0, 1e6),
    'base_w': (0.0, 1e6),
    'radio_fixed_w': (0.0, 1e3),
    'radio_w_per_mbps': (0.0, 1e3),
    'radio_tail_s': (0.0, 1e3),
}
FIGURE_RANGES: Mapping[str, _Range] = {**_SCALARS, **_DEVICE}
_THERMAL: dict[str, _Range] = {
    'resistance_c_per_w': (1e-6, 1e3),
    'time_constant_s': (1e-3, 1e6),
    'throttle_c': (-50.0, 200.0),
    'release_c': (-50.0, 200.0),
}
_SIZES_PX = (1, 8192)
_POINT: dict[str, _Range] = {
    'accuracy_map': (0.0, 1.0),
    'gpu_work_ghz_s': (0.0, 1e3),
    'serial_s': (0.0, 1e3),
    'upload_bits': (0.0, 1e10),
    'server_time_s': (0.0, 1e3),
}
_LEVELS = 'available_frequencies_mhz'
_MEASUREMENTS = 'measurements'


@dataclass(frozen=True)
class DeviceProfile:
    """A robot's computer and radio, its camera, and what is asked of it.

    :param device: clock levels and power model, as the controller is told.
    :param points: configurations with their nominal costs, as the controller is told.
    :param thermal: how warm it gets.
    :param arrival_fps: frames its cameras give [frames/s].
    :param accuracy_target_map: mAP its task asks for.
    :param full_rate_fps: frame rate that counts as 1 in the cost [frames/s].
    :param sources: where the figures are from.
    :param engines: what runs each model and input size [px] fastest there, where it was measured.
    """

    name: str
    device: DeviceModel
    points: tuple[OperatingPoint, ...]
    thermal: Thermal
    arrival_fps: float
    accuracy_target_map: float
    full_rate_fps: float
    sources: tuple[str, ...]
    engines: Mapping[tuple[str, int], str] = field(default_factory=dict, hash=False)

    def engine_of(self, model: str) -> dict[int, str]:
        """Input size [px] to the engine that ran it fastest; empty where none was measured."""
        return {size: engine for (name, size), engine in self.engines.items() if name == model}


def load_profile(name_or_path: str | Path) -> DeviceProfile:
    """A profile of ``PROFILE_NAMES`` or a YAML file of one's own, laid out like ``profiles/``.

    A file written by ``visionscaling profile`` has ``measurements`` as well; of them the engines
    are read.

    :raises InvalidValueError: naming file, key, value and what is allowed.
    """
    known = str(name_or_path) in PROFILE_NAMES
    path = FOLDER / f'{name_or_path}.yaml' if known else Path(name_or_path)
    allowed = f'one of {", ".join(PROFILE_NAMES)}, or a YAML file that can be read'
    top = read_fields(path, 'profile', allowed + near(name_or_path, PROFILE_NAMES))
    profile = DeviceProfile(
        name=top.text('name'),
        device=_device(top.mapping('device')),
        points=_points(top),
        thermal=_thermal(top.mapping('thermal')),
        sources=top.texts('sources'),
        engines=_engines(top.mapping(_MEASUREMENTS)) if top.has(_MEASUREMENTS) else {},
        **_numbers(top, _SCALARS),
    )
    top.done()
    return profile


def _device(fields: Fields) -> DeviceModel:
    levels_mhz = fields.numbers(_LEVELS, 1.0, 1e5)
    figures = _numbers(fields, _DEVICE)
    fields.done()
    return DeviceModel(tuple(level_mhz * 1e6 for level_mhz in levels_mhz), **figures)


def _thermal(fields: Fields) -> Thermal:
    figures = _numbers(fields, _THERMAL)
    fields.done()
    try:
        return Thermal(**figures)
    except InvalidValueError as error:
        key = error.name.removeprefix('thermal.')
        raise InvalidValueError(fields.name_of(key), error.value, error.allowed) from error


def _points(top: Fields) -> tuple[OperatingPoint, ...]:
    points: dict[tuple[str, int], OperatingPoint] = {}
    for fields in top.mappings('points'):
        point = _point(fields)
        key = (point.model, point.input_size_px)
        if key in points:
            raise InvalidValueError(top.name_of('points'), key, 'every model and input size once')
        points[key] = point
    return tuple(points.values())


def _point(fields: Fields) -> OperatingPoint:
    model, size_px = fields.text('model'), fields.whole('input_size_px', *_SIZES_PX)
    figures = _numbers(fields, _POINT)
    fields.done()
    if figures['gpu_work_ghz_s'] + figures['serial_s'] <= 0.0:
        allowed = 'above 0 where serial_s is 0'
        raise InvalidValueError(fields.name_of('gpu_work_ghz_s'), 0.0, allowed)
    return OperatingPoint(model=model, input_size_px=size_px, **figures)


def _engines(fields: Fields) -> dict[tuple[str, int], str]:
    """Engine of every measured model and input size; whatever else was measured is not read."""
    return {
        (point.text('model'), point.whole('input_size_px', *_SIZES_PX)): point.text('engine')
        for point in fields.mappings('points')
    }


def _numbers(fields: Fields, ranges: Mapping[str, _Range]) -> dict[str, Any]:
    return {key: fields.number(key, low, high) for key, (low, high) in ranges.items()}
