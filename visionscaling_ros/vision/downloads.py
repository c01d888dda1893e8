"""Fetches the file of a public model, when asked to and never otherwise."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from visionscaling_ros.errors import ModelError
from visionscaling_ros.vision.checksum import sha256_of
from visionscaling_ros.vision.manifest import Download, Manifest
from visionscaling_ros.vision.model_loading import sha256_record

Progress = Callable[[int], None]
TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 16
_PARTIAL_CONTENT = 206


def download_model(manifest: Manifest, progress: Progress) -> str:
    """Fetch the network's file of a manifest; returns its SHA-256.

    What an earlier attempt left is continued. The file is put in place only when its size and
    checksum are right. Where the manifest knows no checksum, the one of this file is written
    beside it, and from then on no other file is accepted.

    :param progress: is told how many bytes there are so far.
    :raises ModelError: naming address or file: no download given, no network, a wrong size or
        checksum, no room, another process that fetches it.
    """
    source = manifest.download
    if source is None:
        raise ModelError(f'{manifest.path}: download: None; allowed: url and size_bytes')
    partial = manifest.file.with_name(f'{manifest.file.name}.partial')
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with _opened_alone(partial) as file:
            _fetch(source, partial, file, progress)
            found = sha256_of(partial)
            if manifest.sha256 not in (None, found):
                partial.unlink()
                raise ModelError(
                    f'{manifest.path}: sha256: what {source.url} gave has {found}; allowed: '
                    f'{manifest.sha256}'
                )
            if manifest.sha256 is None:
                sha256_record(manifest.file).write_text(f'{found}\n', encoding='ascii')
            partial.replace(manifest.file)
    except OSError as error:
        raise ModelError(f'{manifest.file}: cannot be written: {error}') from error
    return found


@contextlib.contextmanager
def _opened_alone(partial: Path) -> Iterator[IO[bytes]]:
    """The file to append to, locked; raises ModelError when another process fetches it."""
    with partial.open('ab') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the other one may have finished, and moved it, in between
            taken = not os.path.samestat(os.fstat(file.fileno()), partial.stat())
        except (BlockingIOError, FileNotFoundError):
            taken = True
        if taken:
            raise ModelError(f'{partial}: another process is fetching it')
        yield file


def _fetch(source: Download, partial: Path, file: IO[bytes], progress: Progress) -> None:
    """Bring ``partial`` to its full size; raises OSError only for what is wrong with the file."""
    start = file.tell()
    if start > source.size_bytes:
        start = 0
    if start == source.size_bytes:
        return
    with _answer(source, start) as answer:
        received = start if answer.status == _PARTIAL_CONTENT else 0
        file.truncate(received)
        for chunk in _chunks(source, answer):
            received += len(chunk)
            if received > source.size_bytes:
                break
            file.write(chunk)
            progress(received)
    file.flush()
    if received > source.size_bytes:
        partial.unlink()
        raise ModelError(f'{source.url}: gives more than {source.size_bytes} bytes')
    if received < source.size_bytes:
        raise ModelError(
            f'{source.url}: ended after {received} of {source.size_bytes} bytes; '
            'the next attempt goes on from there'
        )


@contextlib.contextmanager
def _answer(source: Download, start: int) -> Iterator[http.client.HTTPResponse]:
    try:
        request = urllib.request.Request(source.url, headers={'User-Agent': 'visionscaling_ros'})
        if start:
            request.add_header('Range', f'bytes={start}-')
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: the address
        reason = getattr(error, 'reason', error)
        raise ModelError(f'{source.url}: cannot be reached ({reason})') from error
    with answer:
        yield answer


def _chunks(source: Download, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = answer.read(_CHUNK_BYTES)
        except http.client.IncompleteRead as error:
            chunk = error.partial
        except (OSError, http.client.HTTPException) as error:
            raise ModelError(
                f'{source.url}: the connection broke ({error}); the next attempt goes on from there'
            ) from error
        if not chunk:
            return
        yield chunk
