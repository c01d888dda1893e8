"""One run of the profiler, from what is asked for to the files it leaves."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.atomic_file import write_atomically
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.gpu_power_model import GpuPowerModel
from visionscaling_ros.hardware.power.power_meter import Scope
from visionscaling_ros.hardware.state_folder import state_folder
from visionscaling_ros.profiling.clocks import choose_clock, guarded, levels_hz
from visionscaling_ros.profiling.device_fits import PowerFit
from visionscaling_ros.profiling.device_runner import DeviceRunner
from visionscaling_ros.profiling.environment import environment
from visionscaling_ros.profiling.fitted_device import fit_device_power, fit_points
from visionscaling_ros.profiling.frames import frames_digest, measurement_frames
from visionscaling_ros.profiling.journal import Journal
from visionscaling_ros.profiling.meters import opened_meter
from visionscaling_ros.profiling.power_meter import PowerMeter
from visionscaling_ros.profiling.profile_document import (
    Document,
    Setting,
    document_text,
    profile_document,
)
from visionscaling_ros.profiling.schedule import Candidate, Plan, spread_levels
from visionscaling_ros.profiling.session import Progress, take_turns
from visionscaling_ros.profiling.summary import Summary, summarize
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.vision.catalog import Catalog


@dataclass(frozen=True)
class Request:
    """What is asked of the profiler.

    :param like: where what cannot be measured is from; with the user's own figures in it.
    :param images: folder of frames of the user's own.
    :param backend: GPU clock, as open_clock names them.
    :param meter: power meter, as open_meter names them.
    :param levels: clock levels to measure at, at most.
    :param budget_s: measuring time, that of earlier runs that are gone on with included [s].
    :param accuracy_target_map: mAP asked for; None: the median of the points'.
    :param out: the profile; the journal lies beside it.
    """

    catalog: Catalog
    candidates: tuple[Candidate, ...]
    like: DeviceProfile
    images: Path | None
    jpeg_quality: int
    backend: str
    meter: str
    levels: int
    device: str
    half_precision: bool
    threads: int
    budget_s: float
    rounds: int
    seed: int
    restart: bool
    accuracy_target_map: float | None
    out: Path

    @property
    def journal(self) -> Path:
        """Where every measurement is kept until the profile is no longer refined."""
        return self.out.with_name(f'{self.out.name}.journal')


@dataclass(frozen=True)
class Outcome:
    """What a run measured.

    :param complete: every turn of the plan was taken; False where the time was up first.
    :param whole_board: the meter's power is that of the computer, the GPU's and the rest's.
    :param notes: which clock and meter were used and why, in words.
    """

    setting: Setting
    summary: Summary
    complete: bool
    whole_board: bool = False
    notes: tuple[str, ...] = ()


def measure_device(
    request: Request,
    on_progress: Callable[[Progress], None],
    files: DeviceFiles = DeviceFiles(),  # noqa: B008 this machine's, it has no state
) -> Outcome:
    """Measure until the plan or the time is at its end; the clock is restored in any case.

    Raises InvalidValueError for a journal of other settings and for an operating point whose
    accuracy is not known, HardwareError for a clock that cannot be set or a meter that cannot be
    read, SourceError for images that cannot be read.
    """
    for candidate in request.candidates:  # told before the work is done
        request.catalog.entry(candidate.model).accuracy_map(candidate.input_size_px)
    frames = measurement_frames(request.seed, request.images)
    device = request.like.device
    power_model = GpuPowerModel(device.alpha_w_per_ghz3, device.beta_w)
    choice = choose_clock(
        request.backend,
        device.available_frequencies_hz,
        state_folder(),
        files=files,
        device=request.device,
    )
    with (
        guarded(choice.clock, files.root) as guard,
        opened_meter(request.meter, power_model, choice.clock, files, request.device) as (
            meter,
            meter_words,
        ),
    ):
        if guard.clock.available_frequencies_hz:
            guard.restore_leftover()
        device_levels_hz = levels_hz(guard.clock)
        plan = Plan(
            request.candidates,
            spread_levels(device_levels_hz, request.levels),
            tuple(frames),
            request.seed,
            request.rounds,
        )
        settings = _settings(request, plan, guard, meter, frames)
        with Journal(request.journal, settings, restart=request.restart) as journal:
            complete = take_turns(
                plan,
                _runner(request, frames, guard, meter).measure,
                journal,
                budget_s=request.budget_s,
                now_s=time.perf_counter,
                on_progress=on_progress,
            )
            summary = summarize(plan, journal.records)
    setting = Setting(
        name=request.out.stem,
        like=request.like,
        environment=settings['environment'],
        levels_hz=device_levels_hz,
        clock_backend=guard.clock.name,
        meter=meter.name,
        frames=settings['frames'],
        jpeg_quality=request.jpeg_quality,
        accuracy_target_map=request.accuracy_target_map,
    )
    notes = (f'clock: {choice.clock.name}: {choice.why}', f'meter: {meter_words}')
    return Outcome(setting, summary, complete, meter.scope is Scope.BOARD, notes)


def write_profile(request: Request, outcome: Outcome) -> Document:
    """Fit, and write the profile as a whole; returns its content.

    Raises InvalidValueError when nothing was measured, or the file cannot be written.
    """
    points = fit_points(outcome.summary)
    if not points:
        raise InvalidValueError(
            'measurements',
            [*outcome.summary.failed.values()] or 'none',
            'at least one operating point; try a larger --budget-seconds, or other --models',
        )
    setting, power = outcome.setting, fit_device_power(outcome.summary)
    if power is not None and outcome.whole_board:
        setting, power = without_rest(setting, power)
    document = profile_document(
        setting,
        outcome.summary,
        points,
        power,
        lambda model, size_px: request.catalog.entry(model).accuracy_map(size_px),
    )
    try:
        write_atomically(request.out, document_text(document))
    except OSError as error:
        raise InvalidValueError('out', str(request.out), f'a file to write ({error})') from error
    return document


def without_rest(setting: Setting, power: PowerFit) -> tuple[Setting, PowerFit]:
    """The GPU's share of a whole board's idle power: what base_w leaves of it.

    A base_w above what was measured is lowered to that, so that both add up to it.
    """
    device = setting.like.device
    base_w = min(device.base_w, power.beta_w)
    like = replace(setting.like, device=replace(device, base_w=base_w))
    return replace(setting, like=like), replace(power, beta_w=power.beta_w - base_w)


def _runner(
    request: Request,
    frames: dict[str, list[ImageArray]],
    guard: ClockGuard,
    meter: PowerMeter,
) -> DeviceRunner:
    return DeviceRunner(
        lambda model, engine: request.catalog.load(
            model,
            engine=engine,
            device=request.device,
            threads=request.threads,
            half_precision=request.half_precision,
        ),
        lambda model: 'torch' in request.catalog.engines(model),
        frames,
        guard,
        meter,
        jpeg_quality=request.jpeg_quality,
    )


def _settings(
    request: Request,
    plan: Plan,
    guard: ClockGuard,
    meter: PowerMeter,
    frames: dict[str, list[ImageArray]],
) -> dict[str, Any]:
    """All that the figures depend on, for the journal."""
    device = request.like.device
    return {
        'environment': environment(request.threads),
        'device': request.device,
        'half_precision': request.half_precision,
        'clock': [guard.clock.name, guard.clock.device],
        'levels_mhz': [level * 1e-6 for level in plan.levels_hz],
        'meter': (
            [meter.name, device.alpha_w_per_ghz3, device.beta_w]
            if meter.scope is Scope.MODEL
            else [meter.name]
        ),
        'seed': request.seed,
        'frames': frames_digest(frames),
        'jpeg_quality': request.jpeg_quality,
        'candidates': [[c.model, c.input_size_px, c.engine] for c in plan.candidates],
        'model_files': _model_digests(request.catalog, plan.candidates),
    }


def _model_digests(catalog: Catalog, candidates: Sequence[Candidate]) -> dict[str, str]:
    """By model, a text that changes when its network or its manifest does."""
    digests = {}
    for model in sorted({candidate.model for candidate in candidates}):
        manifest = catalog.entry(model).manifest
        network = zlib.crc32(manifest.file.read_bytes())
        digests[model] = f'{zlib.crc32(manifest.path.read_bytes(), network):08x}'
    return digests
