"""Models on offer: loaded beside the work, swapped without a gap, within the memory there is."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('rclpy')

from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin
from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.nodes.inference_parameters import PARAMETERS, SHIPPED
from visionscaling_ros.nodes.managed_node import ERROR, OK, WARN
from visionscaling_ros.nodes.model_choice import check_inference_parameters
from visionscaling_ros.nodes.model_health import describe_models, model_trouble
from visionscaling_ros.nodes.model_preparation import ModelPreparation
from visionscaling_ros.nodes.model_shelf import ModelShelf
from visionscaling_ros.pipeline.upload_worker import Payload
from visionscaling_ros.simulation.profile import DeviceProfile, load_profile
from visionscaling_ros.vision.catalog import Catalog, built_in_catalog

SMALL, OTHER = SHIPPED[:2]
SIZE_PX = built_in_catalog().entry(SMALL).input_sizes_px[0]
WAIT_S = 60.0


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that spin for work slow each other down where tests share the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class GatedCatalog:
    """The real catalog, whose loads wait for a gate."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.gate = threading.Event()
        self.gate.set()
        self.broken: set[str] = set()
        self.loads: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def load(self, name: str, **options: Any) -> Any:
        assert self.gate.wait(WAIT_S)
        self.loads.append(name)
        if name in self.broken:
            raise ModelError(f'{name}.yaml: file: damaged')
        return self._catalog.load(name, **options)


class Bench:
    """A shelf, and a way to wait for what it offers."""

    def __init__(
        self, *, profile: DeviceProfile | None = None, memory_limit_bytes: int = 0
    ) -> None:
        self.catalog = GatedCatalog(built_in_catalog())
        self.changed = threading.Condition()
        self.dropped: list[str] = []
        self.told: list[tuple[str, str]] = []
        preparation = ModelPreparation(
            self.catalog,  # type: ignore[arg-type]
            encode=lambda image, model, size: Payload(b'x' * size),
            sizes_px=[SIZE_PX],
            profile=profile,
        )
        self.shelf = ModelShelf(
            preparation,
            memory_limit_bytes=memory_limit_bytes,
            on_dropped=self.drop,
            on_trouble=self.tell,
        )

    def drop(self, model: str) -> None:
        with self.changed:
            self.dropped.append(model)
            self.changed.notify_all()

    def tell(self, model: str, trouble: str) -> None:
        with self.changed:
            self.told.append((model, trouble))
            self.changed.notify_all()

    def wait_told(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.told) >= count, WAIT_S)

    def wait_dropped(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.dropped) >= count, WAIT_S)

    def points(self) -> list[str]:
        return [p.model for p in self.shelf.costs.points()]


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def bench(**options: Any) -> Bench:
        made.append(Bench(**options))
        return made[-1]

    yield bench
    for one in made:
        one.catalog.gate.set()
        one.shelf.close()


def test_what_ran_stays_on_offer_until_the_new_models_are_ready(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.shelf.open([SMALL], SMALL)
    running = bench.shelf.detector(SMALL)
    bench.catalog.gate.clear()
    bench.shelf.set_models([OTHER])
    assert bench.points() == [SMALL]
    assert bench.shelf.detector(SMALL) is running
    assert bench.shelf.detector(OTHER) is None
    assert bench.shelf.safe_point(OTHER, 0) == (SMALL, SIZE_PX)
    bench.catalog.gate.set()
    bench.wait_dropped(1)
    assert bench.dropped == [SMALL]
    assert bench.points() == [OTHER]
    assert bench.shelf.detector(OTHER) is not None
    assert bench.shelf.detector(SMALL) is None
    assert bench.shelf.safe_point('', 0) == (OTHER, SIZE_PX)
    assert bench.shelf.class_names(SMALL)  # an edge reply may still come


def test_a_decision_older_than_a_change_is_let_pass_and_an_unknown_model_is_not(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.shelf.open([SMALL], SMALL)
    bench.shelf.set_models([OTHER])
    bench.wait_dropped(1)
    bench.shelf.check([Allocation(SMALL, SIZE_PX, Origin.LOCAL, 1.0)])
    with pytest.raises(InvalidValueError, match=f'{OTHER}@{SIZE_PX}'):
        bench.shelf.check([Allocation('yolo', SIZE_PX, Origin.LOCAL, 1.0)])


def test_a_new_model_that_cannot_be_loaded_leaves_the_old_one_and_is_named(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.shelf.open([SMALL], SMALL)
    bench.catalog.broken.add(OTHER)
    bench.shelf.set_models([OTHER])
    bench.wait_told(1)
    assert bench.told == [(OTHER, f'{OTHER}.yaml: file: damaged')]
    assert bench.points() == [SMALL]
    assert 'damaged' in bench.shelf.troubles[OTHER]
    bench.catalog.broken.clear()
    bench.shelf.set_models([SMALL])  # setting it back clears the trouble
    assert bench.shelf.troubles == {}
    bench.shelf.set_models([OTHER])
    bench.wait_dropped(1)
    assert bench.points() == [OTHER]


def test_when_the_new_models_fail_those_before_come_back(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.shelf.open([SMALL], SMALL)
    assert bench.shelf.bring_back() == ()
    bench.shelf.set_models([OTHER])
    bench.wait_dropped(1)
    bench.shelf.costs.withdraw(OTHER)
    assert bench.shelf.bring_back() == (SMALL,)
    assert bench.shelf.wait_settled(WAIT_S)
    assert bench.points() == [SMALL]
    bench.shelf.set_models([OTHER])
    bench.wait_dropped(2)
    assert bench.dropped == [SMALL, SMALL]


def test_without_one_model_that_loads_opening_fails_with_every_cause(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.catalog.broken.update((SMALL, OTHER))
    with pytest.raises(ModelError, match=rf'{SMALL}\.yaml.*{OTHER}\.yaml'):
        bench.shelf.open([SMALL, OTHER], SMALL)


def test_a_model_freed_for_memory_is_still_on_offer(make: Callable[..., Bench]) -> None:
    entries = [built_in_catalog().entry(name) for name in (SMALL, OTHER)]
    bench = make(memory_limit_bytes=sum(e.memory_bytes for e in entries) - 1)
    bench.shelf.open([SMALL, OTHER], SMALL)
    assert bench.shelf.in_memory == (SMALL,)  # the safe one is pinned: the other found no room
    assert bench.points() == [SMALL]
    assert 'beside the models in use' in bench.shelf.troubles[OTHER]
    bench.shelf.pin(OTHER)
    bench.shelf.set_models([SMALL, OTHER])
    assert bench.shelf.wait_settled(WAIT_S)
    assert bench.shelf.in_memory == (OTHER,)
    assert bench.points() == sorted([SMALL, OTHER])
    assert bench.shelf.memory_bytes <= sum(e.memory_bytes for e in entries) - 1
    bench.shelf.pin(SMALL)
    bench.shelf.set_models([SMALL])  # it is loaded again to take over, though nobody asks for it
    bench.wait_dropped(1)
    assert bench.shelf.in_memory == (SMALL,)


def profile_points() -> tuple[OperatingPoint, ...]:
    return tuple(
        OperatingPoint(name, SIZE_PX, 0.9, 0.1 * k, 0.01, 1e4, 0.02)
        for k, name in enumerate((SMALL, OTHER), 1)
    )


def profile() -> DeviceProfile:
    return dataclasses.replace(
        load_profile('agx_orin'), points=profile_points(), engines={(OTHER, SIZE_PX): 'torch'}
    )


def test_with_a_profile_too_what_ran_stays_until_another_model_is_in_memory(
    make: Callable[..., Bench],
) -> None:
    bench = make(profile=profile())
    bench.shelf.open([SMALL], SMALL)
    bench.catalog.gate.clear()
    bench.shelf.set_models([OTHER])
    assert bench.shelf.detector(OTHER) is None
    assert bench.shelf.detector(SMALL) is not None
    bench.catalog.gate.set()
    bench.wait_dropped(1)
    assert bench.points() == [OTHER]
    assert bench.shelf.detector(OTHER) is not None
    bench.catalog.broken.add(SMALL)
    bench.shelf.set_models([SMALL])
    bench.wait_told(1)
    assert bench.points() == [OTHER]
    assert 'damaged' in bench.shelf.troubles[SMALL]


def test_what_a_profile_lacks_is_measured_and_the_rest_taken_from_it(
    make: Callable[..., Bench],
) -> None:
    bench = make(profile=dataclasses.replace(profile(), points=profile_points()[:1]))
    bench.shelf.open([SMALL, OTHER], SMALL)
    bench.shelf.costs.rescale_work(2.0)
    small, other = bench.shelf.costs.points()
    assert small.gpu_work_ghz_s == profile_points()[0].gpu_work_ghz_s
    assert 0.0 < other.gpu_work_ghz_s != profile_points()[1].gpu_work_ghz_s


def test_with_a_profile_all_is_on_offer_once_the_safe_model_is_loaded(
    make: Callable[..., Bench],
) -> None:
    bench = make(profile=profile())
    bench.shelf.open([SMALL, OTHER], SMALL)
    assert bench.catalog.loads[0] == SMALL
    assert bench.shelf.detector(SMALL) is not None
    bench.shelf.costs.rescale_work(7.0)  # the profile's figures are at the real clock
    accuracy = {name: built_in_catalog().entry(name).accuracy_map(SIZE_PX) for name in SHIPPED}
    assert bench.shelf.costs.points() == tuple(
        sorted(
            (dataclasses.replace(p, accuracy_map=accuracy[p.model]) for p in profile_points()),
            key=lambda p: p.model,
        )
    )


def test_diagnostics_name_models_in_trouble_and_are_an_error_when_none_is_left(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.shelf.open([SMALL], SMALL)
    assert model_trouble(bench.shelf, {}) is None
    level, words = model_trouble(bench.shelf, {OTHER: 'not finite'}) or (OK, '')
    assert (level, words) == (WARN, f'{OTHER} is out of service: not finite')
    bench.shelf.costs.withdraw(SMALL)
    level, words = model_trouble(bench.shelf, {SMALL: 'not finite'}) or (OK, '')
    assert level == ERROR
    assert 'no model is left' in words
    values = describe_models(bench.shelf)
    assert (values['models_offered'], values['models_in_memory']) == (SMALL, SMALL)


def test_a_bad_profile_or_manifest_is_refused_by_name(tmp_path: Path) -> None:
    values = {parameter.name: parameter.default for parameter in PARAMETERS}
    check_inference_parameters(values)
    bad = tmp_path / 'bad.yaml'
    bad.write_text('name: [')
    for name, value in (
        ('profile_file', str(bad)),
        ('model_manifests', [str(bad)]),
        ('models', ['resnet']),
        ('models', []),
        ('teacher_model', 'resnet'),
        ('safe_model', 'resnet'),
        ('input_sizes_px', [33]),
        ('memory_limit_mib', 1.0),
    ):
        with pytest.raises(InvalidValueError):
            check_inference_parameters({**values, name: value})
