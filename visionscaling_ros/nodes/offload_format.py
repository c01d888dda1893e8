"""How an offloaded frame says what it is: in the ``format`` field of its CompressedImage.

``jpeg; frame=12; slot=3; model=vsdet_s; size=320; width=640; height=480; deadline=81.25``:
image tools read the leading ``jpeg``, edge_bridge_node the rest. ``deadline`` is on the monotonic
clock [s], which all processes of one robot's computer share. ``spare=1`` at the end: to be sent
only while nothing else is.
"""

from __future__ import annotations

from dataclasses import dataclass

from visionscaling_ros.errors import ImageFormatError

ENCODING = 'jpeg'


@dataclass(frozen=True)
class OffloadLabel:
    """What edge_bridge_node needs to know of an offloaded frame."""

    frame: int
    slot: int
    model: str
    size: int
    width: int
    height: int
    deadline: float
    spare: int = 0

    def __str__(self) -> str:
        pairs = '; '.join(
            f'{name}={value}' for name, value in vars(self).items() if name != 'spare' or value
        )
        return f'{ENCODING}; {pairs}'


def parse_offload_label(text: str) -> OffloadLabel:
    """The label of a ``format`` field; raises ImageFormatError naming what is wrong."""
    encoding, *pairs = (part.strip() for part in text.split(';'))
    values = dict(pair.split('=', 1) for pair in pairs if '=' in pair)
    if encoding != ENCODING:
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
        )
    except (KeyError, ValueError) as error:
        raise ImageFormatError(
            f'offload format {text!r} is not usable ({error!r}); '
            'allowed: "jpeg; frame=N; slot=N; model=NAME; size=PX; width=PX; height=PX; deadline=S"'
        ) from error
