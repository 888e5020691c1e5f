"""The launch file under launch_testing, which starts it as `ros2 launch` does and ends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('launch_testing', reason='launch_testing comes with ROS 2 itself')
pytest.importorskip('launch_ros', reason='launch_ros comes with ROS 2 itself')
pytest.importorskip('torch', reason='the node is run with a real checkpoint')

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """This checkout as a package that is installed, as far as launch looks for it."""
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'hrda_ros').touch()
    shutil.copytree(ROOT / 'scripts', tmp_path / 'lib' / 'hrda_ros')
    return tmp_path


def test_labels_come_with_the_same_headers_and_sigint_ends_with_0(
    ros_environment: dict[str, str], prefix: Path
) -> None:
    import tiny_run

    checkpoint = tiny_run.write_checkpoint(prefix / 'tiny.safetensors')
    prefixes = os.pathsep.join(filter(None, [str(prefix), os.environ.get('AMENT_PREFIX_PATH')]))
    run = subprocess.run(
        [
            *(sys.executable, '-m', 'launch_testing.launch_test'),
            *(str(Path(__file__).with_name('segment_launch.py')), f'checkpoint:={checkpoint}'),
        ],
        env={**ros_environment, 'AMENT_PREFIX_PATH': prefixes},
        cwd=prefix,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=180,
    )
    assert run.returncode == 0, run.stdout
