"""The web server of the page: files, and a WebSocket per browser with the newest frame."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from training.view.guard import add_headers, refuse_strangers
from training.view.packets import encode
from training.view.playback import Playback
from training.view.player import Player, Shown

PAGE = Path(__file__).parent / 'page'
LARGEST_ORDER = 4096
"""Bytes of a message from a browser."""
HEARTBEAT_S = 20.0


class Browser:
    """One browser that looks on.

    Args:
        socket: its connection.

    Attributes:
        news: set when there is something to send.
        ready: whether it has shown the last frame that was sent; it is sent no other before.
        sent: number of that frame, counted over all frames that were computed.
    """

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.news = asyncio.Event()
        self.news.set()
        self.ready, self.sent = True, 0


class ViewServer:
    """Hands the player's frames to browsers, and their wishes to the player.

    Args:
        greeting: what a browser is told once, in plain values; see `command.greeting`.
        classes: how many classes there are.
        widest: columns of the frames that are sent, at most [px].
        names: host names to answer to, see `refuse_strangers`.

    Attributes:
        player: to be set before the first browser comes.
    """

    player: Player

    def __init__(
        self, greeting: Mapping[str, Any], classes: int, widest: int, names: Collection[str]
    ) -> None:
        self._greeting, self._classes, self._widest = dict(greeting), classes, widest
        self._names = names
        self._browsers: set[Browser] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._newest: Shown | None = None
        self._count = 0
        self._packet: tuple[int, asyncio.Future[bytes]] | None = None

    def application(self) -> web.Application:
        """What aiohttp runs."""
        application = web.Application(middlewares=[refuse_strangers(self._names)])
        application.router.add_get('/', self._index)
        application.router.add_get('/socket', self._attend)
        application.router.add_static('/page/', PAGE)
        application.on_response_prepare.append(add_headers)
        application.on_startup.append(self._begin)
        application.on_shutdown.append(self._end)
        return application

    def show(self, shown: Shown) -> None:
        """Take the newest frame; from any thread."""
        self._soon(self._take, shown)

    def tell(self) -> None:
        """Have all browsers told how the playback stands; from any thread."""
        self._soon(self._wake)

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended just now
                loop.call_soon_threadsafe(call, *arguments)

    def _take(self, shown: Shown) -> None:
        self._newest = shown
        self._count += 1
        self._wake()

    def _wake(self) -> None:
        for browser in self._browsers:
            browser.news.set()

    async def _begin(self, application: web.Application) -> None:
        self._loop = asyncio.get_running_loop()
        self.player.start()

    async def _end(self, application: web.Application) -> None:
        for browser in list(self._browsers):
            await browser.socket.close(code=1001, message=b'the server ends')
        await asyncio.to_thread(self.player.close)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / 'index.html')

    async def _attend(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=LARGEST_ORDER, compress=False
        )
        await socket.prepare(request)
        browser = Browser(socket)
        self._browsers.add(browser)
        self.player.watch(True)
        sender = asyncio.create_task(self._send_news(browser))
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    await self._obey(browser, message.json())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            await socket.close(code=1008, message=f'not understood: {error}'[:120].encode())
        finally:
            sender.cancel()
            self._browsers.discard(browser)
            self.player.watch(bool(self._browsers))
        return socket

    async def _send_news(self, browser: Browser) -> None:
        with contextlib.suppress(ConnectionError):
            await browser.socket.send_json({'kind': 'greeting', **self._greeting})
            while True:
                await browser.news.wait()
                browser.news.clear()
                await browser.socket.send_json({'kind': 'state', **self.player.state()})
                if browser.ready and self._newest is not None and browser.sent < self._count:
                    browser.ready, browser.sent = False, self._count
                    await browser.socket.send_bytes(await self._encoded(self._newest))

    async def _encoded(self, shown: Shown) -> bytes:
        """The packet of the newest frame, made once for all browsers, beside the network."""
        if self._packet is None or self._packet[0] != self._count:
            work = asyncio.to_thread(encode, shown, self._classes, self._widest)
            self._packet = (self._count, asyncio.ensure_future(work))
        return await asyncio.shield(self._packet[1])

    async def _obey(self, browser: Browser, order: Mapping[str, Any]) -> None:
        """Do what a browser asks for; ValueError, KeyError or TypeError for nonsense."""
        if order['do'] == 'ready':
            browser.ready = True
            browser.news.set()
            return
        action = ORDERS[order['do']]
        self.player.change(lambda playback, now_s: action(playback, now_s, order))
        self._wake()


def _set_loop(playback: Playback, now_s: float, order: Mapping[str, Any]) -> None:
    playback.loop = bool(order['on'])


def _set_every_frame(playback: Playback, now_s: float, order: Mapping[str, Any]) -> None:
    playback.every_frame = bool(order['on'])


ORDERS: Mapping[str, Callable[[Playback, float, Mapping[str, Any]], None]] = {
    'play': lambda playback, now_s, order: playback.play(now_s),
    'pause': lambda playback, now_s, order: playback.pause(now_s),
    'seek': lambda playback, now_s, order: playback.seek(int(order['index'])),
    'step': lambda playback, now_s, order: playback.step(int(order['frames']), now_s),
    'speed': lambda playback, now_s, order: playback.set_speed(float(order['value']), now_s),
    'loop': _set_loop,
    'every_frame': _set_every_frame,
}
"""What a browser may ask for."""
