"""Finds the files of a bag, and unpacks those that are compressed as a whole."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import yaml

from visionscaling_ros.bags.mcap_bag import McapBag
from visionscaling_ros.bags.rosbag1_bag import Rosbag1Bag
from visionscaling_ros.bags.skipped import Skipped
from visionscaling_ros.bags.sqlite_bag import SqliteBag
from visionscaling_ros.bags.stored import DAMAGED, Storage
from visionscaling_ros.errors import InvalidValueError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STORAGES: dict[str, Callable[[Path], Storage]] = {
    '.mcap': McapBag,
    '.db3': SqliteBag,
    '.bag': Rosbag1Bag,
}
PACKED = ('.zstd', '.zst')
METADATA = 'metadata.yaml'
WHAT = f'the folder of a bag, or a file {", ".join(STORAGES)} (or that with .zstd)'


def bag_files(path: Path, notes: Skipped) -> list[Path]:
    """The files of a bag in their order; raises InvalidValueError where there are none.

    The names in ``metadata.yaml`` are followed; without it, or where it is none, the folder's.
    """
    if not path.exists():
        raise InvalidValueError('bag', str(path), f'{WHAT}; it does not exist')
    if path.is_file():
        if _kind(path) not in STORAGES:
            raise InvalidValueError('bag', str(path), WHAT)
        return [path]
    there = sorted((p for p in path.iterdir() if _kind(p) in STORAGES), key=_natural)
    named = _named(path, notes)
    files = [path / name for name in named if (path / name).is_file()] or there
    for name in named:
        if not (path / name).is_file():
            notes.add(name, 'a file that metadata.yaml names is missing')
    if not files:
        raise InvalidValueError('bag', str(path), f'{WHAT}; the folder has no such file')
    return files


def open_file(path: Path, folder: Path, notes: Skipped) -> Storage:
    """Open a file of a bag; one that is compressed is unpacked into ``folder`` first.

    :raises InvalidValueError: it cannot be read.
    """
    if path.suffix not in PACKED:
        return STORAGES[_kind(path)](path)
    unpacked = folder / path.stem
    try:
        with path.open('rb') as packed, unpacked.open('wb') as whole:
            shutil.copyfileobj(zstd.ZstdFile(packed), whole, 2**20)
    except (zstd.ZstdError, EOFError) as error:  # what came before it counts
        notes.add(path.name, f'{DAMAGED}: {error}')
    try:
        return STORAGES[_kind(path)](unpacked)
    except InvalidValueError as error:
        raise InvalidValueError('bag', str(path), error.allowed) from error


def _kind(path: Path) -> str:
    return PurePath(path.stem).suffix if path.suffix in PACKED else path.suffix


def _named(path: Path, notes: Skipped) -> list[str]:
    metadata = path / METADATA
    if not metadata.is_file():
        return []
    try:
        content: Any = yaml.safe_load(metadata.read_text(encoding='utf-8'))
        names = content['rosbag2_bagfile_information']['relative_file_paths']
        found = [PurePath(name).name for name in names]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        notes.add(METADATA, f'{DAMAGED}: {type(error).__name__}')
        return []
    return [name for name in found if _kind(Path(name)) in STORAGES]


def _natural(path: Path) -> list[tuple[int, str]]:
    """So that run_10 comes after run_9."""
    parts = re.split(r'(\d+)', path.name)
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in parts]
