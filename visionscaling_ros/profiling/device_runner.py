"""Takes the measurements of a plan on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import HardwareError, ModelError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.profiling.journal import Figures
from visionscaling_ros.profiling.power_meter import PowerMeter
from visionscaling_ros.profiling.schedule import Candidate, JpegVisit, PointVisit, Turn
from visionscaling_ros.vision.detector import Detector, detect
from visionscaling_ros.vision.jpeg import encode_jpeg, resize_for_upload
from visionscaling_ros.vision.work_count import frame_flops

FRAMES_A_TURN = 4  # after one that is not counted: it finds the caches full of the last model
IDLE_S = 0.1
IDLE_TRIES = 5

Figure = tuple[float, ...]


class DeviceRunner:
    """Runs detectors, encodes, idles, at the clock a turn asks for.

    Detectors are loaded when their first turn comes and stay loaded, so that turns can follow in
    any order.

    :param load: model name and engine to a detector.
    :param runs_in_torch: whether torch is one of a model's engines: its work can then be counted.
    :param frames: frames by kind; detectors run on the last kind.
    :param guard: the clock; one without levels is left alone.
    :param jpeg_quality: of uploads, 1 to 100.
    """

    def __init__(
        self,
        load: Callable[[str, str], Detector],
        runs_in_torch: Callable[[str], bool],
        frames: Mapping[str, Sequence[ImageArray]],
        guard: ClockGuard,
        meter: PowerMeter,
        *,
        jpeg_quality: int,
    ) -> None:
        self._load = load
        self._runs_in_torch = runs_in_torch
        self._frames = frames
        self._guard = guard
        self._meter = meter
        self._jpeg_quality = jpeg_quality
        self._detectors: dict[tuple[str, str], Detector] = {}
        self._warm: set[Candidate] = set()
        self._counted: set[tuple[str, int]] = set()

    def measure(self, turn: Turn) -> Figures:
        """Take one turn. Raises ModelError for a model that fails, HardwareError for the clock."""
        visit = turn.visit
        if isinstance(visit, JpegVisit):
            return self._encode(visit, self._images(visit.frames, turn.round))
        slowdown = self._set_clock(visit.frequency_hz)
        if isinstance(visit, PointVisit):
            images = self._images(list(self._frames)[-1], turn.round)
            return self._run(visit, images, slowdown)
        return self._idle(visit.frequency_hz)

    def _idle(self, frequency_hz: float) -> Figures:
        for _ in range(IDLE_TRIES):
            self._meter.begin(frequency_hz)
            time.sleep(max(IDLE_S, self._meter.least_s))
            if figures := self._read_meter(0.0):
                return figures
        raise HardwareError(
            f'power meter {self._meter.name}: gaps in {IDLE_TRIES} measurements in a row'
            + (f': {self._meter.trouble}' if self._meter.trouble else '')
        )

    def _run(self, visit: PointVisit, images: Sequence[ImageArray], slowdown: float) -> Figures:
        candidate = visit.candidate
        figures: dict[str, Figure] = {}
        try:
            detector = self._detector(candidate.model, candidate.engine)
            if candidate not in self._warm:
                detector.warm_up(candidate.input_size_px)
                figures = self._count_work(candidate, images[0])
                self._warm.add(candidate)
            detect(detector, images[0], candidate.input_size_px)
            self._meter.begin(visit.frequency_hz)
            times_s: list[tuple[float, float]] = []
            until_s = time.perf_counter() + self._meter.least_s
            while not times_s or time.perf_counter() < until_s:
                times_s += [_timed(detector, i, candidate.input_size_px, slowdown) for i in images]
        except ModelError:
            raise
        except Exception as error:  # a model may raise anything; the others are still measured
            raise ModelError(f'{candidate.model} on {candidate.engine}: {error!r}') from error
        network_s, serial_s = zip(*times_s, strict=True)
        read = self._read_meter(sum(network_s) + sum(serial_s))
        return {**figures, 'network_s': network_s, 'serial_s': serial_s, **read}

    def _count_work(self, candidate: Candidate, image_bgr: ImageArray) -> dict[str, Figure]:
        """The arithmetic of a frame, once for a model and input size that torch can run."""
        key = (candidate.model, candidate.input_size_px)
        if key in self._counted or not self._runs_in_torch(candidate.model):
            return {}
        self._counted.add(key)
        try:
            detector = self._detector(candidate.model, 'torch')
            gflops = 1e-9 * frame_flops(detector, image_bgr, candidate.input_size_px)
        except ModelError:  # neither torch nor its counter is needed to measure another engine
            return {}
        return {'gflops': (gflops,)} if gflops > 0.0 else {}

    def _encode(self, visit: JpegVisit, images: Sequence[ImageArray]) -> Figures:
        sizes, times_s = [], []
        for image in images:
            started_s = time.perf_counter()
            data = encode_jpeg(resize_for_upload(image, visit.input_size_px), self._jpeg_quality)
            times_s.append(time.perf_counter() - started_s)
            sizes.append(float(len(data)))
        return {'size_bytes': tuple(sizes), 'encode_s': tuple(times_s)}

    def _read_meter(self, busy_s: float) -> Figures:
        """Nothing where the meter knows too little of it."""
        reading = self._meter.end(busy_s)
        if reading is None:
            return {}
        return {
            'energy_j': (reading.energy_j,),
            'duration_s': (reading.duration_s,),
            'busy_s': (reading.busy_s,),
        }

    def _set_clock(self, frequency_hz: float) -> float:
        """How much longer the GPU's part of a frame has to take at this clock; 1 on a real one."""
        if self._guard.clock.available_frequencies_hz:
            self._guard.set_frequency(frequency_hz)
        return self._guard.clock.slowdown

    def _detector(self, model: str, engine: str) -> Detector:
        key = (model, engine)
        if key not in self._detectors:
            self._detectors[key] = self._load(*key)
        return self._detectors[key]

    def _images(self, kind: str, round_number: int) -> list[ImageArray]:
        """The same frames for all turns of a round, others in the next."""
        frames = self._frames[kind]
        first = round_number * FRAMES_A_TURN
        return [frames[(first + k) % len(frames)] for k in range(FRAMES_A_TURN)]


def _timed(
    detector: Detector, image_bgr: ImageArray, input_size_px: int, slowdown: float
) -> tuple[float, float]:
    """Time in the network, stretched by an emulated clock, and in what is before and after [s]."""
    started_s = time.perf_counter()
    prepared = detector.preprocess(image_bgr, input_size_px)
    prepared_s = time.perf_counter()
    raw = detector.forward(prepared)
    if slowdown > 1.0:
        time.sleep((time.perf_counter() - prepared_s) * (slowdown - 1.0))
    inferred_s = time.perf_counter()
    detector.postprocess(raw, prepared)
    ended_s = time.perf_counter()
    return inferred_s - prepared_s, (prepared_s - started_s) + (ended_s - inferred_s)
