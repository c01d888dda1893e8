"""The detectors inference_node may run: on offer, in memory, and what they cost."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from visionscaling_ros.datatypes import Allocation, OperatingPoint
from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.nodes.model_preparation import ModelPreparation
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.detector import Detector
from visionscaling_ros.vision.model_cache import ModelCache
from visionscaling_ros.vision.model_entry import ModelEntry


class ModelShelf:
    """The models on offer. They are loaded and measured beside the work.

    A model is wanted once it was asked for, ready once it is in memory, and on offer once its
    costs are known: the controller may choose it. What is on offer may not be in memory: with a
    profile before it is first loaded, with a memory limit whenever others took its place.
    ``detector`` then loads it and gives None until it is there. What is no longer wanted stays on
    offer until one of the wanted is ready.

    :param memory_limit_bytes: for all models in memory together [B]; 0: no limit.
    :param on_dropped: told (any thread) of a model that is no longer on offer.
    :param on_trouble: told (any thread) why a model could not be made ready, once open.
    """

    def __init__(
        self,
        preparation: ModelPreparation,
        *,
        memory_limit_bytes: int = 0,
        on_dropped: Callable[[str], None] = lambda model: None,
        on_trouble: Callable[[str, str], None] = lambda model, trouble: None,
    ) -> None:
        self._preparation = preparation
        self._on_dropped = on_dropped
        self._on_trouble = on_trouble
        self._changed = threading.Condition()  # guards the models below
        self._wanted: tuple[str, ...] = ()
        self._offered: tuple[str, ...] = ()
        self._dropped: tuple[str, ...] = ()  # by the last change of models
        self._troubles: dict[str, str] = {}
        self._opened = False
        self._measured: dict[str, list[OperatingPoint]] = {}
        self._ever_offered: set[tuple[str, int]] = set()
        self._entries: dict[str, ModelEntry] = {}  # of all models that are or were on offer
        self.costs = CostTable()
        self._cache = ModelCache(
            self._make_ready,
            lambda name: self._catalog.entry(name).memory_bytes,
            memory_limit_bytes=memory_limit_bytes,
            on_settled=self._on_settled,
        )

    @property
    def _catalog(self) -> Catalog:
        return self._preparation.catalog

    @property
    def offered(self) -> tuple[str, ...]:
        """Models on offer."""
        with self._changed:
            return self._offered

    @property
    def troubles(self) -> dict[str, str]:
        """Why models that should be on offer, or in memory, are not."""
        with self._changed:
            return {**self._cache.errors, **self._troubles}

    @property
    def in_memory(self) -> tuple[str, ...]:
        """Models in memory."""
        return self._cache.ready

    @property
    def memory_bytes(self) -> int:
        """What they take, by estimate [B]."""
        return self._cache.memory_bytes

    def open(self, models: Sequence[str], safe_model: str) -> None:
        """Offer the models; wait until all are measured, those in the profile are already.

        Raises ModelError, with the cause of each, if not one can be loaded.
        """
        self.pin(safe_model)
        self.set_models(sorted(models, key=lambda model: model != safe_model))
        self.wait_settled()
        for model in self.offered:
            try:
                self._cache.wait_ready(model)
            except ModelError:
                continue
            self._tell_troubles()
            return
        raise ModelError('; '.join(self.troubles.values()))

    def wait_settled(self, timeout_s: float | None = None) -> bool:
        """Until every model wanted is on offer or in trouble; False when not in time [s]."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unsettled(), timeout_s)

    def set_models(self, models: Sequence[str]) -> None:
        """Offer these; the others are offered until one of these is ready. Never waits."""
        with self._changed:
            self._wanted = tuple(models)
            new = [model for model in models if model not in self._offered]
            failed, self._troubles = self._troubles, {}
        for model in {*new, *failed}:
            self._cache.discard(model)
        for model in new:
            self._offer_from_profile(model)
            self._cache.get(model)
        if models and set(models).isdisjoint(self._cache.ready):
            self._cache.get(models[0])  # one freed for memory has to be there to take over
        self._retire()

    def bring_back(self) -> tuple[str, ...]:
        """Offer what the last change of models dropped too; for when the others fail."""
        with self._changed:
            back = tuple(m for m in self._dropped if m not in self._wanted)
            self._dropped = ()
        if back:
            self.set_models((*self._wanted, *back))
        return back

    def set_catalog(self, catalog: Catalog) -> None:
        """Other models to choose from; those on offer stay as they are."""
        self._preparation.catalog = catalog

    def set_memory_limit_bytes(self, memory_limit_bytes: int) -> None:
        """Another limit [B]; 0: none. What found no room before is tried again."""
        self._cache.set_memory_limit_bytes(memory_limit_bytes)
        self.set_models(self._wanted)

    def pin(self, safe_model: str) -> None:
        """Keep the safe model in memory."""
        self._cache.pin({safe_model})

    def detector(self, model: str) -> Detector | None:
        """The detector if it is on offer and ready; one on offer that is not ready is loaded."""
        return self._cache.get(model) if model in self._offered else None

    def class_names(self, model: str) -> tuple[str, ...]:
        """Class names of any model there is or was, on offer or not."""
        return self._entry(model).class_names

    def manifest_path(self, model: str) -> Path:
        """Where such a model is described."""
        return self._entry(model).manifest.path

    def all_class_names(self, first: Sequence[str]) -> tuple[str, ...]:
        """``first`` and the other classes of the models on offer, each once."""
        with self._changed:
            names = [name for model in self._offered for name in self.class_names(model)]
        return tuple(dict.fromkeys([*first, *names]))

    def check(self, allocations: Sequence[Allocation]) -> None:
        """Raise InvalidValueError for a configuration that is not and never was on offer.

        What was on offer is let pass: a decision may be older than a change.
        """
        for a in allocations:
            if (a.model, a.input_size_px) not in self._ever_offered:
                offered = ', '.join(f'{p.model}@{p.input_size_px}' for p in self.costs.points())
                raise InvalidValueError('allocation', f'{a.model}@{a.input_size_px}', offered)

    def safe_point(self, model: str, input_size_px: int) -> tuple[str, int]:
        """What runs without a decision: as asked for if that is on offer, else as near as can be.

        :param model: empty for the first on offer; ``input_size_px``: 0 for the middle one.
        """
        with self._changed:
            if model not in self._offered:
                model = self._offered[0]
            sizes_px = self._entered_sizes_px(model)
        if input_size_px not in sizes_px:
            input_size_px = sizes_px[len(sizes_px) // 2]
        return model, input_size_px

    def teacher_point(self, model: str) -> tuple[tuple[str, int], float]:
        """Most accurate configuration of a model (empty: of all on offer), and its accuracy."""
        if model:
            entry = self._entry(model)
            accuracies_map = {}
            for size_px in entry.input_sizes_px:
                with contextlib.suppress(InvalidValueError):
                    accuracies_map[model, size_px] = entry.accuracy_map(size_px)
        else:
            accuracies_map = {
                (p.model, p.input_size_px): p.accuracy_map for p in self.costs.entered()
            }
        point = max(accuracies_map, key=accuracies_map.__getitem__, default=('', 0))
        return point, accuracies_map.get(point, math.nan)

    def close(self) -> None:
        """Free everything."""
        self._cache.close()

    def _entry(self, model: str) -> ModelEntry:
        return self._entries.get(model) or self._catalog.entry(model)

    def _offer_from_profile(self, model: str) -> None:
        """Offer what the profile knows all costs of, loaded or not."""
        points = self._preparation.profiled(model)
        if points and len(points) == len(self._preparation.accuracies_map(model)):
            with self._changed:
                self._enter(model, points)

    def _make_ready(self, model: str) -> Detector:
        """What the cache loads with (loading thread)."""
        known_px = {point.input_size_px for point in self._preparation.profiled(model)}
        known_px.update(self._entered_sizes_px(model))
        detector, measured = self._preparation.prepare(model, known_px)
        with self._changed:
            self._measured[model] = measured
        return detector

    def _on_settled(self, model: str, trouble: str) -> None:
        with self._changed:
            measured = self._measured.pop(model, [])
            failed = False
            if model in self._wanted or model in self._offered:
                if not trouble:
                    self._enter(model, self._preparation.profiled(model), measured)
                elif model not in self._offered:
                    failed = True
                elif model not in self._cache.short_of_room and len(self._offered) > 1:
                    failed = True
                    self._offered = tuple(m for m in self._offered if m != model)
                    self.costs.remove(model)
            news = failed and self._opened and self._troubles.get(model) != trouble
            if failed:
                self._troubles[model] = trouble
        if news:
            self._on_trouble(model, trouble)
        self._retire()

    def _enter(
        self,
        model: str,
        profiled: Iterable[OperatingPoint],
        measured: Iterable[OperatingPoint] = (),
    ) -> None:
        """Offer the model; costs that frames have corrected since they were entered stay."""
        entered_px = self._entered_sizes_px(model)
        for points, at_nominal_clock in ((profiled, False), (measured, True)):
            for point in points:
                if point.input_size_px not in entered_px:
                    self.costs.put(point, at_nominal_clock=at_nominal_clock)
                    self._ever_offered.add((model, point.input_size_px))
        self._entries[model] = self._catalog.entry(model)
        self._troubles.pop(model, None)
        if model not in self._offered:
            self._offered = (*self._offered, model)

    def _entered_sizes_px(self, model: str) -> list[int]:
        return [p.input_size_px for p in self.costs.entered() if p.model == model]

    def _tell_troubles(self) -> None:
        with self._changed:
            self._opened = True
            troubles = dict(self._troubles)
        for model, trouble in troubles.items():
            self._on_trouble(model, trouble)

    def _unsettled(self) -> list[str]:
        return [m for m in self._wanted if m not in self._offered and m not in self._troubles]

    def _retire(self) -> None:
        """Drop what is no longer wanted, once what is wanted has settled and can take over."""
        with self._changed:
            staying = tuple(model for model in self._wanted if model in self._offered)
            dropped: list[str] = []
            if not self._unsettled() and not set(staying).isdisjoint(self._cache.ready):
                dropped = [model for model in self._offered if model not in staying]
                self._offered = staying
                self._dropped = tuple(dropped) or self._dropped
                for model in dropped:
                    self.costs.remove(model)
            self._changed.notify_all()
        for model in dropped:
            self._cache.discard(model)
            self._on_dropped(model)
