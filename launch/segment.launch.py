"""Starts the segmentation node, and RViz on request.

ros2 launch hrda_ros segment.launch.py checkpoint:=model.safetensors image:=/camera/image_raw
ros2 launch hrda_ros segment.launch.py --show-args    (explains every argument)
"""

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(__file__).resolve().parents[1]
# Fast DDS changed the name of this variable with its third release, which came with Kilted.
PROFILE_VARIABLE = (
    'FASTRTPS_DEFAULT_PROFILES_FILE'
    if os.environ.get('ROS_DISTRO', 'jazzy') in ('humble', 'iron', 'jazzy')
    else 'FASTDDS_DEFAULT_PROFILES_FILE'
)
PLACE = '{camera}'
AS_FILED = ' (empty: as in params_file)'

# Every parameter of the node that can be given as an argument, with the type it must have.
PARAMETER_TYPES = {
    'checkpoint': str,
    'device': str,
    'precision': str,
    'compile': bool,
    'backend': str,
    'export_dir': str,
    'mode': str,
    'threshold': float,
    'budget': int,
    'deadline_ms': float,
    'context': str,
    'shrink': float,
    'window_size': int,
    'window_overlap': int,
    'class_weights': str,
    'ageing': float,
    'batch_cameras': bool,
    'image_transport': str,
    'reliability': str,
    'overlay_alpha': float,
    'max_rate': float,
    'min_confidence': float,
    'confidence_encoding': str,
    'max_age_ms': float,
    'wait_for_newer_ms': float,
    'lazy': bool,
    'camera_info': bool,
}
PARAMETER_ARGUMENTS = {
    'checkpoint': 'Model file (.safetensors)',
    'device': 'Where the model runs: auto, cpu, cuda, cuda:1',
    'precision': 'Number format of the model: auto, fp32, bf16, fp16',
    'compile': 'Whether torch.compile fuses the network: slow to start, faster afterwards',
    'backend': 'What computes the network: torch, or exported files by onnx or tensorrt',
    'export_dir': 'Folder of those files; empty for model.onnx/ beside model.safetensors',
    'mode': 'exact: the published windows; anytime: those that matter, until a limit is met',
    'threshold': 'Mode anytime: least score of a window, 0..1; -1 as tuned, or 0',
    'budget': 'Mode anytime: most windows per frame, -1 for no limit',
    'deadline_ms': 'Mode anytime: time for one frame [ms], 0 for no limit',
    'context': 'Mode anytime: whole (one context over the image), or fewest of the trained size',
    'shrink': 'Mode anytime: share of its sides an image may lose to fit the trained size',
    'window_size': 'Mode anytime: about the side of a window [px], 0 as tuned or trained',
    'window_overlap': 'Mode anytime: how far neighbouring windows overlap [px]',
    'class_weights': 'Mode anytime: weights of classes, e.g. "person=4, rider=2"',
    'ageing': 'Mode anytime: growth of the score of a window that is left out, per frame',
    'batch_cameras': 'Whether waiting frames of several cameras go through the network together',
    'image_transport': 'raw, or compressed to subscribe to <image>/compressed',
    'reliability': 'Reliability asked of the camera: auto, reliable, best_effort',
    'overlay_alpha': 'Weight of the class colours in the overlay, 0..1',
    'max_rate': 'Most frames segmented per second [Hz], 0 for no limit',
    'min_confidence': 'Pixels of lower confidence, 0..1, become 255',
    'confidence_encoding': 'Pixels of the confidence: mono8 (0..255) or 32FC1 (0..1)',
    'max_age_ms': 'Frames older than this are dropped [ms], 0 for no limit',
    'wait_for_newer_ms': 'One camera: longest wait for a fresher frame [ms], 0 for none',
    'lazy': 'Whether frames are segmented only while somebody listens to an output image',
    'camera_info': "Whether the camera's CameraInfo is repeated for the label images",
}
OTHER_ARGUMENTS = {
    'image': (
        'image',
        'Camera topic, e.g. /camera/image_raw; with cameras: /{camera}/image_raw, where {camera} '
        'stands for each name, or a topic below each name, e.g. image_raw',
    ),
    'cameras': ('', 'Names of several cameras that share the model, e.g. front,rear'),
    'params_file': (str(SHARE / 'config' / 'segment.yaml'), 'Parameters of the node, as YAML'),
    'namespace': ('', 'Namespace of the node and its topics'),
    'name': ('segmentation', 'Name of the node; its topics are <name>/label, ...'),
    'python': ('', 'Python interpreter that has torch, e.g. /path/to/venv/bin/python3'),
    'rviz': ('false', 'Whether RViz is started, too; of several cameras it shows the first'),
    'use_sim_time': ('false', 'Whether time comes from /clock'),
    'log_level': ('info', 'debug, info, warn, error or fatal'),
    'fastdds_profile': (
        os.environ.get(PROFILE_VARIABLE, str(SHARE / 'config' / 'fastdds.xml')),
        'Fast DDS profile that carries large images on one host; none: leave Fast DDS alone',
    ),
}


def generate_launch_description() -> LaunchDescription:
    """Arguments, the node, and RViz."""
    arguments = [
        DeclareLaunchArgument(name, default_value='', description=text + AS_FILED)
        for name, text in PARAMETER_ARGUMENTS.items()
    ] + [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in OTHER_ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node with the parameters that were given, in the environment it needs."""
    given = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETER_TYPES.items()
        if LaunchConfiguration(name).perform(context)
    }
    topics = camera_topics(
        LaunchConfiguration('cameras').perform(context),
        LaunchConfiguration('image').perform(context),
    )
    if '' not in topics:
        given['cameras'] = list(topics)
    given['use_sim_time'] = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    node = Node(
        package='hrda_ros',
        executable='segment',
        name=LaunchConfiguration('name'),
        namespace=LaunchConfiguration('namespace'),
        prefix=[LaunchConfiguration('python')],
        parameters=[LaunchConfiguration('params_file'), given],
        remappings=[(below(name, 'image'), topic) for name, topic in topics.items()],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
        emulate_tty=True,
    )
    profile = LaunchConfiguration('fastdds_profile').perform(context)
    environment = (
        [] if profile in ('', 'none') else [SetEnvironmentVariable(PROFILE_VARIABLE, profile)]
    )
    return [GroupAction([*environment, node]), rviz(context, *next(iter(topics.items())))]


def camera_topics(cameras: str, image: str) -> dict[str, str]:
    """Image topic of each camera by its name, which is '' for the only one."""
    names = [name.strip() for name in cameras.strip('[]').split(',') if name.strip()]
    if not names:
        return {'': image}
    if PLACE in image:
        return {name: image.replace(PLACE, name) for name in names}
    if image.startswith('/'):
        raise ValueError(f'image:={image} is one topic for several cameras; put {PLACE} into it')
    return {name: below(name, image) for name in names}


def below(*parts: str) -> str:
    """Parts of a topic's name, those that are empty left out."""
    return '/'.join(part.rstrip('/') for part in parts if part)


def rviz(context: LaunchContext, camera: str, image: str) -> Node:
    """RViz, told where the topics of this node's (first) camera are."""
    namespace, name = (
        LaunchConfiguration(part).perform(context).strip('/') for part in ('namespace', 'name')
    )
    prefix = '/' + below(namespace, name, camera)
    return Node(
        package='rviz2',
        executable='rviz2',
        arguments=['-d', str(SHARE / 'config' / 'segment.rviz')],
        remappings=[
            ('/image', image if image.startswith('/') else '/' + below(namespace, image)),
            ('/segmentation/overlay', f'{prefix}/overlay'),
            ('/segmentation/confidence', f'{prefix}/confidence'),
        ],
        parameters=[
            {'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)}
        ],
        condition=IfCondition(LaunchConfiguration('rviz')),
    )
