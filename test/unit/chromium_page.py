"""A page in a headless Chromium, driven by the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

_NAMES = ('chromium', 'chromium-browser', 'google-chrome')
CHROMIUM = next((found for name in _NAMES if (found := shutil.which(name))), None)
_LARGEST_REPLY_B = 256 * 2**20
_PATIENCE_S = 120.0
_DRAWN = """new Promise((done) => {
    const look = () => document.documentElement?.dataset.drawn !== undefined
        ? requestAnimationFrame(() => requestAnimationFrame(done)) : setTimeout(look, 50);
    look();
})"""


class ChromiumPage:
    """One page; use :func:`chromium_page` to open it.

    :ivar errors: what the console told as an error, and exceptions nobody caught.
    :ivar requests: addresses that were asked for.
    """

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection
        self._session = ''
        self._number = 0
        self.errors: list[str] = []
        self.requests: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Answer to a command; events that come first are taken in."""
        self._number += 1
        number = self._number
        command: dict[str, Any] = {'id': number, 'method': method, 'params': parameters}
        if self._session:
            command['sessionId'] = self._session
        await self._connection.write_message(json.dumps(command))
        while True:
            text = await asyncio.wait_for(self._connection.read_message(), _PATIENCE_S)
            assert text is not None, 'chromium ended'
            message = json.loads(text)
            if message.get('id') == number:
                assert 'error' not in message, message
                return message['result']
            self._take(message.get('method', ''), message.get('params', {}))

    async def attach(self) -> None:
        target = await self.call('Target.createTarget', url='about:blank')
        attached = await self.call(
            'Target.attachToTarget', targetId=target['targetId'], flatten=True
        )
        self._session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            await self.call(f'{domain}.enable')

    async def show(self, path: Path, *, width_px: int, height_px: int = 900, dark: bool = False,
                   touch: bool = False) -> None:  # fmt: skip
        """Open a file in a window of that size, and wait until its figures are drawn."""
        await self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width_px, height=height_px, deviceScaleFactor=1, mobile=touch,
        )  # fmt: skip
        await self.call('Emulation.setTouchEmulationEnabled', enabled=touch)
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        await self.call('Emulation.setEmulatedMedia', features=[scheme])
        await self.call('Page.navigate', url=path.resolve().as_uri())
        await self.value(_DRAWN)

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to."""
        answer = await self.call(
            'Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True
        )
        assert 'exceptionDetails' not in answer, answer
        return answer['result'].get('value')

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """Save what it looks like as PNG."""
        answer = await self.call(
            'Page.captureScreenshot', format='png', captureBeyondViewport=whole,
            **({'clip': await self._all()} if whole else {}),
        )  # fmt: skip
        path.write_bytes(base64.b64decode(answer['data']))

    async def _all(self) -> dict[str, float]:
        size = (await self.call('Page.getLayoutMetrics'))['cssContentSize']
        return {'x': 0, 'y': 0, 'width': size['width'], 'height': size['height'], 'scale': 1}

    def _take(self, method: str, content: dict[str, Any]) -> None:
        if method == 'Runtime.exceptionThrown':
            self.errors.append(json.dumps(content['exceptionDetails']))
        elif method == 'Runtime.consoleAPICalled' and content['type'] in {'error', 'warning'}:
            self.errors.append(json.dumps(content['args']))
        elif method == 'Log.entryAdded' and content['entry']['level'] == 'error':
            self.errors.append(json.dumps(content['entry']))
        elif method == 'Network.requestWillBeSent':
            self.requests.append(content['request']['url'])


@contextlib.contextmanager
def _browser(folder: Path) -> Iterator[str]:
    """Address of the DevTools of a Chromium that ends with the block."""
    assert CHROMIUM is not None
    process = subprocess.Popen(
        [
            CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
            '--disable-dev-shm-usage', '--disable-background-networking', '--hide-scrollbars',
            '--remote-debugging-port=0', f'--user-data-dir={folder}', 'about:blank',
        ],
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r'DevTools listening on (ws://\S+)', line):
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield found.group(1)
                return
        raise AssertionError('chromium told no DevTools address')
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextlib.asynccontextmanager
async def chromium_page(folder: Path) -> Any:
    """A page of a new Chromium whose files are in ``folder``."""
    with _browser(folder) as address:
        connection = await websocket_connect(address, max_message_size=_LARGEST_REPLY_B)
        page = ChromiumPage(connection)
        try:
            await page.attach()
            yield page
        finally:
            connection.close()
