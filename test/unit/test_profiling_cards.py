"""The profiler clocks and measures what models run on, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from fake_nvml import FakeNvml
from hardware_trees import bare, cpu_board, orin_nano, pc

from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.gpu_power_model import GpuPowerModel
from visionscaling_ros.profiling.clocks import card_of, choose_clock
from visionscaling_ros.profiling.meters import opened_meter

LEVELS_HZ = (0.5e9, 1e9)


def test_models_on_the_cpu_are_measured_at_the_cpus_clock_or_at_none(tmp_path):
    board = cpu_board(tmp_path / 'board')
    clock = choose_clock('auto', LEVELS_HZ, tmp_path, files=board.files, device='cpu').clock
    assert clock.name == 'cpufreq'
    nothing = bare(tmp_path / 'bare')
    choice = choose_clock('auto', LEVELS_HZ, tmp_path, files=nothing.files, device='cpu')
    assert choice.clock.name == 'none'
    assert 'on the CPU' in choice.why


def test_what_torch_does_not_have_names_no_card():
    assert card_of('cpu') == ''
    if not torch.cuda.is_available():
        assert card_of('auto') == card_of('cuda:1') == ''


@pytest.fixture
def two_cards(tmp_path, monkeypatch):
    """Two NVIDIA cards, which torch counts the other way round than NVML."""
    FakeNvml(tmp_path / 'cards', cards=2).install(monkeypatch)
    uuids = {'cuda': '00000001-fake', 'cuda:0': '00000001-fake', 'cuda:1': '00000000-fake'}
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(
        torch.cuda, 'get_device_properties', lambda device: SimpleNamespace(uuid=uuids[device])
    )


@pytest.mark.parametrize('name', ['auto', 'nvml'])
@pytest.mark.parametrize(
    ('device', 'card'),
    [('auto', 'GPU-00000001-fake'), ('cuda:0', 'GPU-00000001-fake'),
     ('cuda:1', 'GPU-00000000-fake')],
)  # fmt: skip
@pytest.mark.usefixtures('two_cards')
def test_the_card_models_run_on_is_clocked_and_measured(tmp_path, name, device, card):
    clock = choose_clock(name, LEVELS_HZ, tmp_path, files=DeviceFiles(), device=device).clock
    assert card in clock.device
    with opened_meter(name, GpuPowerModel(2.0, 1.0), clock, DeviceFiles(), device) as (_, words):
        assert words.startswith('nvml (')
        assert card in words


@pytest.mark.usefixtures('two_cards')
def test_no_card_is_clocked_or_measured_for_models_on_the_cpu(tmp_path):
    choice = choose_clock('auto', LEVELS_HZ, tmp_path, files=DeviceFiles(), device='cpu')
    assert choice.clock.name in {'cpufreq', 'none'}
    model = GpuPowerModel(2.0, 1.0)
    with opened_meter('auto', model, choice.clock, DeviceFiles(), 'cpu') as (meter, words):
        assert meter.name != 'nvml'
        assert meter.name == 'ina3221' or 'nvml: models run on the CPU' in words


@pytest.mark.usefixtures('two_cards')
def test_a_jetsons_clock_is_not_looked_for_under_torchs_name_of_its_gpu(tmp_path):
    tree = orin_nano(tmp_path / 'machine')
    choice = choose_clock('auto', LEVELS_HZ, tmp_path, files=tree.files, device='auto')
    assert choice.clock.name == 'jetson'
    assert choice.rejected == ()


def test_without_cuda_auto_is_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    tree = cpu_board(tmp_path)
    choice = choose_clock('auto', LEVELS_HZ, tmp_path, files=tree.files)
    assert choice.clock.name == 'cpufreq'
    with opened_meter('auto', GpuPowerModel(), choice.clock, pc(tmp_path / 'pc').files, 'auto') as (
        meter,
        _,
    ):
        assert meter.name == 'rapl'
