"""The command that puts a bad link on one machine."""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from visionscaling_ros.cli import link
from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.errors import InvalidValueError

PATIENCE_S = 20.0
PROGRAM = (
    'import argparse, sys; from visionscaling_ros.cli import link; '
    'parser = argparse.ArgumentParser(); link.add_arguments(parser); '
    'sys.exit(link.run(parser.parse_args()))'
)


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    link.add_arguments(parser)
    return parser.parse_args(['--listen', '127.0.0.1:0', '--to', '127.0.0.1:1', *words])


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        *[(f'--{name}', '-1') for name in ('delay', 'jitter', 'stall-every', 'stall')],
        ('--reset-every', 'nan'),
        ('--loss', '1'),
        ('--loss', '-0.1'),
    ],
)
def test_a_condition_that_cannot_be_is_refused_by_its_name(option: str, value: str) -> None:
    with pytest.raises(InvalidValueError, match=f'{option} = '):
        link.run(parse('--trace', '1e6', f'{option}={value}'))


def test_a_bad_trace_of_the_way_back_is_refused() -> None:
    with pytest.raises(InvalidValueError, match='missing'):
        link.run(parse('--trace', '1e6', '--downlink', 'missing.csv'))


@pytest.fixture
def sink() -> Iterator[socket.socket]:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        yield listener


def test_it_stalls_and_resets_again_and_again_until_told_to_stop(sink: socket.socket) -> None:
    to = '{}:{}'.format(*sink.getsockname())
    conditions = ('--delay', '5', '--jitter', '2', '--loss', '0.01', '--seed', '3')
    program = subprocess.Popen(
        [
            *(sys.executable, '-c', PROGRAM, '--listen', '127.0.0.1:0', '--to', to),
            *('--trace', '5e6', '--stall-every', '0.2', '--stall', '50', '--reset-every', '0.3'),
            *conditions,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    with program.stdout as output:
        address = output.readline().rpartition(' ')[2].strip()
        for _ in range(2):
            robot = socket.create_connection(parse_address(address), timeout=PATIENCE_S)
            with robot, pytest.raises(ConnectionResetError):
                robot.recv(1)
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0
