"""A measured device as a picture."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from visionscaling_ros.errors import InvalidValueError

# Colours of Okabe and Ito, https://jfly.uni-koeln.de/color/, told apart with any colour vision.
COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#B8A000', '#000000')
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X', '*')
DPI = 110
FIGURE_IN = (13.5, 9.5)

Document = Mapping[str, Any]
Item = Mapping[str, Any]


def plot_profile(path: Path, document: Document) -> None:
    """Save the picture of a profile with its measurements; replaces the file as a whole.

    Raises InvalidValueError when it cannot be written.
    """
    figure, axes = plt.subplots(2, 2, figsize=FIGURE_IN, layout='constrained')
    styles = Styles(document['points'])
    draw_latency(axes[0, 0], document, styles)
    draw_work(axes[0, 1], document, styles)
    draw_power(axes[1, 0], document)
    draw_pareto(axes[1, 1], document, styles)
    figure.legend(handles=styles.handles(), loc='outside right center', fontsize='small')
    measured_on = document['measurements']['environment']['processor']
    figure.suptitle(f'{document["name"]}: {measured_on}')
    partial = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(partial, dpi=DPI, format=path.suffix.lstrip('.') or 'png')
        partial.replace(path)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise InvalidValueError('plot', str(path), f'a picture to write ({error})') from error
    finally:
        plt.close(figure)


class Styles:
    """A colour for each model, a marker for each input size."""

    def __init__(self, points: Sequence[Item]) -> None:
        models = list(dict.fromkeys(point['model'] for point in points))
        sizes_px = sorted({point['input_size_px'] for point in points})
        self.colors = {name: COLORS[k % len(COLORS)] for k, name in enumerate(models)}
        self.markers = {size: MARKERS[k % len(MARKERS)] for k, size in enumerate(sizes_px)}

    def of(self, item: Item) -> dict[str, Any]:
        """Colour and marker of a point."""
        return {
            'color': self.colors[item['model']],
            'marker': self.markers[item['input_size_px']],
        }

    def handles(self) -> list[Line2D]:
        """What the legend shows."""
        models = [
            Line2D([], [], color=color, label=name, linewidth=3)
            for name, color in self.colors.items()
        ]
        sizes = [
            Line2D([], [], color='black', marker=marker, linestyle='none', label=f'{size} px')
            for size, marker in self.markers.items()
        ]
        return models + sizes


def draw_latency(axis: Axes, document: Document, styles: Styles) -> None:
    """Latency against clock, undisturbed, with bars to a tenth and nine tenths, and the fits."""
    for point in document['points']:
        levels = point_medians(document, point)
        clocks_mhz = np.array([level['frequency_mhz'] for level in levels])
        latencies_ms = np.array([1e3 * undisturbed_s(level) for level in levels])
        low_ms = latencies_ms - np.array([level['latency_p10_s'] for level in levels]) * 1e3
        high_ms = np.array([level['latency_p90_s'] for level in levels]) * 1e3 - latencies_ms
        axis.errorbar(
            clocks_mhz, latencies_ms, yerr=np.maximum([low_ms, high_ms], 0.0), linestyle='none',
            markersize=4, elinewidth=0.5, **styles.of(point),
        )  # fmt: skip
        curve_mhz = np.linspace(clocks_mhz[0], clocks_mhz[-1], 50)
        axis.plot(
            curve_mhz, 1e3 * _latency_s(point, curve_mhz), linewidth=0.8,
            color=styles.colors[point['model']],
        )  # fmt: skip
    _log_latency(axis)
    _label(axis, 'Latency and its fit, kappa/f + s', 'GPU clock [MHz]', 'latency [ms]')


def draw_work(axis: Axes, document: Document, styles: Styles) -> None:
    """Latency at the highest clock against arithmetic; hollow where that was not counted."""
    work = {(p['model'], p['input_size_px']): p for p in document['measurements']['points']}
    for point in document['points']:
        counted = work[point['model'], point['input_size_px']]
        if not counted['gflops'] > 0.0:
            continue
        highest = point_medians(document, point)[-1]
        style = styles.of(point)
        axis.plot(
            counted['gflops'], 1e3 * undisturbed_s(highest), linestyle='none', markersize=7,
            markerfacecolor=style['color'] if counted['gflops_counted'] else 'none', **style,
        )  # fmt: skip
    if not axis.lines:
        axis.text(0.5, 0.5, 'no network could be counted', ha='center', transform=axis.transAxes)
    axis.set_xscale('log')
    _log_ticks(axis.xaxis)
    _log_latency(axis)
    _label(
        axis, 'Latency at the highest clock (hollow: work estimated)', 'work [GFLOP/frame]',
        'latency [ms]',
    )  # fmt: skip


def draw_power(axis: Axes, document: Document) -> None:
    """Power of the GPU against clock, busy and idle, and the fit."""
    device, measurements = document['device'], document['measurements']
    busy, idle = measurements['medians'], measurements['idle']
    axis.plot(
        [item['frequency_mhz'] for item in busy], [item['power_w'] for item in busy], 'o',
        color=COLORS[0], markersize=4, alpha=0.5, label='busy',
    )  # fmt: skip
    axis.plot(
        [item['frequency_mhz'] for item in idle], [item['power_w'] for item in idle], 's',
        color=COLORS[3], markersize=5, markerfacecolor='none', label='idle',
    )  # fmt: skip
    clocks_mhz = np.linspace(min(device['available_frequencies_mhz']) * 0.9,
                             max(device['available_frequencies_mhz']) * 1.02, 80)  # fmt: skip
    r2 = measurements['power_fit_r2']
    formula = f'{device["alpha_w_per_ghz3"]:g} f³ + {device["beta_w"]:g} W (f in GHz)'
    axis.plot(
        clocks_mhz, _gpu_power_w(device, clocks_mhz), color=COLORS[1],
        label=formula + ('' if r2 is None else f', R² {r2:.3f}'),
    )  # fmt: skip
    axis.set_ylim(bottom=0.0)
    axis.legend(fontsize='small')
    meter = measurements['meter']
    title = 'GPU power by model, not measured' if meter == 'model' else f'GPU power by {meter}'
    _label(axis, title, 'GPU clock [MHz]', 'power [W]')


def draw_pareto(axis: Axes, document: Document, styles: Styles) -> None:
    """Accuracy against energy per frame, each point at its most economical clock."""
    device = document['device']
    points = document['points']
    best = [economical(device, point) for point in points]
    places = [(best[k][0], point['accuracy_map']) for k, point in enumerate(points)]
    front = pareto_front(places)
    for k, point in enumerate(points):
        (energy_j, clock_mhz), accuracy = best[k], point['accuracy_map']
        axis.plot(energy_j, accuracy, linestyle='none', markersize=7, **styles.of(point))
        if k in front:
            text = f'{point["input_size_px"]} px, {clock_mhz:.0f} MHz'
            axis.annotate(
                text, (energy_j, accuracy), fontsize='x-small', xytext=(6, -9),
                textcoords='offset points',
            )  # fmt: skip
    axis.plot(
        [places[k][0] for k in front], [places[k][1] for k in front], color='#666666', zorder=1,
        linewidth=1.0,
    )  # fmt: skip
    axis.axhline(document['accuracy_target_map'], color='#666666', linestyle=':', linewidth=1.0)
    axis.set_xscale('log')
    _log_ticks(axis.xaxis)
    axis.margins(x=0.25)
    _label(
        axis, 'Accuracy against energy, the whole computer busy (dotted: target)',
        'energy [J/frame] at the most economical clock', 'mAP 50:95',
    )  # fmt: skip


def economical(device: Item, point: Item) -> tuple[float, float]:
    """Least energy of a frame, the whole computer busy with it [J], and at which clock [MHz]."""
    clocks_mhz = np.array(device['available_frequencies_mhz'])
    power_w = _gpu_power_w(device, clocks_mhz) + device['base_w']
    energies_j = power_w * _latency_s(point, clocks_mhz)
    place = int(np.argmin(energies_j))
    return float(energies_j[place]), float(clocks_mhz[place])


def pareto_front(places: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of (cost, worth) no other beats in both, by rising cost.

    >>> pareto_front([(1.0, 0.2), (2.0, 0.1), (3.0, 0.4)])
    [0, 2]
    """
    front: list[int] = []
    for k in sorted(range(len(places)), key=lambda k: (places[k][0], -places[k][1])):
        if not front or places[k][1] > places[front[-1]][1]:
            front.append(k)
    return front


def point_medians(document: Document, point: Item) -> list[Item]:
    """The medians of a point on its engine, by rising clock."""
    key = ('model', 'input_size_px', 'engine')
    measurements = document['measurements']
    engine = next(
        item['engine'] for item in measurements['points']
        if all(item[name] == point[name] for name in key[:2])
    )  # fmt: skip
    wanted = {**point, 'engine': engine}
    return [
        item for item in measurements['medians'] if all(item[name] == wanted[name] for name in key)
    ]


def undisturbed_s(level: Item) -> float:
    """Latency of a frame nothing else took time from [s]."""
    return float(level['undisturbed_network_s'] + level['undisturbed_serial_s'])


def _latency_s(point: Item, clocks_mhz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(point['gpu_work_ghz_s'] / (clocks_mhz * 1e-3) + point['serial_s'])


def _gpu_power_w(device: Item, clocks_mhz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(device['beta_w'] + device['alpha_w_per_ghz3'] * (clocks_mhz * 1e-3) ** 3)


def _log_latency(axis: Axes) -> None:
    axis.set_yscale('log')
    _log_ticks(axis.yaxis)


def _log_ticks(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter('{x:g}')
    axis.set_minor_formatter(NullFormatter())


def _label(axis: Axes, title: str, x_label: str, y_label: str) -> None:
    axis.set_title(title, fontsize='medium')
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.grid(alpha=0.3)
