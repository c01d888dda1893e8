"""Detectors are loaded beside the work and freed when others need the room."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.errors import ModelError
from visionscaling_ros.vision.catalog import built_in_catalog
from visionscaling_ros.vision.model_cache import IN_USE_S, RETRY_S, ModelCache

WAIT_S = 10.0
MIB = 2**20
SIZES_MIB = {'small': 1, 'middle': 2, 'large': 4, 'large2': 4, 'huge': 100}


class Loader:
    """Gives names for detectors, when its gate is open; a clock that stands until it is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.loads: list[str] = []
        self.broken: set[str] = set()
        self.settled: list[tuple[str, str]] = []
        self.now_s = 100.0

    def load(self, name: str) -> Any:
        assert self.gate.wait(WAIT_S)
        self.loads.append(name)
        if name in self.broken:
            raise ModelError(f'{name}.yaml: file: not there')
        return f'detector {name} {len(self.loads)}'

    def cache(self, limit_mib: int = 0) -> ModelCache:
        return ModelCache(
            self.load,
            lambda name: SIZES_MIB[name] * MIB,
            memory_limit_bytes=limit_mib * MIB,
            on_settled=lambda name, trouble: self.settled.append((name, trouble)),
            clock=lambda: self.now_s,
        )


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def cache(loader: Loader) -> Iterator[ModelCache]:
    """Room for 6 MiB: small and large, or small and middle and no more."""
    made = loader.cache(limit_mib=6)
    yield made
    loader.gate.set()
    made.close()


def test_asking_never_waits_for_a_load(loader: Loader, cache: ModelCache) -> None:
    loader.gate.clear()
    assert cache.get('small') is None
    assert cache.get('small') is None
    loader.gate.set()
    assert cache.wait_ready('small', WAIT_S) == 'detector small 1'
    assert cache.get('small') == 'detector small 1'
    assert loader.loads == ['small']


def test_the_least_recently_used_is_freed_and_loaded_again_on_demand(
    loader: Loader, cache: ModelCache
) -> None:
    for name in ('small', 'middle'):
        cache.wait_ready(name, WAIT_S)
        cache.get(name)
    loader.now_s += 1.0
    cache.get('small')
    loader.now_s += IN_USE_S + 1.0
    cache.wait_ready('large', WAIT_S)
    assert cache.ready == ('small', 'large')
    loader.now_s += IN_USE_S + 1.0
    assert cache.get('middle') is None
    cache.wait_ready('middle', WAIT_S)
    assert loader.loads == ['small', 'middle', 'large', 'middle']
    assert 'small' not in cache.ready


def test_a_detector_in_use_or_pinned_is_not_freed_and_room_is_looked_for_again(
    loader: Loader, cache: ModelCache
) -> None:
    cache.wait_ready('large', WAIT_S)
    cache.get('large')
    assert 'large' in cache.ready
    with pytest.raises(ModelError, match='beside the models in use'):
        cache.wait_ready('large2', WAIT_S)
    assert cache.ready == ('large',)
    loader.now_s += IN_USE_S + RETRY_S + 1.0
    cache.pin({'large'})
    with pytest.raises(ModelError, match='beside the models in use'):
        cache.wait_ready('large2', WAIT_S)
    assert cache.short_of_room == {'large2'}
    loader.now_s += RETRY_S
    cache.pin(())
    assert cache.wait_ready('large2', WAIT_S)
    assert cache.ready == ('large2',)
    assert not cache.short_of_room


def test_a_lower_limit_frees_what_is_not_in_use_at_once(
    loader: Loader, cache: ModelCache
) -> None:
    for name in ('small', 'middle'):
        cache.wait_ready(name, WAIT_S)
    loader.now_s += IN_USE_S + 1.0
    cache.get('middle')
    cache.set_memory_limit_bytes(1)
    assert cache.ready == ('middle',)


def test_a_model_larger_than_the_limit_is_refused_by_name_and_frees_nothing(
    loader: Loader, cache: ModelCache
) -> None:
    cache.wait_ready('small', WAIT_S)
    loader.now_s += 10.0
    with pytest.raises(ModelError, match=r'huge takes 100\.0 MiB.*6\.0 MiB'):
        cache.wait_ready('huge', WAIT_S)
    assert cache.ready == ('small',)
    assert loader.loads == ['small']
    cache.set_memory_limit_bytes(0)
    assert cache.wait_ready('huge', WAIT_S)


def test_a_load_that_failed_is_remembered_until_it_is_discarded(
    loader: Loader, cache: ModelCache
) -> None:
    loader.broken.add('small')
    with pytest.raises(ModelError, match=r'small\.yaml: file'):
        cache.wait_ready('small', WAIT_S)
    loader.broken.clear()
    loader.now_s += 100.0
    assert cache.get('small') is None
    assert loader.loads == ['small']
    assert 'small.yaml' in cache.errors['small']
    cache.discard('small')
    assert cache.wait_ready('small', WAIT_S)
    assert loader.settled == [('small', 'small.yaml: file: not there'), ('small', '')]


def test_one_discarded_while_it_loads_is_not_kept(loader: Loader, cache: ModelCache) -> None:
    loader.gate.clear()
    cache.get('small')
    cache.discard('small')
    loader.gate.set()
    cache.wait_ready('middle', WAIT_S)
    assert cache.ready == ('middle',)
    assert [name for name, _ in loader.settled] == ['middle']


@settings(max_examples=40, deadline=None)
@given(
    asked=st.lists(st.sampled_from(['small', 'middle', 'large']), max_size=12),
    limit_mib=st.integers(4, 8),
)
def test_the_limit_holds_whatever_is_asked_for(asked: list[str], limit_mib: int) -> None:
    loader = Loader()
    cache = loader.cache(limit_mib)
    for name in asked:
        loader.now_s += 10.0
        cache.wait_ready(name, WAIT_S)
        assert cache.memory_bytes <= limit_mib * MIB
        assert cache.ready[-1] == name or cache.get(name)
    cache.close()
    assert cache.ready == ()


def test_real_models_are_loaded_beside_the_one_that_runs() -> None:
    catalog = built_in_catalog()
    small, *_, large = (name for name in catalog.names() if name.startswith('vsdet'))
    cache = ModelCache(catalog.load, lambda name: catalog.entry(name).memory_bytes)
    running = cache.wait_ready(small, 60.0)
    assert cache.get(large) is None
    assert cache.get(small) is running
    assert cache.wait_ready(large, 60.0).name == large
    assert cache.memory_bytes == sum(catalog.entry(n).memory_bytes for n in (small, large))
    cache.close()
