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
        'cameras',
    } <= set(arguments)  # fmt: skip


@pytest.mark.parametrize(
    ('cameras', 'image', 'topics'),
    [
        ('', '/cam/image', {'': '/cam/image'}),
        ('front,rear', '/{camera}/raw', {'front': '/front/raw', 'rear': '/rear/raw'}),
        ('[front, rear]', 'image', {'front': 'front/image', 'rear': 'rear/image'}),
    ],
)
def test_every_camera_has_an_image_topic(
    launch_file: dict[str, Any], cameras: str, image: str, topics: dict[str, str]
) -> None:
    assert launch_file['camera_topics'](cameras, image) == topics


def test_one_topic_for_several_cameras_is_refused(launch_file: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r'put \{camera\} into it'):
        launch_file['camera_topics']('front,rear', '/cam/image')


@pytest.mark.parametrize(
    ('name', 'own'), [('multi_camera', {'cameras', 'image'}), ('bag', {'bag', 'rate', 'loop'})]
)
def test_the_other_launch_files_take_the_arguments_of_this_one(name: str, own: set[str]) -> None:
    path = LAUNCH_FILE.with_name(f'{name}.launch.py')
    description = runpy.run_path(str(path))['generate_launch_description']()
    arguments = {argument.name for argument in description.get_launch_arguments()}
    assert own | {'checkpoint', 'params_file', 'python', 'fastdds_profile'} <= arguments


def test_the_fast_dds_profile_is_on_unless_refused(launch_file: dict[str, Any]) -> None:
    start = launch_file['start']
    with_profile = start(declare(launch_file))[0].get_sub_entities()
    without = start(declare(launch_file, fastdds_profile='none'))[0].get_sub_entities()
    assert len(with_profile) == len(without) + 1
