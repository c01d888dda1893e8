"""A model of one's own whose answers stop being numbers after a while."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

NAME = 'failing'
SIZE_PX = 64
CELL_PX = 32

MANIFEST = f"""\
name: {NAME}
format: torchscript
file: {NAME}.pt
input_sizes_px: [{SIZE_PX}]
input: {{layout: nchw, color: bgr, scale: 1.0, padding: {{value: 114, to: square}}}}
output: {{decoder: yolox, strides_px: [{CELL_PX}], decoded: true}}
score_threshold: 0.05
iou_threshold: 0.55
classes: [person, cyclist, car, truck]
accuracy: {{source: none, map_50_95: {{{SIZE_PX}: 0.3}}}}
"""


class Failing(nn.Module):
    """One box a cell (nobody is sure of it), and NaN from the ``good_calls + 1``-th call on."""

    def __init__(self, good_calls: int) -> None:
        super().__init__()
        self.good_calls = good_calls
        self.register_buffer('calls', torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        cells = (images.shape[2] // 32) * (images.shape[3] // 32)
        boxes = torch.full((1, cells, 9), 0.01)
        if int(self.calls.item()) > self.good_calls:
            boxes = boxes * float('nan')
        return boxes


def write_failing_model(folder: Path, good_calls: int) -> Path:
    """The manifest, its network beside it; loading and measuring it is a handful of calls."""
    script = torch.jit.script(Failing(good_calls))
    script.save(str(folder / f'{NAME}.pt'))
    manifest = folder / f'{NAME}.yaml'
    manifest.write_text(MANIFEST)
    return manifest
