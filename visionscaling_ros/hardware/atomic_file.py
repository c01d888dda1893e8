"""Files that are either the old or the new ones, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_atomically(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Replace ``path`` in one step; its folder is made if need be. Raises OSError.

    No link that somebody planted is followed.

    :param durable: on disk before this returns, folders that were made included.
    """
    make_folder(path.parent, durable=durable)
    temporary = path.with_name(f'{path.name}.{os.getpid()}.new')
    try:
        with os.fdopen(_open_new(temporary), 'wb') as file:
            file.write(content if isinstance(content, bytes) else content.encode())
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(path.parent)


def remove_unfinished(path: Path) -> None:
    """Remove what killed writers of ``path`` left beside it; only while nobody writes it."""
    for left in path.parent.glob(f'{path.name}.*.new'):
        left.unlink(missing_ok=True)


def remove_durably(path: Path) -> None:
    """Remove ``path`` if it is there, on disk before this returns. Raises OSError."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # gone with its folder
        sync_folder(path.parent)


def make_folder(folder: Path, *, durable: bool = False) -> None:
    """Make a folder only this user changes, and those above that are missing. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent, durable=durable)
    folder.mkdir(mode=0o755, exist_ok=True)
    if durable:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_new(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except FileExistsError:  # of a killed process that had the same number, or planted
        path.unlink()
        return os.open(path, flags, 0o644)
