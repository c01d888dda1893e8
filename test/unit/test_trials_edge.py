"""The trials of the edge bridge: what they make of measurements, and that they run."""

from __future__ import annotations

import argparse
import json
import socket
from pathlib import Path

import numpy as np
import pytest

from visionscaling_ros.cli import bench_edge
from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.trials import capacity, overhead, pacing
from visionscaling_ros.trials.byte_counter import ByteCounter
from visionscaling_ros.trials.child import quick_server, shaped_link
from visionscaling_ros.trials.offered_frames import connected_bridge


def bench(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    bench_edge.add_arguments(parser)
    return bench_edge.run(parser.parse_args(arguments))


def test_a_slot_is_held_against_what_was_decided() -> None:
    slots = [
        pacing.Slot(0.0, 1.0, 1e6, 1.01e6, 0.99e6),
        pacing.Slot(1.0, 1.002, 2e6, 1.9e6, 2.0e6),
    ]
    figures = pacing.summary(slots, 1.0)
    assert figures['sent']['worst'] == pytest.approx(-0.05)
    assert figures['sent']['worst_at_bps'] == 2e6
    assert figures['sent']['within'] == 0.5
    assert figures['arrived']['worst'] == pytest.approx(-0.01)
    assert figures['late_s'] == pytest.approx(0.002)


def test_capacity_errors_are_of_the_mean_and_of_the_slots() -> None:
    truth = np.array([1e6] * 10 + [0.0] * 10)
    run = capacity.Run('x', 0.5, np.arange(20.0), truth + 1e5, truth, truth + 2e5, truth)
    row = capacity.summary(run)
    assert row['mean_error'] == pytest.approx(0.2)
    assert row['slot_error_median'] == pytest.approx(1.05)  # of a dead slot: 0.1 / 0.05 Mbit/s
    assert row['dead_share'] == 0.5
    assert row['covered'] == 1.0


def test_made_up_uplinks_are_the_same_every_time_and_differ() -> None:
    uplinks = dict(capacity.made_up_traces())
    again = dict(capacity.made_up_traces())
    assert len(uplinks) == 3
    for name, trace in uplinks.items():
        assert trace.mean_bps == again[name].mean_bps > 1e6
        assert trace.period_s == pytest.approx(120.0)
    rates = [uplinks['on and off'].rate_bps(0.1 * index) for index in range(1200)]
    assert 0.05 < rates.count(0.0) / len(rates) < 0.6


def test_what_the_bridge_adds_is_beyond_the_usual_bare_request() -> None:
    figures = overhead.summary([0.001, 0.002, 0.003], [0.003, 0.004, 0.005])
    assert figures['added']['p50_s'] == pytest.approx(0.002)


def test_bytes_that_arrive_are_counted_with_their_time() -> None:
    with socket.create_server(('127.0.0.1', 0)) as sink:
        address = f'127.0.0.1:{sink.getsockname()[1]}'
        with ByteCounter(address) as counter:
            host, _, port = counter.address.rpartition(':')
            with socket.create_connection((host, int(port))) as sender:
                receiver, _ = sink.accept()
                with receiver:
                    assert counter.arrived_bytes(1e12) == 0
                    sender.sendall(bytes(1000))
                    received = 0
                    while received < 1000:
                        received += len(receiver.recv(1000))
                    assert counter.arrived_bytes(1e12) == 1000
                    assert counter.arrived_bytes(0.0) == 0
                    receiver.sendall(b'back')
                    assert sender.recv(4) == b'back'


def test_server_and_link_are_real_and_end_with_their_context() -> None:
    with (
        quick_server() as server,
        shaped_link(server, LinkTrace.constant(5e6)) as (address, _),
        connected_bridge(address) as bridge,
    ):
        assert bridge.snapshot().server == address
    host, _, port = server.rpartition(':')
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_pacing_runs_from_the_command_line_and_writes_figures_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / 'edge.json'
    options = ('--json', str(figures), '--plot', str(tmp_path))
    assert bench(*options, 'pacing', '--slots', '2', '--slot', '0.2') == 0
    found = json.loads(figures.read_text())['pacing']
    assert len(found['slots']) == 2
    assert (tmp_path / 'edge_pacing.png').stat().st_size > 1000
    assert 'off their time' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (('pacing', '--slots', '0'), '--slots'),
        (('pacing', '--slot', '0'), '--slot'),
        (('capacity', '--seconds', '1'), '--seconds'),
        (('overhead', '--frames', '1'), '--frames'),
        (('overhead', '--rate', '0'), '--rate'),
    ],
)
def test_options_that_are_not_allowed_are_named(arguments: tuple[str, ...], named: str) -> None:
    with pytest.raises(InvalidValueError, match=named):
        bench(*arguments)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(SystemExit):
        bench('weather')
