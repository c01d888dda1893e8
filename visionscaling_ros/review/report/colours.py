"""Colours that people with any colour vision tell apart, on white and on black.

The eight of Okabe and Ito (Color Universal Design, 2008), without its yellow and black. Where a
colour carries meaning, a line style, a hatch or a word does too.
"""

from __future__ import annotations

BLUE = '#0072B2'
SKY = '#56B4E9'
GREEN = '#009E73'
ORANGE = '#E69F00'
VERMILION = '#D55E00'
PURPLE = '#CC79A7'
GREY = '#808080'

DROPS = (VERMILION, ORANGE, PURPLE, GREY)
_LOCAL_RAMP = ((0xB3, 0xD9, 0xF2), (0x00, 0x2B, 0x47))
_EDGE_RAMP = ((0xFF, 0xDD, 0x8F), (0x7A, 0x46, 0x00))


def ramp(place_is_edge: bool, index: int, amount: int) -> str:
    """Colour of a configuration: blue on the robot, orange at the edge; larger ones darker."""
    if amount <= 1:
        return ORANGE if place_is_edge else BLUE
    light, dark = _EDGE_RAMP if place_is_edge else _LOCAL_RAMP
    part = index / (amount - 1)
    mixed = [round(a + part * (b - a)) for a, b in zip(light, dark, strict=True)]
    return '#{:02x}{:02x}{:02x}'.format(*mixed)
