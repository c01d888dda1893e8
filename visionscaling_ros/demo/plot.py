"""A run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from visionscaling_ros.demo.run_record import RunRecord, SlotRow


def plot_run(
    path: Path, run: RunRecord, baseline: RunRecord | None
) -> None:
    """Save frames, uplink, clock, power and mAP over time as an image at ``path``."""
    figure, axes = plt.subplots(5, 1, figsize=(10, 12), sharex=True, constrained_layout=True)
    seconds = _seconds(run.slots)
    _plot_frames(axes[0], seconds, run.slots)
    _plot_link(axes[1], seconds, run.slots)
    for record, style in ((run, '-'), (baseline, '--')):
        if record is None:
            continue
        times_s = _seconds(record.slots)
        states = [row.state for row in record.slots]
        name = record.policy
        axes[2].step(times_s, [s.gpu_frequency_hz / 1e6 for s in states], style, label=name)
        axes[3].plot(times_s, [s.power_w for s in states], style, label=name)
        axes[4].plot(times_s, [s.achieved_map for s in states], style, label=name)
    axes[2].set_ylabel('GPU clock [MHz]')
    axes[3].set_ylabel('power [W]')
    axes[3].set_ylim(bottom=0)
    axes[4].set_ylabel('mAP 50:95, recent frames')
    axes[4].set_ylim(0, 1)
    axes[4].set_xlabel('time [s]')
    for axis in axes:
        axis.legend(loc='lower left', fontsize='small', framealpha=0.7)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _seconds(slots: Sequence[SlotRow]) -> list[float]:
    times_s, now_s = [], 0.0
    for row in slots:
        now_s += row.state.duration_s
        times_s.append(now_s)
    return times_s


def _plot_frames(axis: Axes, times_s: list[float], slots: Sequence[SlotRow]) -> None:
    axis.stackplot(
        times_s,
        [row.state.processed_local_fps for row in slots],
        [row.state.processed_edge_fps for row in slots],
        [row.state.dropped_fps for row in slots],
        labels=['on the robot', 'at the edge', 'dropped'],
        colors=['tab:blue', 'tab:green', 'lightgrey'],
    )
    axis.set_ylabel('frames/s')


def _plot_link(axis: Axes, times_s: list[float], slots: Sequence[SlotRow]) -> None:
    states = [row.state for row in slots]
    axis.step(times_s, [s.uplink_capacity_bps / 1e6 for s in states], label='estimated capacity')
    axis.step(times_s, [s.uplink_throughput_bps / 1e6 for s in states], label='sent')
    for time_s, state in zip(times_s, states, strict=True):
        if not state.edge_reachable:
            axis.axvspan(time_s - state.duration_s, time_s, color='tab:red', alpha=0.15)
    axis.set_ylabel('uplink [Mbit/s]\n(red: edge away)')
