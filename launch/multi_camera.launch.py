"""Starts the segmentation node for several cameras, which share one process and one model.

ros2 launch hrda_ros multi_camera.launch.py checkpoint:=model.safetensors cameras:=front,rear
On a GPU add batch_cameras:=true: frames that wait then go through the network together.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

SEGMENT = Path(__file__).with_name('segment.launch.py')


def generate_launch_description() -> LaunchDescription:
    """The launch file of one camera, with other defaults."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'cameras',
                default_value='front,rear',
                description='Names of the cameras; results are on <name>/<camera>/label, ...',
            ),
            DeclareLaunchArgument(
                'image',
                default_value='/{camera}/image_raw',
                description='Camera topic, in which {camera} stands for each name',
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SEGMENT))),
        ]
    )
