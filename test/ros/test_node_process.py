"""The node as a process: how it starts, refuses to start and ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros-wheels')

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image

ROOT = Path(__file__).resolve().parents[2]
SEGMENT = ROOT / 'scripts' / 'segment'
TINY = Path(__file__).with_name('tiny_segmenter.py')
SHARED = Path('/dev/shm')
Start = Callable[..., 'subprocess.Popen[str]']


def wait_for_node(graph: Any) -> None:
    """Wait until a node of another process spins."""
    reports = graph.listen('/diagnostics', DiagnosticArray)
    graph.spin_until(lambda: reports)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_running_node_cleanly(
    graph: Any, start_process: Start, number: signal.Signals
) -> None:
    process = start_process(TINY)
    wait_for_node(graph)
    process.send_signal(number)
    process.send_signal(number)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert 'Traceback' not in output
    assert 'model (tiny)' in output
    assert '/image [raw] -> /segmentation/label, ' in output


def test_a_signal_under_load_ends_the_node_cleanly(
    graph: Any, start_process: Start, make_image: Callable[..., Image], picture: Any
) -> None:
    process = start_process(TINY)
    camera = graph.camera()
    labels = graph.listen('segmentation/label')
    graph.publish_until(lambda: len(labels) > 5, camera, make_image(picture))
    process.send_signal(signal.SIGINT)
    for _ in range(10):
        camera.publish(make_image(picture))
        time.sleep(0.01)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert 'Traceback' not in output
    assert 'ERROR' not in output


def test_a_clean_end_leaves_no_shared_memory(
    graph: Any, start_process: Start, make_image: Callable[..., Image], picture: Any
) -> None:
    before = {path.name for path in SHARED.iterdir()}
    process = start_process(TINY)
    camera = graph.camera()
    labels = graph.listen('segmentation/label')
    graph.publish_until(lambda: labels, camera, make_image(picture))
    mapped = Path(f'/proc/{process.pid}/maps').read_text()
    segments = set(re.findall(rf'{SHARED}/(fastrtps_[0-9a-f]{{16}})', mapped)) - before
    if not segments:
        pytest.skip('this middleware maps no file of /dev/shm')
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)
    left = {path.name.removesuffix('_el') for path in SHARED.iterdir()}
    assert not segments & left


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ([], r'no checkpoint given; add checkpoint:='),
        (['-p', 'checkpoint:=/no/such.safetensors'], r'/no/such.safetensors'),
        (['-p', 'overlay_alpha:=2.0'], r'overlay_alpha must lie in 0..1, not 2'),
        (['--params-file', '/no/such.yaml'], r'/no/such.yaml'),
        (['-p', 'cameras:=[]'], r"a parameter is an empty list.*or write \[''\]"),
    ],
)
def test_a_start_that_cannot_go_on_says_why_in_one_line(
    start_process: Start, arguments: list[str], sentence: str
) -> None:
    process = start_process(SEGMENT, '--ros-args', *arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(output.strip().splitlines()) == 1
    assert re.search(sentence, output)


@pytest.mark.parametrize(
    ('device', 'sentence'),
    [
        ('cpu', r'torn\.safetensors'),
        ('npu', r"device 'npu': expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_checkpoint_or_device_of_no_use_ends_the_start_in_one_line(
    start_process: Start, tmp_path: Path, picture: Any, device: str, sentence: str
) -> None:
    checkpoint = tmp_path / 'torn.safetensors'
    save_tiny_model(checkpoint, picture)
    if device == 'cpu':
        checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    values = f'checkpoint:={checkpoint}', '-p', f'device:={device}'
    process = start_process(SEGMENT, '--ros-args', '-p', *values)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert len(output.strip().splitlines()) == 1
    assert re.search(sentence, output)


def test_an_interpreter_without_torch_is_named_with_the_remedy(
    start_process: Start, tmp_path: Path, ros_environment: dict[str, str]
) -> None:
    (tmp_path / 'torch.py').write_text("raise ModuleNotFoundError('no torch', name='torch')")
    ros_environment['PYTHONPATH'] = os.pathsep.join([str(tmp_path), os.environ['PYTHONPATH']])
    checkpoint = tmp_path / 'model.safetensors'
    checkpoint.touch()
    process = start_process(SEGMENT, '--ros-args', '-p', f'checkpoint:={checkpoint}')
    output, _ = process.communicate(timeout=60)
    ros_environment['PYTHONPATH'] = os.environ['PYTHONPATH']
    assert process.returncode == 1
    assert len(output.strip().splitlines()) == 1
    assert re.search(r'torch cannot be imported by .*python.*python:=/path/to/venv', output)


def test_a_misspelt_parameter_is_reported(graph: Any, start_process: Start) -> None:
    process = start_process(TINY, '--ros-args', '-p', 'overlay_alfa:=0.5')
    wait_for_node(graph)
    process.terminate()
    output, _ = process.communicate(timeout=15)
    assert 'overlay_alfa is unknown and has no effect (did you mean overlay_alpha?)' in output


def test_a_real_model_labels_a_camera(
    graph: Any,
    start_process: Start,
    tmp_path: Path,
    make_image: Callable[..., Image],
    picture: Any,
) -> None:
    checkpoint = tmp_path / 'tiny.safetensors'
    expected = save_tiny_model(checkpoint, picture)
    process = start_process(SEGMENT, '--ros-args', '-p', f'checkpoint:={checkpoint}')
    labels = graph.listen('segmentation/label', timeout_s=60)  # torch is slow to import
    camera = graph.camera()
    image = make_image(picture)
    graph.publish_until(lambda: labels, camera, image, timeout_s=60)
    assert labels[0].header == image.header
    assert np.array_equal(np.frombuffer(labels[0].data, np.uint8), expected.reshape(-1))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def save_tiny_model(path: Path, picture: Any) -> Any:
    """Write a small random HRDA; the labels that it gives the picture."""
    import torch

    from hrda_core.architecture import Architecture
    from hrda_core.checkpoints import save_model
    from hrda_core.classes import CITYSCAPES
    from hrda_core.hrda import HRDA
    from hrda_core.inference import InferenceSettings
    from hrda_core.segmenter import Segmenter

    architecture = Architecture(
        encoder='mit_b0',
        head_channels=16,
        embed_channels=16,
        attention_embed_channels=16,
        context_size=128,
        detail_size=64,
    )
    torch.manual_seed(0)
    save_model(path, HRDA(architecture, CITYSCAPES), step=0)
    return Segmenter.from_checkpoint(path, InferenceSettings(device='cpu')).segment(picture).labels
