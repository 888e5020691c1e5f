"""Settings files over bases, their block `about`, and the experiments that come along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from settings_parser import parse

from training.settings.files import (
    About,
    merge_settings,
    read_settings_file,
    resolve_settings,
)
from training.settings.plain import to_yaml
from training.shipped import find_settings, find_shipped_folder, shipped_files

BASE = """
source: {root: sim, size: [64, 32]}
target: {root: camera, margins: [1, 2, 3, 4]}
output: runs/base
model: {context_size: 128, detail_size: 64, head_channels: 16}
validation: {root: v, merge: {bus: car, truck: car}, score: [car, road]}
"""


@pytest.fixture
def files(tmp_path: Path) -> Any:
    """Writes settings files: files(name=text, ...) gives the path of the last one."""

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f'{name.replace("__", "/")}.yaml'
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return path

    return write


def test_differences_win_key_by_key_over_a_chain_of_bases(files: Any) -> None:
    row = files(
        base=BASE,
        middle='base: base.yaml\nmodel: {detail_size: 96, drop_path: 0.0}',
        rows__row='base: ../middle.yaml\nmodel: {drop_path: 0.2}\noutput: runs/row',
    )
    settings = parse([str(row), '--model.head_channels=32'])
    model = settings.model
    assert (model.context_size, model.detail_size, model.drop_path) == (128, 96, 0.2)
    assert (model.head_channels, settings.source.root) == (32, 'sim')
    assert settings.output == 'runs/row'


def test_lists_mappings_of_names_and_null_are_replaced(files: Any) -> None:
    row = files(
        base=BASE,
        row='base: base.yaml\ntarget: {margins: [0, 0, 0, 0]}\nsource: {size: null}\n'
        'validation: {merge: {train: bus}, score: []}',
    )
    values = resolve_settings(row)
    assert values['target'] == {'root': 'camera', 'margins': [0, 0, 0, 0]}
    assert values['source']['size'] is None
    assert values['validation'] == {'root': 'v', 'merge': {'train': 'bus'}, 'score': []}


def test_null_takes_a_whole_group_away(files: Any) -> None:
    row = files(base=BASE, row='base: base.yaml\nvalidation: null')
    assert parse([str(row)]).validation is None


def test_several_bases_are_laid_over_each_other_in_order(files: Any) -> None:
    row = files(
        base=BASE,
        a='model: {detail_size: 96}\nloop: {seed: 1}',
        b='loop: {seed: 2}',
        row='base: [base.yaml, a.yaml, b.yaml]\nloop: {workers: 0}',
    )
    values = resolve_settings(row)
    assert values['model'] == {'context_size': 128, 'detail_size': 96, 'head_channels': 16}
    assert values['loop'] == {'seed': 2, 'workers': 0}


def test_each_file_has_a_run_folder_of_its_own(files: Any) -> None:
    row = files(base=BASE, row='base: base.yaml')
    assert parse([str(row)]).output == 'runs/row'
    assert parse([str(row), '--output=here']).output == 'here'
    assert parse([str(row.with_name('base.yaml')), f'--config={row}']).output == 'runs/base'


def test_resolved_settings_name_no_base(files: Any) -> None:
    row = files(base=BASE, row='base: base.yaml\nabout: {shows: nothing}')
    settings = parse([str(row)])
    again = files(resolved=to_yaml(settings))
    assert 'base' not in yaml.safe_load(again.read_text())
    assert parse([str(again)]) == settings


def test_base_is_found_from_the_file_that_names_it(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files(base=BASE, rows__row='base: ../base.yaml')
    monkeypatch.chdir(tmp_path / 'rows')
    assert parse(['row.yaml']).source.root == 'sim'


@pytest.mark.parametrize(
    ('base', 'words'),
    [
        ('row.yaml', r'row\.yaml: is its own base \(row\.yaml → row\.yaml\)'),
        ('middle.yaml', r'row\.yaml: is its own base \(row\.yaml → middle\.yaml → row\.yaml\)'),
        ('none.yaml', r'row\.yaml: there is no base .*none\.yaml'),
        ('wrong.yaml', r'wrong\.yaml: there is no setting loop\.sede; did you mean loop\.seed'),
        ('broken.yaml', r'broken\.yaml: no settings file'),
        ('[base.yaml, over.yaml]', r'base\.yaml: is a base twice over in .*row\.yaml'),
        ('3', r'row\.yaml: base is 3, expected the path'),
    ],
)
def test_impossible_bases_name_the_file(files: Any, base: str, words: str) -> None:
    row = files(
        base=BASE,
        over='base: base.yaml',
        middle='base: row.yaml',
        wrong='loop: {sede: 3}',
        broken='loop: [',
        row=f'base: {base}',
    )
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        parse([str(row)])


def test_about_is_read_and_not_inherited(files: Any) -> None:
    about = 'about: {shows: it all, paper: {Table 1: ours}, published: 73.8, source: a README}'
    row = files(base=f'{BASE}\n{about}', row='base: base.yaml')
    told = read_settings_file(row.with_name('base.yaml')).about
    assert told == About('it all', {'Table 1': 'ours'}, 73.8, 'a README')
    assert read_settings_file(row).about is None


@pytest.mark.parametrize(
    ('about', 'words'),
    [
        ('{show: x}', r'row\.yaml: about must hold shows'),
        ('{shows: x, publishd: 3}', r'there is no about\.publishd; did you mean about\.published'),
        ('{shows: x, published: 73.8}', r'row\.yaml: about\.published is 73\.8, .* source'),
        ('{shows: x, published: many, source: y}', r"about\.published is 'many'"),
        ('{shows: [x]}', r'about\.shows'),
        ('{shows: x, paper: Table 1}', r"about\.paper is 'Table 1'"),
    ],
)
def test_wrong_about_names_file_and_key(files: Any, about: str, words: str) -> None:
    row = files(row=f'about: {about}')
    with pytest.raises(ValueError, match=words):
        read_settings_file(row)


def test_merging_changes_neither_side() -> None:
    old, new = {'loop': {'seed': 1}}, {'loop': {'workers': 0}}
    assert merge_settings(old, new) == {'loop': {'seed': 1, 'workers': 0}}
    assert (old, new) == ({'loop': {'seed': 1}}, {'loop': {'workers': 0}})


@pytest.mark.parametrize(
    ('module', 'folder'),
    [
        ('src/training/shipped.py', 'src/config/train'),
        (
            'env/lib/python3.11/site-packages/training/shipped.py',
            'env/share/hrda_ros/config/train',
        ),
        ('target/training/shipped.py', 'target/share/hrda_ros/config/train'),
    ],
)
def test_shipped_settings_are_found_beside_or_above_the_package(
    tmp_path: Path, module: str, folder: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / 'robot.yaml').touch()
    assert find_shipped_folder(tmp_path / module) == tmp_path / folder


def test_shipped_settings_are_found_through_links(tmp_path: Path) -> None:
    for folder in ('src/config/train', 'src/training', 'build/hrda_ros'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'src/config/train/robot.yaml').touch()
    (tmp_path / 'build/hrda_ros/training').symlink_to(tmp_path / 'src/training')
    found = find_shipped_folder(tmp_path / 'build/hrda_ros/training/shipped.py')
    assert found.resolve() == tmp_path / 'src/config/train'


def test_missing_shipped_settings_say_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/config/train, .*share/hrda_ros'):
        find_shipped_folder(tmp_path / 'training/shipped.py')


def test_a_file_at_hand_wins_over_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_settings('robot') == shipped_files()['robot']
    (tmp_path / 'robot').write_text('loop: {seed: 3}')
    assert find_settings('robot') == Path('robot')


def test_unknown_experiment_names_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r'gta_to_cityscape: .*gta_to_cityscapes'):
        parse(['gta_to_cityscape'])
