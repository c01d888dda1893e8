"""Groups of channels that are interchangeable: each is put in order and cut by itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visionscaling_ros.vision.width_scaling.channel_labels import Labels, Layout
from visionscaling_ros.vision.width_scaling.flow import AxisUse, Flow, Role
from visionscaling_ros.vision.width_scaling.operations import module_path

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels found in the same places of the network, in the order they have there.

    :param name: the layer that makes them first.
    :param channels: the label that stands for each.
    """

    name: str
    channels: tuple[int, ...]


class ChannelGroups:
    """All groups of a network, and where their channels are on any labelled axis."""

    def __init__(self, flow: Flow) -> None:
        self._labels = flow.labels
        self.groups = _groups(flow)
        self._place = {
            channel: (group, order)
            for group in self.groups
            for order, channel in enumerate(group.channels)
        }

    def kept_positions(self, labels: Labels, kept: Mapping[str, int]) -> Positions:
        """Positions on an axis that stay when group ``name`` keeps its first ``kept[name]``."""
        stays = []
        for position, channel in enumerate(self._labels.roots(labels).tolist()):
            place = self._place.get(channel)
            if place is None or place[1] < kept[place[0].name]:
                stays.append(position)
        return np.array(stays, np.int64)

    def reordered_positions(self, labels: Labels, orders: Mapping[str, Positions]) -> Positions:
        """Where each position of an axis gets its content from, when groups are put in order.

        A channel with several positions (a flattened map, the groups of a convolution) moves as a
        whole: its n-th position gets the n-th of the channel that takes its place.
        """
        roots = self._labels.roots(labels).tolist()
        positions: dict[int, list[int]] = defaultdict(list)
        for position, channel in enumerate(roots):
            positions[channel].append(position)
        sources = np.arange(len(roots), dtype=np.int64)
        for channel, places in positions.items():
            if channel in self._place:
                group, order = self._place[channel]
                source = group.channels[orders[group.name][order]]
                sources[places] = positions[source]
        return sources

    def add_scores(self, labels: Labels, scores: NDArray[np.float64]) -> dict[int, float]:
        """Sum of what each channel scores on an axis."""
        sums: dict[int, float] = defaultdict(float)
        for channel, score in zip(self._labels.roots(labels).tolist(), scores, strict=True):
            sums[channel] += float(score)
        return sums


def _groups(flow: Flow) -> list[ChannelGroup]:
    """Channels by the set of axes they appear on, and how often on each."""
    fixed = flow.labels.fixed_roots()
    weight_axes = [(_use_name(use), flow.labels.roots(use.labels)) for use in flow.uses]
    first_name: dict[int, str] = {}
    for name, roots in weight_axes:
        for root in roots.tolist():
            first_name.setdefault(root, name)
    appearances: dict[int, list[tuple[int, int]]] = defaultdict(list)
    axes = [roots for _, roots in weight_axes] + _value_axes(flow)
    for number, roots in enumerate(axes):
        counted = Counter(roots.tolist())  # in order of first appearance
        for root, count in counted.items():
            appearances[root].append((number, count))
    members: dict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
    for root, places in appearances.items():
        if root in first_name and root not in fixed:
            members[tuple(places)].append(root)
    groups: dict[str, ChannelGroup] = {}
    for channels in members.values():
        name = base = first_name[channels[0]]
        number = 1
        while name in groups:
            number += 1
            name = f'{base}#{number}'
        groups[name] = ChannelGroup(name, tuple(channels))
    return list(groups.values())


def _use_name(use: AxisUse) -> str:
    name = module_path(use.node) or use.path
    return name if use.role is Role.MADE else f'{name}.{use.name}'.lstrip('.')


def _value_axes(flow: Flow) -> list[Labels]:
    axes = []
    for value in flow.values.values():
        for layout in value if isinstance(value, tuple) else (value,):
            if isinstance(layout, Layout):
                axes.append(flow.labels.roots(layout.labels))
    return axes
