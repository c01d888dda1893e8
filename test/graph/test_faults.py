"""A robot goes through faults without losing track of a frame; the long run is `make faults`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from visionscaling_ros.nodes.fault_observer import FaultObserver
from visionscaling_ros.trials.faults.campaign import Campaign, Limits
from visionscaling_ros.trials.faults.plan import plan

pytest.importorskip('trustme')

from visionscaling_ros.graph.private_domain import in_private_domain
from visionscaling_ros.trials.faults.bench import running_bench

QUICK = (
    'server-killed', 'server-stopped', 'link-reset', 'token-refused', 'tls-wrong-name',
    'reply-truncated', 'reply-nan-boxes',
)  # fmt: skip
# Other tests share the machine: here it counts that results come back, not how soon.
PATIENT = Limits(slots_to_resume=30, gap_slots=30.0)
FAULTS = (
    'import argparse, sys; from visionscaling_ros.cli import faults; '
    'parser = argparse.ArgumentParser(); faults.add_arguments(parser); '
    'sys.exit(faults.run(parser.parse_args()))'
)


def test_every_frame_has_one_fate_and_results_resume_after_each_fault(tmp_path: Path) -> None:
    with (
        in_private_domain(),
        FaultObserver() as observer,
        running_bench(observer, tmp_path) as bench,
    ):
        campaign = Campaign(bench, PATIENT)
        campaign.run(plan(len(QUICK), 0, QUICK))
        assert campaign.violations_at_the_end() == []
    assert {record.kind for record in campaign.records} == set(QUICK)
    for record in campaign.records:
        assert record.violations == (), record
        assert record.edge > 0, record
    assert sum(record.local for record in campaign.records) > 0


def test_ctrl_c_ends_a_campaign_with_its_summary_and_leaves_no_process(
    graph: Any, tmp_path: Path
) -> None:
    command = (sys.executable, '-c', FAULTS, '--only', 'link-reset', '--log', str(tmp_path))
    campaign = graph.run(*command)
    campaign.wait_for_output('| link-reset |', timeout_s=120.0)
    children = psutil.Process(campaign.pid).children(recursive=True)
    assert len(children) >= 5
    campaign.send(signal.SIGINT)
    assert campaign.wait(timeout_s=60.0) == 1
    assert 'interrupted' in campaign.output
    assert 'of 300 faults in' in campaign.output
    _, alive = psutil.wait_procs(children, timeout=60.0)
    assert not alive
