"""The launch file as ROS 2's launch reads it, where launch is installed."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('launch_ros', reason='launch and launch_ros come with ROS 2 itself')

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.utilities import perform_substitutions

LAUNCH_FILE = Path(__file__).resolve().parents[2] / 'launch' / 'segment.launch.py'


@pytest.fixture
def launch_file() -> dict[str, Any]:
    """The names that the launch file defines."""
    return runpy.run_path(str(LAUNCH_FILE))


def declare(launch_file: dict[str, Any], **values: str) -> LaunchContext:
    """A context in which the launch file's arguments have these values or their defaults."""
    context = LaunchContext()
    for entity in launch_file['generate_launch_description']().entities:
        if isinstance(entity, DeclareLaunchArgument):
            default = perform_substitutions(context, entity.default_value)
            context.launch_configurations[entity.name] = values.get(entity.name, default)
    return context


def test_every_argument_is_explained(launch_file: dict[str, Any]) -> None:
    entities = launch_file['generate_launch_description']().entities
    arguments = {e.name: e for e in entities if isinstance(e, DeclareLaunchArgument)}
    assert all(argument.description for argument in arguments.values())
    assert {
        'checkpoint', 'image', 'image_transport', 'device', 'precision', 'params_file',
        'namespace', 'name', 'python', 'rviz', 'use_sim_time', 'log_level', 'fastdds_profile',
        'reliability',
    } <= set(arguments)  # fmt: skip


def test_the_fast_dds_profile_is_on_unless_refused(launch_file: dict[str, Any]) -> None:
    start = launch_file['start']
    with_profile = start(declare(launch_file))[0].get_sub_entities()
    without = start(declare(launch_file, fastdds_profile='none'))[0].get_sub_entities()
    assert len(with_profile) == len(without) + 1
