"""The page of a report: whole in itself, safe, and honest about what is missing."""

from __future__ import annotations

import base64
import gzip
import html
import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_runs import decision, make_run, nothing_measured, settings, state, view_of

from visionscaling_ros.cli.main import main
from visionscaling_ros.datatypes import Allocation, Origin
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.review.report.bags_of_run import bags_of_run

pytest.importorskip('bokeh')

from visionscaling_ros.review.report.page import page_of
from visionscaling_ros.review.report.section import Section, make_section

_GZIP = b'\x1f\x8b'
HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)>&"\''


def page(*sections: Section, name: str = 'run') -> str:
    return page_of(name, list(sections))


def section(run: Any, anchor: str = 'run-0') -> Section:
    return make_section(view_of(run), anchor, 'The robot')


class Scanner(HTMLParser):
    """Tags and the content of script elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []
        self._script: list[str] | None = None
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = [] if tag == 'script' else None

    def handle_data(self, data: str) -> None:
        (self.data if self._script is None else self._script).append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == 'script' and self._script is not None:
            self.scripts.append(''.join(self._script))
        self._script = None


def columns(text: str) -> list[np.ndarray]:
    """Every column of data in the page."""
    embedded = json.loads(Scanner(text).scripts[0])
    found: list[np.ndarray] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get('type') == 'ndarray':
                stored = base64.b64decode(value['array']['data'])
                if stored.startswith(_GZIP):
                    stored = gzip.decompress(stored)
                found.append(np.frombuffer(stored, value['dtype']))
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(embedded['document'])
    return found


def test_nothing_is_fetched() -> None:
    text = page(section(make_run([state(n) for n in range(12)])))
    for tag, attributes in Scanner(text).tags:
        for name in ('src', 'href', 'action', 'data'):
            address = attributes.get(name)
            assert address is None or address.startswith(('#', 'data:')), (tag, address)
    without_bokeh = re.sub(r'<script>.*?</script>', '', text, flags=re.DOTALL)
    assert 'http' not in without_bokeh


def test_names_out_of_a_bag_are_only_text() -> None:
    bad = Allocation(HOSTILE, 640, Origin.LOCAL, 15.0)
    slots = [
        state(n, policy=HOSTILE, drop_counts={HOSTILE: 5}, processed=(bad,)) for n in range(12)
    ]
    told = [settings(allowed_models=(HOSTILE,), fixed_model=HOSTILE)]
    run = make_run(
        slots,
        decisions={n: decision(n, allocations=(bad,), policy=HOSTILE) for n in range(12)},
        told=told,
        namespace=f'/{HOSTILE}',
        skipped={f'/{HOSTILE}': 1},
    )
    text = page(section(run), name=HOSTILE)
    harmless = Scanner(page(section(make_run([state(n) for n in range(12)]))))
    scanner = Scanner(text)
    assert [tag for tag, _ in scanner.tags].count('script') == 3
    assert 'img' not in {tag for tag, _ in scanner.tags}
    assert {tag for tag, _ in scanner.tags} == {tag for tag, _ in harmless.tags}
    assert not any(name.startswith('on') for _, names in scanner.tags for name in names)
    assert 'alert(1)' in ''.join(scanner.data)  # shown, as text
    assert html.escape('</script>') in text


def test_what_is_missing_is_no_zero() -> None:
    slots = [nothing_measured(n) for n in range(12)]
    text = page(section(make_run(slots, decisions=dict.fromkeys(range(12)))))
    for sentence in (
        'The power is not known', 'The clock of the GPU is not known', 'The temperature is not',
        'Nothing is known of the uplink', 'No round trip was measured', 'No latency was measured',
        'The accuracy of the run is not known.', 'No decision of this run was explained',
        'No decision of this run is in the bag.', 'No decision is in the bag.',
    ):  # fmt: skip
        assert sentence in text
    shown = ' '.join(Scanner(text).data)
    assert not re.search(r'\b(nan|inf)\b', shown, re.IGNORECASE)


def test_a_value_that_is_missing_stays_so_in_the_data() -> None:
    slots = [state(n, power_w=math.nan if n == 3 else 10.0 + n) for n in range(6)]
    power = next(
        column
        for column in columns(page(section(make_run(slots))))
        if {11.0, 12.0, 14.0, 15.0} <= set(column.tolist())
    )
    assert np.isnan(power).sum() == 2  # begin and end of the slot
    assert not (power == 0.0).any()


def test_nothing_is_drawn_where_slots_are_missing() -> None:
    text = page(section(make_run([state(n) for n in (0, 1, 5, 6)])))
    (times,) = (c for c in columns(text) if c.dtype == np.float32 and c[:2].tolist() == [0, 1]
                and len(c) == 9)  # fmt: skip
    assert np.array_equal(times, [0, 1, 1, 2, math.nan, 5, 6, 6, 7], equal_nan=True)


def test_every_run_has_its_section_and_place_in_the_index() -> None:
    runs = [make_run([state(n) for n in range(5)], namespace=f'/drone{k}') for k in range(3)]
    text = page(*[section(run, f'run-{k}') for k, run in enumerate(runs)])
    for k in range(3):
        assert f'<a href="#run-{k}">' in text
        assert f'<section id="run-{k}"' in text
    ids = [attributes['id'] for _, attributes in Scanner(text).tags if attributes.get('id')]
    assert len(ids) == len(set(ids))
    assert '<nav' not in page(section(runs[0]))


def test_of_many_decisions_the_largest_changes_are_shown() -> None:
    clocks = {n: decision(n, gpu_frequency_hz=3e8 + 1e8 * (n % 2)) for n in range(1, 151)}
    made = section(make_run([state(n) for n in range(151)], decisions=clocks))
    assert len(made.table.rows) == 100
    assert made.table.left_out == 50
    assert made.table.rows[0].slot == 1
    assert [row.at_s for row in made.table.rows] == sorted(row.at_s for row in made.table.rows)


def test_bags_are_found_in_the_folder_of_a_run(tmp_path: Path) -> None:
    for name in ('run', 'baseline'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'metadata.yaml').touch()
    (tmp_path / 'report.json').touch()
    assert [path.name for path in bags_of_run(tmp_path)] == ['baseline', 'run']
    assert bags_of_run(tmp_path / 'run') == (tmp_path / 'run',)


def test_a_folder_without_a_bag_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / 'report.json').touch()
    with pytest.raises(InvalidValueError, match=r'it has report\.json.*visionscaling record'):
        bags_of_run(tmp_path)
    with pytest.raises(InvalidValueError, match='nothing is there'):
        bags_of_run(tmp_path / 'no')


def test_without_bokeh_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in list(sys.modules):
        if name.startswith('visionscaling_ros.review.report.'):
            monkeypatch.delitem(sys.modules, name)
        if name.partition('.')[0] == 'bokeh':
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'bokeh', None)
    out = tmp_path / 'report.html'
    assert main(['report', str(tmp_path), '--out', str(out)]) == 2
    told = capsys.readouterr().err
    assert 'visionscaling_ros[review]' in told
    assert not out.exists()
