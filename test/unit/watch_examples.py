"""Decisions and states that tests of ``watch`` share, and strategies for hostile ones."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from visionscaling_ros.datatypes import (
    Allocation,
    Binding,
    Explanation,
    Origin,
    SlotDecision,
    SlotState,
)

HERE = Allocation('vsdet_m', 448, Origin.LOCAL, 8.0)
EDGE = Allocation('vsdet_s', 320, Origin.EDGE, 6.9)
EXPLAINED = Explanation(
    binding_constraints=Binding.ARRIVALS | Binding.ACCURACY | Binding.UPLINK,
    accuracy_margin_map=0.0,
    arrivals_usage=1.0,
    compute_usage=0.7,
    uplink_usage=1.0,
    server_usage=0.2,
    clock_usage=0.9,
    edge_usable=True,
    expected_latency_s=0.05,
    runner_up=(Allocation('vsdet_n', 640, Origin.LOCAL, 12.0), EDGE),
    runner_up_frequency_hz=1.3e9,
    runner_up_power_w=6.5,
    runner_up_processed_fps=14.4,
    runner_up_map=0.33,
    runner_up_cost=-18.0,
    runner_up_penalized_cost=-17.9,
    penalized_cost=-17.912,
)


def decided(**changes: Any) -> SlotDecision:
    """A decision of the default policy, explained; ``changes``: fields of it."""
    return SlotDecision(
        **{
            'slot': 7,
            'allocations': (EDGE, HERE),
            'gpu_frequency_hz': 1.2e9,
            'tx_rate_bps': 4e6,
            'arrival_fps': 15.0,
            'policy': 'visionscaling_meta',
            'expected_power_w': 6.2,
            'expected_processed_fps': 14.9,
            'expected_map': 0.35,
            'expected_cost': -18.1,
            'multiplier': 3.2,
            'explanation': EXPLAINED,
            **changes,
        }
    )


def measured(**changes: Any) -> SlotState:
    """A slot of a robot that does well; ``changes``: fields of it."""
    return SlotState(
        **{
            'slot': 7,
            'duration_s': 1.0,
            'policy': 'visionscaling_meta',
            'arrival_fps': 15.0,
            'processed_local_fps': 8.0,
            'processed_edge_fps': 6.9,
            'dropped_fps': 0.1,
            'drop_counts': {'superseded': 1, 'too_old': 0},
            'latency_local_p95_s': 0.031,
            'latency_edge_p95_s': 0.088,
            'energy_j': 6.21,
            'power_w': 6.21,
            'gpu_frequency_hz': 1.198e9,
            'gpu_utilization': 0.62,
            'gpu_temperature_c': 54.0,
            'uplink_throughput_bps': 3.2e6,
            'uplink_capacity_bps': 5.1e6,
            'rtt_s': 0.021,
            'edge_reachable': True,
            'achieved_map': 0.352,
            'processed': (HERE, EDGE),
            **changes,
        }
    )


NUMBERS = st.one_of(
    st.floats(), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e30, -1e300, 5e-324])
)
NAMES = st.text(max_size=60).filter(lambda text: 'nan' not in text.lower())
ALLOCATIONS = st.builds(
    Allocation, NAMES, st.integers(0, 65535), st.sampled_from(Origin), NUMBERS
)
MIXES = st.lists(ALLOCATIONS, max_size=6).map(tuple)
EXPLANATIONS = st.builds(
    Explanation,
    binding_constraints=st.integers(0, 2**32 - 1).map(Binding),
    edge_usable=st.booleans(),
    runner_up=MIXES,
    **{
        name: NUMBERS
        for name, kind in Explanation.__annotations__.items()
        if kind == 'float'
    },
)
POLICIES = st.one_of(
    NAMES, st.sampled_from(['visionscaling_meta', 'fixed', 'dms', 'cutedge', 'visionscaling'])
)
DECISIONS = st.builds(
    SlotDecision,
    slot=st.integers(0, 2**64 - 1),
    allocations=MIXES,
    gpu_frequency_hz=NUMBERS,
    tx_rate_bps=NUMBERS,
    arrival_fps=NUMBERS,
    policy=POLICIES,
    expected_power_w=NUMBERS,
    expected_processed_fps=NUMBERS,
    expected_map=NUMBERS,
    expected_cost=NUMBERS,
    multiplier=NUMBERS,
    explanation=EXPLANATIONS,
)
STATES = st.builds(
    SlotState,
    slot=st.integers(0, 2**64 - 1),
    policy=POLICIES,
    drop_counts=st.dictionaries(NAMES, st.integers(0, 2**32 - 1), max_size=5),
    in_flight=st.integers(0, 2**32 - 1),
    edge_reachable=st.booleans(),
    map_measured=st.booleans(),
    processed=MIXES,
    **{name: NUMBERS for name, kind in SlotState.__annotations__.items() if kind == 'float'},
)
