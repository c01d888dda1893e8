"""Whatever is sent to the helper: no write, no crash, no growth, and others are served."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hardware_trees
import pytest
from clockd_helpers import (
    HelperProcess,
    HelperThread,
    connection,
    digest,
    line_of,
    rest_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clockd.protocol import MAX_REQUEST_BYTES
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock

DEVICE = '/sys/class/devfreq/17000000.gpu'
SET = {'op': 'set', 'backend': 'jetson', 'device': DEVICE, 'frequency_hz': 510e6}
MAX_GROWTH_BYTES = 4 * 2**20
NOBODY = 65534
HOSTILE = [
    b'\n',
    b'\0' * MAX_REQUEST_BYTES,
    b'[' * 4000 + b'\n',
    b'{"a":' * 800 + b'\n',
    b'{"op":"set","frequency_hz":NaN}\n',
    b'x' * (MAX_REQUEST_BYTES + 1),
    b'x' * 200000,
    b'GET / HTTP/1.1\r\n\r\n',
    b'\xff\xfe\n',
    json.dumps({**SET, 'path': '/etc/shadow'}).encode() + b'\n',
    json.dumps({**SET, 'frequency_hz': '510e6'}).encode() + b'\n',
    json.dumps({**SET, 'device': [DEVICE]}).encode() + b'\n',
]
# well formed, but nothing the helper has or the device lists
REFUSED = [
    {**SET, 'frequency_hz': frequency_hz}
    for frequency_hz in (0.0, -510e6, 1.0, 510e6 + 1.0, 1e300, 306000001.0)
] + [
    {**SET, 'device': device}
    for device in (f'{DEVICE}/../../../../etc', '/etc/passwd', f'{DEVICE}/', '', '..', '\0', '\n')
] + [
    {**SET, 'backend': 'nvml'},
    {'op': 'release', 'backend': 'jetson', 'device': '/sys/class/devfreq/x'},
]  # fmt: skip


@pytest.fixture(scope='module')
def tree(tmp_path_factory: pytest.TempPathFactory) -> hardware_trees.Tree:
    return hardware_trees.agx_orin(tmp_path_factory.mktemp('tree') / 'machine')


@pytest.fixture(scope='module')
def helper(
    tmp_path_factory: pytest.TempPathFactory, tree: hardware_trees.Tree
) -> Iterator[HelperProcess]:
    helper = HelperProcess(tmp_path_factory.mktemp('helper'), tree)
    yield helper
    helper.close()


@pytest.fixture(autouse=True)
def unharmed(helper: HelperProcess, tree: hardware_trees.Tree) -> Iterator[None]:
    before, resident = digest(tree), helper.resident_bytes()
    yield
    assert_served(helper)
    assert digest(tree) == before
    assert helper.process.poll() is None
    assert helper.resident_bytes() - resident < MAX_GROWTH_BYTES


def assert_served(helper: HelperProcess) -> None:
    clock = helper.clock()
    assert clock.set_frequency(5e8) == 510e6
    clock.keep_alive()
    clock.release()


def send(helper: HelperProcess, content: bytes) -> bytes:
    """Send it and say no more; what is answered until the helper ends the connection."""
    with connection(helper.socket_path) as link:
        with contextlib.suppress(ConnectionError):
            link.sendall(content)
            link.shutdown(socket.SHUT_WR)
        return rest_of(link)


@pytest.mark.parametrize('content', HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_request_ends_the_connection(helper: HelperProcess, content: bytes) -> None:
    assert b'"ok":true' not in send(helper, content)


@pytest.mark.parametrize('request_', REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_listed_is_refused_in_words(
    helper: HelperProcess, tree: hardware_trees.Tree, request_: dict[str, object]
) -> None:
    before = digest(tree)
    with connection(helper.socket_path) as link:
        link.sendall(json.dumps(request_).encode() + b'\n')
        answer = json.loads(line_of(link))
        assert answer['ok'] is False
        assert len(answer['error']) > 10
        assert digest(tree) == before


def test_random_bytes_change_nothing(helper: HelperProcess, tree: hardware_trees.Tree) -> None:
    before = digest(tree)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=2 * MAX_REQUEST_BYTES))
    def attack(content: bytes) -> None:
        assert b'"ok":true' not in send(helper, content)

    attack()
    assert digest(tree) == before


def test_requests_with_parts_swapped_change_nothing(
    helper: HelperProcess, tree: hardware_trees.Tree
) -> None:
    before = digest(tree)
    odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(list(SET)), odd | st.lists(odd, max_size=3))
    def attack(name: str, value: object) -> None:
        content = json.dumps({**SET, name: value}).encode() + b'\n'
        assert value == SET[name] or b'"ok":true' not in send(helper, content)

    attack()
    assert digest(tree) == before


def test_a_line_that_never_ends_takes_no_more_than_its_room(helper: HelperProcess) -> None:
    with connection(helper.socket_path) as link, contextlib.suppress(ConnectionError):
        link.sendall(b'x' * 8_000_000)
    resident = helper.resident_bytes()
    for _ in range(20):
        with connection(helper.socket_path) as link, contextlib.suppress(ConnectionError):
            link.sendall(b'x' * 8_000_000)
    assert helper.resident_bytes() - resident < MAX_GROWTH_BYTES


def test_answers_that_nobody_reads_do_not_pile_up(helper: HelperProcess) -> None:
    with connection(helper.socket_path) as link:
        link.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 50_000_000:
                sent += link.send(b'{"op":"devices"}\n' * 1000)
        assert sent < 50_000_000  # it stopped reading
        assert_served(helper)


def test_silent_connections_make_room_for_one_that_speaks(helper: HelperProcess) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            link = stack.enter_context(connection(helper.socket_path))
            link.send(b'{')
        assert_served(helper)
        open_files = len(os.listdir(f'/proc/{helper.process.pid}/fd'))
        assert open_files < 40


def test_who_holds_the_device_keeps_it_through_a_flood(
    helper: HelperProcess, tree: hardware_trees.Tree
) -> None:
    clock = helper.clock()
    clock.set_frequency(5e8)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connection(helper.socket_path)).send(b'{"op":"hello"}\n')
        clock.keep_alive()
        assert clock.limits_hz() == (510e6, 510e6)
        assert clock.set_frequency(1e9) == 1020e6
    clock.release()


def test_a_byte_now_and_then_is_not_being_alive(tmp_path: Path, tree: hardware_trees.Tree) -> None:
    with (
        HelperThread(tmp_path, [DevfreqGpuClock(tree.files)], timeout_s=1.5) as slow,
        connection(slow.socket_path) as link,
    ):
        link.settimeout(0.05)
        ended = False
        for byte in b'{' + b' ' * (MAX_REQUEST_BYTES - 10):
            with contextlib.suppress(TimeoutError):
                try:
                    link.send(bytes([byte]))
                    ended = link.recv(1) == b''
                except ConnectionError:
                    ended = True
            if ended:
                break
        assert ended
        clock = ClockdGpuClock(DevfreqGpuClock(tree.files), slow.socket_path)
        assert clock.access() == ''


def test_a_flood_of_good_requests_leaves_others_served(helper: HelperProcess) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            link = stack.enter_context(connection(helper.socket_path))
            link.sendall(b'{"op":"hello"}\n' * 2000)
        assert_served(helper)


# Who may.

ATTACK = """
import os, sys, socket
groups, gid, uid = [int(text) for text in sys.argv[2].split(',') if text], *map(int, sys.argv[3:5])
os.setgroups(groups); os.setgid(gid); os.setuid(uid)
with socket.socket(socket.AF_UNIX) as link:
    link.settimeout(30.0)
    try:
        link.connect(sys.argv[1])
        link.sendall(sys.argv[5].encode())
        print(link.recv(4096).decode() or 'closed')
    except PermissionError:
        print('no permission')
    except ConnectionError:
        print('closed')
"""


def ask_as(path: Path, *, uid: int = NOBODY, gid: int = NOBODY, groups: str = '') -> str:
    """What somebody else is answered."""
    line = json.dumps(SET) + '\n'
    command = [sys.executable, '-I', '-c', ATTACK, str(path), groups, str(gid), str(uid), line]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd='/').stdout


@pytest.fixture
def reachable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that other users can enter."""
    if os.geteuid() != 0:
        pytest.skip('only root can be somebody else')
    folder = tmp_path_factory.mktemp('reachable')
    changed = [path for path in (folder, *folder.parents) if not path.stat().st_mode & 0o001]
    modes = {path: path.stat().st_mode for path in changed}
    for path in changed:
        path.chmod(modes[path] | 0o011)
    yield folder
    for path, mode in modes.items():
        path.chmod(mode)


@pytest.mark.parametrize(
    ('options', 'who', 'served'),
    [
        ((), {}, 'no permission'),
        (('--allow-user', '12345'), {}, 'closed'),
        (('--allow-user', str(NOBODY)), {}, '"ok":true'),
        (('--allow-user', pwd.getpwuid(NOBODY).pw_name), {}, '"ok":true'),
        (('--allow-group', '4242'), {}, 'no permission'),
        (('--allow-group', '4242'), {'gid': 4242}, '"ok":true'),
        (('--allow-group', '4242'), {'groups': '7,4242'}, '"ok":true'),
        (('--allow-group', '4242', '--allow-user', '12345'), {'groups': '7'}, 'closed'),
        (('--allow-group', '4242', '--allow-user', '12345'), {'groups': '4242'}, '"ok":true'),
    ],
)
def test_only_who_may_is_read(
    reachable: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    who: dict[str, object],
    served: str,
) -> None:
    own_tree = hardware_trees.agx_orin(tmp_path / 'machine')
    before = digest(own_tree)
    own = HelperProcess(reachable, own_tree, *options)
    try:
        assert served in ask_as(own.socket_path, **who)
    finally:
        own.signal(signal.SIGTERM)
        own.close()
    assert digest(own_tree) == before
