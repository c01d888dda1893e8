"""What a network's output means, as a manifest says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields
from visionscaling_ros.vision.decoders.decoder import Decoder
from visionscaling_ros.vision.decoders.ssd import SsdDecoder
from visionscaling_ros.vision.decoders.vsdet import VsdetDecoder
from visionscaling_ros.vision.decoders.yolov5 import Yolov5Decoder
from visionscaling_ros.vision.decoders.yolov8 import Yolov8Decoder
from visionscaling_ros.vision.decoders.yolox import YoloxDecoder

_READERS: dict[str, Callable[[Fields], Decoder]] = {
    'vsdet': VsdetDecoder.read,
    'yolov5': Yolov5Decoder.read,
    'yolov8': Yolov8Decoder.read,
    'yolov11': Yolov8Decoder.read,  # the same format
    'yolox': YoloxDecoder.read,
    'ssd': SsdDecoder.read,
}
DECODERS = tuple(_READERS)


@dataclass(frozen=True)
class OutputFormat:
    """A decoder, by its name and with its settings, and the tensors it gets.

    :param tensors: for each role of the decoder the tensor's name (ONNX) or its place among the
        outputs.
    """

    name: str
    decoder: Decoder
    tensors: tuple[str | int, ...]


def read_output_format(fields: Fields) -> OutputFormat:
    """The ``output`` of a manifest. Raises InvalidValueError naming the field."""
    name = fields.choice('decoder', DECODERS)
    decoder = _READERS[name](fields)
    tensors = fields.mapping('tensors', optional=True)
    chosen = tuple(_tensor(tensors, role, k) for k, role in enumerate(decoder.roles))
    tensors.done()
    fields.done()
    return OutputFormat(name, decoder, chosen)


def _tensor(fields: Fields, role: str, place: int) -> str | int:
    if not fields.has(role):
        return place
    value = fields.value(role)
    named = isinstance(value, str) and value != ''
    placed = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 100
    if not (named or placed):
        raise InvalidValueError(
            fields.name_of(role), value, "a tensor's name, or its place from 0 on"
        )
    return value  # type: ignore[return-value]  # one of the two
