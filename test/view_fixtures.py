"""A server of `hrda view` in a thread, with a network of one line and numbered frames."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
from aiohttp import web

from hrda_core.classes import CITYSCAPES
from hrda_core.segmenter import Segmentation
from training.view.command import greeting
from training.view.player import Player
from training.view.server import ViewServer

FRAMES, HEIGHT, WIDTH = 40, 48, 64
BROKEN = 13
"""A frame that cannot be read."""
FAILING = 17
"""A frame on which the network fails."""


class NumberedRecording:
    """Frames whose red is their number; green rises from left to right."""

    name = 'numbered'
    notes = ('a note',)

    def __init__(self, rate_hz: float = 50.0) -> None:
        self.times_s = np.arange(FRAMES) / rate_hz

    def read_from(self, index):
        for number in range(index, FRAMES):
            yield lambda number=number: self.frame(number)

    @staticmethod
    def frame(number: int) -> np.ndarray:
        if number == BROKEN:
            raise ValueError('this one is broken')
        image = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
        image[..., 1] = np.arange(WIDTH) * 4
        return image


class RedSegmenter:
    """Red modulo 19 is the label, green the confidence."""

    classes = CITYSCAPES
    description = 'a network of one line'
    settings = SimpleNamespace(mode='exact')

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s, self.calls = delay_s, 0

    def segment(self, image: np.ndarray) -> Segmentation:
        self.calls += 1
        time.sleep(self.delay_s)
        if image[0, 0, 0] == FAILING:
            raise RuntimeError('out of memory')
        return Segmentation(image[..., 0] % 19, image[..., 1].copy(), 5, 21, 12.5)


@contextlib.contextmanager
def served(segmenter: RedSegmenter, widest: int = 1920, rate_hz: float = 50.0) -> Iterator[str]:
    """The address of a running server."""
    recording = NumberedRecording(rate_hz)
    told = greeting(recording, segmenter, 'folder/m.safetensors')
    server = ViewServer(told, len(CITYSCAPES), widest, ())
    server.player = Player(recording, segmenter, server.show, server.tell)
    started, address = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(server.application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, '127.0.0.1', 0).start()
        address.append(f'http://127.0.0.1:{runner.addresses[0][1]}/')
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(20)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
