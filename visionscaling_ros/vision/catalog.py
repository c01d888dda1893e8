"""The models there are, by name. Listing them does not import torch; loading one may."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import near
from visionscaling_ros.vision.manifest import load_manifest
from visionscaling_ros.vision.model_entry import ModelEntry

if TYPE_CHECKING:
    from visionscaling_ros.vision.detector import Detector

MANIFEST_FOLDER = Path(__file__).resolve().parent / 'manifests'


class Catalog:
    """Models by name, cheapest first: ordered by how much memory they take."""

    def __init__(self, entries: Iterable[ModelEntry]) -> None:
        ordered = sorted(entries, key=lambda entry: entry.memory_bytes)
        self._entries = {entry.name: entry for entry in ordered}

    def with_manifests(self, paths: Sequence[Path]) -> Catalog:
        """These models and those of more manifests.

        :raises InvalidValueError: a manifest that is not valid, or a model name used twice.
        """
        entries = dict(self._entries)
        for path in paths:
            for entry in manifest_entries(path):
                if entry.name in entries:
                    taken = entries[entry.name].manifest.path
                    raise InvalidValueError(
                        f'{path}: name', entry.name, f'a name that {taken} does not use'
                    )
                entries[entry.name] = entry
        return Catalog(entries.values())

    def names(self) -> tuple[str, ...]:
        """Models whose file is there, cheapest first."""
        return tuple(name for name, entry in self._entries.items() if entry.is_there)

    def downloadable(self) -> tuple[str, ...]:
        """Models whose file is not there and can be downloaded."""
        return tuple(
            name
            for name, entry in self._entries.items()
            if entry.manifest.download and not entry.is_there
        )

    def entry(self, name: str) -> ModelEntry:
        """The model of this name; raises InvalidValueError when there is none."""
        if name not in self._entries:
            allowed = ', '.join(self._entries) + near(name, self._entries)
            raise InvalidValueError('model', name, allowed)
        return self._entries[name]

    def engines(self, name: str) -> tuple[str, ...]:
        """Engines installed here that can run the model; InvalidValueError for an unknown one."""
        from visionscaling_ros.vision.model_loading import installed_engines  # noqa: PLC0415

        return installed_engines(self.entry(name).manifest.format)

    def load(
        self,
        name: str,
        *,
        engine: str = 'auto',
        device: str = 'auto',
        engine_of_size: Mapping[int, str] | None = None,
        threads: int = 1,
        half_precision: bool = False,
    ) -> Detector:
        """Read the model's file and make it ready to run.

        :param engine: ``torch``, ``onnxruntime``, ``openvino``, or ``auto``: what
            ``engine_of_size`` says, else the first of these that can run the model's format.
        :param device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: a GPU where there is one for the
            engine.
        :param engine_of_size: engine by input size [px], from a profile.
        :param threads: CPU threads of onnxruntime and openvino; torch's are the process's.
        :param half_precision: half as many bits where the device can; scores change a little.
        :raises InvalidValueError: an unknown model, engine or device.
        :raises ModelError: a file that is missing, damaged or not the one that is meant, naming it
            and the field; an extra that is not installed.
        """
        from visionscaling_ros.vision.model_loading import load_model  # noqa: PLC0415

        return load_model(
            self.entry(name),
            engine=engine,
            device=device,
            engine_of_size=engine_of_size,
            threads=threads,
            half_precision=half_precision,
        )


def manifest_entries(path: Path) -> tuple[ModelEntry, ...]:
    """The models of a manifest. Raises InvalidValueError naming file and field."""
    manifest = load_manifest(path)
    return tuple(ModelEntry(name, manifest, width) for name, width in manifest.widths.items())


@functools.cache
def built_in_catalog() -> Catalog:
    """The models that ship and the public ones that can be downloaded."""
    return Catalog(
        entry for path in sorted(MANIFEST_FOLDER.glob('*.yaml')) for entry in manifest_entries(path)
    )
