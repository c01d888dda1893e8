"""How an offloaded frame says what it is: in the ``format`` field of its CompressedImage.

``jpeg; frame=12; slot=3; model=vsdet_s; size=320; width=640; height=480; deadline=81.25``:
image tools read the leading ``jpeg``, edge_bridge_node the rest. ``deadline`` is on the monotonic
clock [s], which all processes of one robot's computer share. ``spare=1`` at the end: to be sent
only while nothing else is. ``fp32; shape=1,3,256,320; frame=...``: no JPEG but the float32 tensor
that the network reads.
"""

from __future__ import annotations

from dataclasses import dataclass

from visionscaling_ros.errors import ImageFormatError

JPEG = 'jpeg'
TENSOR = 'fp32'
ALLOWED = (
    '"jpeg; frame=N; slot=N; model=NAME; size=PX; width=PX; height=PX; deadline=S" '
    'or "fp32; shape=N,N,N,N; frame=..."'
)


@dataclass(frozen=True)
class OffloadLabel:
    """What edge_bridge_node needs to know of an offloaded frame. ``shape``: None for a JPEG."""

    frame: int
    slot: int
    model: str
    size: int
    width: int
    height: int
    deadline: float
    spare: int = 0
    shape: tuple[int, ...] | None = None

    def __str__(self) -> str:
        encoding = JPEG
        if self.shape is not None:
            encoding = f'{TENSOR}; shape={",".join(map(str, self.shape))}'
        names = [name for name in vars(self) if name not in ('spare', 'shape')]
        names += ['spare'] if self.spare else []
        return '; '.join([encoding, *(f'{name}={getattr(self, name)}' for name in names)])


def parse_offload_label(text: str) -> OffloadLabel:
    """The label of a ``format`` field; raises ImageFormatError naming what is wrong."""
    encoding, *pairs = (part.strip() for part in text.split(';'))
    values = dict(pair.split('=', 1) for pair in pairs if '=' in pair)
    if encoding not in (JPEG, TENSOR):
        values.clear()
    try:
        return OffloadLabel(
            frame=int(values['frame']),
            slot=int(values['slot']),
            model=values['model'],
            size=int(values['size']),
            width=int(values['width']),
            height=int(values['height']),
            deadline=float(values['deadline']),
            spare=int(values.get('spare', 0)),
            shape=_shape(values['shape']) if encoding == TENSOR else None,
        )
    except (KeyError, ValueError) as error:
        raise ImageFormatError(
            f'offload format {text!r} is not usable ({error!r}); allowed: {ALLOWED}'
        ) from error


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(length) for length in text.split(','))
