"""Writes this package's network as ONNX, TorchScript or an exported program."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from visionscaling_ros.vision.decoders.vsdet import VsdetDecoder
from visionscaling_ros.vision.engines.extras import import_extra
from visionscaling_ros.vision.letterbox import STRIDE_PX
from visionscaling_ros.vision.upload_format import VSDET_INPUT
from visionscaling_ros.whole_file import whole_file

_EXAMPLE = (2, 3, 256, 320)  # anything that is not a special case
_MOST_CELLS = 128
_MOST_IMAGES = 1024
_OPSET = 18
INPUT_NAME = VSDET_INPUT
OUTPUT_NAMES = VsdetDecoder.roles


def export_network(network: nn.Module, kind: str, path: Path) -> None:
    """Write a network for images (N, 3, H, W), H and W any multiples of 32 up to 4096 px.

    The file is whole or not there.

    :param kind: one of ``EXPORT_FORMATS``.
    :raises ModelError: the packages that write ONNX are not installed.
    :raises OSError: it cannot be written there.
    """
    with whole_file(path) as partial, torch.no_grad(), _silence():
        EXPORT_FORMATS[kind](network, partial)


def _example() -> tuple[Tensor]:
    images = torch.zeros(_EXAMPLE)
    return (images.to(memory_format=torch.channels_last),)


def _dynamic_sizes() -> tuple[dict[int, object]]:
    rows, columns = (torch.export.Dim(name, min=1, max=_MOST_CELLS) for name in ('rows', 'columns'))
    batch = torch.export.Dim('batch', min=1, max=_MOST_IMAGES)
    return ({0: batch, 2: STRIDE_PX * rows, 3: STRIDE_PX * columns},)


def _export_onnx(network: nn.Module, path: Path) -> None:
    import_extra('onnxscript')
    torch.onnx.export(
        network,
        _example(),
        path,
        input_names=[INPUT_NAME],
        output_names=list(OUTPUT_NAMES),
        dynamic_shapes=_dynamic_sizes(),
        opset_version=_OPSET,
        external_data=False,
        verbose=False,
    )


def _export_torchscript(network: nn.Module, path: Path) -> None:
    trace: Callable[..., torch.jit.ScriptModule] = torch.jit.trace
    traced = trace(network, _example(), check_trace=False)
    torch.jit.save(traced, path)


def _export_program(network: nn.Module, path: Path) -> None:
    program = torch.export.export(network, _example(), dynamic_shapes=_dynamic_sizes())
    torch.export.save(program, path)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporters report their progress and their plans on every channel there is."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


EXPORT_FORMATS: dict[str, Callable[[nn.Module, Path], None]] = {
    'onnx': _export_onnx,
    'torchscript': _export_torchscript,
    'torch_export': _export_program,
}
