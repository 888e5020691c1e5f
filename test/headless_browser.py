"""A headless Chromium, driven by its DevTools protocol; no other package is needed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
START_S = 60.0
POLL_S = 0.1


def find_browser() -> str | None:
    """Path of a Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and give its result."""
        self._number += 1
        await self._socket.send_json({'id': self._number, 'method': method, 'params': parameters})
        while True:
            answer = await self._socket.receive_json(timeout=START_S)
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                return answer['result']

    async def value(self, expression: str) -> Any:
        """Value of a JavaScript expression; a promise is waited for."""
        result = await self.call(
            'Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True
        )
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    async def wait_for(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        deadline_s = time.monotonic() + START_S
        while not await self.value(expression):
            assert time.monotonic() < deadline_s, f'never true: {expression}'
            await asyncio.sleep(POLL_S)

    async def move_mouse(self, x: float, y: float) -> None:
        """Point at a place of the window [px]."""
        await self.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    async def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        data = (await self.call('Page.captureScreenshot', format='png'))['data']
        path.write_bytes(base64.b64decode(data))


@contextlib.asynccontextmanager
async def browser_page(
    executable: str, profile: Path, url: str, size: tuple[int, int] = (1440, 860)
) -> AsyncIterator[Page]:
    """A browser with one page; it ends with the block."""
    process = subprocess.Popen(
        [
            executable,
            '--headless=new',
            '--no-sandbox',  # root, as in containers, may not have one
            '--disable-gpu',
            '--disable-dev-shm-usage',
            '--remote-debugging-port=0',
            f'--user-data-dir={profile}',
            f'--window-size={size[0]},{size[1]}',
            'about:blank',
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = await _port(profile, process)
        async with aiohttp.ClientSession() as session:
            async with session.put(f'http://127.0.0.1:{port}/json/new?{url}') as answer:
                target = await answer.json(content_type=None)
            address = target['webSocketDebuggerUrl']
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                await page.call(
                    'Emulation.setDeviceMetricsOverride',
                    width=size[0],
                    height=size[1],
                    deviceScaleFactor=1,
                    mobile=False,
                )
                yield page
    finally:
        process.terminate()
        process.wait(20)


async def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    file, deadline_s = profile / 'DevToolsActivePort', time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, f'the browser ended with {process.returncode}'
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        await asyncio.sleep(POLL_S)
    raise AssertionError('the browser did not start')
