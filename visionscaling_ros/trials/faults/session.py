"""A whole campaign: from starting the robot to the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.graph.private_domain import in_private_domain
from visionscaling_ros.json_file import write_json
from visionscaling_ros.trials.faults.bench import running_bench
from visionscaling_ros.trials.faults.campaign import Campaign, Limits
from visionscaling_ros.trials.faults.fault_table import FaultTable, print_summary
from visionscaling_ros.trials.faults.observer import RobotObserver
from visionscaling_ros.trials.faults.plan import PlannedFault
from visionscaling_ros.trials.faults.record import summarize


def run_session(
    open_observer: Callable[[], AbstractContextManager[RobotObserver]],
    faults: Sequence[PlannedFault],
    folder: Path,
    report: Path | None = None,
    limits: Limits | None = None,
) -> bool:
    """Put a robot of its own through ``faults``, tell how it goes; whether all went well.

    Ctrl-C ends it after the fault under way, with the summary of what was done.

    :param open_observer: called in the robot's ROS domain.
    :param folder: for parameters, certificates and the nodes' output.
    :param report: JSON file to write.
    """
    began_s = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(in_private_domain())
        observer = stack.enter_context(open_observer())
        print(f'starting robot, link and server (their output: {folder})', flush=True)
        bench = stack.enter_context(running_bench(observer, folder))
        table = stack.enter_context(FaultTable(len(faults)))
        campaign = Campaign(bench, limits or Limits(), table.add)
        stopped = ''
        try:
            campaign.run(faults)
        except KeyboardInterrupt:
            stopped = 'interrupted'
        except VisionScalingError as error:
            stopped = f'stopped: {error}'
        wrong = [*campaign.violations_at_the_end(), *([stopped] if stopped else [])]
    summaries, growth = summarize(campaign.records), campaign.growth()
    print_summary(summaries, growth)
    failed = sum(not record.passed for record in campaign.records)
    elapsed_s = time.monotonic() - began_s
    print(f'{len(campaign.records)} of {len(faults)} faults in {elapsed_s:.0f} s, {failed} failed')
    for words in wrong:
        print(words)
    if report is not None:
        content = {
            'faults': campaign.records,
            'by_kind': summaries,
            'processes': growth,
            'wrong': wrong,
        }
        write_json(report, content)
    return not failed and not wrong
