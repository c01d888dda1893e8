"""Downloads, from a server on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from vision_models import write_manifest

from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.downloads import download_model
from visionscaling_ros.vision.manifest import Manifest, load_manifest

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; notes what it is asked for."""

    ranges: list[str | None]
    breaks_after: int | None = None
    knows_ranges = True
    extra = b''


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        """CONTENT, from where it is asked for, or as much as the server is told to."""
        asked = self.headers['Range']
        self.server.ranges.append(asked)
        if self.path != '/own.pt':
            self.send_error(404)
            return
        start = 0
        if asked and self.server.knows_ranges:
            start = int(asked.removeprefix('bytes=').removesuffix('-'))
            self.send_response(206)
        else:
            self.send_response(200)
        body = CONTENT[start:] + self.server.extra
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks_after])

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(('127.0.0.1', 0), Handler) as running:
        running.ranges = []
        thread = threading.Thread(target=running.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    return tmp_path


def manifest_of(
    server: Server, folder: Path, *, file: str = 'own.pt', size_bytes: int = len(CONTENT),
    sha256: str | None = SHA256,
) -> Manifest:  # fmt: skip
    url = f'http://127.0.0.1:{server.server_port}/{file}'
    return load_manifest(
        write_manifest(folder, sha256=sha256, download={'url': url, 'size_bytes': size_bytes})
    )


def test_a_file_arrives_whole_and_is_reported_on(server: Server, folder: Path) -> None:
    manifest = manifest_of(server, folder)
    steps: list[int] = []
    assert download_model(manifest, steps.append) == SHA256
    assert manifest.file.read_bytes() == CONTENT
    assert steps == sorted(steps)
    assert steps[-1] == len(CONTENT)
    assert [path.name for path in manifest.file.parent.iterdir()] == ['own.pt']


def test_what_broke_off_is_continued(server: Server, folder: Path) -> None:
    manifest = manifest_of(server, folder)
    server.breaks_after = 100_000
    with pytest.raises(ModelError, match=r'own\.pt: .*goes on from there'):
        download_model(manifest, lambda _: None)
    assert not manifest.file.exists()
    server.breaks_after = None
    download_model(manifest, lambda _: None)
    assert manifest.file.read_bytes() == CONTENT
    assert server.ranges == [None, 'bytes=100000-']


def test_a_server_that_starts_again_from_the_beginning_is_understood(
    server: Server, folder: Path
) -> None:
    manifest = manifest_of(server, folder)
    manifest.file.parent.mkdir(parents=True)
    manifest.file.with_name('own.pt.partial').write_bytes(b'x' * 1000)
    server.knows_ranges = False
    download_model(manifest, lambda _: None)
    assert manifest.file.read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_kept(server: Server, folder: Path) -> None:
    manifest = manifest_of(server, folder, sha256='0' * 64)
    with pytest.raises(ModelError, match=rf'own\.yaml: sha256: .*{SHA256}.*allowed: 0000'):
        download_model(manifest, lambda _: None)
    assert list(manifest.file.parent.iterdir()) == []


def test_more_than_there_should_be_is_refused(server: Server, folder: Path) -> None:
    server.extra = b'more'
    manifest = manifest_of(server, folder)
    with pytest.raises(ModelError, match=f'more than {len(CONTENT)} bytes'):
        download_model(manifest, lambda _: None)
    assert list(manifest.file.parent.iterdir()) == []


def test_a_file_without_a_known_checksum_is_held_to_the_first_one(
    server: Server, folder: Path
) -> None:
    manifest = manifest_of(server, folder, sha256=None)
    assert download_model(manifest, lambda _: None) == SHA256
    manifest.file.write_bytes(b'other')
    catalog = Catalog([]).with_manifests([manifest.path])
    with pytest.raises(ModelError, match=f'sha256: .*own.pt has .*allowed: {SHA256}'):
        catalog.load('own')


def test_what_cannot_be_reached_is_named(server: Server, folder: Path) -> None:
    with pytest.raises(ModelError, match=r'other\.pt: cannot be reached .*Not Found'):
        download_model(manifest_of(server, folder, file='other.pt'), lambda _: None)
    path = write_manifest(
        folder, download={'url': 'http://127.0.0.1:1/own.pt', 'size_bytes': 5}
    )
    with pytest.raises(ModelError, match=r'cannot be reached .*refused'):
        download_model(load_manifest(path), lambda _: None)
    with pytest.raises(ModelError, match=r'own\.yaml: download'):
        download_model(load_manifest(write_manifest(folder)), lambda _: None)


def test_an_address_that_is_none_is_named(folder: Path) -> None:
    path = write_manifest(folder, download={'url': 'http://[nowhere', 'size_bytes': 5})
    with pytest.raises(ModelError, match=r'http://\[nowhere: cannot be reached'):
        download_model(load_manifest(path), lambda _: None)


def test_a_connection_that_closes_without_an_answer_is_the_servers_fault(folder: Path) -> None:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        url = f'http://127.0.0.1:{listener.getsockname()[1]}/own.pt'

        def reset() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            connection.close()

        thread = threading.Thread(target=reset)
        thread.start()
        path = write_manifest(folder, download={'url': url, 'size_bytes': 5})
        with pytest.raises(ModelError, match=r'own\.pt: cannot be reached'):
            download_model(load_manifest(path), lambda _: None)
        thread.join()


def test_two_processes_do_not_write_the_same_file(server: Server, folder: Path) -> None:
    manifest = manifest_of(server, folder)
    partial = manifest.file.with_name('own.pt.partial')
    partial.parent.mkdir(parents=True)
    with partial.open('ab') as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match=r'own\.pt\.partial: another process is fetching it'):
            download_model(manifest, lambda _: None)
    assert server.ranges == []
    download_model(manifest, lambda _: None)
    assert manifest.file.read_bytes() == CONTENT


def test_the_command_fetches_once_and_says_what_it_got(
    server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    from visionscaling_ros.cli import download

    manifest = manifest_of(server, folder)
    parser = argparse.ArgumentParser()
    download.add_arguments(parser)
    listing = parser.parse_args(['--manifest', str(manifest.path)])
    assert download.run(listing) == 0
    assert 'own  0.5 MB' in capsys.readouterr().out
    arguments = parser.parse_args(['own', '--manifest', str(manifest.path)])
    assert download.run(arguments) == 0
    assert SHA256 in capsys.readouterr().out
    assert download.run(arguments) == 0
    assert 'is there' in capsys.readouterr().out
    assert len(server.ranges) == 1
    manifest.file.write_bytes(b'other')
    with pytest.raises(ModelError, match=r'own\.pt has .*allowed'):
        download.run(arguments)
    with pytest.raises(InvalidValueError, match=r'vsdet_n.*one with a download: .*own'):
        download.run(parser.parse_args(['vsdet_n', '--manifest', str(manifest.path)]))
