"""Which channels of a network have to be kept or dropped together.

Every channel that some layer makes gets a label; operations that tie channels (an addition, a
depthwise convolution) unite labels. Two channels with one label live and die together, wherever in
the network they are. That is the grouping of DepGraph (Fang et al., CVPR 2023, arXiv:2301.12900),
kept for each channel instead of each layer, so that concatenation and splitting need no case of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where the channels of a tensor are: the axis, counted from the end (-3 in NCHW)."""

    axis: int
    labels: Labels


class ChannelLabels:
    """Labels with union and find, and those that may be neither moved nor cut."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._fixed: set[int] = set()

    def fresh(self, count: int, *, fixed: bool = False) -> Labels:
        """``count`` new labels."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        labels = np.arange(first, first + count, dtype=np.int64)
        if fixed:
            self.fix(labels)
        return labels

    def find(self, label: int) -> int:
        """The label that stands for all those united with ``label``."""
        parents = self._parents
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label

    def unite(self, a: Labels, b: Labels) -> None:
        """Tie the channels of two arrays of equal length, place by place."""
        for one, other in zip(a.tolist(), b.tolist(), strict=True):
            root, child = sorted((self.find(one), self.find(other)))
            self._parents[child] = root

    def fix(self, labels: Labels) -> None:
        """These channels stay where they are, at every width."""
        self._fixed.update(labels.tolist())

    def roots(self, labels: Labels) -> Labels:
        """Each label replaced by the one that stands for it."""
        return np.array([self.find(label) for label in labels.tolist()], np.int64)

    def fixed_roots(self) -> set[int]:
        """Those that stand for at least one fixed label."""
        return {self.find(label) for label in self._fixed}
