"""Opening a machine whose meter does not answer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hardware_trees import bare

pytest.importorskip('rclpy')

from visionscaling_ros.hardware.power.choice import MeterChoice
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope
from visionscaling_ros.nodes import gpu_machine
from visionscaling_ros.nodes.gpu_clock_parameters import PARAMETERS


class HangingMeter(PowerMeter):
    """Answers when it is let."""

    name, device, scope, period_s = 'hanging', 'a device that hangs', Scope.BOARD, 0.01
    rails = total_rails = ('total',)

    def __init__(self) -> None:
        self.let = threading.Event()
        self.reads = 0
        self.closed = threading.Event()

    def read(self) -> PowerSample:
        self.let.wait(30.0)
        self.reads += 1
        return PowerSample(0.0, {'total': 1.0})

    def close(self) -> None:
        self.closed.set()


def test_a_meter_that_answers_too_late_is_given_up_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = HangingMeter()
    monkeypatch.setattr(gpu_machine, 'ANSWER_S', 0.05)
    monkeypatch.setattr(
        gpu_machine, 'open_meter', lambda *args, **kwargs: MeterChoice(meter, 'asked for')
    )
    values = {parameter.name: parameter.default for parameter in PARAMETERS}
    values |= {'sysfs_root': str(bare(tmp_path / 'tree').root), 'helper_socket': ''}
    values |= {'backend': 'none', 'state_file': str(tmp_path / 'state')}
    machine = gpu_machine.GpuMachine(values, '', inform=print, warn=print)
    machine.open()
    assert machine.sampler is None
    assert 'no answer for 0.05 s; power is calculated' in machine.meter_trouble
    machine.close()
    assert not meter.closed.is_set()
    meter.let.set()
    assert meter.closed.wait(10.0)
    assert meter.reads == 1
