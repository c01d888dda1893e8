"""Layouts of other programs that show a robot, for a robot in a namespace."""

from __future__ import annotations

import re
from pathlib import Path

# below config/
LAYOUTS = (
    Path('foxglove', 'visionscaling.json'),
    Path('plotjuggler', 'visionscaling.xml'),
    Path('rqt', 'visionscaling.perspective'),
)
# first parts of the robot's names in them; /diagnostics and /rosout are everybody's
ROBOT_NAMES = (
    'slot_state',
    'slot_decision',
    'controller_settings',
    'inference_state',
    'gpu_state',
    'link_state',
    'frame_result',
    'image_raw',
    'inference_node',
    'controller_node',
)
_ROBOT_NAME = re.compile(rf'(?<=["\';])/(?=(?:{"|".join(ROBOT_NAMES)})\b)')
_HARDWARE_FILTER = '"hardwareIdFilter": "'  # of the diagnostics in Foxglove; a robot's is its name


def in_namespace(layout: str, namespace: str) -> str:
    """A layout made for the root, for a robot in a namespace ('' or with its leading slash)."""
    moved = _ROBOT_NAME.sub(f'{namespace}/', layout)
    return moved.replace(f'{_HARDWARE_FILTER}"', f'{_HARDWARE_FILTER}{namespace}"')
