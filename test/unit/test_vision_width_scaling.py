"""Scaling the width of any network."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from width_networks import (
    BLOCKS,
    EXAMPLE,
    Dense,
    Depthwise,
    Grouped,
    Network,
    Plain,
    Residual,
    SplitAndConcatenate,
    SqueezeExcite,
    Wrapped,
    network,
    unit,
)

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.width_scaling import recalibrate_norms, scale_width

torch.set_num_threads(1)


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    assert a.keys() == b.keys()
    for name in a:
        scale = max(1.0, float(a[name].abs().max()))
        torch.testing.assert_close(a[name], b[name], rtol=0.0, atol=tolerance * scale)


blocks = st.lists(st.tuples(st.sampled_from(BLOCKS), st.sampled_from((8, 16))), max_size=4)


@settings(max_examples=25, deadline=None)
@given(blocks.filter(bool), st.integers(0, 99))
def test_any_mix_of_blocks_scales(chosen: list[tuple[type[nn.Module], int]], seed: int) -> None:
    original = network(*chosen, seed=seed)
    before = copy.deepcopy(original.state_dict())
    networks = scale_width(original, [0.25, 0.5], EXAMPLE)
    with torch.inference_mode():
        # the whole network computes what it did, and the original is untouched
        assert_same(networks.at(1.0)(EXAMPLE.clone()), original(EXAMPLE.clone()))
        assert all(
            torch.equal(value, before[name]) for name, value in original.state_dict().items()
        )
        # the same class at half the width, with the weights of the prefix, gives its outputs
        half = Network([(block, width // 2) for block, width in chosen]).eval()
        state = {
            name.replace('_factor_blocks_', 'blocks.').replace('_scale.full', '.scale'): value
            for name, value in networks.dense(0.5).state_dict().items()
        }
        half.load_state_dict(state)
        assert_same(half(EXAMPLE.clone()), networks.at(0.5)(EXAMPLE.clone()))
    counts = [networks.parameter_count(ratio) for ratio in networks.ratios]
    assert networks.ratios == (0.25, 0.5, 1.0)
    assert counts == sorted(set(counts))
    assert counts[1] == sum(parameter.numel() for parameter in half.parameters())
    assert counts[2] == sum(parameter.numel() for parameter in original.parameters())


def test_a_plain_network_is_cut_to_the_leading_filters() -> None:
    networks = scale_width(network((Plain, 8), (Plain, 16)), 0.5, EXAMPLE)
    full, half = networks.full, networks.dense(0.5)
    first, second = full.blocks[0], full.blocks[1]
    torch.testing.assert_close(half.get_submodule('blocks.0.conv').weight, first.conv.weight[:4])
    second_half = half.get_submodule('blocks.1.conv')
    torch.testing.assert_close(second_half.weight, second.conv.weight[:8, :4])
    torch.testing.assert_close(second_half.bias, second.conv.bias[:8])
    # flattened maps of 2x2: four features of the classifier for each channel
    torch.testing.assert_close(
        half.get_submodule('classifier').weight, full.classifier.weight[:, : 8 * 4]
    )
    assert half.get_submodule('map').weight.shape == (5, 8, 1, 1)


def test_what_reads_a_concatenation_keeps_the_leading_part_of_each_piece() -> None:
    networks = scale_width(network((Plain, 8), (Dense, 16)), 0.5, EXAMPLE)
    full, half = networks.full.blocks[1], networks.dense(0.5)
    kept = [*range(4), *range(8, 16)]  # of 8 from the input and 16 of the first layer
    torch.testing.assert_close(
        half.get_submodule('blocks.1.second.0').weight, full.second[0].weight[:8][:, kept]
    )
    kept += range(24, 32)
    torch.testing.assert_close(
        half.get_submodule('blocks.1.leave').weight, full.leave.weight[:8][:, kept]
    )


def test_halves_of_a_split_are_cut_each_by_itself() -> None:
    networks = scale_width(network((SplitAndConcatenate, 16)), 0.5, EXAMPLE)
    full, half = networks.full.blocks[0], networks.dense(0.5)
    kept = [*range(4), *range(8, 12)]
    torch.testing.assert_close(
        half.get_submodule('blocks.0.enter.0').weight, full.enter[0].weight[kept]
    )


def test_depthwise_and_grouped_convolutions_keep_their_structure() -> None:
    networks = scale_width(network((Depthwise, 16), (Grouped, 16)), 0.25, EXAMPLE)
    narrow = networks.dense(0.25)
    depthwise = narrow.get_submodule('blocks.0.depthwise.0')
    assert (depthwise.groups, depthwise.in_channels, depthwise.out_channels) == (4, 4, 8)
    grouped = narrow.get_submodule('blocks.1.grouped')
    assert (grouped.groups, grouped.in_channels, grouped.out_channels) == (2, 4, 4)
    assert torch.equal(grouped.weight, networks.full.blocks[1].grouped.weight[[0, 1, 8, 9]][:, :2])


def test_many_small_groups_are_dropped_as_a_whole() -> None:
    block = nn.Sequential(
        nn.Conv2d(3, 32, 1), nn.Conv2d(32, 64, 3, groups=8), nn.ReLU(), nn.Conv2d(64, 4, 1)
    ).eval()
    networks = scale_width(block, 0.5, EXAMPLE)
    grouped = networks.dense(0.5).get_submodule('1')
    assert (grouped.groups, grouped.in_channels, grouped.out_channels) == (4, 16, 32)
    assert torch.equal(grouped.weight, networks.full[1].weight[:32])


def test_every_weight_of_a_prefix_is_memory_of_the_full_network() -> None:
    original = network((Residual, 16), (Dense, 8), (SqueezeExcite, 8), (Grouped, 8))
    networks = scale_width(original, [0.25, 0.5], EXAMPLE)
    own = {id(parameter) for parameter in networks.full.parameters()}
    for ratio in (0.25, 0.5):
        prefix = networks.at(ratio)
        assert {id(parameter) for parameter in prefix.parameters()} == own
        cut: Any = prefix.get_submodule('blocks.0.enter.0')
        assert cut.tensor('weight').data_ptr() == networks.full.blocks[0].enter[0].weight.data_ptr()
        assert cut.tensor('weight').shape == (16 * ratio, 3, 1, 1)
        with torch.no_grad():
            before = prefix(EXAMPLE)['map']
            networks.full.map.bias += 1.0
            torch.testing.assert_close(prefix(EXAMPLE)['map'], before + 1.0)
    memory = {parameter.untyped_storage().data_ptr() for parameter in networks.full.parameters()}
    dense = networks.dense(0.5)
    assert memory.isdisjoint(p.untyped_storage().data_ptr() for p in dense.parameters())
    with torch.no_grad():
        networks.full.classifier.weight.zero_()
        networks.full.classifier.bias.zero_()
    assert not networks.at(0.5)(EXAMPLE)['classes'].any()
    assert dense(EXAMPLE)['classes'].any()


def test_gradients_of_a_prefix_reach_the_full_network_where_it_is_used() -> None:
    networks = scale_width(network((Plain, 8), (Plain, 16)), 0.5, EXAMPLE)
    networks.at(0.5)(EXAMPLE)['map'].square().sum().backward()
    gradient = networks.full.blocks[1].conv.weight.grad
    assert gradient is not None
    assert gradient[:8, :4].abs().min() > 0.0
    assert not gradient[8:].any()
    assert not gradient[:, 4:].any()


def test_important_filters_come_first() -> None:
    original = network((Plain, 8))
    with torch.no_grad():
        original.blocks[0].conv.weight *= torch.arange(1.0, 9.0)[:, None, None, None] ** 4
    full = scale_width(original, 0.5, EXAMPLE).full
    norms = full.blocks[0].conv.weight.abs().sum((1, 2, 3))
    assert torch.equal(norms.argsort(descending=True), torch.arange(8))


def test_a_channel_norm_says_what_a_filter_carries() -> None:
    original = nn.Sequential(unit(3, 8), nn.Conv2d(8, 2, 1)).eval()
    with torch.no_grad():
        original[0][1].weight.copy_(torch.arange(1.0, 9.0) ** 4)
        original[1].weight.fill_(1.0)
    full = scale_width(original, 0.5, EXAMPLE).full
    assert torch.equal(full[0][1].weight, torch.arange(8.0, 0.0, -1.0) ** 4)


def test_networks_with_no_channel_to_spare_keep_one() -> None:
    networks = scale_width(network((Plain, 8)), 0.01, EXAMPLE)
    assert networks.channels(0.01) == {'blocks.0.conv': 1}
    assert networks.at(0.01)(EXAMPLE)['map'].shape == (2, 5, 8, 8)


def test_channels_are_rounded_to_a_multiple_where_there_are_as_many() -> None:
    original = network((Plain, 24), (Plain, 16), (Plain, 4))
    networks = scale_width(original, [0.5, 0.1], EXAMPLE, channel_multiple=8)
    names = [f'blocks.{i}.conv' for i in range(3)]
    assert [networks.channels(0.5)[name] for name in names] == [16, 8, 4]
    assert [networks.channels(0.1)[name] for name in names] == [8, 8, 4]


def test_a_prefix_runs_at_other_sizes_than_the_example() -> None:
    networks = scale_width(network((Residual, 16), (SplitAndConcatenate, 16)), 0.5, EXAMPLE)
    assert networks.at(0.5)(torch.rand(1, 3, 24, 16))['map'].shape == (1, 5, 24, 16)


def test_statistics_are_each_widths_own_and_recalibrate() -> None:
    networks = scale_width(network((Residual, 16)), 0.5, EXAMPLE)
    prefix = networks.at(0.5)
    before = copy.deepcopy(networks.full.state_dict())
    norm: Any = prefix.get_submodule('blocks.0.enter.1.statistics')
    images = [torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8) + 1.0]
    recalibrate_norms(prefix, images)
    weight = networks.full.blocks[0].enter[0].weight[:8]
    maps = [functional.conv2d(image, weight) for image in images]
    torch.testing.assert_close(
        norm.running_mean, torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0)
    )
    torch.testing.assert_close(
        norm.running_var, torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0)
    )
    assert not prefix.training
    assert not norm.training
    assert norm.momentum == 0.1
    assert all(torch.equal(v, before[name]) for name, v in networks.full.state_dict().items())
    with pytest.raises(InvalidValueError, match='batches'):
        recalibrate_norms(prefix, [])


class Calls(nn.Module):
    """Layers called as functions, one weight used twice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.rand(width, 3, 3, 3))
        self.twice = nn.Parameter(torch.rand(width, width, 1, 1))
        self.last = nn.Conv2d(width, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(x, self.first, stride=2)
        for _ in range(2):
            x = functional.conv2d(x, self.twice).tanh()
        return self.last(x)


def test_layers_called_as_functions_scale() -> None:
    original = Calls(8).eval()
    networks = scale_width(original, 0.5, EXAMPLE)
    torch.testing.assert_close(networks.full(EXAMPLE), original(EXAMPLE))
    half = Calls(4).eval()
    with torch.no_grad():
        half.first.copy_(networks.full.first[:4])
        half.twice.copy_(networks.full.twice[:4, :4])
        half.last.weight.copy_(networks.full.last.weight[:, :4])
        half.last.bias.copy_(networks.full.last.bias)
    torch.testing.assert_close(networks.at(0.5)(EXAMPLE), half(EXAMPLE))


@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_an_exported_program_scales_like_its_network() -> None:
    original = network((Residual, 16), (SplitAndConcatenate, 16), (Depthwise, 8))
    program = torch.export.export(original, (EXAMPLE,))
    exported = scale_width(program.module(), 0.5, EXAMPLE)
    traced = scale_width(original, 0.5, EXAMPLE)
    assert exported.parameter_count(0.5) == traced.parameter_count(0.5)
    assert list(exported.channels(0.5)) == list(traced.channels(0.5))
    assert_same(exported.full(EXAMPLE), original(EXAMPLE))
    assert_same(exported.at(0.5)(EXAMPLE), traced.at(0.5)(EXAMPLE))


class Buffered(nn.Module):
    """A factor for each channel that is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('factor', torch.arange(1.0, 9.0).view(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@pytest.mark.parametrize(
    'between',
    [
        Buffered(),
        lambda x: x * x.mean((2, 3))[:, :, None, None],
        lambda x: x * x.amax(dim=(2, 3), keepdim=True).expand(-1, 8, 8, 8),
        lambda x: x * x.mean(1, keepdim=True).sigmoid(),
        lambda x: x.transpose(1, 3).softmax(-1).transpose(1, 3),
        lambda x: x.flatten(2).unsqueeze(-1).reshape(2, 8, 8, 8),
        lambda x: torch.cat(torch.split(x, [2, 6], dim=1)[::-1], 1),
        lambda x: torch.cat([part + 1.0 for part in x.tensor_split(4, dim=1)], 1),
        lambda x: torch.cat([x[:, :2], x[..., :, :, :][:, 2:]], 1),
        lambda x: torch.cat(x.chunk(2, 2), -2),
        lambda x: functional.pad(functional.prelu(x, torch.tensor([0.5])), (1, 0, 0, 1)),
        lambda x: x.permute(0, 2, 3, 1).permute((0, 3, 1, 2)).clamp(min=0.0).pow(2),
        lambda x: torch.maximum(x, functional.normalize(x)),
    ],
)
def test_many_ways_to_write_it_down_are_followed(between: Any) -> None:
    original = Wrapped(between).eval()
    networks = scale_width(original, 0.5, EXAMPLE)
    with torch.inference_mode():
        torch.testing.assert_close(networks.full(EXAMPLE), original(EXAMPLE))
        narrow = networks.dense(0.5)
        torch.testing.assert_close(narrow(EXAMPLE), networks.at(0.5)(EXAMPLE))
    assert narrow.get_submodule('enter').out_channels == 4
    assert narrow.get_submodule('leave').in_channels == 4


@pytest.mark.parametrize('ratio', [0.0, -1.0, 1.5, float('nan'), [], [0.5, 2.0]])
def test_ratios_out_of_range_are_refused(ratio: Any) -> None:
    with pytest.raises(InvalidValueError, match='ratio'):
        scale_width(network((Plain, 8)), ratio, EXAMPLE)


def test_widths_that_were_not_made_are_refused() -> None:
    networks = scale_width(network((Plain, 8)), 0.5, EXAMPLE)
    with pytest.raises(InvalidValueError, match='ratio'):
        networks.at(0.75)
    with pytest.raises(InvalidValueError, match='channel_multiple'):
        scale_width(network((Plain, 8)), 0.5, EXAMPLE, channel_multiple=0)
