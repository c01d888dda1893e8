"""What the demo counts of a run."""

from __future__ import annotations

import math

import pytest

pytest.importorskip('rclpy')

from visionscaling_ros import msg
from visionscaling_ros.nodes.recorder import counted_energy_j

LINK = msg.LinkState(radio_energy_j=2.5)


def test_the_radio_is_counted_once() -> None:
    assert counted_energy_j(msg.GpuState(energy_j=10.0), LINK) == 12.5
    assert counted_energy_j(msg.GpuState(energy_j=10.0), None) == 10.0
    assert counted_energy_j(msg.GpuState(energy_j=10.0, power_covers_radio=True), LINK) == 10.0
    assert math.isnan(counted_energy_j(None, LINK))
