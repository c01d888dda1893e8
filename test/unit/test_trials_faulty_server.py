"""What spoils replies does so as told, and the robot's client knows every spoiled reply for one."""

from __future__ import annotations

import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.credentials import ClientCredentials
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadError, OffloadFrame
from visionscaling_ros.edge.wire.protocol import EdgeReply
from visionscaling_ros.trials.faults.garbage_server import GarbageServer
from visionscaling_ros.trials.faults.secrets import CampaignSecrets
from visionscaling_ros.trials.faults.small_disk import SIZE_KIB, SmallDisk
from visionscaling_ros.trials.faulty_server import FaultyServer, Spoil

TINY_SERVER = str(Path(__file__).with_name('edge_tiny_server.py'))
PATIENCE_S = 20.0
REASONS = {
    Spoil.NOTHING: None,
    Spoil.LATE: FailureReason.TIMEOUT,
    Spoil.NEVER: FailureReason.TIMEOUT,
    Spoil.TRUNCATED: FailureReason.BAD_REPLY,
    Spoil.GARBAGE: FailureReason.BAD_REPLY,
    Spoil.EMPTY: FailureReason.BAD_REPLY,
    Spoil.WRONG_SHAPE: FailureReason.BAD_REPLY,
    Spoil.WRONG_MODEL: FailureReason.BAD_REPLY,
    Spoil.WRONG_ID: FailureReason.BAD_REPLY,
    Spoil.NAN_BOXES: FailureReason.BAD_REPLY,
    Spoil.OUT_OF_MEMORY: FailureReason.REFUSED,
    Spoil.INTERNAL: FailureReason.BAD_REPLY,
    Spoil.UNAUTHENTICATED: FailureReason.UNAUTHORIZED,
}


@pytest.fixture(scope='module')
def tiny_server() -> Iterator[str]:
    program = subprocess.Popen(
        [sys.executable, TINY_SERVER, '0'], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    yield program.stdout.readline().split()[-1]
    program.kill()
    program.wait()
    program.stdout.close()


def ask(client: GrpcEdgeClient, left_s: float = PATIENCE_S) -> EdgeReply | OffloadError:
    replies: queue.Queue[EdgeReply | OffloadError] = queue.Queue()
    deadline_s = time.monotonic() + left_s
    frame = OffloadFrame(5, 1, 'tiny', 320, b'\x07' * 100, 640, 480, deadline_s, stamp_ns=1)
    client.submit(frame, left_s, replies.put)
    return replies.get(timeout=PATIENCE_S)


@pytest.fixture(scope='module')
def faulty(tiny_server: str) -> Iterator[FaultyServer]:
    with FaultyServer(tiny_server) as server:
        yield server


@pytest.mark.parametrize('spoil', Spoil)
def test_a_spoiled_reply_is_known_for_what_it_is_and_the_next_good_one_is_taken(
    faulty: FaultyServer, spoil: Spoil
) -> None:
    client = GrpcEdgeClient(faulty.address)
    try:
        assert isinstance(ask(client), EdgeReply)
        faulty.spoil = spoil
        answer = ask(client, 1.0 if spoil in (Spoil.LATE, Spoil.NEVER) else PATIENCE_S)
        assert (answer.reason if isinstance(answer, OffloadError) else None) is REASONS[spoil]
        assert client.probe(PATIENCE_S) > 0.0
        faulty.spoil = Spoil.NOTHING
        assert isinstance(ask(client), EdgeReply)
    finally:
        faulty.spoil = Spoil.NOTHING
        client.close()


def test_no_certificate_but_the_good_one_is_believed(tiny_server: str, tmp_path: Path) -> None:
    secrets = CampaignSecrets(tmp_path)
    robot = ClientCredentials(ca_file=secrets.ca_file)
    good = {'good': secrets.server}
    for name, pair in {**good, **secrets.spoiled}.items():
        with FaultyServer(tiny_server, credentials=pair.credentials()) as server:
            client = GrpcEdgeClient(server.address, credentials=robot)
            answer = ask(client, 2.0 if name in secrets.spoiled else PATIENCE_S)
            client.close()
        assert isinstance(answer, EdgeReply) is (name == 'good'), (name, answer)


def test_nonsense_on_the_wire_is_no_answer() -> None:
    with GarbageServer() as garbage:
        client = GrpcEdgeClient(garbage.address)
        for _ in range(3):
            assert isinstance(ask(client, 1.0), OffloadError)
        client.close()


def test_a_full_disk_takes_no_byte_until_it_is_freed() -> None:
    with SmallDisk() as disk:
        if not disk.can_be_full:
            pytest.skip('no file system can be mounted here')
        disk.fill()
        with pytest.raises(OSError, match='No space left'):
            (disk.path / 'log').write_bytes(b'x' * 1024 * SIZE_KIB)
        disk.free()
        (disk.path / 'log').write_bytes(b'x' * 1024)
        folder = disk.path
    assert not folder.exists()
