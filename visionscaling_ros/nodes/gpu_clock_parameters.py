"""Parameters of gpu_clock_node, and what they mean together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.clocks.choice import BACKENDS, HELPER_SOCKET
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import (
    AGX_ORIN_FREQUENCIES_HZ,
    check_levels,
)
from visionscaling_ros.hardware.keeper_settings import KeeperSettings
from visionscaling_ros.hardware.power.choice import METERS
from visionscaling_ros.hardware.power.gpu_power_model import GpuPowerModel
from visionscaling_ros.hardware.power.meter_sampler import MAX_RATE_HZ
from visionscaling_ros.hardware.state_folder import state_folder
from visionscaling_ros.hardware.thermal.thermal_guard import (
    DEFAULT_HARD_LIMIT_C,
    DEFAULT_SOFT_LIMIT_C,
    HIGHEST_C,
    ThermalLimits,
)
from visionscaling_ros.nodes.parameters import Parameter

PARAMETERS = (
    Parameter(
        'backend',
        'auto',
        'What to set. auto: the first clock of this machine that can be set. jetson, nvml, '
        'cpufreq: that one. emulated: a clock that exists in a file and really slows local '
        'inference. none: nothing',
        choices=BACKENDS,
        read_only=True,
    ),
    Parameter(
        'device', '', 'Which one, where a backend finds several: a devfreq node, the index or '
        'UUID of a card; empty: the first', read_only=True,
    ),
    Parameter(
        'sysfs_root', '/', "The machine's files; another folder stands for another machine",
        read_only=True,
    ),
    Parameter(
        'helper_socket', str(HELPER_SOCKET), 'Where visionscaling-clockd listens, which sets '
        'clocks this user may not', read_only=True,
    ),
    Parameter(
        'dry_run', False, 'Decide and report everything, write nothing', read_only=True,
    ),
    Parameter(
        'available_frequencies_hz', [0.0], 'Levels of the emulated clock; [0.0]: AGX Orin', 'Hz',
        0.0, read_only=True,
    ),
    Parameter(
        'min_frequency_hz', 0.0, 'Lowest clock to set, whatever is decided; 0: no bound. Heat '
        'may go below it', 'Hz', 0.0,
    ),
    Parameter(
        'max_frequency_hz', 0.0, 'Highest clock to set, whatever is decided; 0: no bound', 'Hz',
        0.0,
    ),
    Parameter(
        'soft_limit_c', DEFAULT_SOFT_LIMIT_C, 'Above it the clock is capped one level lower each '
        'second; 0: never', 'degC', 0.0, HIGHEST_C,
    ),
    Parameter(
        'hard_limit_c', DEFAULT_HARD_LIMIT_C, 'From it on, or when the temperature is not known '
        'any more, the clock is left to the device, whatever is decided; 0: never', 'degC', 0.0,
        HIGHEST_C,
    ),
    Parameter(
        'decision_timeout_s', 3.0, 'Without a decision for this long the clock is given back', 's',
        0.1, 60.0,
    ),
    Parameter(
        'power_backend', 'auto', 'Where power comes from. auto: the first meter of this machine '
        'that can be read, else, and with an emulated clock, the model', choices=METERS,
        read_only=True,
    ),
    Parameter(
        'power_sample_rate_hz', 0.0, 'How often the meter is read; 0: at its own rate', 'Hz', 0.0,
        MAX_RATE_HZ, read_only=True,
    ),
    Parameter('power_model_alpha_w_per_ghz3', 1.517, 'Power of the GPU is beta + u alpha f^3',
              'W/GHz^3', 0.0, 1000.0),
    Parameter('power_model_beta_w', 3.257, 'Power of the idle GPU', 'W', 0.0, 1000.0),
    Parameter(
        'power_base_w', 4.6, 'Power of what the model, or a meter of the GPU or the CPU alone, '
        'leaves out', 'W', 0.0, 1000.0,
    ),
    Parameter(
        'publish_rate_hz', 5.0, 'How often gpu_state is published and the clock looked at', 'Hz',
        0.5, 50.0, read_only=True,
    ),
    Parameter(
        'register_file', '', "The emulated clock's register; empty: one for each robot (domain "
        "and namespace) in the user's state folder", read_only=True,
    ),
    Parameter(
        'state_file', '', 'Where the state found is kept until it is restored; empty: beside the '
        'register, or one for each clock in that folder', read_only=True,
    ),
)  # fmt: skip


def check_together(values: Mapping[str, Any], levels_hz: Sequence[float]) -> None:
    """Raise InvalidValueError for values that do not go together.

    :param levels_hz: levels of the clock as far as they are known; empty: not yet.
    """
    emulated_hz = emulated_levels_hz(values)
    check_levels(emulated_hz)
    settings = keeper_settings(values)
    levels_hz = levels_hz or (emulated_hz if values['backend'] == 'emulated' else ())
    if levels_hz and not any(settings.allows(level) for level in levels_hz):
        raise InvalidValueError(
            'max_frequency_hz',
            values['max_frequency_hz'],
            f'0, or at least one of {list(levels_hz)} between min_frequency_hz '
            f'({values["min_frequency_hz"]:g}) and it',
        )


def emulated_levels_hz(values: Mapping[str, Any]) -> list[float]:
    """Levels of the emulated clock."""
    levels_hz: list[float] = values['available_frequencies_hz']
    return list(AGX_ORIN_FREQUENCIES_HZ) if levels_hz == [0.0] else levels_hz


def keeper_settings(values: Mapping[str, Any]) -> KeeperSettings:
    """What the clock may be made to do; raises InvalidValueError."""
    return KeeperSettings(
        min_frequency_hz=values['min_frequency_hz'],
        max_frequency_hz=values['max_frequency_hz'],
        decision_timeout_s=values['decision_timeout_s'],
        limits=ThermalLimits(values['soft_limit_c'], values['hard_limit_c']),
        period_s=1.0 / values['publish_rate_hz'],
        dry_run=values['dry_run'],
    )


def power_model(values: Mapping[str, Any]) -> GpuPowerModel:
    """The model of the GPU's power."""
    return GpuPowerModel(values['power_model_alpha_w_per_ghz3'], values['power_model_beta_w'])


def register_path(values: Mapping[str, Any], namespace: str) -> Path:
    """The emulated clock's register: one for each robot, by domain and namespace."""
    if values['register_file']:
        return Path(values['register_file']).expanduser()
    robot = namespace.strip('/').replace('/', '.') or 'robot'
    domain = os.environ.get('ROS_DOMAIN_ID', '') or '0'
    return state_folder() / f'emulated_gpu-{domain}-{robot}'
