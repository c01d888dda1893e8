"""What is known of a robot, a label and a line of text for each part of it."""

from __future__ import annotations

from visionscaling_ros.watch.readings import GpuReading
from visionscaling_ros.watch.robot_view import RobotView
from visionscaling_ros.watch.words import (
    by_share,
    configuration_words,
    figure,
    known,
    plain_name,
    since_words,
)


def detail_rows(view: RobotView) -> list[tuple[str, str]]:
    """Label and text of what is known of it; what was never told has no row."""
    rows = [
        ('mAP', _accuracy(view)),
        ('frames/s', _frames(view)),
        ('power', _power(view)),
        ('GPU', _gpu(view)),
        ('uplink', _uplink(view)),
        ('edge', _edge(view)),
        ('latency', _latency(view)),
        ('runs', _allocations(view)),
    ]
    return [(label, text) for label, text in rows if text]


def _accuracy(view: RobotView) -> str:
    state = view.state
    if state is None:
        return ''
    source = 'measured' if state.map_measured else 'by table'
    words = f'{figure(state.achieved_map, 3)} {source}'
    words += f', target {figure(view.accuracy_target_map, 3)}'
    if not state.beliefs.target_feasible:
        words += ' (out of reach: as accurate as it can be)'
    return words


def _frames(view: RobotView) -> str:
    state = view.state
    if state is None:
        return ''
    words = (
        f'{figure(state.processed_local_fps)} robot + {figure(state.processed_edge_fps)} edge '
        f'of {figure(state.arrival_fps)} arrived; {figure(state.dropped_fps)} dropped'
    )
    reason = view.main_drop_reason
    return f'{words} ({plain_name(reason)})' if reason else words


def _power(view: RobotView) -> str:
    if view.state is None:
        return ''
    words = f'{figure(view.state.power_w, 2)} W'
    words += f', {figure(view.energy_per_frame_j, 3)} J a frame'
    source = plain_name(view.gpu.power_source) if view.gpu is not None else ''
    return f'{words} ({source})' if source else words


def _gpu(view: RobotView) -> str:
    state, gpu = view.state, view.gpu
    parts = []
    if gpu is not None:
        parts += [f'{_ghz(gpu.frequency_hz)} GHz', _level(gpu)]
    elif state is not None:
        parts.append(f'{_ghz(state.gpu_frequency_hz)} GHz')
    if state is not None:
        parts.append(f'{figure(100.0 * state.gpu_utilization, 0)} % busy')
    if gpu is not None:
        parts.append(f'{figure(gpu.temperature_c, 0)} °C')
        if gpu.throttle_reason:
            parts.append(f'held back: {plain_name(gpu.throttle_reason, 80)}')
        if view.is_stale('gpu_state'):
            parts.append(f'told {since_words(view.ages_s["gpu_state"])} ago')
    return ', '.join(parts)


def _level(gpu: GpuReading) -> str:
    if not gpu.set_frequency_hz > 0.0:
        return 'left to the device'
    highest_hz = max(gpu.available_frequencies_hz, default=gpu.set_frequency_hz)
    return f'level {_ghz(gpu.set_frequency_hz)} of {_ghz(highest_hz)}'


def _uplink(view: RobotView) -> str:
    state, link = view.state, view.link
    if state is not None:
        sent_bps = state.uplink_throughput_bps
    elif link is not None:
        sent_bps = link.goodput_bps
    else:
        return ''
    words = f'{_mbps(sent_bps)} sent of {_mbps(view.capacity_bps)} Mbit/s'
    if link is not None:
        words += f', RTT {_ms(link.rtt_s)}, loss {figure(100.0 * link.loss, 0)} %'
        if view.is_stale('link_state'):
            words += f', told {since_words(view.ages_s["link_state"])} ago'
    return words


def _edge(view: RobotView) -> str:
    link, state = view.link, view.state
    if link is not None:
        words = 'answers' if link.reachable else 'away'
        server = plain_name(link.server, 60) or 'no server'
        return f'{server} {words}, circuit {plain_name(link.circuit) or "?"}'
    if state is None:
        return ''
    return 'answers' if state.edge_reachable else 'no edge bridge was heard'


def _latency(view: RobotView) -> str:
    state = view.state
    if state is None:
        return ''
    return (
        f'p95 {_ms(state.latency_local_p95_s)} on the robot, '
        f'{_ms(state.latency_edge_p95_s)} through the edge'
    )


def _allocations(view: RobotView) -> str:
    return ', '.join(
        f'{figure(a.rate_fps)}/s {configuration_words(a)}' for a in by_share(view.allocations)
    )


def _ghz(hertz: float) -> str:
    return figure(hertz * 1e-9, 2)


def _mbps(bps: float) -> str:
    return figure(bps * 1e-6, 2)


def _ms(seconds: float) -> str:
    return f'{figure(seconds * 1e3, 0)} ms' if known(seconds) else '-'
