from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.elastic_network import ElasticNetwork
from visionscaling_ros.vision.network_shape import ElasticShape, NetworkShape, scaled_channels
from visionscaling_ros.vision.weights_file import KEY, load_elastic, load_network, save_network

SHAPE = NetworkShape((8, 12, 16, 24, 32), (8, 8, 12, 16), (1, 1, 2, 1), 16)
RATIOS = (0.4, 0.75, 1.0)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def elastic(ratios: tuple[float, ...] = RATIOS) -> ElasticNetwork:
    """Random weights, and norms of every width that are not the identity."""
    torch.manual_seed(0)
    network = ElasticNetwork(ElasticShape(SHAPE, ratios, ('person', 'car')))
    with torch.no_grad():
        for index in range(len(ratios)):
            network.at(index).train()(torch.rand(2, 3, 96, 128))
        for name, parameter in network.named_parameters():
            if 'norms' in name:
                parameter.add_(0.2 * torch.rand_like(parameter))
    return network.eval()


@pytest.mark.parametrize('index', range(3))
def test_a_dense_width_answers_as_the_elastic_network_at_it(index: int) -> None:
    network, image = elastic(), torch.rand(1, 3, 96, 128)
    with torch.inference_mode():
        expected = network.at(index)(image)
        answered = network.dense(index).eval()(image)
        fused = network.dense(index).fuse()(image)
    for ours, theirs, folded in zip(answered, expected, fused, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(folded, theirs, atol=1e-2, rtol=1e-3)


def test_a_narrower_width_is_the_leading_part_of_every_filter_bank() -> None:
    network = elastic()
    full, narrow = network.dense(2), network.dense(0)
    for (name, wide), (_, part) in zip(
        full.named_parameters(), narrow.named_parameters(), strict=True
    ):
        if 'norm' not in name:
            leading = wide[tuple(slice(side) for side in part.shape)]
            assert torch.equal(leading, part), name
    assert sum(p.numel() for p in narrow.parameters()) < 0.5 * sum(
        p.numel() for p in full.parameters()
    )


def test_training_a_narrow_width_trains_the_shared_weights() -> None:
    network = elastic()
    before = network.stem.conv.weight.detach().clone()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    logits, boxes_px = network.at(0).train()(torch.rand(2, 3, 96, 128))
    (logits.square().mean() + boxes_px.mean()).backward()
    optimizer.step()
    channels = scaled_channels(SHAPE.widths[0], RATIOS[0])
    after = network.dense(2).stem.conv.weight
    assert not torch.equal(after[:channels], before[:channels])
    assert torch.equal(after[channels:], before[channels:])


@given(channels=st.integers(1, 400), ratio=st.floats(0.01, 1.0))
def test_scaled_channels_stay_in_bounds_and_grow_with_the_ratio(
    channels: int, ratio: float
) -> None:
    scaled = scaled_channels(channels, ratio)
    assert 1 <= scaled <= channels
    assert scaled_channels(channels, min(1.0, ratio * 1.3)) >= scaled
    assert scaled_channels(channels, 1.0) == channels


@pytest.mark.parametrize('ratios', [(), (0.5,), (1.0, 0.5), (0.5, 0.5, 1.0), (0.0, 1.0)])
def test_ratios_that_are_no_ladder_to_one_are_refused(ratios: tuple[float, ...]) -> None:
    with pytest.raises(InvalidValueError, match='ratios'):
        ElasticShape(SHAPE, ratios, ('car',))


class TestWeightsFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        save_network(elastic(), tmp_path / 'net.safetensors')
        return tmp_path / 'net.safetensors'

    def test_keeps_the_network_in_half_precision(self, path: Path) -> None:
        kept, image = load_elastic(path).eval(), torch.rand(1, 3, 96, 128)
        assert kept.shape == elastic().shape
        with torch.inference_mode():
            for ours, theirs in zip(kept.at(1)(image), elastic().at(1)(image), strict=True):
                torch.testing.assert_close(ours, theirs, atol=0.3, rtol=0.02)
        halves = sum(p.numel() for p in kept.parameters()) * 2
        assert path.stat().st_size < 2 * halves

    def test_gives_every_width(self, path: Path) -> None:
        sizes = [sum(p.numel() for p in load_network(path, r).parameters()) for r in RATIOS]
        assert sizes == sorted(set(sizes))
        full = sum(p.numel() for p in load_network(path).parameters())
        assert full == sizes[-1]

    def test_refuses_a_width_that_was_not_trained(self, path: Path) -> None:
        with pytest.raises(InvalidValueError, match=r'0\.6 is not allowed; allowed: 0\.4, 0\.75'):
            load_network(path, 0.6)

    @pytest.mark.parametrize('length', [0, 7, 1000, -10])
    def test_refuses_a_truncated_file_by_name(self, path: Path, length: int) -> None:
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(ModelError, match=r'net\.safetensors'):
            load_network(path)

    def test_refuses_a_missing_file_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r'none\.safetensors'):
            load_network(tmp_path / 'none.safetensors')

    @pytest.mark.parametrize(
        ('change', 'named'),
        [
            (lambda s: s.pop('stem.conv.weight'), 'stem.conv.weight is missing'),
            (lambda s: s.update(more=torch.zeros(1)), 'more does not belong'),
            (lambda s: s.update({'stem.conv.weight': torch.zeros(2, 3)}), r'stem.conv.weight is'),
            (
                lambda s: s['stem.conv.weight'].fill_(float('nan')),
                'stem.conv.weight has values that are not finite',
            ),
        ],
    )
    def test_refuses_strange_tensors_by_name(self, path: Path, change, named: str) -> None:  # type: ignore[no-untyped-def]
        state = safetensors.torch.load_file(path)
        with safetensors.safe_open(str(path), 'pt') as file:
            metadata = file.metadata()
        change(state)
        safetensors.torch.save_file(state, str(path), metadata)
        with pytest.raises(ModelError, match=named):
            load_network(path)

    @pytest.mark.parametrize(
        ('field', 'value'),
        [
            ('shape', 'a text'),
            ('shape', {'widths': [1, 2]}),
            ('ratios', [1.0, 0.5]),
            ('class_names', []),
        ],
    )
    def test_refuses_strange_metadata(self, path: Path, field: str, value: object) -> None:
        state = safetensors.torch.load_file(path)
        with safetensors.safe_open(str(path), 'pt') as file:
            content = json.loads(file.metadata()[KEY])
        content[field] = value
        safetensors.torch.save_file(state, str(path), {KEY: json.dumps(content)})
        with pytest.raises(ModelError, match=rf'net\.safetensors: {KEY}'):
            load_network(path)

    def test_refuses_a_file_that_says_nothing_of_itself(self, path: Path) -> None:
        safetensors.torch.save_file({'a': torch.zeros(1)}, str(path), {'format': 'pt'})
        with pytest.raises(ModelError, match=r"net\.safetensors: metadata \['format'\] lack"):
            load_network(path)

    def test_refuses_any_file_with_a_byte_changed_in_its_header(self, path: Path) -> None:
        whole = path.read_bytes()
        for place in np.linspace(0, 200, 20, dtype=int):
            broken = bytearray(whole)
            broken[place] ^= 0xFF
            path.write_bytes(bytes(broken))
            with pytest.raises(ModelError, match=r'net\.safetensors'):
                load_network(path)
