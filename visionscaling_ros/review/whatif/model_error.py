"""How far the model of a run is from what was measured in slots it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotState
from visionscaling_ros.review.whatif.figures import METRICS, Figures, figures_of
from visionscaling_ros.review.whatif.run_model import fit_model
from visionscaling_ros.review.whatif.run_slots import RunSlots
from visionscaling_ros.review.whatif.slot_series import Mask, Series, SlotSeries

STRETCHES = 8
_LEAST_STRETCH = 5  # slots
_LEAST_KIND = 5  # slots a configuration must have decided, to be left out for a check
_SIGMAS = 2.0  # of the mean over stretches
_RATES = {'energy_j': 'power_w', 'dropped_frames': 'dropped_fps'}  # totals, and of what


@dataclass(frozen=True)
class MetricError:
    """Error of one figure; NaN: it was never measured, or is 0 and has no percentage.

    :param bias_percent: of the mean over all slots, model less measured.
    :param slot_percent: mean absolute error of single slots, over the measured mean.
    :param uncertainty: what the mean over the run may be off, in the figure's own unit: the bias
        and twice the standard error of the stretches' errors.
    """

    bias_percent: float = math.nan
    slot_percent: float = math.nan
    uncertainty: float = math.nan


@dataclass(frozen=True)
class ModelError:
    """Errors by name of the figure.

    :param of: how the slots were left out that they were found in.
    """

    of: str
    measured: Figures
    modelled: Figures
    by_metric: dict[str, MetricError]


def stretches(among: Mask) -> list[Mask]:
    """Masks that part the slots of a mask into stretches."""
    slots = int(among.sum())
    count = max(2, min(STRETCHES, slots // _LEAST_STRETCH))
    place = (np.cumsum(among) - 1) * count // slots
    return [among & (place == k) for k in range(count)]


def kinds_run(states: Sequence[SlotState], among: Mask) -> list[Mask]:
    """Masks of the slots, among others, that mostly ran the same configuration in the same place.

    Only those of enough slots, with enough others left to fit to; empty: all ran the same.
    """
    kinds = [_kind(state) for state in states]
    masks = [
        among & np.array([kind == own for kind in kinds]) for own in dict.fromkeys(kinds) if own
    ]
    return [m for m in masks if m.sum() >= _LEAST_KIND and (among & ~m).sum() >= 2 * _LEAST_KIND]


def left_out_error(
    slots: RunSlots,
    settings: ControlSettings,
    left_out: Sequence[Mask],
    least_cost: Series,
    *,
    of: str,
    seed: int,
    among: Mask,
    on_played: Callable[[], None] = lambda: None,
) -> ModelError:
    """Errors in slots, each estimated by a model fitted to other slots only.

    The model plays the decisions that were recorded.

    :param left_out: which slots are left out at a time.
    :param least_cost: cost of the best decision of each slot, shape (T,).
    :param among: slots that may be fitted to at all, shape (T,).
    """
    measured = estimated = slots.measured(settings)
    for mask in left_out:
        played = fit_model(slots, among & ~mask, seed=seed).play_recorded(settings).series
        estimated = estimated.mixed(played, mask)
        on_played()
    estimated = _where_measured(estimated, measured)
    return _errors(measured, estimated, least_cost, parts=left_out, of=of)


def _where_measured(estimated: SlotSeries, measured: SlotSeries) -> SlotSeries:
    """What is not known of a measured slot is not to count in the estimate either."""
    columns = {}
    for name in vars(estimated):
        true, model = getattr(measured, name), getattr(estimated, name)
        columns[name] = np.where(np.isfinite(true), model, np.nan)
    return SlotSeries(**columns)


def _errors(
    measured: SlotSeries,
    estimated: SlotSeries,
    least_cost: Series,
    *,
    parts: Sequence[Mask],
    of: str,
) -> ModelError:
    tested = np.logical_or.reduce(parts)
    true, model = (figures_of(s.part(tested), least_cost[tested]) for s in (measured, estimated))
    by_part = [
        tuple(figures_of(s.part(mask), least_cost[mask]) for s in (measured, estimated))
        for mask in parts
    ]
    total_s = float(measured.duration_s.sum())
    errors = {}
    for metric in METRICS:
        rate = _RATES.get(metric.name, metric.name)
        bias = getattr(model, rate) - getattr(true, rate)
        scatter = [getattr(m, rate) - getattr(t, rate) for t, m in by_part]
        base = true.arrival_fps if rate == 'dropped_fps' else abs(getattr(true, rate))
        percent = 100.0 / base if base > 0.0 else math.nan
        errors[metric.name] = MetricError(
            bias_percent=bias * percent,
            slot_percent=_slot_error(measured.part(tested), estimated.part(tested), rate) * percent,
            uncertainty=(abs(bias) + _SIGMAS * _standard_error(scatter))
            * (1.0 if rate == metric.name else total_s),
        )
    return ModelError(of=of, measured=true, modelled=model, by_metric=errors)


def _slot_error(measured: SlotSeries, estimated: SlotSeries, name: str) -> float:
    """Mean absolute error of single slots; NaN for what a slot has none of."""
    if name not in _OF_SLOT:
        return math.nan
    error = np.abs(_OF_SLOT[name](estimated) - _OF_SLOT[name](measured))
    return float(np.mean(error[np.isfinite(error)])) if np.isfinite(error).any() else math.nan


def _standard_error(scatter: Sequence[float]) -> float:
    """Of the mean of the stretches' errors; 0 where fewer than two are known."""
    known = [error for error in scatter if math.isfinite(error)]
    return float(np.std(known, ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else 0.0


def _joule_per_frame(series: SlotSeries) -> Series:
    frames = series.processed_fps
    return np.asarray(series.power_w / np.where(frames > 0.0, frames, np.nan), np.float64)


_OF_SLOT: dict[str, Callable[[SlotSeries], Series]] = {
    'energy_j_per_frame': _joule_per_frame,
    **{
        name: attrgetter(name)
        for name in (
            'power_w', 'processed_fps', 'map', 'dropped_fps', 'latency_local_mean_s',
            'latency_local_p95_s', 'latency_edge_mean_s', 'latency_edge_p95_s',
        )
    },
}  # fmt: skip


def _kind(state: SlotState) -> tuple[str, int, Origin] | None:
    """What most of a slot's frames ran; None: there were none."""
    most = max(state.processed, key=lambda ran: ran.rate_fps, default=None)
    return None if most is None else (most.model, most.input_size_px, most.origin)
