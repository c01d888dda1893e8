"""Runs batches on an engine, whether or not the network's file takes them."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.errors import ModelError
from visionscaling_ros.vision.engines.engine import Engine

# Sums in another order differ in the last digits of what is up to thousands of pixels.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-2


class BatchedEngine:
    """Several images in one pass where that gives what they give one by one, else one by one.

    Files may be for one image only, and a traced one can answer a batch with nonsense, so the
    first batch is also run image by image and compared. A batch that fails (for lack of memory,
    say) is run image by image.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._takes_batches: bool | None = None

    def run(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        """Output tensors, the image's number being their first axis; raises ModelError.

        :param batch: float32 (N, H, W, 3) or (N, 3, H, W), as the engine reads it.
        """
        if len(batch) == 1 or self._takes_batches is False:
            return self._one_by_one(batch)
        try:
            together = self._engine.run(batch)
        except ModelError:
            together = ()
        if self._takes_batches and together:
            return together
        alone = self._one_by_one(batch)
        if self._takes_batches is None:
            self._takes_batches = _agree(together, alone)
        return alone

    def _one_by_one(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        if len(batch) == 1:
            return self._engine.run(batch)
        outputs = [self._engine.run(batch[k : k + 1]) for k in range(len(batch))]
        return tuple(np.concatenate(tensors) for tensors in zip(*outputs, strict=True))


def _agree(together: tuple[FloatArray, ...], alone: tuple[FloatArray, ...]) -> bool:
    return len(together) == len(alone) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True)
        for a, b in zip(together, alone, strict=True)
    )
