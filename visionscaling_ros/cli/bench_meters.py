"""Part ``meter`` of bench-hardware: CPU time of a sampler, for each meter there is."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.choice import METERS, open_meter
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.power.meter_sampler import MAX_RATE_HZ, MeterSampler
from visionscaling_ros.hardware.power.model_meter import ModelMeter

MAX_SHARE = 0.02  # of one core, at RATE_HZ at most
RATE_HZ = 100.0
SLEEP = 'none, only woken'
OF_FILES = ('ina3221', 'rapl', 'battery')
I2C = '/sys/bus/i2c/drivers/ina3221'
RAPL = '/sys/class/powercap/intel-rapl:0'
BATTERY = '/sys/class/power_supply/BAT0'
# Rails of the total of two Jetsons, three a monitor: AGX Orin, and AGX Xavier with JetPack 5, on
# which most files make a total.
BOARDS = (
    ('VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0'),
    ('GPU', 'CPU', 'SOC', 'CV', 'VDDRQ', 'SYS5V'),
)
# a package with its cores, a notebook's battery
FILES = {
    f'{RAPL}/name': 'package-0', f'{RAPL}/energy_uj': '52816433000',
    f'{RAPL}/max_energy_range_uj': '262143328850',
    f'{RAPL}:0/name': 'core', f'{RAPL}:0/energy_uj': '21409811000',
    f'{RAPL}:0/max_energy_range_uj': '262143328850',
    f'{BATTERY}/type': 'Battery', f'{BATTERY}/status': 'Discharging',
    f'{BATTERY}/voltage_now': '11832000', f'{BATTERY}/current_now': '1250000',
}  # fmt: skip


@dataclass(frozen=True)
class MeterCost:
    """What a sampler cost.

    :param device: empty where there is no such meter.
    :param plain_files: what was read is no device: a driver's own work comes on top.
    :param share: CPU time of the process over wall time, at that rate [cores]; None where nothing
        could be read.
    :param missing: why nothing could.
    """

    meter: str
    device: str
    plain_files: bool
    rails: int = 0
    rate_hz: float = 0.0
    share: float | None = None
    gap_s: float = 0.0
    missing: str = ''

    @property
    def kept(self) -> bool:
        """Whether it costs no more than MAX_SHARE, or is not there; one that is must be read."""
        return not self.device if self.share is None else self.share < MAX_SHARE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--root', metavar='DIR', help="measure this machine's meters (/) or a tree's, not our files"
    )
    parser.add_argument(
        '--rate', type=float, default=RATE_HZ, metavar='HZ',
        help='at most; no meter is asked more often than it measures anew (100)',
    )  # fmt: skip
    parser.add_argument('--seconds', type=float, default=5.0, metavar='S', help='each meter (5)')


def measure(arguments: argparse.Namespace) -> list[MeterCost]:
    """Run a sampler on every meter in turn; nothing else may run in the process."""
    if not 0.0 < arguments.rate <= MAX_RATE_HZ:
        raise InvalidValueError('rate', arguments.rate, f'above 0, at most {MAX_RATE_HZ:g} Hz')
    if not 0.1 <= arguments.seconds <= 3600.0:
        raise InvalidValueError('seconds', arguments.seconds, '0.1 to 3600')
    if arguments.root is not None and not Path(arguments.root).is_dir():
        raise InvalidValueError('--root', arguments.root, 'a folder')
    rows = [_cost_of_sleep(arguments)]
    if arguments.root is not None:
        files = DeviceFiles(Path(arguments.root).resolve())
        return rows + [_cost(name, files, arguments) for name in METERS[1:]]
    with tempfile.TemporaryDirectory() as folder:
        boards = [_board(Path(folder) / rails[0], rails) for rails in BOARDS]
        rows += [_cost(METERS[1], files, arguments) for files in boards]
        return rows + [_cost(name, boards[0], arguments) for name in METERS[2:]]


def print_rows(rows: Sequence[MeterCost]) -> bool:
    """Print a table; whether all of them are kept."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(
        title=f'Power meters, each read as often as it has something new, at most '
        f'{RATE_HZ:g} Hz unless told otherwise: at most {100 * MAX_SHARE:g} % of one core'
    )
    for heading in ('meter', 'device', 'rails', 'rate [Hz]', 'of one core [%]', 'gaps [s]'):
        table.add_column(heading)
    for row in rows:
        if row.share is None:
            table.add_row(row.meter, f'{row.device}: not read' if row.device else 'none')
        else:
            table.add_row(
                row.meter, row.device, str(row.rails), f'{row.rate_hz:.1f}',
                f'{100 * row.share:.2f}', f'{row.gap_s:.3f}',
            )  # fmt: skip
    console = Console()
    console.print(table)
    for row in rows:
        if row.missing:
            console.print(f'{row.meter}: {row.missing}', markup=False, highlight=False)
    if any(row.plain_files for row in rows):
        console.print("Read from plain files: a driver's own work comes on top.")
    return all(row.kept for row in rows)


def _board(root: Path, rails: Sequence[str]) -> DeviceFiles:
    files = DeviceFiles(root)
    written = dict(FILES)
    for place, rail in enumerate(rails):
        folder, channel = f'{I2C}/1-004{place // 3}/hwmon/hwmon{place // 3}', place % 3 + 1
        written[f'{folder}/in{channel}_label'] = rail
        written[f'{folder}/in{channel}_input'] = '19104'
        written[f'{folder}/curr{channel}_input'] = '80'
    for path, text in written.items():
        files.real(path).parent.mkdir(parents=True, exist_ok=True)
        files.real(path).write_text(f'{text}\n')
    return files


def _cost_of_sleep(arguments: argparse.Namespace) -> MeterCost:
    """What the machine takes for waking a thread so often, for comparison."""
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    wakes = round(arguments.seconds * arguments.rate)
    for wake in range(wakes):
        time.sleep(max(0.0, began_s + (wake + 1) / arguments.rate - time.monotonic()))
    cpu_s, wall_s = time.process_time() - began_cpu_s, time.monotonic() - began_s
    return MeterCost('-', SLEEP, False, 0, wakes / wall_s, cpu_s / wall_s)


def _cost(name: str, files: DeviceFiles, arguments: argparse.Namespace) -> MeterCost:
    model_meter = ModelMeter(EnergyMeter(GpuPowerModel(), frequency_hz=1e9))
    plain_files = name in OF_FILES and files.root != Path('/')
    try:
        meter = open_meter(name, files=files, model_meter=model_meter).meter
    except HardwareError as error:
        return MeterCost(name, '', plain_files, missing=str(error))
    with MeterSampler(meter, arguments.rate) as sampler:
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        time.sleep(arguments.seconds)
        cpu_s, wall_s = time.process_time() - began_cpu_s, time.monotonic() - began_s
        reading = sampler.read()
    if not reading.samples:
        return MeterCost(name, meter.device, plain_files, missing=reading.trouble)
    return MeterCost(
        name, meter.device, plain_files, len(meter.rails), reading.samples / wall_s, cpu_s / wall_s,
        reading.gap_s,
    )  # fmt: skip
