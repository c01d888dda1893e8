"""The files inference_node's parameters name, read anew only once they changed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from visionscaling_ros.simulation.profile import DeviceProfile, load_profile
from visionscaling_ros.vision.catalog import Catalog, built_in_catalog

Version = tuple[Path, int, int]  # file, time of its last change [ns], size [B]


def catalog_of(manifests: Sequence[str]) -> Catalog:
    """Built-in models and those of the manifests; raises InvalidValueError for a bad one."""
    return _catalog_of(tuple(_version(name) for name in manifests if name))


def profile_of(file: str) -> DeviceProfile | None:
    """The profile in a file; None for an empty name. Raises InvalidValueError for a bad one."""
    return _profile_of(_version(file)) if file else None


@functools.lru_cache(maxsize=1)
def _catalog_of(manifests: tuple[Version, ...]) -> Catalog:
    return built_in_catalog().with_manifests([path for path, *_ in manifests])


@functools.lru_cache(maxsize=1)
def _profile_of(version: Version) -> DeviceProfile:
    return load_profile(version[0])


def _version(name: str) -> Version:
    path = Path(name).expanduser()
    try:
        status = path.stat()
    except OSError:  # reading it says why
        return path, 0, 0
    return path, status.st_mtime_ns, status.st_size
