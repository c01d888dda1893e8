"""Documents, tables, pictures and the page, from results made by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib import image

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.json_file import write_json
from visionscaling_ros.simulation.document import (
    SECTIONS,
    environment,
    make_document,
    read_json,
    summarize_seeds,
)
from visionscaling_ros.simulation.plots import FIGURES, plot_document
from visionscaling_ros.simulation.report import (
    HEADINGS,
    by_condition,
    condition_cells,
    overview_cells,
    percent,
    print_report,
)
from visionscaling_ros.simulation.results_page import main as write_page
from visionscaling_ros.simulation.suite_result import Failure, SuiteResult

POLICIES = {'visionscaling_meta': -2.0, 'fixed': 10.0, 'dms': 8.0, 'oracle': 0.0}


def row(policy: str, scenario: str, seed: int) -> dict[str, Any]:
    return {
        'trace': 'synthetic', 'scenario': scenario, 'policy': policy, 'seed': seed,
        'dynamic_regret': POLICIES[policy] + seed, 'fit': 0.1, 'violation': 0.2,
        'energy_j_per_frame': 0.5, 'processed_fps': 12.0, 'map': 0.30 if policy == 'dms' else 0.42,
        'map_target': 0.42, 'latency_p95_s': math.nan, 'dropped': 3, 'switches': 4,
        'decision_s_median': 1e-3, 'decision_s_p99': 2e-3,
    }  # fmt: skip


def curve(policy: str, scenario: str, seed: int) -> dict[str, Any]:
    slots = [1, 10, 100]
    return {
        'trace': 'synthetic', 'scenario': scenario, 'policy': policy, 'seed': seed, 'slots': slots,
        'regret': [POLICIES[policy] * slot for slot in slots], 'fit': [0.0, 0.0, 0.1],
        'regret_exponent': 1.0, 'fit_exponent': 0.5,
    }  # fmt: skip


@pytest.fixture
def suite() -> SuiteResult:
    runs = [
        (policy, scenario, seed)
        for scenario in ('steady', 'slow_drift')
        for seed in range(2)
        for policy in POLICIES
    ]
    return SuiteResult([row(*run) for run in runs], [curve(*run) for run in runs])


@pytest.fixture
def document(suite: SuiteResult, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr('sys.argv', ['bench', 'bench', '--traces', '/somewhere/traces'])
    return make_document(
        suite, device='agx_orin', slots=100, settings=ControlSettings(), elapsed_s=1.0
    )


def test_a_document_survives_the_file_and_nan_is_null(
    document: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / 'new' / 'results.json'
    write_json(path, document)
    read = read_json(path, SECTIONS)
    assert read['rows'][0]['latency_p95_s'] is None
    assert read['rows'][0]['dynamic_regret'] == -2.0
    assert read['meta']['complete'] is True
    assert read['meta']['settings']['weight_rate'] == ControlSettings().weight_rate
    json.loads(path.read_text(), parse_constant=pytest.fail)
    assert [p.name for p in path.parent.iterdir()] == ['results.json']


@pytest.mark.parametrize('content', ['', '[]', '{"rows": []}'])
def test_what_is_no_document_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / 'other.json'
    path.write_text(content)
    with pytest.raises(InvalidValueError, match=r'other\.json'):
        read_json(path, SECTIONS)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(InvalidValueError, match='json'):
        write_json(tmp_path / 'file' / 'results.json', {})


def test_the_summary_has_means_and_intervals_over_seeds(suite: SuiteResult) -> None:
    summary = summarize_seeds(suite.rows, suite.curves)
    assert len(summary) == 2 * len(POLICIES)
    first = summary[0]
    assert (first['trace'], first['scenario'], first['policy']) == (
        'synthetic', 'steady', 'visionscaling_meta',
    )  # fmt: skip
    assert first['seeds'] == 2
    assert first['dynamic_regret'] == pytest.approx({'mean': -1.5, 'ci95': 12.706 * 0.5})
    assert first['fit_exponent'] == pytest.approx({'mean': 0.5, 'ci95': 0.0})


def test_the_table_names_the_best_rival_and_who_misses_the_target(
    document: dict[str, Any],
) -> None:
    (entries, _) = by_condition(document['summary']).values()
    lines = {cells[0]: cells for cells in condition_cells(entries)}
    assert set(lines) == {'visionscaling_meta', 'fixed', 'dms *', 'oracle'}
    place = HEADINGS.index('vs best rival')
    assert lines['fixed'][place] == 'best rival'
    assert lines['visionscaling_meta'][place] == '-114 %'
    assert lines['dms *'][HEADINGS.index('mAP - target')] == '-0.1200'
    assert lines['fixed'][HEADINGS.index('p95 ms')] == '-'


def test_the_overview_has_a_line_for_every_condition(document: dict[str, Any]) -> None:
    lines = overview_cells([*document['rows'], row('dms', 'outages', 0)])
    expected = ('fixed', '-114 %', '-', '+0.0000', '-', '-')
    assert lines == [
        ('synthetic, steady', *expected),
        ('synthetic, slow_drift', *expected),
        ('synthetic, outages', '-', '-', '-', '-', '-', '-'),
    ]


def test_changes_beyond_measure_are_cut() -> None:
    assert percent(-0.3) == '-30 %'
    assert percent(math.inf) == '> +999 %'
    assert percent(-20.0) == '< -999 %'
    assert percent(math.nan) == '-'


def test_the_report_says_what_failed_and_what_is_missed(
    suite: SuiteResult, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    document['meta']['failures'] = [{'name': 'x, steady, seed 1', 'error': 'ValueError: [bad]'}]
    print_report(document)
    out = ' '.join(capsys.readouterr().out.split())
    assert 'failed: x, steady, seed 1: ValueError: [bad]' in out
    assert 'missed: synthetic, steady: visionscaling_meta: not the most energy' in out
    assert '4 of 6 claims hold' in out


def test_one_picture_or_one_per_figure(document: dict[str, Any], tmp_path: Path) -> None:
    assert plot_document(tmp_path / 'all.png', document) == [tmp_path / 'all.png']
    paths = plot_document(tmp_path / 'figures', document)
    assert [path.name for path in paths] == [f'{name}.png' for name in FIGURES]
    heights = [image.imread(path).shape[0] for path in paths]
    assert image.imread(tmp_path / 'all.png').shape[0] == pytest.approx(sum(heights), abs=5)


def test_the_page(document: dict[str, Any], tmp_path: Path) -> None:
    results, docs = tmp_path / 'results', tmp_path / 'docs'
    document['meta']['failures'] = [Failure('x', 'broken').__dict__]
    write_json(results / 'standard.json', document)
    write_json(results / 'long.json', document)
    times = {
        f'{name}_s_{quantile}': 1e-3
        for name in ('decide', 'decide_cpu', 'decide_observe')
        for quantile in ('median', 'p95', 'p99')
    }
    decision = {'policy': 'fixed', 'reference_s': 5e-4, 'decide_median_over_reference': 2.0}
    write_json(
        results / 'decision.json',
        {
            'meta': environment(),
            'decisions': [{**decision, **times}],
            'simulation': [{'policy': 'fixed', 'slots_per_s': 20000.0}],
        },
    )
    assert write_page([str(results), str(docs)]) == 0
    page = (docs / 'results.md').read_text()
    assert '--traces traces' in page
    assert '/somewhere' not in page
    assert 'failed: x: broken' in page
    assert '### synthetic, slow_drift' in page
    assert '| fixed | 20000 |' in page
    for line in page.splitlines():
        if line.startswith('!['):
            assert (docs / line.split('(')[1].rstrip(')')).is_file()
