from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from edge_gated_runner import PATIENCE_S, GatedRunner
from edge_secrets import Authority, digest, write_private
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.credentials import ClientCredentials
from visionscaling_ros.edge.server.request_outcome import RequestOutcome
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.server_security import ServerSecurity
from visionscaling_ros.edge.server.service import SERVICE
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import build_request, parse_reply
from visionscaling_ros.errors import InvalidValueError

FRAME = OffloadFrame(5, 2, 'tiny', 320, b'\x01\x02', 640, 480, 0.0)
TOKENS = f"""
robots:
  amr-1: {{token_sha256: ["{digest('secret-1')}"]}}
  amr-2: {{token_sha256: ["{digest('old')}", "{digest('secret-2')}"], models: [small]}}
  slow: {{token_sha256: ["{digest('secret-3')}"], requests_per_second: 0.001}}
"""


@contextlib.asynccontextmanager
async def serving(security: ServerSecurity) -> AsyncIterator[EdgeServer]:
    server = EdgeServer(GatedRunner(), port=0, security=security)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(server: EdgeServer, credentials: ClientCredentials, robot_id='', **changes):
    """The status code and text a request gets."""
    secure = credentials.channel_credentials()
    options: list[tuple[str, object]] = [('grpc.use_local_subchannel_pool', 1)]
    if credentials.server_name:
        options.append(('grpc.ssl_target_name_override', credentials.server_name))
    channel = (
        grpc.aio.insecure_channel(server.address, options)
        if secure is None
        else grpc.aio.secure_channel(server.address, secure, options)
    )
    request = build_request(replace(FRAME, **changes), robot_id=robot_id, deadline_s=PATIENCE_S)
    async with channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            reply = await stub.ModelInfer(request, metadata=credentials.metadata())
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()
    parse_reply(reply, replace(FRAME, **changes))
    return 'OK', ''


def token(folder: Path, text: str) -> ClientCredentials:
    return ClientCredentials(token_file=write_private(folder / 'token', text + '\n'))


def test_tokens_say_who_a_robot_is_and_what_it_may(tmp_path: Path) -> None:
    async def scenario() -> None:
        security = ServerSecurity(tokens_file=write_private(tmp_path / 'robots.yaml', TOKENS))
        async with serving(security) as server:
            assert (await ask(server, token(tmp_path, 'secret-1')))[0] == 'OK'
            assert (await ask(server, token(tmp_path, 'secret-1'), 'amr-1'))[0] == 'OK'
            code, text = await ask(server, token(tmp_path, 'secret-1'), 'amr-2')
            assert (code, 'amr-2' in text) == ('PERMISSION_DENIED', True)
            code, text = await ask(server, token(tmp_path, 'secret-2'))
            assert code == 'PERMISSION_DENIED'
            assert "allowed: ['small']" in text
            for known in ('secret-2', 'old'):
                assert (await ask(server, token(tmp_path, known), model='small'))[0] == 'OK'
            code, text = await ask(server, token(tmp_path, 'secret-9'))
            assert (code, 'secret' in text) == ('UNAUTHENTICATED', False)
            code, text = await ask(server, ClientCredentials())
            assert (code, 'Bearer' in text) == ('UNAUTHENTICATED', True)
            assert (await ask(server, token(tmp_path, 'secret-3')))[0] == 'OK'
            code, text = await ask(server, token(tmp_path, 'secret-3'))
            assert code == 'RESOURCE_EXHAUSTED'
            assert 'slow sends too often, allowed: 0.001 requests/s' in text
            outcomes = server.statistics.outcomes
            assert outcomes['amr-1', RequestOutcome.OK] == 2
            assert outcomes['amr-1', RequestOutcome.UNAUTHENTICATED] == 1
            assert outcomes['slow', RequestOutcome.REFUSED_QUOTA] == 1
            assert outcomes['unknown', RequestOutcome.UNAUTHENTICATED] == 2
            assert server.statistics.received == sum(outcomes.values())

    asyncio.run(scenario())


def test_signs_of_life_need_no_token_but_refuse_a_wrong_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        security = ServerSecurity(tokens_file=write_private(tmp_path / 'robots.yaml', TOKENS))
        async with (
            serving(security) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            live = service_pb2.ServerLiveRequest()
            assert (await stub.ServerLive(live)).live
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await stub.ServerLive(live, metadata=(('authorization', 'Bearer no'),))
            assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED
            check = health_pb2_grpc.HealthStub(channel).Check
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await check(
                    health_pb2.HealthCheckRequest(), metadata=(('authorization', 'Bearer no'),)
                )
            assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED
            for call in (
                stub.ServerMetadata(service_pb2.ServerMetadataRequest()),
                stub.ModelStatistics(service_pb2.ModelStatisticsRequest()),
                stub.RepositoryIndex(service_pb2.RepositoryIndexRequest()),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as failure:
                    await call
                assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(scenario())


def test_who_wants_to_be_told_of_the_servers_health_needs_a_token(tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        security = ServerSecurity(tokens_file=write_private(tmp_path / 'robots.yaml', TOKENS))
        async with (
            serving(security) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            health = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=SERVICE)
            assert (await health.Check(request)).status == 1
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await health.Watch(request).read()
            assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED
            metadata = (('authorization', 'Bearer secret-1'),)
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await health.Watch(
                    health_pb2.HealthCheckRequest(service='x'), metadata=metadata
                ).read()
            assert failure.value.code() is grpc.StatusCode.NOT_FOUND
            watch = health.Watch(request, metadata=metadata)
            seen = [(await watch.read()).status]
            stopping = asyncio.ensure_future(server.stop())
            seen.append((await watch.read()).status)
            await stopping
            return seen

    states = health_pb2.HealthCheckResponse
    assert asyncio.run(scenario()) == [states.SERVING, states.NOT_SERVING]


def test_reload_revokes_tokens_and_keeps_the_former_ones_when_the_file_is_bad(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        tokens_file = write_private(tmp_path / 'robots.yaml', TOKENS)
        async with serving(ServerSecurity(tokens_file=tokens_file)) as server:
            tokens_file.write_text('robots: {amr-1: {token_sha256: [abc]}}')
            server.reload()
            assert (await ask(server, token(tmp_path, 'secret-1')))[0] == 'OK'
            tokens_file.write_text(TOKENS.replace(digest('secret-1'), digest('new')))
            server.reload()
            assert (await ask(server, token(tmp_path, 'secret-1')))[0] == 'UNAUTHENTICATED'
            assert (await ask(server, token(tmp_path, 'new')))[0] == 'OK'

    asyncio.run(scenario())


def test_tls_is_refused_when_the_servers_name_is_not_proven(tmp_path: Path) -> None:
    ca, other = Authority(tmp_path), Authority(tmp_path, 'other')
    good = ca.issue('good', '127.0.0.1', 'edge.test')
    cases = {
        'good': (good, ClientCredentials(ca_file=ca.file), 'OK'),
        'alias': (good, ClientCredentials(ca_file=ca.file, server_name='edge.test'), 'OK'),
        'wrong name': (
            ca.issue('wrong', 'somewhere.test'),
            ClientCredentials(ca_file=ca.file),
            'UNAVAILABLE',
        ),
        'expired': (
            ca.issue('expired', '127.0.0.1', expired=True),
            ClientCredentials(ca_file=ca.file),
            'UNAVAILABLE',
        ),
        'unknown CA': (good, ClientCredentials(ca_file=other.file), 'UNAVAILABLE'),
        'no TLS': (good, ClientCredentials(), 'UNAVAILABLE'),
    }

    async def scenario() -> dict[str, str]:
        found = {}
        for name, (pair, credentials, _) in cases.items():
            security = ServerSecurity(certificate_file=pair.certificate, key_file=pair.key)
            async with serving(security) as server:
                found[name] = (await ask(server, credentials))[0]
        return found

    assert asyncio.run(scenario()) == {name: expected for name, (_, _, expected) in cases.items()}


def test_mutual_tls_takes_the_robot_from_its_certificate(tmp_path: Path) -> None:
    ca, robots_ca = Authority(tmp_path), Authority(tmp_path, 'robots')
    own = ca.issue('server', '127.0.0.1')
    robots = write_private(
        tmp_path / 'robots.yaml',
        f'robots: {{by-name: {{}}, both: {{token_sha256: ["{digest("secret")}"]}}}}',
    )

    def client(name: str, authority: Authority = robots_ca, token_text='') -> ClientCredentials:
        pair = authority.issue(name, f'{name}.test', common_name=name)
        token_file = write_private(tmp_path / 'token', token_text) if token_text else None
        return ClientCredentials(ca.file, pair.certificate, pair.key, token_file)

    async def scenario() -> None:
        security = ServerSecurity(own.certificate, own.key, robots_ca.file)
        async with serving(security) as server:
            assert (await ask(server, client('r7'), 'r7'))[0] == 'OK'
            assert (await ask(server, client('r7'), 'r8'))[0] == 'PERMISSION_DENIED'
            assert server.statistics.outcomes['r7', RequestOutcome.OK] == 1
            for stranger in (client('r7', ca), ClientCredentials(ca.file)):
                assert (await ask(server, stranger))[0] == 'UNAVAILABLE'
        async with serving(replace(security, tokens_file=robots)) as server:
            assert (await ask(server, client('by-name')))[0] == 'OK'
            assert (await ask(server, client('r7')))[0] == 'UNAUTHENTICATED'
            assert (await ask(server, client('both')))[0] == 'UNAUTHENTICATED'
            assert (await ask(server, client('both', token_text='secret')))[0] == 'OK'
            stolen = await ask(server, client('by-name', token_text='secret'))
            assert stolen[0] == 'PERMISSION_DENIED'

    asyncio.run(scenario())


def test_certificates_are_replaced_without_a_restart(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    pair = ca.issue('server', '127.0.0.1', expired=True)

    async def scenario() -> None:
        security = ServerSecurity(certificate_file=pair.certificate, key_file=pair.key)
        async with serving(security) as server:
            credentials = ClientCredentials(ca_file=ca.file)
            assert (await ask(server, credentials))[0] == 'UNAVAILABLE'
            ca.issue('server', '127.0.0.1')
            server.reload()
            assert (await ask(server, credentials))[0] == 'OK'
            pair.key.write_text('no key')
            server.reload()
            assert (await ask(server, credentials))[0] == 'OK'

    asyncio.run(scenario())


@pytest.mark.parametrize('host', ['0.0.0.0', '::', '192.0.2.1', 'edge.test'])
def test_others_reach_it_only_where_that_was_asked_for(tmp_path: Path, host: str) -> None:
    tokens = write_private(tmp_path / 'robots.yaml', TOKENS)
    for security in (ServerSecurity(), ServerSecurity(tokens_file=tokens)):
        with pytest.raises(InvalidValueError, match='--insecure'):
            EdgeServer(GatedRunner(), host=host, security=security)
        assert 'without TLS' in replace(security, insecure=True).check_exposure(host)
        for loopback in ('127.0.0.1', '127.9.9.9', '::1', 'localhost'):
            assert security.check_exposure(loopback) == ''
    pair = Authority(tmp_path).issue('server', 'edge.test')
    tls = ServerSecurity(pair.certificate, pair.key)
    assert 'no tokens' in tls.check_exposure(host)
    assert replace(tls, tokens_file=tokens).check_exposure(host) == ''


def test_bad_files_are_named(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue('server', 'edge.test')
    other = Authority(tmp_path, 'other').issue('other', 'edge.test')
    no_certificates = tmp_path / 'bad.pem'
    no_certificates.write_text('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n')
    cases = [
        ({'certificate_file': pair.certificate}, 'tls_key'),
        ({'client_ca_file': pair.certificate}, 'tls_certificate'),
        ({'certificate_file': pair.certificate, 'key_file': other.key}, 'PEM certificate for'),
        ({'certificate_file': tmp_path / 'none.pem', 'key_file': pair.key}, r'none\.pem'),
        ({'certificate_file': pair.certificate, 'key_file': tmp_path / 'none'}, 'tls_key'),
        (
            {
                'certificate_file': pair.certificate,
                'key_file': pair.key,
                'client_ca_file': no_certificates,
            },
            'client_ca',
        ),
    ]
    for files, message in cases:
        with pytest.raises(InvalidValueError, match=message):
            EdgeServer(GatedRunner(), port=0, security=ServerSecurity(**files))
    pair.key.chmod(0o640)
    with pytest.raises(InvalidValueError, match='chmod 600'):
        EdgeServer(GatedRunner(), port=0, security=ServerSecurity(pair.certificate, pair.key))
