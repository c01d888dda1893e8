"""The commands in docs/security.md, run as they stand there, and what comes of them in use."""

from __future__ import annotations

import asyncio
import re
import shutil
import stat
import subprocess
from pathlib import Path

import grpc
import pytest
from edge_gated_runner import PATIENCE_S, GatedRunner
from tritonclient.grpc import service_pb2_grpc

from visionscaling_ros.cli.edge_server_options import LIMITS
from visionscaling_ros.edge.credentials import ClientCredentials
from visionscaling_ros.edge.server.robot_directory import read_robots
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.server_security import ServerSecurity
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import build_request, parse_reply

DOCUMENT = Path(__file__).parents[2] / 'docs' / 'security.md'
FRAME = OffloadFrame(5, 2, 'tiny', 320, b'\x01\x02', 640, 480, 0.0)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which('openssl') is None:
        pytest.skip('openssl is not installed')
    folder = tmp_path_factory.mktemp('certificates')
    commands = re.findall(r'^```sh\n(.*?)^```', DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert len(commands) == 4
    done = subprocess.run(
        ['sh', '-eu'],
        input=''.join(commands),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_documented_secrets_are_for_their_owner_only(folder: Path) -> None:
    for name in ('ca.key', 'server.key', 'amr-07.key', 'amr-07.token', 'robots.yaml'):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    robots = read_robots(folder / 'robots.yaml', tokens_required=True)
    assert robots['amr-08'].models == {'vsdet_n', 'vsdet_s'}


def test_a_robot_connects_with_what_the_document_makes(folder: Path) -> None:
    def robot(certificate: str, token: str) -> ClientCredentials:
        return ClientCredentials(
            folder / 'ca.pem',
            folder / f'{certificate}.pem',
            folder / f'{certificate}.key',
            folder / f'{token}.token',
        )

    async def ask(server: EdgeServer, credentials: ClientCredentials) -> str:
        options = [('grpc.use_local_subchannel_pool', 1)]
        secure = credentials.channel_credentials()
        async with grpc.aio.secure_channel(server.address, secure, options) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            request = build_request(FRAME, robot_id='', deadline_s=PATIENCE_S)
            try:
                reply = await stub.ModelInfer(request, metadata=credentials.metadata())
            except grpc.aio.AioRpcError as error:
                return error.code().name
            parse_reply(reply, FRAME)
            return 'OK'

    async def scenario() -> list[str]:
        security = ServerSecurity(
            folder / 'server.pem', folder / 'server.key', folder / 'ca.pem', folder / 'robots.yaml'
        )
        server = EdgeServer(GatedRunner(), port=0, security=security)
        await server.start()
        try:
            return [
                await ask(server, robot('amr-07', 'amr-07')),
                await ask(server, robot('amr-07', 'amr-08')),
                await ask(server, robot('amr-08', 'amr-08')),  # may not use that model
                await ask(server, ClientCredentials(folder / 'ca.pem')),
            ]
        finally:
            await server.stop()

    denied = 'PERMISSION_DENIED'
    assert asyncio.run(scenario()) == ['OK', denied, denied, 'UNAVAILABLE']


def test_every_limit_that_can_be_set_is_in_the_document() -> None:
    text = DOCUMENT.read_text()
    assert [option for option in LIMITS if f'`--{option}`' not in text] == []
