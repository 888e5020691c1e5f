"""What colcon, pip, ros2 run and ros2 launch will find, without ROS."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import setuptools
import yaml

from hrda_core.classes import CITYSCAPES
from hrda_ros.settings import SETTINGS, coerce

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def metadata() -> dict[str, Any]:
    """The arguments of setup()."""
    captured: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, 'setup', captured.update)
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / 'setup.py'))
    return captured


@pytest.fixture(scope='module')
def launch_constants() -> dict[str, dict[str, Any]]:
    """The tables of the launch file, read without launch; types as their names."""
    tree = ast.parse((ROOT / 'launch' / 'segment.launch.py').read_text())
    tables = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            keys = [ast.literal_eval(key) for key in node.value.keys if key]
            tables[ast.unparse(node.targets[0])] = dict(
                zip(keys, map(ast.unparse, node.value.values), strict=True)
            )
    return tables


def test_package_xml_is_an_ament_python_package(metadata: dict[str, Any]) -> None:
    root = ElementTree.parse(ROOT / 'package.xml').getroot()
    assert root.findtext('export/build_type') == 'ament_python'
    assert root.findtext('name') == metadata['name'] == 'hrda_ros'
    assert root.findtext('version') == metadata['version']
    assert root.findtext('license') == metadata['license']
    maintainer = root.find('maintainer')
    assert maintainer is not None
    assert '@' in maintainer.attrib['email']


def test_every_installed_file_exists_and_nothing_is_forgotten(metadata: dict[str, Any]) -> None:
    installed = {name for _, names in metadata['data_files'] for name in names}
    assert all((ROOT / name).is_file() for name in installed)
    for folder in ('launch', 'config', 'scripts'):
        files = {
            str(path.relative_to(ROOT))
            for path in (ROOT / folder).rglob('*')
            if path.is_file() and '__pycache__' not in path.parts
        }
        assert files <= installed


def test_scripts_are_executable_two_liners_in_libexec(metadata: dict[str, Any]) -> None:
    scripts = dict(metadata['data_files'])['lib/hrda_ros']
    own = {'segment', 'segment_timed', 'play_bag', 'record_topics', 'measure_topics'}
    assert {Path(name).name for name in scripts} == own | {'cloud_painter'}
    for name in scripts:
        path = ROOT / name
        lines = path.read_text().splitlines()
        assert path.stat().st_mode & 0o111 == 0o111
        assert lines[0] == '#!/usr/bin/env python3'
        assert len(lines) == 3
        module = lines[2].split("'")[1].replace('.', '/')
        assert (ROOT / f'{module}.py').is_file()


def test_every_python_package_is_listed(metadata: dict[str, Any]) -> None:
    expected = {
        '.'.join(path.parent.relative_to(ROOT).parts)
        for folder in ('hrda_core', 'hrda_ros', 'training')
        for path in (ROOT / folder).rglob('__init__.py')
    }
    assert set(metadata['packages']) == expected


def test_launch_arguments_carry_the_types_of_the_settings(
    launch_constants: dict[str, dict[str, Any]],
) -> None:
    types = launch_constants['PARAMETER_TYPES']
    assert types == {name: type(SETTINGS[name].default).__name__ for name in types}
    assert set(types) == set(launch_constants['PARAMETER_ARGUMENTS'])
    assert set(SETTINGS) - set(types) == {'enabled', 'cameras'}


def test_parameter_file_holds_the_defaults() -> None:
    document = yaml.safe_load((ROOT / 'config' / 'segment.yaml').read_text())
    values = document['/**']['ros__parameters']
    assert set(values) == set(SETTINGS)
    assert {name: coerce(name, value) for name, value in values.items()} == {
        name: item.default for name, item in SETTINGS.items()
    }
    assert values.pop('cameras') == ['']
    assert all(type(value) is type(SETTINGS[name].default) for name, value in values.items())


def test_rviz_shows_the_topics_that_the_launch_file_remaps() -> None:
    document = yaml.safe_load((ROOT / 'config' / 'segment.rviz').read_text())
    displays = document['Visualization Manager']['Displays']
    topics = {display['Name']: display['Topic']['Value'] for display in displays}
    assert topics == {
        'Camera': '/image',
        'Overlay': '/segmentation/overlay',
        'Confidence': '/segmentation/confidence',
    }
    launch_text = (ROOT / 'launch' / 'segment.launch.py').read_text()
    assert all(f"('{topic}', " in launch_text for topic in topics.values())


def test_every_class_has_a_cost_in_the_layer_of_nav2() -> None:
    document = yaml.safe_load((ROOT / 'config' / 'nav2_semantic_layer.yaml').read_text())
    costmap = document['local_costmap']['local_costmap']['ros__parameters']
    layer = costmap['semantic_segmentation_layer']
    source = layer[layer['observation_sources']]
    names = [name for group in source['class_types'] for name in source[group]['classes']]
    assert sorted(names) == sorted(CITYSCAPES.names)
    kinds = {tuple(source[group]) for group in source['class_types']}
    assert len(kinds) == 1


def test_fast_dds_profile_widens_shared_memory() -> None:
    root = ElementTree.parse(ROOT / 'config' / 'fastdds.xml').getroot()
    sizes = [node.text for node in root.iter() if node.tag.endswith('segment_size')]
    transports = {n.text for n in root.iter() if n.tag.endswith('transport_id')}
    assert sizes == ['33554432']
    assert transports == {'wide_shared_memory', 'udp'}
