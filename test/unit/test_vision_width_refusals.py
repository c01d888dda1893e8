"""What scale_width refuses, and how it names it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from width_networks import EXAMPLE, Plain, Wrapped, network, unit

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.width_scaling import NotScalableError, scale_width

torch.set_num_threads(1)


class Hooked(nn.Conv2d):
    """A layer that changes its weight before it uses it."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight, self.bias)


@pytest.mark.parametrize(
    ('between', 'channels', 'told'),
    [
        (nn.PixelShuffle(2), 2, ['between', 'PixelShuffle', 'pixels']),
        (nn.ChannelShuffle(2), 8, ['between', 'ChannelShuffle', 'interleaves']),
        (nn.InstanceNorm2d(8), 8, ['between', 'InstanceNorm2d']),
        (nn.LayerNorm([8, 8, 8], elementwise_affine=False), 8, ['LayerNorm', 'factors']),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1)), 8, ['Parametrized']),
        (Hooked(8, 8, 1), 8, ['between', 'conv2d']),
        (lambda x: x.view(x.size(0), 2, 4, 8, 8).sum(1), 4, ['view', '[2, 8, 8, 8]', 'mixes']),
        (lambda x: x.flip(1), 8, ['flip']),
        (lambda x: x[:, [1, 0, 2]], 3, ['getitem', 'slices']),
        (lambda x: x[:, ::2], 4, ['getitem', 'step']),
        (lambda x: torch.einsum('nchw,ncij->nchw', x, x), 8, ['einsum']),
        (lambda x: x + x.permute(0, 2, 1, 3), 8, ['add', 'different axes']),
    ],
)  # fmt: skip
def test_what_cannot_be_scaled_is_refused_by_name(
    between: Any, channels: int, told: list[str]
) -> None:
    with pytest.raises(NotScalableError) as refused:
        scale_width(Wrapped(between, channels).eval(), 0.5, EXAMPLE)
    for words in told:
        assert words in str(refused.value)
    assert 'keep' in str(refused.value)


def test_a_module_named_in_keep_stays_as_it_is() -> None:
    original = nn.Sequential(unit(3, 8), Wrapped(nn.PixelShuffle(2), 2)).eval()
    original[1].enter = nn.Conv2d(8, 8, 1)
    with pytest.raises(NotScalableError):
        scale_width(original, 0.5, EXAMPLE)
    networks = scale_width(original, 0.5, EXAMPLE, keep=['1.between'])
    assert networks.channels(0.5) == {'0.0': 4}
    assert networks.at(0.5)(EXAMPLE).shape == original(EXAMPLE).shape
    with pytest.raises(NotScalableError, match='none of its channels are free'):
        scale_width(original, 0.5, EXAMPLE, keep=['0', '1'])
    with pytest.raises(InvalidValueError, match='keep'):
        scale_width(original, 0.5, EXAMPLE, keep=['backbone'])


def test_anything_may_follow_the_last_layer() -> None:
    original = nn.Sequential(unit(3, 8), nn.Conv2d(8, 8, 1), nn.PixelShuffle(2)).eval()
    networks = scale_width(original, 0.5, EXAMPLE)
    assert networks.channels(0.5) == {'0.0': 4}
    assert networks.at(0.5)(EXAMPLE).shape == (2, 2, 16, 16)


class ByValue(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_control_flow_and_torchscript_are_refused_by_name() -> None:
    with pytest.raises(NotScalableError, match=r'ByValue.*x if x\.sum\(\) > 0'):
        scale_width(ByValue().eval(), 0.5, EXAMPLE)
    traced = torch.jit.trace(network((Plain, 8)).map, torch.rand(1, 8, 4, 4))
    with pytest.raises(NotScalableError, match='TorchScript'):
        scale_width(traced, 0.5, EXAMPLE)


def test_an_example_that_does_not_fit_is_refused_at_the_layer() -> None:
    with pytest.raises(NotScalableError, match=r'blocks\.0\.conv.*example'):
        scale_width(network((Plain, 8)), 0.5, torch.rand(1, 4, 8, 8))
