"""The detectors inference_node may run: on offer, in memory, and what they cost."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
from collections.abc import Callable, Sequence

from visionscaling_ros.datatypes import Allocation, OperatingPoint
from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.pipeline.calibration import measure_point
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.upload_worker import Encode
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.detector import Detector
from visionscaling_ros.vision.model_cache import ModelCache
from visionscaling_ros.vision.scene.street_scene import StreetScene


class ModelShelf:
    """The models on offer. They are loaded and measured beside the work.

    What is on offer may not be in memory: ``detector`` then loads it and gives None until it is
    there. New models take over from old ones only when they are ready.

    :param sizes_px: input sizes to offer; empty: all a model has.
    :param encode: BGR image and input size [px] to the JPEG bytes that would be uploaded.
    :param engine: what runs the models, as in ``Catalog.load``; ``threads`` likewise.
    :param memory_limit_bytes: for all models in memory together [B]; 0: no limit.
    :param profile: costs and engines measured before; None: each model is measured once loaded.
    :param on_dropped: told (any thread) of a model that is no longer on offer.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        encode: Encode,
        sizes_px: Sequence[int] = (),
        engine: str = 'auto',
        threads: int = 1,
        memory_limit_bytes: int = 0,
        profile: DeviceProfile | None = None,
        on_dropped: Callable[[str], None] = lambda model: None,
    ) -> None:
        self._catalog = catalog
        self._encode = encode
        self._sizes_px = tuple(sizes_px)
        self._engine = engine
        self._threads = threads
        self._profile = profile
        self._on_dropped = on_dropped
        self._image_bgr = StreetScene(seed=0, width_px=640, height_px=480, fps=15.0).frame(0)[0]
        self._changed = threading.Condition()  # guards the models below
        self._wanted: tuple[str, ...] = ()
        self._offered: tuple[str, ...] = ()
        self._troubles: dict[str, str] = {}
        self._measured: dict[str, list[OperatingPoint]] = {}
        self._ever_offered: set[tuple[str, int]] = set()
        self._class_names: dict[str, tuple[str, ...]] = {}
        self.costs = CostTable()
        self._cache = ModelCache(
            self._make_ready,
            lambda name: self._catalog.entry(name).memory_bytes,
            memory_limit_bytes=memory_limit_bytes,
            on_settled=self._on_settled,
        )

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
        with self._changed:
            self._changed.wait_for(lambda: not self._unsettled())
        for model in self.offered:
            try:
                self._cache.wait_ready(model)
            except ModelError:
                continue
            return
        raise ModelError('; '.join(self.troubles.values()))

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
        self._retire()

    def set_catalog(self, catalog: Catalog) -> None:
        """Other models to choose from; those on offer stay as they are."""
        self._catalog = catalog

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
        """Class names of a model that is or was on offer."""
        return self._class_names[model]

    def entry_class_names(self, model: str) -> tuple[str, ...]:
        """Class names of any model there is, on offer or not."""
        return tuple(self._catalog.entry(model).class_names)

    def all_class_names(self, first: Sequence[str]) -> tuple[str, ...]:
        """``first`` and the other classes of the models on offer, each once."""
        names = [name for model in self.offered for name in self._class_names[model]]
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
        models = self.offered
        if model not in models:
            model = models[0]
        sizes_px = [p.input_size_px for p in self.costs.entered() if p.model == model]
        if input_size_px not in sizes_px:
            input_size_px = sizes_px[len(sizes_px) // 2]
        return model, input_size_px

    def teacher_point(self, model: str) -> tuple[tuple[str, int], float]:
        """Most accurate configuration of a model (empty: of all on offer), and its accuracy."""
        if model:
            entry = self._catalog.entry(model)
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

    def _offer_from_profile(self, model: str) -> None:
        """Offer what the profile knows the costs of, loaded or not."""
        if self._profile is None:
            return
        accuracies_map = self._accuracies_map(model)
        points = [
            dataclasses.replace(p, accuracy_map=accuracies_map[p.input_size_px])
            for p in self._profile.points
            if p.model == model and p.input_size_px in accuracies_map
        ]
        if len(points) == len(accuracies_map):
            with self._changed:
                self._enter(model, points, at_nominal_clock=False)

    def _accuracies_map(self, model: str) -> dict[int, float]:
        """Accuracy by input size [px], of the sizes to offer that have one."""
        entry = self._catalog.entry(model)
        accuracies_map = {}
        for size_px in self._sizes_px or entry.input_sizes_px:
            with contextlib.suppress(InvalidValueError):  # no such size, or never evaluated
                accuracies_map[size_px] = entry.accuracy_map(size_px)
        return accuracies_map

    def _make_ready(self, model: str) -> Detector:
        """Load, warm up and, where its costs are not known, measure (loading thread)."""
        engines = self._profile.engine_of(model) if self._profile is not None else None
        detector = self._catalog.load(
            model, engine=self._engine, engine_of_size=engines or None, threads=self._threads
        )
        known = {p.input_size_px for p in self.costs.entered() if p.model == model}
        accuracies_map = self._accuracies_map(model)
        if not accuracies_map:
            raise ModelError(f'{model}: none of the input sizes to offer has an accuracy')
        points = []
        for size_px, accuracy_map in accuracies_map.items():
            detector.warm_up(size_px)
            if size_px not in known:
                points.append(
                    measure_point(
                        model,
                        detector,
                        size_px,
                        image_bgr=self._image_bgr,
                        accuracy_map=accuracy_map,
                        encode=self._encode,
                    )
                )
        with self._changed:
            self._measured[model] = points
        return detector

    def _on_settled(self, model: str, trouble: str) -> None:
        with self._changed:
            points = self._measured.pop(model, [])
            if model in self._wanted or model in self._offered:
                if not trouble:
                    self._enter(model, points, at_nominal_clock=True)
                elif model not in self._offered:
                    self._troubles[model] = trouble
                elif model not in self._cache.short_of_room and len(self._offered) > 1:
                    self._troubles[model] = trouble
                    self._offered = tuple(m for m in self._offered if m != model)
                    self.costs.remove(model)
        self._retire()

    def _enter(
        self, model: str, points: Sequence[OperatingPoint], *, at_nominal_clock: bool
    ) -> None:
        for point in points:
            self.costs.put(point, at_nominal_clock=at_nominal_clock)
            self._ever_offered.add((point.model, point.input_size_px))
        self._class_names[model] = tuple(self._catalog.entry(model).class_names)
        self._troubles.pop(model, None)
        if model not in self._offered:
            self._offered = (*self._offered, model)

    def _unsettled(self) -> list[str]:
        return [m for m in self._wanted if m not in self._offered and m not in self._troubles]

    def _retire(self) -> None:
        """Drop what is no longer wanted, once what is wanted instead has settled."""
        with self._changed:
            staying = tuple(model for model in self._wanted if model in self._offered)
            dropped: list[str] = []
            if staying and not self._unsettled():
                dropped = [model for model in self._offered if model not in staying]
                self._offered = staying
                for model in dropped:
                    self.costs.remove(model)
            self._changed.notify_all()
        for model in dropped:
            self._cache.discard(model)
            self._on_dropped(model)
