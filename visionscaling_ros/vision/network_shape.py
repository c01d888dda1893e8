"""How large a detector network is, as data: what a weight file says about itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from visionscaling_ros.errors import InvalidValueError

CHANNEL_MULTIPLE = 4


@dataclass(frozen=True)
class NetworkShape:
    """Channels of the stem and of the stages at strides 4, 8, 16 and 32, and blocks per stage.

    squeezes: channels inside the residual blocks of each stage.
    """

    widths: tuple[int, int, int, int, int]
    squeezes: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    neck_width: int

    def scaled(self, ratio: float) -> NetworkShape:
        """The shape with ``ratio`` of the channels, in multiples of four; as deep as before.

        Raises InvalidValueError unless 0 < ratio <= 1.
        """
        if not 0.0 < ratio <= 1.0:
            raise InvalidValueError('width ratio', ratio, 'above 0, up to 1')
        return NetworkShape(
            _five(scaled_channels(width, ratio) for width in self.widths),
            _four(scaled_channels(width, ratio) for width in self.squeezes),
            self.depths,
            scaled_channels(self.neck_width, ratio),
        )


def scaled_channels(channels: int, ratio: float) -> int:
    """``ratio`` of ``channels``, in multiples of four, at least four; all of them at ratio 1."""
    if ratio == 1.0:
        return channels
    scaled = max(1, int(channels * ratio / CHANNEL_MULTIPLE + 0.5)) * CHANNEL_MULTIPLE
    return min(channels, scaled)


@dataclass(frozen=True)
class ElasticShape:
    """A network of several widths: the full shape, the ratios ascending to 1, the classes."""

    full: NetworkShape
    ratios: tuple[float, ...]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        ordered = tuple(sorted(set(self.ratios)))
        if not ordered or ordered != self.ratios or ordered[-1] != 1.0 or ordered[0] <= 0.0:
            raise InvalidValueError('width ratios', self.ratios, 'ascending, above 0, the last 1')
        if not self.class_names:
            raise InvalidValueError('class_names', self.class_names, 'at least one')

    def index_of(self, ratio: float | None) -> int:
        """Place of a ratio among the trained ones; None is the full width."""
        if ratio is None:
            return len(self.ratios) - 1
        if ratio not in self.ratios:
            raise InvalidValueError('width ratio', ratio, ', '.join(map(str, self.ratios)))
        return self.ratios.index(ratio)

    def to_json(self) -> str:
        """As text, the way a weight file carries it."""
        return json.dumps(
            {
                'shape': asdict(self.full),
                'ratios': self.ratios,
                'class_names': self.class_names,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ElasticShape:
        """Back from text; raises KeyError, ValueError or TypeError when it is no shape."""
        content = json.loads(text)
        shape = content['shape']
        return cls(
            NetworkShape(
                _five(shape['widths']),
                _four(shape['squeezes']),
                _four(shape['depths']),
                int(shape['neck_width']),
            ),
            tuple(float(ratio) for ratio in content['ratios']),
            tuple(str(name) for name in content['class_names']),
        )


def _five(values: Iterable[int]) -> tuple[int, int, int, int, int]:
    a, b, c, d, e = map(int, values)
    return a, b, c, d, e


def _four(values: Iterable[int]) -> tuple[int, int, int, int]:
    a, b, c, d = map(int, values)
    return a, b, c, d
