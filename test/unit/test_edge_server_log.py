from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from visionscaling_ros.edge.server.server_log import MOST_PER_SECOND, server_log

LOGGER = logging.getLogger('visionscaling_ros.test')


def test_records_are_written_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with server_log():
        LOGGER.warning('the disk %s', 'is full')
    assert capsys.readouterr().err == 'WARNING the disk is full\n'


def test_a_flood_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    with server_log():
        for _ in range(5000):
            LOGGER.warning('again')
    lines = capsys.readouterr().err.splitlines()
    assert MOST_PER_SECOND <= len(lines) < 1000


@pytest.mark.parametrize('stream', ['stdout', 'stderr'])
def test_a_full_disk_does_not_change_the_exit_status(stream: str) -> None:
    program = (
        'import logging\n'
        'from visionscaling_ros.edge.server.server_log import say, server_log\n'
        'with server_log():\n'
        '    say("ready"); logging.getLogger("a").error("x" * 1000)\n'
    )
    with open('/dev/full', 'w') as full:
        done = subprocess.run([sys.executable, '-c', program], check=False, **{stream: full})
    assert done.returncode == 0
