"""Devices to simulate, as data: what they run, what it costs, where the figures are from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.datatypes import OperatingPoint
from visionscaling_ros.errors import InvalidValueError
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
_POINT: dict[str, _Range] = {
    'input_size_px': (1, 8192),
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
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidValueError('profile', str(name_or_path), f'{allowed} ({error})') from error
    keys = {'name', 'sources', 'device', 'thermal', 'points', *_SCALARS}
    top = _mapping(content, str(path), keys, optional=frozenset({_MEASUREMENTS}))
    device = _mapping(top['device'], f'{path}: device', {_LEVELS, *_DEVICE})
    levels_mhz = _sequence(device[_LEVELS], f'{path}: device.{_LEVELS}')
    thermal = _mapping(top['thermal'], f'{path}: thermal', set(_THERMAL))
    points = tuple(
        _point(item, f'{path}: points[{k}]')
        for k, item in enumerate(_sequence(top['points'], f'{path}: points'))
    )
    _check_distinct(points, f'{path}: points')
    return DeviceProfile(
        name=_text(top['name'], f'{path}: name'),
        device=DeviceModel(
            available_frequencies_hz=tuple(
                _number(level_mhz, f'{path}: device.{_LEVELS}', (1.0, 1e5)) * 1e6
                for level_mhz in levels_mhz
            ),
            **_numbers(device, f'{path}: device', _DEVICE),
        ),
        points=points,
        thermal=_thermal(thermal, f'{path}: thermal'),
        sources=tuple(
            _text(item, f'{path}: sources')
            for item in _sequence(top['sources'], f'{path}: sources')
        ),
        engines=_engines(top.get(_MEASUREMENTS), f'{path}: {_MEASUREMENTS}'),
        **_numbers(top, f'{path}', _SCALARS),
    )


def _thermal(content: Mapping[str, Any], where: str) -> Thermal:
    try:
        return Thermal(**_numbers(content, where, _THERMAL))
    except InvalidValueError as error:
        raise InvalidValueError(f'{where}: {error.name}', error.value, error.allowed) from error


def _point(content: object, where: str) -> OperatingPoint:
    item = _mapping(content, where, {'model', *_POINT})
    figures = _numbers(item, where, _POINT)
    if not figures['input_size_px'].is_integer():
        raise InvalidValueError(f'{where}.input_size_px', item['input_size_px'], 'a whole number')
    if figures['gpu_work_ghz_s'] + figures['serial_s'] <= 0.0:
        raise InvalidValueError(f'{where}.gpu_work_ghz_s', 0.0, 'above 0 where serial_s is 0')
    size_px = int(figures.pop('input_size_px'))
    return OperatingPoint(
        model=_text(item['model'], f'{where}.model'), input_size_px=size_px, **figures
    )


def _engines(content: object, where: str) -> dict[tuple[str, int], str]:
    """Engine of every measured model and input size; whatever else was measured is not read."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InvalidValueError(where, content, 'a mapping')
    engines: dict[tuple[str, int], str] = {}
    for k, item in enumerate(_sequence(content.get('points'), f'{where}.points')):
        place = f'{where}.points[{k}]'
        if not isinstance(item, dict):
            raise InvalidValueError(place, item, 'a mapping with model, input_size_px, engine')
        size_px = _number(item.get('input_size_px'), f'{place}.input_size_px', (1, 8192))
        model = _text(item.get('model'), f'{place}.model')
        engines[model, int(size_px)] = _text(item.get('engine'), f'{place}.engine')
    return engines


def _check_distinct(points: tuple[OperatingPoint, ...], where: str) -> None:
    seen: set[tuple[str, int]] = set()
    for point in points:
        key = (point.model, point.input_size_px)
        if key in seen:
            raise InvalidValueError(where, key, 'every model and input size once')
        seen.add(key)


def _mapping(
    content: object, where: str, keys: set[str], optional: frozenset[str] = frozenset()
) -> Mapping[str, Any]:
    """``content`` if it is a mapping with exactly these keys, with or without the optional ones."""
    if not isinstance(content, dict):
        raise InvalidValueError(where, content, f'a mapping with {", ".join(sorted(keys))}')
    unknown = [key for key in content if key not in keys | optional]
    if unknown:
        raise InvalidValueError(
            f'{where}: key', unknown[0], f'only {", ".join(sorted(keys))}'
        )
    missing = sorted(keys - set(content))
    if missing:
        raise InvalidValueError(f'{where}: {missing[0]}', None, 'present')
    return content


def _sequence(content: object, where: str) -> list[Any]:
    if not isinstance(content, list) or not content:
        raise InvalidValueError(where, content, 'a list of at least one')
    return content


def _text(content: object, where: str) -> str:
    if not isinstance(content, str) or not content:
        raise InvalidValueError(where, content, 'a text')
    return content


def _numbers(
    content: Mapping[str, Any], where: str, ranges: Mapping[str, _Range]
) -> dict[str, Any]:
    return {key: _number(content[key], f'{where}.{key}', span) for key, span in ranges.items()}


def _number(content: object, where: str, span: _Range) -> float:
    allowed = f'a number, {span[0]:g} to {span[1]:g}'
    if isinstance(content, bool) or not isinstance(content, (int, float, str)):
        raise InvalidValueError(where, content, allowed)
    try:
        value = float(content)  # YAML 1.1 takes 1e6 for a text
    except ValueError as error:
        raise InvalidValueError(where, content, allowed) from error
    if not (math.isfinite(value) and span[0] <= value <= span[1]):
        raise InvalidValueError(where, content, allowed)
    return value
