"""The files inference_node's parameters name, read once for as long as they are named."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from visionscaling_ros.simulation.profile import DeviceProfile, load_profile
from visionscaling_ros.vision.catalog import Catalog, built_in_catalog


def catalog_of(manifests: Sequence[str]) -> Catalog:
    """Built-in models and those of the manifests; raises InvalidValueError for a bad one."""
    return _catalog_of(tuple(name for name in manifests if name))


@functools.lru_cache(maxsize=1)
def _catalog_of(manifests: tuple[str, ...]) -> Catalog:
    return built_in_catalog().with_manifests([Path(name).expanduser() for name in manifests])


@functools.lru_cache(maxsize=1)
def profile_of(file: str) -> DeviceProfile | None:
    """The profile in a file; None for an empty name. Raises InvalidValueError for a bad one."""
    return load_profile(Path(file).expanduser()) if file else None
