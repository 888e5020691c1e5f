"""The server of `hrda view`: page, frames, orders, strangers and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run

aiohttp = pytest.importorskip('aiohttp', reason='needs pip install "hrda_ros[view]"')
from view_fixtures import BROKEN, FAILING, HEIGHT, WIDTH, NumberedRecording, RedSegmenter, served

from training.cli import main

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30


class Viewer:
    """A browser as far as the server knows: shows what it gets, and says so."""

    def __init__(self, socket):
        self.socket = socket

    async def receive(self, kind):
        """Next message of a kind: greeting, state or frame."""
        while True:
            message = await self.socket.receive(timeout=PATIENCE_S)
            if message.type == aiohttp.WSMsgType.BINARY:
                if kind == 'frame':
                    return unpack(message.data)
                await self.say('ready')
            elif message.type == aiohttp.WSMsgType.TEXT:
                told = message.json()
                if told['kind'] == kind:
                    return told
            else:
                return message

    async def state(self, fits):
        """The first state that fits."""
        while not fits(state := await self.receive('state')):
            pass
        return state

    async def frame(self, index=None):
        """A frame: the next one, or the first of that number."""
        while True:
            head, *maps = await self.receive('frame')
            await self.say('ready')
            if index is None or head['index'] == index:
                return (head, *maps)

    async def say(self, order, **values):
        await self.socket.send_json({'do': order, **values})


def unpack(data):
    """Head, RGB, labels and confidence of a packet."""
    (length,) = struct.unpack_from('<I', data)
    head = json.loads(data[4 : 4 + length])
    jpeg = data[4 + length : 4 + length + head['jpeg']]
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    maps = np.frombuffer(zlib.decompress(data[4 + length + head['jpeg'] :]), np.uint8)
    width, height = head['sent']
    labels, confidence = maps.reshape(2, height, width)
    return head, bgr[..., ::-1], labels, confidence


def watch(url, script, **headers):
    """Run a coroutine function with one viewer."""

    async def run():
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f'{url}socket', max_msg_size=0, headers=headers) as opened,
        ):
            return await script(Viewer(opened))

    return asyncio.run(run())


def test_a_frame_is_what_the_network_said():
    async def script(viewer):
        await viewer.receive('greeting')
        await viewer.say('step', frames=0)
        await viewer.say('seek', index=3)
        return await viewer.frame(3)

    with served(RedSegmenter()) as url:
        head, rgb, labels, confidence = watch(url, script)
    image = NumberedRecording.frame(3)
    np.testing.assert_array_equal(labels, image[..., 0])
    np.testing.assert_array_equal(confidence, image[..., 1])
    assert np.abs(rgb.astype(int) - image).max() < 12
    assert (head['computed'], head['planned'], head['ms']) == (5, 21, 12.5)
    assert head['shares'] == [0, 0, 0, 1] + 15 * [0]
    assert head['size'] == head['sent'] == [WIDTH, HEIGHT]


def test_wide_frames_are_shrunk_without_mixing_labels():
    async def script(viewer):
        return await viewer.frame()

    with served(RedSegmenter(), widest=16) as url:
        head, rgb, labels, _ = watch(url, script)
    assert (head['size'], head['sent'], rgb.shape) == ([WIDTH, HEIGHT], [16, 12], (12, 16, 3))
    assert np.unique(labels).size == 1


def test_the_greeting_tells_recording_network_and_classes():
    async def script(viewer):
        return await viewer.receive('greeting')

    with served(RedSegmenter()) as url:
        told = watch(url, script)
    assert (told['recording'], told['checkpoint']) == ('numbered', 'm.safetensors')
    assert told['classes'][0] == {'name': 'road', 'color': [128, 64, 128]}
    assert told['notes'] == ['a note']


def test_a_slow_network_drops_frames_and_says_how_many():
    async def script(viewer):
        return await viewer.state(lambda state: state['shown'] >= 4)

    with served(RedSegmenter(delay_s=0.1)) as url:
        state = watch(url, script)
    assert state['dropped'] >= 6
    assert state['hz'] < 11
    assert state['p50_ms'] == 12.5


def test_pause_and_step_and_seek():
    async def script(viewer):
        await viewer.frame()
        await viewer.say('pause')
        await viewer.state(lambda state: not state['playing'])
        await viewer.say('seek', index=20)
        await viewer.frame(20)
        await viewer.say('step', frames=-1)
        await viewer.frame(19)
        await viewer.say('seek', index=10**9)
        await viewer.frame(39)

    with served(RedSegmenter()) as url:
        watch(url, script)


@pytest.mark.parametrize('index', [BROKEN, FAILING])
def test_a_frame_that_fails_is_told_and_the_next_is_shown(index):
    async def script(viewer):
        await viewer.say('step', frames=0)
        await viewer.say('seek', index=index)
        state = await viewer.state(lambda state: state['problem'])
        await viewer.say('step', frames=1)
        await viewer.frame(index + 1)
        return state, await viewer.state(lambda state: not state['problem'])

    with served(RedSegmenter()) as url:
        bad, good = watch(url, script)
    assert bad['problem'].startswith(f'frame {index + 1}: ')
    assert good['failed'] == 1


def test_a_browser_that_leaves_does_not_stop_the_others():
    async def run(url):
        async with aiohttp.ClientSession() as session:
            one = await session.ws_connect(f'{url}socket', max_msg_size=0)
            async with session.ws_connect(f'{url}socket', max_msg_size=0) as two:
                await Viewer(one).frame()
                await one.close()
                for _ in range(3):
                    await Viewer(two).frame()

    with served(RedSegmenter()) as url:
        asyncio.run(run(url))


def test_a_browser_that_shows_nothing_gets_one_frame_alone():
    async def script(viewer):
        await viewer.receive('frame')
        binary = 0
        for _ in range(10):
            message = await viewer.socket.receive(timeout=PATIENCE_S)
            binary += message.type == aiohttp.WSMsgType.BINARY
        return binary

    with served(RedSegmenter()) as url:
        assert watch(url, script) == 0


def test_nothing_is_computed_while_nobody_looks():
    async def script(viewer):
        await viewer.frame()

    async def again(viewer):
        await viewer.frame()  # the one that was there
        await viewer.frame()

    segmenter = RedSegmenter()
    with served(segmenter) as url:
        assert segmenter.calls == 0
        watch(url, script)
        time.sleep(0.2)
        calls = segmenter.calls
        time.sleep(0.2)
        assert segmenter.calls == calls
        watch(url, again)
        assert segmenter.calls > calls


@pytest.mark.parametrize(
    'text', ['no json', '[]', '{"do": "dance"}', '{"do": "seek"}', '{"do": "speed", "value": 0}']
)
def test_nonsense_closes_its_own_connection_alone(text):
    async def script(viewer):
        await viewer.socket.send_str(text)
        while (await viewer.socket.receive(timeout=PATIENCE_S)).type != aiohttp.WSMsgType.CLOSE:
            pass
        return viewer.socket.close_code

    async def again(viewer):
        await viewer.frame()

    with served(RedSegmenter()) as url:
        assert watch(url, script) == 1008
        watch(url, again)


def get(url, **headers):
    async def run():
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status, dict(answer.headers), await answer.text()

    return asyncio.run(run())


def test_the_page_needs_nothing_from_elsewhere():
    with served(RedSegmenter()) as url:
        status, headers, page = get(url)
        files = ['view.css', 'view.js', 'packet.js', 'painting.js', 'legend.js']
        texts = [page] + [get(f'{url}page/{name}')[2] for name in files]
    assert status == 200
    assert "default-src 'self'" in headers['Content-Security-Policy']
    assert not any('//' + 'cdn' in text or 'https://' in text for text in texts)
    assert all(f'page/{name}' in page for name in files[:2])


@pytest.mark.parametrize('path', ['page/../server.py', 'page/%2e%2e/server.py', 'page/', 'x'])
def test_nothing_but_the_page_is_served(path):
    with served(RedSegmenter()) as url:
        assert get(url + path)[0] in (403, 404)


@pytest.mark.parametrize('host', ['evil.example', 'evil.example:8088', '', '[::1'])
def test_a_foreign_name_is_refused(host):
    with served(RedSegmenter()) as url:
        status, _, text = get(url, Host=host)
    assert status in (400, 403)
    assert status == 400 or '--allow-host' in text


def test_a_foreign_page_may_not_open_the_socket():
    async def script(viewer):
        await viewer.receive('greeting')

    with served(RedSegmenter()) as url:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            watch(url, script, Origin='http://evil.example')
        watch(url, script, Origin=url.rstrip('/'))
    assert refused.value.status == 403


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('view')
    tiny_run.write_frames(folder, 3, 0)
    return folder / 'images', tiny_run.write_checkpoint(folder / 'm.safetensors')


def test_a_taken_port_names_the_remedy_before_anything_is_loaded(made, capsys):
    images, _ = made
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ['--checkpoint', 'none.safetensors', '--device', 'cpu', '--port', port]
        assert main(['view', str(images), *options]) == 1
    assert f'port {port} is taken; choose another with --port' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--port', '70000'], '--port 70000'),
        (['--width', '3'], '--width 3'),
        (['--rate', '0'], '--rate 0'),
        (['--checkpoint', 'none.safetensors'], 'none.safetensors'),
        (['--host', '192.0.2.7', '--port', '0'], '--host 192.0.2.7'),
    ],
)
def test_impossible_wishes_are_one_sentence(made, capsys, options, words):
    images, checkpoint = made
    given = ['--checkpoint', str(checkpoint), '--device', 'cpu', *options]
    assert main(['view', str(images), *given]) == 1
    complaint = capsys.readouterr().err
    assert words in complaint
    assert 'Traceback' not in complaint


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_are_its_ordinary_end(made, number):
    images, checkpoint = made
    (images / '0_first.png').write_bytes(b'\x89PNG that nobody can read')
    command = [sys.executable, '-m', 'training.cli', 'view', str(images), '--port', '0']
    command += ['--checkpoint', str(checkpoint), '--device', 'cpu', '--host', '0.0.0.0']
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip
    said = ''
    while 'Look at' not in said:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        said += line
    url = said.split('Look at ')[1].split()[0]

    async def script(viewer):
        head, *_ = await viewer.frame()
        process.send_signal(number)
        while (await viewer.receive('none')).type != aiohttp.WSMsgType.CLOSE:
            pass
        return head

    assert watch(url, script)['sent'] == [tiny_run.WIDTH, tiny_run.HEIGHT]
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert 'Traceback' not in errors and 'interrupted' not in errors
    assert 'Warning: everybody who reaches 0.0.0.0' in said
