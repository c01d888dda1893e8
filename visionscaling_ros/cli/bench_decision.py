"""``visionscaling bench-decision``: how long the policies take to decide, on one core."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError, VisionScalingError
from visionscaling_ros.json_file import write_json

HELP = 'time decisions for 10 models x 5 sizes x 13 clocks, and the simulator'
SIMULATED = ('visionscaling_meta', 'visionscaling', 'fixed')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--policies', default='all', metavar='A,B', help='all, or names')
    parser.add_argument('--slots', type=int, default=1000, metavar='T', help='decisions (1000)')
    parser.add_argument('--json', default='out/bench_decision.json', metavar='FILE')


def run(arguments: argparse.Namespace) -> int:
    """Measure one policy after the other, each in a process with one thread; write and print."""
    from visionscaling_ros.control.policy import POLICY_NAMES  # noqa: PLC0415
    from visionscaling_ros.simulation.document import (  # noqa: PLC0415
        environment,
    )
    from visionscaling_ros.simulation.job_processes import (  # noqa: PLC0415
        Emitted,
        run_in_processes,
    )
    from visionscaling_ros.simulation.plan import choose  # noqa: PLC0415
    from visionscaling_ros.simulation.report import (  # noqa: PLC0415
        DECISION_HEADINGS,
        SIMULATION_HEADINGS,
        decision_cells,
        make_console,
        print_claims,
        print_table,
        simulation_cells,
    )
    from visionscaling_ros.simulation.speed import run_measurement  # noqa: PLC0415
    from visionscaling_ros.simulation.verdict import speed_claims  # noqa: PLC0415

    if arguments.slots < 1:
        raise InvalidValueError('slots', arguments.slots, 'a whole number, 1 or more')
    policies = choose('policies', arguments.policies, POLICY_NAMES, everything=POLICY_NAMES)
    jobs = [('decisions', policy, arguments.slots) for policy in policies]
    jobs += [('simulation', p, 5 * arguments.slots) for p in SIMULATED if p in policies]
    results: dict[str, list[dict[str, Any]]] = {'decisions': [], 'simulation': []}
    for event in run_in_processes(run_measurement, jobs, processes=1):
        kind, policy, _ = jobs[event.index]
        if isinstance(event, Emitted):
            results[kind].append(event.value)
            print(f'{kind}: {policy} done', file=sys.stderr, flush=True)
        elif event.error:
            raise VisionScalingError(f'{kind} of {policy}: {event.error}')
    path = Path(arguments.json)
    write_json(path, {'meta': environment(), **results})
    print_table(
        'Decisions: 10 models x 5 sizes x 13 clocks', DECISION_HEADINGS,
        decision_cells(results['decisions']),
    )  # fmt: skip
    if results['simulation']:
        cells = simulation_cells(results['simulation'])
        print_table('Simulation on one core', SIMULATION_HEADINGS, cells)
    print_claims(make_console(), speed_claims(results))
    print(path)
    return 0
