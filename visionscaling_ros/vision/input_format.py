"""What a network wants to see: layout, colours, numbers and padding of its input."""

from __future__ import annotations

from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields
from visionscaling_ros.vision.letterbox import Letterbox, fit

_RANGE = 1e6


@dataclass(frozen=True)
class InputFormat:
    """Input of a network: ``(pixel * scale - mean) / std`` with pixels from 0 to 255.

    :param layout: ``nchw`` or ``nhwc``.
    :param color: order of the channels, ``bgr`` or ``rgb``.
    :param mean: one for each channel, in the order of ``color``, as is ``std``.
    :param padding_value: pixel around the image, before scaling.
    :param square: padded to a square, not only to the next multiple of 32.
    :param centered: the image lies in the middle, not at the top left.
    """

    layout: str = 'nchw'
    color: str = 'bgr'
    scale: float = 1.0 / 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    padding_value: int = 114
    square: bool = False
    centered: bool = False

    def geometry(self, width_px: int, height_px: int, input_size_px: int) -> Letterbox:
        """How an image of this size lies in the input; raises as ``fit`` does."""
        return fit(
            width_px, height_px, input_size_px, square=self.square, centered=self.centered
        )

    def factors(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """The same as ``pixel * factor + summand``: factors and summands of the channels."""
        a, b, c = ((self.scale / s, -m / s) for m, s in zip(self.mean, self.std, strict=True))
        return (a[0], b[0], c[0]), (a[1], b[1], c[1])


def read_input_format(fields: Fields) -> InputFormat:
    """The ``input`` of a manifest. Raises InvalidValueError naming the field."""
    padding = fields.mapping('padding', optional=True)
    std = _three(fields, 'std', (1.0, 1.0, 1.0))
    if 0.0 in std:
        raise InvalidValueError(fields.name_of('std'), list(std), 'other than 0')
    read = InputFormat(
        layout=fields.choice('layout', ('nchw', 'nhwc'), 'nchw'),
        color=fields.choice('color', ('rgb', 'bgr')),
        scale=fields.number('scale', 1e-9, _RANGE),
        mean=_three(fields, 'mean', (0.0, 0.0, 0.0)),
        std=std,
        padding_value=padding.whole('value', 0, 255, 114),
        square=padding.choice('to', ('square', 'stride'), 'stride') == 'square',
        centered=padding.choice('placement', ('top_left', 'center'), 'top_left') == 'center',
    )
    padding.done()
    fields.done()
    return read


def _three(
    fields: Fields, key: str, default: tuple[float, float, float]
) -> tuple[float, float, float]:
    values = fields.numbers(key, -_RANGE, _RANGE, default)
    if len(values) != 3:
        raise InvalidValueError(fields.name_of(key), list(values), 'one for each of 3 channels')
    return values[0], values[1], values[2]
