"""An answer as data for a JSON file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from visionscaling_ros.review.whatif.model_error import ModelError
from visionscaling_ros.review.whatif.what_if import Estimate, WhatIf


def what_if_document(bag: str, answers: Sequence[WhatIf], seed: int) -> dict[str, Any]:
    """All there is to know of the answers about a bag, units in the names of the figures."""
    return {'bag': bag, 'seed': seed, 'runs': [_run(answer) for answer in answers]}


def _run(answer: WhatIf) -> dict[str, Any]:
    conditions = answer.model.conditions
    return {
        'namespace': answer.namespace,
        'policy': answer.policy,
        'settings': dataclasses.asdict(answer.settings),
        'rows': [_row(row) for row in answer.rows],
        'model_error': _error(answer.trust.error),
        'model_error_elsewhere': (
            None if answer.trust.elsewhere is None else _error(answer.trust.elsewhere)
        ),
        'loop_error': answer.trust.loop_error,
        'limits': list(answer.limits),
        'fitted': {
            'power_factor': conditions.power_bias,
            'power_offset_w': conditions.power_offset_w,
            'local_softness': conditions.local_softness,
            'edge_loss': conditions.edge_loss,
            'offload_slowdown': conditions.offload_slowdown,
            'latency_factor_mean': float(conditions.latency_factor.mean()),
            'latency_bias': {
                f'{p.model}@{p.input_size_px}': bias
                for p, bias in zip(
                    answer.model.profile.points,
                    conditions.point_latency_bias.tolist(),
                    strict=True,
                )
            },
            'latency_scale': answer.model.scale,
        },
    }


def _row(row: Estimate) -> dict[str, Any]:
    return {
        'policy': row.policy,
        **dataclasses.asdict(row.figures),
        'known_share': row.known_share,
        'uncertainty': row.uncertainty,
        'like_recorded': sorted(row.like_recorded),
        'doubt': row.doubt,
    }


def _error(error: ModelError) -> dict[str, Any]:
    return {
        'left_out': error.of,
        'measured': dataclasses.asdict(error.measured),
        'modelled': dataclasses.asdict(error.modelled),
        'by_figure': {name: dataclasses.asdict(e) for name, e in error.by_metric.items()},
    }
