"""From a catalog's entry to a detector that runs."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.checksum import sha256_of
from visionscaling_ros.vision.engine_detector import EngineDetector
from visionscaling_ros.vision.engines.devices import device_for
from visionscaling_ros.vision.engines.engine import ENGINES, Engine, NetworkFile
from visionscaling_ros.vision.engines.extras import is_installed
from visionscaling_ros.vision.manifest import Manifest
from visionscaling_ros.vision.model_entry import ModelEntry
from visionscaling_ros.vision.user_folders import cache_folder

if TYPE_CHECKING:
    from torch import nn

_ENGINES_OF_FORMAT = {
    'vsdet': ENGINES,
    'torchscript': ('torch',),
    'torch_export': ('torch',),
    'onnx': ('onnxruntime', 'openvino'),
}
# what an export depends on besides the weights
_EXPORT_SOURCES = (
    'network.py', 'elastic_network.py', 'network_shape.py', 'weights_file.py', 'engines/export.py',
)  # fmt: skip


def load_model(
    entry: ModelEntry,
    *,
    engine: str = 'auto',
    device: str = 'auto',
    engine_of_size: Mapping[int, str] | None = None,
    threads: int = 1,
    half_precision: bool = False,
) -> EngineDetector:
    """Read the model's file and make it ready; ``Catalog.load`` has the parameters.

    :raises InvalidValueError: an engine or device there is not, or not for this format.
    :raises ModelError: a missing, damaged or wrong file, naming it and the field; an extra that is
        not installed.
    """
    usable = _ENGINES_OF_FORMAT[entry.manifest.format]
    if engine != 'auto' and engine not in usable:
        allowed = f'auto, {", ".join(usable)} (model {entry.name} is {entry.manifest.format})'
        raise InvalidValueError('engine', engine, allowed)
    check_file(entry.manifest)
    default = engine if engine != 'auto' else _default_engine(usable)
    chosen = engine_of_size if engine == 'auto' and engine_of_size else {}

    @functools.cache
    def engine_named(name: str) -> Engine:
        if name not in usable:
            raise InvalidValueError('engine_of_size', name, ', '.join(usable))
        return _make_engine(entry, name, device, threads, half_precision)

    for name in {chosen.get(size_px, default) for size_px in entry.input_sizes_px}:
        engine_named(name)  # a bad file is told now, not with the first frame
    return EngineDetector(
        entry.name, entry.manifest, lambda size_px: engine_named(chosen.get(size_px, default))
    )


def installed_engines(network_format: str) -> tuple[str, ...]:
    """Engines that can run this format with what is installed here."""
    exported = ('onnxscript',) if network_format == 'vsdet' else ()
    needed = {'torch': (), 'onnxruntime': ('onnxruntime', *exported),
              'openvino': ('openvino', *exported)}  # fmt: skip
    return tuple(
        engine
        for engine in _ENGINES_OF_FORMAT[network_format]
        if all(is_installed(module) for module in needed[engine])
    )


def check_file(manifest: Manifest) -> None:
    """Raise ModelError unless the network's file is there and is the one that is meant."""
    if not manifest.file.is_file():
        hint = f' (visionscaling download {manifest.name})' if manifest.download else ''
        raise ModelError(f'{manifest.path}: file: {manifest.file} is not there{hint}')
    expected = manifest.sha256 or recorded_sha256(manifest.file)
    if expected is None:
        return
    found = _checksum(manifest)
    if found != expected:
        raise ModelError(
            f'{manifest.path}: sha256: {manifest.file} has {found}; allowed: {expected}'
        )


def _checksum(manifest: Manifest) -> str:
    try:
        return sha256_of(manifest.file)
    except OSError as error:
        text = f'{manifest.path}: file: {manifest.file} cannot be read: {error}'
        raise ModelError(text) from error


def sha256_record(file: Path) -> Path:
    """Where the checksum of a downloaded file is written down."""
    return file.with_name(f'{file.name}.sha256')


def recorded_sha256(file: Path) -> str | None:
    """The checksum written down when the file was downloaded, None where there is none."""
    try:
        return sha256_record(file).read_text(encoding='ascii').split()[0]
    except (OSError, IndexError):
        return None


def load_network_module(entry: ModelEntry) -> nn.Module:
    """The torch module of a model whose format torch can read. Raises ModelError."""
    manifest = entry.manifest
    if manifest.format == 'vsdet':
        return _load_vsdet(manifest, entry.width)
    from visionscaling_ros.vision.engines import torch_files  # noqa: PLC0415 (torch: 1 s)

    if manifest.format == 'torchscript':
        return torch_files.load_torchscript(manifest.file)
    return torch_files.load_exported(manifest.file)


def _load_vsdet(manifest: Manifest, width: float | None) -> nn.Module:
    from visionscaling_ros.vision import weights_file  # noqa: PLC0415 (torch: 1 s)

    class_names = weights_file.read_shape(manifest.file).class_names
    if class_names != manifest.class_names:
        raise ModelError(
            f'{manifest.path}: classes: {list(manifest.class_names)} are not those of '
            f'{manifest.file}; allowed: {list(class_names)}'
        )
    try:
        return weights_file.load_network(manifest.file, width)
    except InvalidValueError as error:
        raise ModelError(f'{manifest.path}: widths: {error}') from error


def _default_engine(usable: tuple[str, ...]) -> str:
    if usable[0] == 'torch':
        return 'torch'
    return next((name for name in usable if is_installed(name)), usable[0])


def _make_engine(
    entry: ModelEntry, name: str, device: str, threads: int, half_precision: bool
) -> Engine:
    manifest, device = entry.manifest, device_for(name, device)
    network = NetworkFile(
        path=manifest.file,
        layout=manifest.input.layout,
        tensors=manifest.output.tensors,
        threads=threads,
        half_precision=half_precision,
    )
    if name == 'torch':
        from visionscaling_ros.vision.engines import torch_engine  # noqa: PLC0415

        return torch_engine.TorchEngine(load_network_module(entry), network, device)
    if manifest.format == 'vsdet':
        network = dataclasses.replace(network, path=exported_onnx(entry))
    if name == 'onnxruntime':
        from visionscaling_ros.vision.engines import onnxruntime_engine  # noqa: PLC0415

        return onnxruntime_engine.OnnxRuntimeEngine(network, device)
    from visionscaling_ros.vision.engines import openvino_engine  # noqa: PLC0415

    return openvino_engine.OpenVinoEngine(network, device)


def exported_onnx(entry: ModelEntry) -> Path:
    """The ONNX file of a vsdet model, made the first time it is asked for.

    It lies in the user's cache under a checksum of the weights, of the width and of the code it was
    made with. Raises ModelError when it cannot be written or the exporter is not installed.
    """
    sources = [Path(__file__).parent / source for source in _EXPORT_SOURCES]
    parts = [_checksum(entry.manifest), *map(sha256_of, sources)]
    key = hashlib.sha256(f'{entry.width} {parts}'.encode('ascii')).hexdigest()[:16]
    path = cache_folder() / 'onnx' / f'{entry.name}-{key}.onnx'
    if not path.is_file():
        from visionscaling_ros.vision.engines.export import export_network  # noqa: PLC0415

        try:
            export_network(load_network_module(entry), 'onnx', path)
        except OSError as error:
            raise ModelError(f'{path}: ONNX of {entry.name} cannot be written: {error}') from error
    return path
