"""Plays a recording through the segmentation node and shows it in RViz.

ros2 launch hrda_ros bag.launch.py checkpoint:=model.safetensors bag:=drive.mcap
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SEGMENT = Path(__file__).with_name('segment.launch.py')
ARGUMENTS = {
    'bag': (None, 'Folder of a rosbag2, or a .mcap or .db3 file'),
    'topic': ('', 'Image topic in the bag (empty: its only image topic)'),
    'rate': ('1.0', 'Times the recorded speed'),
    'loop': ('false', 'Whether the bag starts again at its end; otherwise everything ends'),
    'rviz': ('true', 'Whether RViz is started, too'),
}


def generate_launch_description() -> LaunchDescription:
    """Arguments, the player, and the launch file of the node."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    segment = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SEGMENT)))
    return LaunchDescription([*arguments, segment, OpaqueFunction(function=player)])


def player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Plays the bag onto the node's image topic once the node is there; its end ends all."""
    values = {
        name: LaunchConfiguration(name).perform(context)
        for name in ('bag', 'topic', 'rate', 'image', 'image_transport', 'namespace')
    }
    suffix = '/compressed' if values['image_transport'] == 'compressed' else ''
    arguments = [values['bag'], '--rate', values['rate'], '--to', values['image'] + suffix]
    if values['topic']:
        arguments += ['--topic', values['topic']]
    looped = LaunchConfiguration('loop').perform(context).lower() in ('true', '1')
    return [
        Node(
            package='hrda_ros',
            executable='play_bag',
            namespace=values['namespace'],
            prefix=[LaunchConfiguration('python')],
            arguments=[*arguments, '--start-when-subscribed', *(['--loop'] if looped else [])],
            output='screen',
            emulate_tty=True,
            on_exit=[Shutdown(reason='the bag is over')],
        )
    ]
