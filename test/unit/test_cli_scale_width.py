"""``visionscaling scale-width``."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from visionscaling_ros.cli import scale_width
from visionscaling_ros.errors import ModelError, VisionScalingError

SIZE_PX = 64
FACTORY = """
import torch
from torch import nn


def make():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 4, 1),
    ).eval()


def fixed():
    return nn.Sequential(make(), nn.Flatten(), nn.Linear(4 * 16 * 16, 5))


def number():
    return 3


THREE, MADE = 3, make()
"""


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    scale_width.add_arguments(parser)
    return scale_width.run(parser.parse_args(list(arguments)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a factory and pictures."""
    (tmp_path / 'scalable_network.py').write_text(FACTORY, encoding='utf-8')
    (tmp_path / 'images').mkdir()
    random = np.random.default_rng(0)
    for number in range(6):
        picture = random.integers(0, 255, (30 + number, 64, 3), np.uint8)
        cv2.imwrite(str(tmp_path / 'images' / f'{number}.png'), picture)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(folder: Path, network: str = 'scalable_network:make') -> list[str]:
    return [
        network, '--ratios', '0.5', '--images', str(folder / 'images'),
        '--input-size-px', str(SIZE_PX), '--out', str(folder / 'out'), '--batch-size', '2',
    ]  # fmt: skip


def widths(folder: Path) -> dict[float, dict[str, Any]]:
    report = json.loads((folder / 'out' / 'report.json').read_text(encoding='utf-8'))
    return {width['ratio']: width for width in report['widths']}


def load(folder: Path, width: dict[str, Any]) -> torch.nn.Module:
    return torch.export.load(folder / 'out' / width['file']).module()


def test_every_width_is_a_program_for_any_size(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*options(folder)) == 0
    made = widths(folder)
    assert set(made) == {0.5, 1.0}
    assert made[0.5]['parameters'] == 112 + 8 + 8 * 36 + 8 + 16 + 4 * 8 + 4
    assert made[0.5]['flops'] < 0.5 * made[1.0]['flops']
    assert made[1.0]['output_error'] == pytest.approx(0.0, abs=1e-6)
    assert made[0.5]['output_error'] > 1e-3
    assert made[0.5]['input_shape'] is None
    for width in made.values():
        assert load(folder, width)(torch.rand(1, 3, 96, 32)).shape == (1, 4, 24, 8)
    assert 'width_0.5.pt2' in capsys.readouterr().out


def test_distillation_brings_the_outputs_closer(folder: Path) -> None:
    assert command(*options(folder)) == 0
    before = widths(folder)[0.5]['output_error']
    assert command(*options(folder), '--steps', '60', '--learning-rate', '0.01') == 0
    assert widths(folder)[0.5]['output_error'] < 0.8 * before


@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_a_program_is_scaled_at_the_size_it_was_made_for(folder: Path) -> None:
    module: dict[str, Any] = {}
    exec(FACTORY, module)
    network = module['fixed']().eval()
    example = torch.rand(1, 3, SIZE_PX, SIZE_PX)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.export.save(torch.export.export(network, (example,)), folder / 'own.pt2')
    assert command(*options(folder, 'own.pt2'), '--steps', '2') == 0
    half = widths(folder)[0.5]
    assert half['input_shape'] == [1, 3, SIZE_PX, SIZE_PX]
    assert load(folder, half)(example).shape == (1, 5)


def test_weights_are_loaded_into_what_the_factory_returns(folder: Path) -> None:
    module: dict[str, Any] = {}
    exec(FACTORY, module)
    state = {name: torch.zeros_like(value) for name, value in module['make']().state_dict().items()}
    state['7.bias'] += 3.0
    save_file(state, folder / 'own.safetensors')
    torch.save(state, folder / 'own.pt')
    for file in ('own.safetensors', 'own.pt'):
        assert command(*options(folder), '--weights', file) == 0
        output = load(folder, widths(folder)[1.0])(torch.rand(1, 3, SIZE_PX, SIZE_PX))
        assert torch.equal(output, torch.full_like(output, 3.0))


@pytest.mark.parametrize(
    ('network', 'more', 'told'),
    [
        ('scalable_network', (), 'MODULE:FACTORY'),
        ('scalable_network:nothing', (), 'nothing'),
        ('no_such_module:make', (), 'no_such_module'),
        ('scalable_network:number', (), 'int'),
        ('scalable_network:THREE', (), 'function or class, not an object .int'),
        ('scalable_network:MADE', (), 'function or class, not an object .Seq'),
        ('scalable_network:make', ('--weights', 'missing.pt'), 'missing.pt'),
        ('scalable_network:make', ('--threads', '0'), 'threads'),
        ('scalable_network:make', ('--steps', '-1'), 'steps'),
        ('scalable_network:make', ('--batch-size', '6'), '--images'),
        ('scalable_network:make', ('--images', 'missing'), 'missing'),
        ('scalable_network:make', ('--ratios', '1.5'), 'ratio'),
        ('scalable_network:make', ('--input-size-px', '50'), 'input_size_px'),
        ('scalable_network:make', ('--keep', 'neck'), 'neck'),
        ('scalable_network:make', ('--out', 'scalable_network.py'), '--out'),
    ],
)
def test_bad_options_are_refused_by_name(
    folder: Path, network: str, more: tuple[str, ...], told: str
) -> None:
    with pytest.raises(VisionScalingError, match=told):
        command(*options(folder, network), *more)


def test_a_file_that_is_no_program_is_refused_by_name(folder: Path) -> None:
    (folder / 'own.pt2').write_bytes(b'no program')
    with pytest.raises(ModelError, match=r'own\.pt2'):
        command(*options(folder, 'own.pt2'))
