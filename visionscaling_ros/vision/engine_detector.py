"""The detector: letterbox, engine, decoder, suppression."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from visionscaling_ros.datatypes import Detections, FloatArray, ImageArray
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.vision.batched_engine import BatchedEngine
from visionscaling_ros.vision.detector import Prepared, RawOutput
from visionscaling_ros.vision.engines.engine import Engine
from visionscaling_ros.vision.input_writer import InputWriter
from visionscaling_ros.vision.letterbox import Letterbox, check_input_size
from visionscaling_ros.vision.manifest import Manifest
from visionscaling_ros.vision.output_reader import OutputReader

GREY = 114


class EngineDetector:
    """A model of a manifest behind the ``Detector`` contract.

    One object serves one thread at a time; the input of a frame is overwritten by the next one of
    the same size.

    :param engine_for: the engine for an input size [px], the same one for any two sizes it serves.
    """

    def __init__(self, name: str, manifest: Manifest, engine_for: Callable[[int], Engine]) -> None:
        self._name = name
        self._manifest = manifest
        self._engine_for = engine_for
        self._reader = OutputReader(name, manifest)
        self._writers: dict[str, InputWriter] = {}
        self._batched: dict[str, BatchedEngine] = {}
        self._stacks: dict[int, FloatArray] = {}

    @property
    def name(self) -> str:
        """The model's name in the catalog."""
        return self._name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        return self._manifest.class_names

    @property
    def input_sizes_px(self) -> tuple[int, ...]:
        """Input sizes it was measured at."""
        return self._manifest.input_sizes_px

    def warm_up(self, input_size_px: int) -> None:
        """Run twice on a grey 4:3 image: the second run finds all caches filled.

        Raises ModelError when the network does not answer as its manifest says.
        """
        check_input_size(input_size_px)
        grey = np.full((input_size_px * 3 // 4, input_size_px, 3), GREY, np.uint8)
        for _ in range(2):
            prepared = self.preprocess(grey, input_size_px)
            self.postprocess(self.forward(prepared), prepared)

    def preprocess(self, image_bgr: ImageArray, input_size_px: int) -> Prepared:
        """Fit uint8 (H, W, 3) BGR into the input; raises ImageFormatError, InvalidValueError."""
        check_input_size(input_size_px)
        engine = self._engine_for(input_size_px)
        writer = self._writers.get(engine.name)
        if writer is None:
            writer = self._writers[engine.name] = InputWriter(
                self._manifest.input, engine.allocate, channels_last=engine.channels_last
            )
        return writer.write(image_bgr, input_size_px)

    def forward(self, prepared: Prepared) -> RawOutput:
        """Run the network; returns when its output is on the host. Raises ModelError."""
        geometry = prepared.geometry
        engine = self._engine_for(max(geometry.width_px, geometry.height_px))
        return RawOutput(engine.run(prepared.batch))

    def postprocess(self, raw: RawOutput, prepared: Prepared) -> Detections:
        """Decode, threshold, suppress by class, back to source pixels. Raises ModelError."""
        return self._reader.read(raw.tensors, prepared.geometry)

    def detect_batch(
        self, images_bgr: Sequence[ImageArray], input_size_px: int
    ) -> list[Detections | VisionScalingError]:
        """What all three steps give for each image, or the error of the one it fails for.

        Images whose inputs have the same shape share a pass where the engine can. Raises ModelError
        when the network fails.
        """
        results: dict[int, Detections | VisionScalingError] = {}
        stacks: dict[tuple[int, ...], FloatArray] = {}
        members: dict[tuple[int, ...], list[tuple[int, Letterbox]]] = {}
        for place, image_bgr in enumerate(images_bgr):
            try:
                prepared = self.preprocess(image_bgr, input_size_px)
            except VisionScalingError as error:
                results[place] = error
                continue
            shape = prepared.batch.shape[1:]
            if shape not in stacks:
                stacks[shape] = self._stack(len(images_bgr), shape, input_size_px)
                members[shape] = []
            stacks[shape][len(members[shape])] = prepared.batch[0]
            members[shape].append((place, prepared.geometry))
        engine = self._engine_for(input_size_px)
        for shape, inside in members.items():
            outputs = self._batched_engine(engine).run(stacks[shape][: len(inside)])
            for k, (place, geometry) in enumerate(inside):
                try:
                    results[place] = self._reader.read([o[k : k + 1] for o in outputs], geometry)
                except VisionScalingError as error:
                    results[place] = error
        return [results[place] for place in range(len(images_bgr))]

    def forward_tensors(self, tensors: FloatArray) -> tuple[FloatArray, ...]:
        """The network's outputs for inputs made elsewhere, in the order of its decoder.

        :param tensors: float32 (N, 3, H, W), or (N, H, W, 3) where the manifest says nhwc.
        :raises ModelError: the network cannot run them.
        """
        nchw = self._manifest.input.layout == 'nchw'
        engine = self._engine_for(max(tensors.shape[2:] if nchw else tensors.shape[1:3]))
        if nchw and engine.channels_last:
            tensors = tensors.transpose(0, 2, 3, 1)
        return self._batched_engine(engine).run(np.ascontiguousarray(tensors))

    def _batched_engine(self, engine: Engine) -> BatchedEngine:
        if engine.name not in self._batched:
            self._batched[engine.name] = BatchedEngine(engine)
        return self._batched[engine.name]

    def _stack(self, count: int, shape: tuple[int, ...], input_size_px: int) -> FloatArray:
        """Memory for a batch, the same as last time where it fits."""
        stack = self._stacks.get(input_size_px)
        if stack is None or len(stack) < count or stack.shape[1:] != shape:
            stack = self._engine_for(input_size_px).allocate((count, *shape))
            self._stacks[input_size_px] = stack
        return stack
