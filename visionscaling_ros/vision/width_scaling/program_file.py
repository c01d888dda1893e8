"""Writes a network of any kind as a torch.export program."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from visionscaling_ros.vision import work_count
from visionscaling_ros.vision.letterbox import STRIDE_PX
from visionscaling_ros.whole_file import whole_file

_MOST_CELLS = 128
# two sides that differ, neither a special case
_CELLS = (3, 4)


def write_program(network: nn.Module, example: Tensor, path: Path, *, fixed_size: bool) -> bool:
    """Write ``network`` for one image; returns whether for any height and width.

    Heights and widths are multiples of 32 px up to 4096 px where torch.export can prove that the
    network takes them, else those of ``example``. The file is whole or not there.

    :param example: an input (1, C, H, W).
    :param fixed_size: do not try other sizes than that of ``example``.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch.export speaks of its own plans
        program = None if fixed_size else _for_any_size(network, example)
        any_size = program is not None
        program = program or torch.export.export(network, (example,))
        with whole_file(path) as partial:
            torch.export.save(program, partial)
    return any_size


def _for_any_size(network: nn.Module, example: Tensor) -> torch.export.ExportedProgram | None:
    rows, columns = (torch.export.Dim(name, min=1, max=_MOST_CELLS) for name in ('rows', 'columns'))
    height_px, width_px = (cells * STRIDE_PX for cells in _CELLS)
    image = example.new_zeros(1, example.shape[1], height_px, width_px)
    sizes = ({2: STRIDE_PX * rows, 3: STRIDE_PX * columns},)
    try:
        return torch.export.export(network, (image,), dynamic_shapes=sizes)
    except Exception:  # whatever a network that is made for one size raises
        return None


def count_flops(network: nn.Module, example: Tensor) -> int:
    """FLOP of a pass, a multiplication and an addition being two."""
    return work_count.count_flops(lambda: network(example.clone()))
