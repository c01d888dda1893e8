"""Which devices are cards."""

from __future__ import annotations

import pytest

from visionscaling_ros.hardware.card_names import named_card


@pytest.mark.parametrize('device', ['0', '1', 'GPU-00000001-fake', 'MIG-00000001'])
def test_an_index_and_a_uuid_name_a_card(device: str) -> None:
    assert named_card(device) == device


@pytest.mark.parametrize('device', ['', '17000000.gpu', 'gpu-gpc-0', 'policy0', '-1'])
def test_a_clock_of_the_kernel_does_not(device: str) -> None:
    assert named_card(device) == ''
