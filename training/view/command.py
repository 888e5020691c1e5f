"""Watch a network at work on a recording, on a web page of this machine; needs no ROS.

Usage: hrda view BAG_VIDEO_OR_IMAGES --checkpoint X.safetensors [--port 8088]

The recording plays at its own speed and the newest frame is shown, as the node would do it:
where the network is slower than the camera, frames are passed over, and counted. Several browsers
may look on; while none does, nothing is computed. Ctrl-C ends it.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import webbrowser
from pathlib import Path
from typing import Any

from aiohttp import web
from jsonargparse import ArgumentParser, Namespace

from hrda_core.segmenter import Segmenter
from training.deployment.arguments import add_inference_arguments, inference_settings
from training.progress import displayed
from training.view.guard import is_loopback
from training.view.playback import SPEEDS
from training.view.player import Player
from training.view.recordings import Cursor, Recording, open_recording
from training.view.server import ViewServer

DEFAULT_PORT = 8088


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda view`."""
    parser.add_argument('input', help='a bag, a video, an image or a folder of images')
    parser.add_argument('--checkpoint', required=True, help='the .safetensors file to use')
    parser.add_argument('--topic', help='image topic of a bag; needed if there are several')
    parser.add_argument(
        '--rate', type=float, default=10.0, help='rate at which a folder of images is shown [Hz]'
    )
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen on; 0.0.0.0 lets everybody on the network look and steer',
    )
    parser.add_argument(
        '--port', type=int, default=DEFAULT_PORT, help='port to listen on; 0 picks a free one'
    )
    parser.add_argument(
        '--allow-host',
        action='append',
        default=[],
        metavar='NAME',
        help='host name by which the page may be called as well, e.g. that of a proxy',
    )
    parser.add_argument(
        '--width', type=int, default=1920, help='widest picture that is sent to the browser [px]'
    )
    parser.add_argument('--open', action='store_true', help='open the page in the browser')
    add_inference_arguments(parser)


def run(args: Namespace) -> int:
    """Serve the page until a signal ends it."""
    if not 0 <= args.port <= 65535:
        raise ValueError(f'--port {args.port} is outside 0..65535')
    if args.width < 16:
        raise ValueError(f'--width {args.width} is below 16 px')
    check_port(args.host, args.port)
    with displayed() as display:
        recording = open_recording(Path(args.input), args.topic, args.rate, display)
        segmenter = Segmenter.from_checkpoint(args.checkpoint, inference_settings(args))
        height, width = _size(recording)
        display.say(f'{args.checkpoint} on {segmenter.description}; warming up')
        display.say(f'{segmenter.warm_up(height, width):.0f} ms for {width}x{height} px')
    told = greeting(recording, segmenter, args.checkpoint)
    names = [*args.allow_host, args.host]
    server = ViewServer(told, len(segmenter.classes), args.width, names)
    server.player = Player(recording, segmenter, server.show, server.tell)
    asyncio.run(_serve(server, args.host, args.port, args.open))
    return 0


def check_port(host: str, port: int) -> None:
    """Try to listen, before anything is loaded.

    Raises:
        ValueError: the port is taken, or the host is none of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in found:
            socket.create_server(address, family=family).close()
    except OSError as error:
        raise ValueError(_why_not(error, host, port)) from error


def _size(recording: Recording) -> tuple[int, int]:
    """Rows and columns of the first frame that can be read [px]; ValueError if none can."""
    cursor, problems = Cursor(recording), []
    for index in range(len(recording.times_s)):
        try:
            height, width, _ = cursor.read(index).shape
            return height, width
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(f'no frame of {recording.name} can be read: {problems[0]}')


def greeting(recording: Recording, segmenter: Segmenter, checkpoint: str) -> dict[str, Any]:
    """What a browser is told of recording and network, in plain values."""
    classes = segmenter.classes
    return {
        'recording': recording.name,
        'times_s': recording.times_s.round(3).tolist(),
        'notes': recording.notes,
        'checkpoint': Path(checkpoint).name,
        'network': segmenter.description,
        'mode': segmenter.settings.mode,
        'classes': [
            {'name': name, 'color': list(color)}
            for name, color in zip(classes.names, classes.colors, strict=True)
        ],
        'speeds': SPEEDS,
    }


async def _serve(server: ViewServer, host: str, port: int, browse: bool) -> None:
    """Serve until SIGTERM or SIGINT; a second SIGINT does not wait for the last frame."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(server.application(), access_log=None)
    await runner.setup()
    try:
        url = await _listen(runner, host, port)
        print(f'Look at {url} (Ctrl-C ends)', flush=True)
        if browse:
            webbrowser.open(url)
        await stop.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    """Open the port; the address of the page.

    Raises:
        ValueError: the port is taken, or the host is none of this machine.
    """
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ValueError(_why_not(error, host, port)) from error
    bound = runner.addresses[0][1]
    if not is_loopback(host):
        print(
            f'Warning: everybody who reaches {host}:{bound} can watch the recording and steer '
            'the playback; there is no password',
            flush=True,
        )
    shown = {'0.0.0.0': '127.0.0.1', '::': '[::1]'}.get(host, f'[{host}]' if ':' in host else host)
    return f'http://{shown}:{bound}/'


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f'port {port} is taken; choose another with --port, or --port 0 for any free one'
    if error.errno == errno.EACCES:
        return f'port {port} needs privileges; choose one above 1023 with --port'
    return f'--host {host} is no address of this machine ({error.strerror or error})'
