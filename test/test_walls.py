"""The walls of the house: which folder may import what."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    'hrda_core': {'rclpy', 'training', 'hrda_ros', 'cv_bridge', 'sensor_msgs', 'std_msgs'},
    'training': {'rclpy', 'hrda_ros', 'cv_bridge', 'sensor_msgs', 'std_msgs'},
    'hrda_ros': {'training'},
}
FILES = [(folder, path) for folder in FORBIDDEN for path in sorted((ROOT / folder).rglob('*.py'))]


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add('.' if node.level else (node.module or '').partition('.')[0])
    return names


@pytest.mark.parametrize(
    ('folder', 'path'), FILES, ids=[str(path.relative_to(ROOT)) for _, path in FILES]
)
def test_no_file_reaches_through_a_wall(folder, path):
    assert not imported(path) & FORBIDDEN[folder]


def test_only_the_codec_of_the_core_imports_opencv():
    users = [p.name for f, p in FILES if f == 'hrda_core' and 'cv2' in imported(p)]
    assert users == ['image_codec.py']


def test_every_folder_was_read():
    assert {folder for folder, _ in FILES} == set(FORBIDDEN)
