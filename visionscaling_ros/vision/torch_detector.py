"""A zoo model in torch, ready to run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.detector import Prepared, RawOutput
from visionscaling_ros.vision.letterbox import check_input_size, letterbox
from visionscaling_ros.vision.model_zoo import CLASS_NAMES, MODELS, input_sizes_px
from visionscaling_ros.vision.network import DetectionNetwork
from visionscaling_ros.vision.suppression import select_detections

# low, because average precision needs the tail of the precision-recall curve
SCORE_THRESHOLD = 0.05
IOU_THRESHOLD = 0.55
MAX_CANDIDATES = 200
MAX_DETECTIONS = 100


class TorchDetector:
    """A trained ``DetectionNetwork`` behind the ``Detector`` contract.

    One object serves one thread at a time. It leaves torch's thread count to the process.
    """

    def __init__(self, name: str, network: DetectionNetwork, device: str = 'cpu') -> None:
        self._name = name
        try:
            self._device = torch.device(device)
            fused = network.fuse().to(self._device)
        except (RuntimeError, AssertionError) as error:
            raise InvalidValueError('device', device, 'cpu, cuda, cuda:N if present') from error
        self._network = fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_weights(cls, name: str, path: Path, device: str = 'cpu') -> TorchDetector:
        """Network ``name`` of the zoo with the weights in ``path``."""
        network = DetectionNetwork(MODELS[name], len(CLASS_NAMES))
        network.load_state_dict(safetensors.torch.load_file(path))  # half on disk, float here
        return cls(name, network, device)

    @property
    def name(self) -> str:
        """Name in the model zoo."""
        return self._name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        return CLASS_NAMES

    @property
    def input_sizes_px(self) -> tuple[int, ...]:
        """Input sizes it was measured at."""
        return input_sizes_px(self._name)

    def warm_up(self, input_size_px: int) -> None:
        """Run twice on a grey 4:3 image: the second run finds torch's caches filled."""
        check_input_size(input_size_px)
        grey = np.full((input_size_px * 3 // 4, input_size_px, 3), 114, np.uint8)
        for _ in range(2):
            self.forward(self.preprocess(grey, input_size_px))

    def preprocess(self, image_bgr: ImageArray, input_size_px: int) -> Prepared:
        """Letterbox uint8 (H, W, 3); raises ImageFormatError and InvalidValueError."""
        return Prepared(*letterbox(image_bgr, input_size_px))

    def forward(self, prepared: Prepared) -> RawOutput:
        """Run the network; returns when the result is on the host."""
        with torch.inference_mode():
            # (1, 3, H, W) over interleaved memory: already channels last
            batch = torch.from_numpy(prepared.image_bgr).to(self._device).permute(2, 0, 1)[None]
            logits, boxes_px = self._network(batch.to(torch.float32).mul_(1.0 / 255.0))
            return RawOutput(
                boxes_px=boxes_px[0].cpu().numpy(), scores=logits[0].sigmoid_().cpu().numpy()
            )

    def postprocess(self, raw: RawOutput, prepared: Prepared) -> Detections:
        """Threshold, class-wise suppression, back to source pixels."""
        found = select_detections(
            raw.boxes_px,
            raw.scores,
            score_threshold=SCORE_THRESHOLD,
            iou_threshold=IOU_THRESHOLD,
            max_candidates=MAX_CANDIDATES,
            max_detections=MAX_DETECTIONS,
        )
        boxes_px = prepared.geometry.boxes_to_source(found.boxes_px)
        return Detections(boxes_px, found.scores, found.class_ids)
