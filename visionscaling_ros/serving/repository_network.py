"""The network of a model as a file for another server, and what its tensors are called there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.engines.extras import import_extra
from visionscaling_ros.vision.manifest import Manifest
from visionscaling_ros.vision.model_entry import ModelEntry

ONNX_FILE, TORCHSCRIPT_FILE = 'model.onnx', 'model.pt'
# Triton's PyTorch backend knows outputs by their place only.
_TORCH_OUTPUT = re.compile('[^_].*__[0-9]+')
_BACKENDS_OF_FORMAT = {
    'vsdet': ('onnxruntime', 'pytorch', 'python'),
    'onnx': ('onnxruntime', 'python'),
    'torchscript': ('pytorch',),
    'torch_export': (),
}
Shape = tuple[int, ...]


@dataclass(frozen=True)
class NetworkTensors:
    """Names and shapes of the network's tensors, -1 for any length.

    :param outputs: in the order of the manifest's decoder.
    """

    input_name: str
    input_shape: Shape
    outputs: tuple[tuple[str, Shape], ...]

    @property
    def takes_batches(self) -> bool:
        """Whether several images can run together."""
        shapes = [self.input_shape, *(shape for _, shape in self.outputs)]
        return all(shape[0] == -1 for shape in shapes)


def backend_for(entry: ModelEntry, backend: str) -> str:
    """The backend to run a model with; raises InvalidValueError for one that cannot."""
    manifest = entry.manifest
    usable = _BACKENDS_OF_FORMAT[manifest.format]
    if not usable:
        raise InvalidValueError(
            f'{manifest.path}: format', manifest.format, ', '.join(_writable_formats())
        )
    if backend == 'auto':
        return usable[0]
    if backend not in usable:
        allowed = f'auto, {", ".join(usable)} (model {entry.name} is {manifest.format})'
        raise InvalidValueError('backend', backend, allowed)
    return backend


def write_network(entry: ModelEntry, backend: str, folder: Path) -> NetworkTensors:
    """Write the network's file for a backend into ``folder``.

    :raises ModelError: a file that is missing or not the one that is meant; an extra that is not
        installed.
    :raises InvalidValueError: names of tensors that the backend cannot have.
    """
    from visionscaling_ros.vision.model_loading import check_file  # noqa: PLC0415

    check_file(entry.manifest)
    if backend == 'pytorch':
        _write(entry, 'torchscript', folder / TORCHSCRIPT_FILE)
        return _torch_tensors(entry.manifest)
    path = folder / ONNX_FILE
    _write(entry, 'onnx', path)
    return _onnx_tensors(entry.manifest, path)


def _write(entry: ModelEntry, network_format: str, path: Path) -> None:
    if entry.manifest.format == network_format:
        shutil.copyfile(entry.manifest.file, path)
        return
    if network_format == 'onnx':
        from visionscaling_ros.vision.model_loading import exported_onnx  # noqa: PLC0415

        shutil.copyfile(exported_onnx(entry), path)
        return
    from visionscaling_ros.vision.engines.export import export_network  # noqa: PLC0415 (torch)
    from visionscaling_ros.vision.model_loading import load_network_module  # noqa: PLC0415

    export_network(load_network_module(entry), network_format, path)


def _onnx_tensors(manifest: Manifest, path: Path) -> NetworkTensors:
    """As the file says."""
    onnxruntime = import_extra('onnxruntime')
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1:
        names = [tensor.name for tensor in inputs]
        raise ModelError(f'{manifest.path}: file: {path} has inputs {names}; allowed: one')
    shapes = {tensor.name: _shape(tensor) for tensor in outputs}
    names = [tensor.name for tensor in outputs]
    chosen = [_chosen(manifest, tensor, names) for tensor in manifest.output.tensors]
    found = NetworkTensors(
        inputs[0].name, _shape(inputs[0]), tuple((name, shapes[name]) for name in chosen)
    )
    upload = manifest.upload
    if upload.sends_tensor and (upload.input, upload.outputs) != (found.input_name, tuple(chosen)):
        raise InvalidValueError(
            f'{manifest.path}: offload: input, outputs',
            (upload.input, upload.outputs),
            f'{(found.input_name, tuple(chosen))}, as {path.name} has them',
        )
    return found


def _chosen(manifest: Manifest, tensor: str | int, names: list[str]) -> str:
    if isinstance(tensor, str) and tensor in names:
        return tensor
    if isinstance(tensor, int) and tensor < len(names):
        return names[tensor]
    raise ModelError(
        f'{manifest.path}: output.tensors: there is no output {tensor!r}; allowed: {names}'
    )


def _shape(tensor: Any) -> Shape:
    return tuple(length if isinstance(length, int) else -1 for length in tensor.shape)


def _torch_tensors(manifest: Manifest) -> NetworkTensors:
    """By their places: TorchScript tells neither names nor shapes."""
    upload = manifest.upload
    names = upload.outputs or ()
    # a vsdet model's names are those of its ONNX file
    if manifest.format == 'vsdet' and not upload.sends_tensor:
        names = tuple(f'OUTPUT__{place}' for place in range(len(manifest.output.tensors)))
    if not all(map(_TORCH_OUTPUT.fullmatch, names)):
        raise InvalidValueError(
            f'{manifest.path}: offload.outputs',
            list(names),
            'NAME__PLACE with backend pytorch, as OUTPUT__0; or another backend',
        )
    channels: Callable[[Shape], Shape] = lambda sides: (  # noqa: E731
        (-1, *sides, 3) if manifest.input.layout == 'nhwc' else (-1, 3, *sides)
    )
    input_name = 'INPUT__0' if manifest.format == 'vsdet' else upload.input
    assert input_name is not None  # read_upload_format knows the one of TorchScript
    return NetworkTensors(
        input_name, channels((-1, -1)), tuple((name, (-1, -1, -1)) for name in names)
    )


def _writable_formats() -> list[str]:
    return [name for name, backends in _BACKENDS_OF_FORMAT.items() if backends]
