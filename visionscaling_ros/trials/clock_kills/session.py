"""A whole campaign: from the tree to the verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.graph.private_domain import in_private_domain
from visionscaling_ros.trials.clock_kills.campaign import KillCampaign
from visionscaling_ros.trials.clock_kills.driver import ClockDriver
from visionscaling_ros.trials.clock_kills.kill_table import KillTable, print_summary
from visionscaling_ros.trials.clock_kills.loopback import on_loopback
from visionscaling_ros.trials.clock_kills.machine_tree import write_machine
from visionscaling_ros.trials.clock_kills.plan import KillRound
from visionscaling_ros.trials.clock_kills.processes import ClockProcesses
from visionscaling_ros.trials.clock_kills.record import RoundRecord, summarize
from visionscaling_ros.trials.clock_kills.tree_watch import TreeWatch


def run_session(
    open_driver: Callable[[], AbstractContextManager[ClockDriver]],
    rounds: Sequence[KillRound],
    folder: Path,
    report: Path | None = None,
) -> bool:
    """Go through ``rounds`` on a tree in ``folder``, tell how it goes; whether all went well.

    Ctrl-C ends it with the summary of what was done.

    :param open_driver: called in a ROS domain of its own.
    :param folder: for the tree, states and the processes' output; everybody may enter it.
    :param report: JSON file to write.
    """
    began_s = time.monotonic()
    records: list[RoundRecord] = []
    wrong: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(in_private_domain())
        stack.enter_context(on_loopback(folder))
        driver = stack.enter_context(open_driver())
        tree = write_machine(folder / 'machine')
        watch = TreeWatch(tree)
        stack.enter_context(watch)
        print(f'tree, states and output: {folder}', flush=True)
        table = stack.enter_context(KillTable(sum(len(planned.kills) for planned in rounds)))
        try:
            processes = {
                way: stack.enter_context(ClockProcesses(way, tree, folder, driver))
                for way in dict.fromkeys(planned.way for planned in rounds)
            }
            for way, mine in processes.items():
                other = next((it for name, it in processes.items() if name != way), None)
                campaign = KillCampaign(tree, watch, mine, driver, other=other, on_record=table.add)
                try:
                    campaign.run([planned for planned in rounds if planned.way == way])
                finally:
                    records += campaign.records
        except KeyboardInterrupt:
            wrong.append('interrupted')
        except VisionScalingError as error:
            wrong.append(f'stopped: {error}')
    wrong += watch.take_violations()
    if not wrong and not tree.is_as_found():
        wrong.append('the tree is not as it was found at the end')
    return _tell(records, rounds, wrong, report, time.monotonic() - began_s)


def _tell(
    records: Sequence[RoundRecord],
    rounds: Sequence[KillRound],
    wrong: Sequence[str],
    report: Path | None,
    elapsed_s: float,
) -> bool:
    summaries = summarize(records)
    print_summary(summaries)
    planned = sum(len(one.kills) for one in rounds)
    done = sum(len(record.left) for record in records)
    failed = sum(bool(record.violations) for record in records)
    print(
        f'{done} of {planned} kills in {len(records)} rounds, {elapsed_s:.0f} s; '
        f'{sum(record.governor for record in records)} of them with the governor changed by '
        f'somebody; {failed} rounds failed'
    )
    for words in wrong:
        print(words)
    if report is not None:
        content = {
            'kills': done,
            'elapsed_s': elapsed_s,
            'rounds': [asdict(record) for record in records],
            'by_way': [asdict(summary) for summary in summaries],
            'wrong': list(wrong),
        }
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    return done == planned and not failed and not wrong
