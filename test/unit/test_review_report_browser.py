"""The report of a bag in a real browser, as wide as a phone and as a desktop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from visionscaling_ros.cli.main import main

pytest.importorskip('bokeh')
chromium = pytest.importorskip('chromium_page')  # needs tornado, which comes with Bokeh
side_bags = pytest.importorskip('side_bags')  # needs rclpy
if chromium.CHROMIUM is None:
    pytest.skip('no Chromium is installed', allow_module_level=True)

SLOTS = 40
Test = Callable[[Any], Awaitable[None]]


@pytest.fixture(scope='module')
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two robots, one beside the other."""
    folder = tmp_path_factory.mktemp('report')
    bag = side_bags.write_whole_run(
        folder / 'bag', namespaces=('/drone1', '/drone2'), slots=SLOTS, scenario='outages'
    )
    out = folder / 'report.html'
    assert main(['report', str(bag), '--out', str(out)]) == 0
    return out


def in_browser(folder: Path, test: Test) -> None:
    async def run() -> None:
        async with chromium.chromium_page(folder) as page:
            await test(page)

    asyncio.run(run())


def test_it_fits_the_screen_and_the_console_stays_clean(report: Path, tmp_path: Path) -> None:
    async def test(page: Any) -> None:
        for width_px, is_phone in ((390, True), (1440, False)):
            await page.show(report, width_px=width_px, dark=is_phone, touch=is_phone)
            assert await page.value('document.documentElement.scrollWidth') <= width_px
            assert await page.value(_DRAWN_PLOTS) == await page.value(_PLOTS) > 20
        assert page.errors == []
        assert {address.partition(':')[0] for address in page.requests} <= {'file', 'data'}

    in_browser(tmp_path, test)


def test_pointing_at_a_slot_tells_its_values_in_every_panel_of_the_run(
    report: Path, tmp_path: Path
) -> None:
    async def test(page: Any) -> None:
        await page.show(report, width_px=1440)
        x, y = await page.value(_MIDDLE_OF_FIRST_PLOT)
        await page.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)
        told = await page.value(_told('.time-bar output', 'to'))
        assert told.endswith(' s')
        assert abs(float(told.split()[0]) - SLOTS / 2) <= 1.0
        assert await page.value(_EMPTY_VALUES.replace('RUN', 'run-0')) == 0
        assert await page.value(_EMPTY_VALUES.replace('RUN', 'run-1')) > 0
        assert await page.value(_CURSORS_OFF) <= 1.0  # px

    in_browser(tmp_path, test)


def test_on_a_phone_buttons_zoom_all_panels_and_a_finger_scrolls_the_page(
    report: Path, tmp_path: Path
) -> None:
    async def test(page: Any) -> None:
        await page.show(report, width_px=390, touch=True)
        assert await page.value(_TOUCH_ACTION) == 'auto'
        for how, length_s in (('in', SLOTS / 2), ('in', SLOTS / 4), ('all', SLOTS)):
            await page.value(f'document.querySelector("#run-0 [data-zoom={how}]").click()')
            shown = await page.value(_SHOWN_S)
            assert shown == pytest.approx([length_s] * len(shown), rel=0.02)

    in_browser(tmp_path, test)


def test_latencies_are_of_the_recorded_frames(report: Path) -> None:
    text = report.read_text(encoding='utf-8')
    assert text.count('95 % of the frames were done within') == 2


def _told(selector: str, containing: str) -> str:
    """Text of an element once it has that in it."""
    return f"""new Promise((done) => {{
        const look = () => {{
            const text = document.querySelector('{selector}').textContent;
            text.includes(' {containing} ') ? done(text) : setTimeout(look, 20);
        }};
        look();
    }})"""


_PLOTS = 'document.querySelectorAll(".plot").length'
_DRAWN_PLOTS = """[...document.querySelectorAll('.plot')].filter((plot) => {
    const canvas = plot.querySelector('.bk-Figure')?.shadowRoot
        .querySelector('.bk-Canvas')?.shadowRoot.querySelector('canvas');
    if (!canvas || canvas.width < 100) return false;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.some((value) => value > 0);
}).length"""
_MIDDLE_OF_FIRST_PLOT = """(() => {
    const plot = document.querySelector('.plot');
    plot.scrollIntoView({ block: 'center' });
    const box = plot.getBoundingClientRect();
    const frame = Bokeh.index.get_by_id(Bokeh.documents[0].roots()[0].id).frame.bbox;
    return [box.left + frame.left + frame.width / 2, box.top + frame.top + frame.height / 2];
})()"""
_EMPTY_VALUES = """[...document.querySelectorAll('#RUN .legend output')]
    .filter((value) => value.textContent === '').length"""
_CURSORS_OFF = """(() => {
    const run = document.getElementById('run-0');
    const columns = {};
    for (const cursor of run.querySelectorAll('.panel:not(.wide) .cursor')) {
        const holder = cursor.parentElement.getBoundingClientRect();
        (columns[holder.left] ??= []).push(cursor.getBoundingClientRect().left);
    }
    return Math.max(...Object.values(columns).map((x) => Math.max(...x) - Math.min(...x)));
})()"""
_SHOWN_S = """Bokeh.documents[0].roots().map((plot) => plot.x_range.end - plot.x_range.start)"""
_TOUCH_ACTION = """(() => {
    const canvas = document.querySelector('.plot .bk-Figure').shadowRoot
        .querySelector('.bk-Canvas').shadowRoot;
    return getComputedStyle(canvas.querySelector('.bk-events')).touchAction;
})()"""
