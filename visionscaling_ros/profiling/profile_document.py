"""A measured device as the YAML that ``simulation.profile.load_profile`` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from visionscaling_ros.profiling.device_fits import PowerFit
from visionscaling_ros.profiling.fitted_device import (
    SERVER_FIXED_S,
    SERVER_S_PER_GFLOP,
    FittedPoint,
)
from visionscaling_ros.profiling.frames import OWN
from visionscaling_ros.profiling.summary import PointFigures, Spread, Summary
from visionscaling_ros.simulation.profile import DeviceProfile

Document = dict[str, Any]
HEADER = """\
# Written by visionscaling profile. What is measured, fitted and assumed is under sources, the
# figures behind the fits under measurements.
"""


@dataclass(frozen=True)
class Setting:
    """What was measured, with what, and where the rest is from.

    :param name: of the device.
    :param like: profile the figures are taken from that cannot be measured here.
    :param levels_hz: all clock levels the device has.
    :param accuracy_target_map: mAP asked for; None: the median of the points'.
    """

    name: str
    like: DeviceProfile
    environment: Mapping[str, Any]
    levels_hz: tuple[float, ...]
    clock_backend: str
    meter: str
    frames: Mapping[str, str]
    jpeg_quality: int
    accuracy_target_map: float | None


def profile_document(
    setting: Setting,
    summary: Summary,
    points: Sequence[FittedPoint],
    power: PowerFit | None,
    accuracy_map: Callable[[str, int], float],
) -> Document:
    """The whole file; at least one point."""
    device, thermal = setting.like.device, setting.like.thermal
    entries = [_point(point, accuracy_map) for point in points]
    target_map = setting.accuracy_target_map
    if target_map is None:
        target_map = float(np.median([entry['accuracy_map'] for entry in entries]))
    return {
        'name': setting.name,
        'sources': _sources(setting, points, power),
        'arrival_fps': setting.like.arrival_fps,
        'full_rate_fps': setting.like.full_rate_fps,
        'accuracy_target_map': _rounded(target_map),
        'device': {
            'available_frequencies_mhz': [_rounded(hz * 1e-6, 7) for hz in setting.levels_hz],
            'alpha_w_per_ghz3': _rounded((power or device).alpha_w_per_ghz3),
            'beta_w': _rounded((power or device).beta_w),
            'base_w': device.base_w,
            'radio_fixed_w': device.radio_fixed_w,
            'radio_w_per_mbps': device.radio_w_per_mbps,
            'radio_tail_s': device.radio_tail_s,
        },
        'thermal': {
            'resistance_c_per_w': thermal.resistance_c_per_w,
            'time_constant_s': thermal.time_constant_s,
            'throttle_c': thermal.throttle_c,
            'release_c': thermal.release_c,
        },
        'points': entries,
        'measurements': _measurements(setting, summary, points, power),
    }


def document_text(document: Document) -> str:
    """As YAML, one line per source and per point."""
    texts = {key: document[key] for key in ('name', 'sources')}
    figures = {key: content for key, content in document.items() if key not in texts}
    return HEADER + _yaml(texts, flow=False) + _yaml(figures, flow=None)


def _yaml(content: Document, *, flow: bool | None) -> str:
    """:param flow: None: only what holds no other collection stands on one line."""
    text: str = yaml.safe_dump(
        content, sort_keys=False, default_flow_style=flow, width=1000, allow_unicode=True
    )
    return text


def _point(point: FittedPoint, accuracy_map: Callable[[str, int], float]) -> Document:
    candidate = point.candidate
    return {
        'model': candidate.model,
        'input_size_px': candidate.input_size_px,
        'accuracy_map': _rounded(accuracy_map(candidate.model, candidate.input_size_px)),
        'gpu_work_ghz_s': _rounded(point.fit.gpu_work_ghz_s),
        'serial_s': _rounded(point.fit.serial_s),
        'upload_bits': round(point.upload_bits),
        'server_time_s': _rounded(point.server_time_s),
    }


def _sources(
    setting: Setting, points: Sequence[FittedPoint], power: PowerFit | None
) -> list[str]:
    here = f'measured on {setting.environment["processor"]}'
    like = setting.like.name
    kind = "the user's own frames" if OWN in setting.frames else 'generated street frames'
    one_clock = sum(not np.isfinite(point.fit.r_squared) for point in points)
    texts = [
        f'{here} - gpu_work_ghz_s and serial_s, from medians over the faster half of the rounds',
        f'{here} - upload_bits: median JPEG of {kind} at quality {setting.jpeg_quality}',
        'accuracy tables of the models - accuracy_map',
        f'profile {like} - base_w, radio and thermal figures, not measured here',
        f'assumption - server_time_s: {SERVER_FIXED_S * 1e3:g} ms + '
        f'{SERVER_S_PER_GFLOP * 1e3:g} ms/GFLOP, our fit to YOLOv4 on an RTX 2080 Ti',
    ]
    if one_clock:
        texts.append(
            f'assumption - {one_clock} of {len(points)} points were not fitted over clocks: '
            "gpu_work_ghz_s is all of the network's time, serial_s what is before and after it"
        )
    guessed = sum(not point.counted for point in points)
    if guessed:
        texts.append(
            f'assumption - GFLOP of {guessed} of {len(points)} points, uncounted by torch: by '
            "the device's median speed on the others, none where there are no others"
        )
    if setting.clock_backend == 'emulated':
        texts.append(
            "assumption - the clock is emulated: the network's time here is that of the highest "
            'level, and is stretched in proportion at the others'
        )
    if setting.clock_backend == 'none':
        texts.append(
            f'assumption - the clock is not known: {setting.levels_hz[-1] * 1e-6:g} MHz stands for '
            'the only level'
        )
    if power is None or setting.meter == 'model':
        texts.append(f'profile {like} - alpha_w_per_ghz3 and beta_w: a model, not a measurement')
    else:
        texts.append(f'{here} with {setting.meter} - alpha_w_per_ghz3 and beta_w, fitted')
    return texts


def _measurements(
    setting: Setting, summary: Summary, points: Sequence[FittedPoint], power: PowerFit | None
) -> Document:
    return {
        'environment': dict(setting.environment),
        'clock_backend': setting.clock_backend,
        'meter': setting.meter,
        'frames': dict(setting.frames),
        'power_fit_r2': None if power is None else _rounded(power.r_squared),
        'idle': [
            {'frequency_mhz': _rounded(hz * 1e-6, 7), 'power_w': _rounded(idle.power_w)}
            for hz, idle in sorted(summary.idle.items())
        ],
        'jpegs': [
            {
                'input_size_px': jpeg.input_size_px,
                'frames': jpeg.frames,
                **_spread('size_bytes', jpeg.size_bytes),
                **_spread('encode_s', jpeg.encode_s),
                'samples': jpeg.encode_s.samples,
            }
            for jpeg in summary.jpegs
        ],
        'points': [
            {
                'model': point.candidate.model,
                'input_size_px': point.candidate.input_size_px,
                'engine': point.candidate.engine,
                'r2': _rounded(point.fit.r_squared),
                'fitted_over': 'clocks' if np.isfinite(point.fit.r_squared) else 'one clock',
                'gflops': _rounded(point.gflops),
                'gflops_counted': point.counted,
            }
            for point in points
        ],
        'medians': [_medians(figures) for figures in summary.points],
        'left_out': [
            {
                'model': candidate.model,
                'input_size_px': candidate.input_size_px,
                'engine': candidate.engine,
                'reason': reason,
            }
            for candidate, reason in summary.failed.items()
        ],
    }


def _medians(figures: PointFigures) -> Document:
    return {
        'model': figures.candidate.model,
        'input_size_px': figures.candidate.input_size_px,
        'engine': figures.candidate.engine,
        'frequency_mhz': _rounded(figures.frequency_hz * 1e-6, 7),
        **_spread('latency_s', figures.latency_s),
        'undisturbed_network_s': _rounded(figures.undisturbed.network_s),
        'undisturbed_serial_s': _rounded(figures.undisturbed.serial_s),
        'power_w': _rounded(figures.power.power_w),
        'utilization': _rounded(figures.power.utilization),
        'samples': figures.latency_s.samples,
        'rounds': figures.rounds,
    }


def _spread(name: str, spread: Spread) -> Document:
    stem, _, unit = name.rpartition('_')
    return {
        name: _rounded(spread.median),
        f'{stem}_p10_{unit}': _rounded(spread.p10),
        f'{stem}_p90_{unit}': _rounded(spread.p90),
    }


def _rounded(value: float, digits: int = 5) -> float | None:
    """To so many significant digits; None for what is not a number."""
    return float(f'{value:.{digits}g}') if np.isfinite(value) else None
