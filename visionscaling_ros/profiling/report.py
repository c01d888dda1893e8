"""A profile as a table, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from visionscaling_ros.profiling.profile_plots import economical, point_medians, undisturbed_s
from visionscaling_ros.simulation.report import print_table

HEADINGS = (
    'model', 'px', 'engine', 'ms', 'median', 'p90', 'GHz ms', 'serial ms', 'R2', 'mAP', 'J/frame',
    'at MHz',
)  # fmt: skip

QUIET = 1.5

Document = Mapping[str, Any]


def print_profile(document: Document) -> None:
    """Print every point: latency at the highest clock, its fit, energy at the best clock.

    ``ms`` is the latency of a frame nothing else took time from, which the fit goes by.
    """
    measured = document['measurements']
    lines = []
    for point, source in zip(document['points'], measured['points'], strict=True):
        highest = point_medians(document, point)[-1]
        energy_j, clock_mhz = economical(document['device'], point)
        lines.append((
            point['model'],
            str(point['input_size_px']),
            source['engine'],
            _ms(undisturbed_s(highest)),
            _ms(highest['latency_s']),
            _ms(highest['latency_p90_s']),
            _ms(point['gpu_work_ghz_s']),
            _ms(point['serial_s']),
            '-' if source['r2'] is None else f'{source["r2"]:.4f}',
            f'{point["accuracy_map"]:.3f}',
            f'{energy_j:.3f}',
            f'{clock_mhz:.0f}',
        ))
    print_table(document['name'], HEADINGS, lines)
    device, r2 = document['device'], measured['power_fit_r2']
    fit = '' if r2 is None else f', R2 {r2:.4f}'
    print(
        f'GPU power by {measured["meter"]}: {device["alpha_w_per_ghz3"]:g} f^3 + '
        f'{device["beta_w"]:g} W (f in GHz){fit}'
    )
    disturbance = float(np.median([
        level['latency_p90_s'] / undisturbed_s(level) for level in measured['medians']
    ]))  # fmt: skip
    if disturbance > QUIET:
        print(
            f'disturbed: one frame in ten took {disturbance:.1f} times as long as it needs or '
            'more; figures are better when nothing else runs'
        )


def _ms(time_s: float) -> str:
    return f'{1e3 * time_s:.2f}'
