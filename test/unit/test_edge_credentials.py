from __future__ import annotations

from pathlib import Path

import pytest
from edge_secrets import Authority, digest, write_private

from visionscaling_ros.edge.credentials import ClientCredentials
from visionscaling_ros.edge.server.robot_directory import RobotDirectory, read_robots
from visionscaling_ros.errors import InvalidValueError

GOOD = digest('secret')


def test_without_files_there_is_no_tls_and_no_token() -> None:
    credentials = ClientCredentials()
    assert not credentials.uses_tls
    assert credentials.channel_credentials() is None
    assert credentials.metadata() == ()


def test_a_token_is_sent_as_bearer(tmp_path: Path) -> None:
    path = write_private(tmp_path / 'token', 'abc\n')
    assert ClientCredentials(token_file=path).metadata() == (('authorization', 'Bearer abc'),)


@pytest.mark.parametrize('mode', [0o644, 0o640, 0o604, 0o620])
def test_secrets_that_others_can_reach_are_refused(tmp_path: Path, mode: int) -> None:
    path = write_private(tmp_path / 'token', 'abc')
    path.chmod(mode)
    with pytest.raises(InvalidValueError, match=f'{mode:04o}.*chmod 600'):
        ClientCredentials(token_file=path).metadata()
    ca = Authority(tmp_path)
    pair = ca.issue('robot', 'robot.test')
    pair.key.chmod(mode)
    credentials = ClientCredentials(ca.file, pair.certificate, pair.key)
    with pytest.raises(InvalidValueError, match='key_file'):
        credentials.channel_credentials()


@pytest.mark.parametrize('text', ['', ' \n', 'two words', 'line\nline', 'x' * 5000, 'ümlaut'])
def test_files_that_hold_no_token_are_refused(tmp_path: Path, text: str) -> None:
    path = write_private(tmp_path / 'token', text)
    with pytest.raises(InvalidValueError, match='token_file'):
        ClientCredentials(token_file=path).metadata()


def test_files_that_need_each_other(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue('robot', 'robot.test')
    for arguments in (
        {'certificate_file': pair.certificate},
        {'key_file': pair.key},
        {'certificate_file': pair.certificate, 'key_file': pair.key},
        {'server_name': 'edge'},
    ):
        with pytest.raises(InvalidValueError):
            ClientCredentials(**arguments)
    with pytest.raises(InvalidValueError, match='ca_file'):
        ClientCredentials(ca_file=tmp_path / 'none.pem').channel_credentials()
    no_certificate = write_private(
        tmp_path / 'empty.pem', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'
    )
    with pytest.raises(InvalidValueError, match=r'ca_file = .*empty\.pem.*PEM certificates'):
        ClientCredentials(ca_file=no_certificate).channel_credentials()
    no_pem = write_private(tmp_path / 'no.pem', 'hello')
    with pytest.raises(InvalidValueError, match='PEM'):
        ClientCredentials(ca_file=no_pem).channel_credentials()


def test_robots_are_found_by_token_and_by_name(tmp_path: Path) -> None:
    text = f'robots: {{a: {{token_sha256: ["{GOOD}"], requests_per_second: 5}}, b: {{}}}}'
    path = write_private(tmp_path / 'robots.yaml', text)
    robots = RobotDirectory(path, tokens_required=False)
    found = robots.find('secret')
    assert found is not None
    assert (found.robot_id, found.requests_per_second, found.models) == ('a', 5.0, None)
    assert robots.find('Secret') is None
    assert robots.find(GOOD) is None
    assert robots.get('b') is not None
    assert robots.get('c') is None


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('robots: []', 'robots'),
        ('robot: {}', "did you mean 'robot'"),
        ('robots: {7: {}}', 'letters'),
        ('robots: {"a b": {}}', 'letters'),
        ('robots: {a: {}}', 'token_sha256'),
        ('robots: {a: {token_sha256: [secret]}}', 'SHA-256'),
        (f'robots: {{a: {{token_sha256: "{GOOD}"}}}}', 'a list'),
        (f'robots: {{a: {{token_sha256: ["{GOOD}"], rate: 3}}}}', 'rate'),
        (f'robots: {{a: {{token_sha256: ["{GOOD}"], requests_per_second: 0}}}}', 'per_second'),
        (f'robots: {{a: {{token_sha256: ["{GOOD}"], models: []}}}}', 'models'),
        (
            f'robots: {{a: {{token_sha256: ["{GOOD}"]}}, b: {{token_sha256: ["{GOOD}"]}}}}',
            'not that of a',
        ),
        (f'robots: {{a: {{}}, a: {{token_sha256: ["{GOOD}"]}}}}', 'twice'),
    ],
)
def test_mistakes_in_the_file_of_robots_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = write_private(tmp_path / 'robots.yaml', text)
    with pytest.raises(InvalidValueError, match=message) as error:
        read_robots(path, tokens_required=True)
    assert 'secret' not in str(error.value)


def test_a_file_of_robots_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = write_private(tmp_path / 'robots.yaml', 'robots: {a: {}}')
    path.chmod(0o644)
    with pytest.raises(InvalidValueError, match='chmod 600'):
        read_robots(path, tokens_required=False)
