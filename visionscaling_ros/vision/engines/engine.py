"""What runs a network, and what every engine needs to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.errors import ModelError
from visionscaling_ros.fields import near

ENGINES = ('torch', 'onnxruntime', 'openvino')


class Engine(Protocol):
    """Runs one network. One object serves one thread at a time."""

    @property
    def name(self) -> str:
        """One of ``ENGINES``."""
        ...

    @property
    def channels_last(self) -> bool:
        """Whether ``run`` takes (N, H, W, 3), else (N, 3, H, W)."""
        ...

    def allocate(self, shape: tuple[int, ...]) -> FloatArray:
        """Float32 memory that ``run`` reads fastest."""
        ...

    def run(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        """The output tensors asked for, on the host.

        For one image, N = 1; more only where the network's file takes them (BatchedEngine finds
        out). Raises ModelError when the network cannot run it.
        """
        ...


@dataclass(frozen=True)
class NetworkFile:
    """A network to run.

    :param layout: of its input, ``nchw`` or ``nhwc``.
    :param tensors: the outputs to return, in this order, by name or place.
    :param threads: CPU threads.
    :param half_precision: half as many bits, where the device can compute with them.
    """

    path: Path
    layout: str
    tensors: tuple[str | int, ...]
    threads: int
    half_precision: bool

    def output_names(self, names: Sequence[str]) -> list[str]:
        """The names of the outputs to return, among those that the file has.

        Raises ModelError naming the file and the tensor that is not there.
        """
        return [names[place] for place in self.output_places(names, len(names))]

    def output_places(self, names: Sequence[str], count: int) -> list[int]:
        """Their places, among ``count`` outputs of which some have names."""
        return [self._place(tensor, names, count) for tensor in self.tensors]

    def _place(self, tensor: str | int, names: Sequence[str], count: int) -> int:
        if isinstance(tensor, str) and tensor in names:
            return list(names).index(tensor)
        if isinstance(tensor, int) and tensor < count:
            return tensor
        allowed = ', '.join(names) or 'places only, its outputs have no names'
        raise ModelError(
            f'{self.path}: output.tensors: there is no output {tensor!r} among {count}; allowed: '
            f'{allowed}{near(tensor, names)}'
        )


def single_precision(array: object) -> FloatArray:
    """An output of an engine as float32, not copied if it is."""
    return np.asarray(array, np.float32)
