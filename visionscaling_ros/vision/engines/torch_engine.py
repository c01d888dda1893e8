"""Runs a torch network: this package's own, TorchScript or an exported program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.engines.engine import NetworkFile

_HALF_CAPABILITY = (7, 0)  # GPUs from Volta on multiply halves faster than singles


class TorchEngine:
    """A torch module on a device.

    On a GPU the input goes through pinned memory, and everything runs on a stream of its own; the
    same calls do nothing on a CPU. The process decides on torch's threads.
    """

    name = 'torch'
    channels_last = True

    def __init__(self, module: nn.Module, network: NetworkFile, device: str = 'cpu') -> None:
        self._network = network
        try:
            self._device = torch.device(device)
            self._module = module.to(self._device)
        except (RuntimeError, AssertionError) as error:
            raise InvalidValueError('device', device, 'cpu, cuda, cuda:N if present') from error
        self._on_gpu = self._device.type == 'cuda'
        make_stream: Callable[..., torch.cuda.Stream] = torch.cuda.Stream
        self._stream = make_stream(self._device) if self._on_gpu else None
        self._dtype = self._choose_dtype() if network.half_precision else torch.float32
        self._module.to(dtype=self._dtype)
        if network.layout == 'nchw':
            self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._places: list[int] | None = None

    def allocate(self, shape: tuple[int, ...]) -> FloatArray:
        """Float32 memory, pinned where there is a GPU to copy it to."""
        memory: FloatArray = torch.empty(shape, pin_memory=self._on_gpu).numpy()
        return memory

    def run(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        """Output tensors for a batch (N, H, W, 3); raises ModelError."""
        on_stream = torch.cuda.stream(self._stream) if self._stream else contextlib.nullcontext()
        try:
            with torch.inference_mode(), on_stream:
                images = torch.from_numpy(batch)
                if self._network.layout == 'nchw':
                    images = images.permute(0, 3, 1, 2)  # the memory stays: channels last
                images = images.to(self._device, non_blocking=True).to(self._dtype)
                outputs = [self._to_host(output) for output in self._choose(self._module(images))]
            if self._stream:
                self._stream.synchronize()
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(
                f'{self._network.path}: torch cannot run it on an input of shape '
                f'{tuple(batch.shape)} ({reason})'
            ) from error
        return tuple(output.numpy() for output in outputs)

    def _choose_dtype(self) -> torch.dtype:
        if not self._on_gpu:
            return torch.bfloat16
        capable = torch.cuda.get_device_capability(self._device) >= _HALF_CAPABILITY
        return torch.float16 if capable else torch.float32

    def _choose(self, answer: Any) -> list[Tensor]:
        """The tensors asked for, in order, from a tensor, a sequence or a mapping."""
        names = [str(name) for name in answer] if isinstance(answer, Mapping) else []
        tensors = _flatten(answer)
        if self._places is None:
            self._places = self._network.output_places(names, len(tensors))
        return [tensors[place] for place in self._places]

    def _to_host(self, output: Tensor) -> Tensor:
        output = output.to(torch.float32).contiguous()
        if not self._on_gpu:
            return output
        host = torch.empty(output.shape, dtype=output.dtype, pin_memory=True)
        return host.copy_(output, non_blocking=True)


def _flatten(answer: Any) -> list[Tensor]:
    if isinstance(answer, Tensor):
        return [answer]
    if isinstance(answer, Mapping):
        return _flatten(list(answer.values()))
    if isinstance(answer, (list, tuple)):
        return [tensor for part in answer for tensor in _flatten(part)]
    raise TypeError(f'it answers with {type(answer).__name__}, not with tensors')
