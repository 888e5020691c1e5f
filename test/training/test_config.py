"""Settings: YAML, command line, names that do not exist, and the files in config/train."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from settings_parser import parse

from hrda_core.classes import CITYSCAPES
from training.cli import main
from training.data.settings import SourceSettings
from training.run import command as train
from training.settings.names import differences
from training.settings.plain import absolute, to_dict, to_yaml

CONFIGS = sorted((Path(__file__).parents[2] / 'config' / 'train').glob('*.yaml'))
MINIMUM = ['--source.root=sim', '--target.root=camera', '--output=run']


def test_defaults_are_the_published_final_setting() -> None:
    settings = parse(MINIMUM)
    assert settings.model.encoder == 'mit_b5'
    assert (settings.model.context_size, settings.model.detail_size) == (1024, 512)
    assert (settings.optimiser.lr, settings.optimiser.warmup_steps) == (6e-5, 1500)
    assert (settings.loop.iterations, settings.loop.batch_size) == (40000, 2)
    assert settings.self_training.detail_loss_weight == 0.1


def test_yaml_round_trip_keeps_everything(tmp_path: Path) -> None:
    options = ['--target.size=[64,32]', '--validation.root=v', '--validation.merge={bus: car}']
    settings = parse([*MINIMUM, *options, '--model.attention=single', '--loop.seed=7'])
    file = tmp_path / 'config.yaml'
    file.write_text(to_yaml(settings))
    assert parse([str(file)]) == settings


def test_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text('loop: {iterations: 5, seed: 3}\nmodel: {encoder: mit_b0}\n')
    settings = parse([str(file), *MINIMUM, '--loop.iterations=9'])
    assert (settings.loop.iterations, settings.loop.seed) == (9, 3)
    assert settings.model.encoder == 'mit_b0'


@pytest.mark.parametrize(
    ('text', 'nearest'),
    [
        ('loop: {iteration: 5}', 'loop.iterations'),
        ('optimizer: {lr: 1}', 'optimiser'),
        ('target: {root: a, margin: [0, 0, 0, 0]}', 'target.margins'),
        ('iterations: 5', 'loop.iterations'),
    ],
)
def test_unknown_keys_in_a_file_name_the_nearest(tmp_path: Path, text: str, nearest: str) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text(text)
    with pytest.raises(ValueError, match=rf'c\.yaml: there is no setting .* mean {nearest}\?'):
        parse([str(file), *MINIMUM])


def test_lists_of_sources_are_read_from_files_and_options(tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text('extra_sources: [{root: town, weight: 2.0, size: [64, 32]}, {root: village}]')
    sources = [
        SourceSettings('town', weight=2.0, size=(64, 32)),
        SourceSettings('village'),
    ]
    settings = parse([str(file), *MINIMUM])
    assert settings.extra_sources == sources
    assert parse([*MINIMUM, '--extra_sources+={root: village}']).extra_sources == sources[1:]
    file.write_text(to_yaml(settings))
    assert parse([str(file)]) == settings


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('{root: a}, {root: b, wight: 2}', r'extra_sources\[1\]\.wight; .* extra_sources\.weight'),
        ('{root: a, label: x}', r'extra_sources\[0\]\.label; .* extra_sources\.labels'),
    ],
)
def test_unknown_keys_of_a_list_item_name_the_item(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text(f'extra_sources: [{text}]')
    with pytest.raises(ValueError, match=words):
        parse([str(file), *MINIMUM])


def test_a_picture_is_no_settings_file(tmp_path: Path) -> None:
    picture = tmp_path / 'some.png'
    picture.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(range(256)))
    with pytest.raises(ValueError, match=r'some\.png: no settings file'):
        train.prepare_argv([str(picture)])


def test_unknown_options_name_the_nearest() -> None:
    with pytest.raises(ValueError, match=r'loop\.batchsize; did you mean loop\.batch_size'):
        parse([*MINIMUM, '--loop.batchsize=3'])


def test_class_names_in_merge_are_no_settings(tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text('validation: {root: v, merge: {traffic light: traffic sign}}')
    settings = parse([str(file), *MINIMUM])
    assert settings.validation is not None
    assert settings.validation.merge == {'traffic light': 'traffic sign'}


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ('--loop.iterations=soon', 'loop.iterations'),
        ('--loop.batch_size=0', 'batch_size 0 must be at least 1'),
        ('--method=magic', 'method'),
        ('--model.detail_size=7', 'detail_size 7'),
        ('--config=none.yaml', 'none.yaml: no such settings file'),
    ],
)
def test_impossible_values_are_one_sentence(
    option: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['train', *MINIMUM, option]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count('\n') == 1


def test_self_training_needs_a_target() -> None:
    with pytest.raises(ValueError, match=r'target\.root'):
        parse(['--source.root=sim', '--output=run'])


def test_printed_settings_are_a_settings_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(['train', *MINIMUM, '--loop.seed=4', '--print_config'])
    file = tmp_path / 'printed.yaml'
    file.write_text(capsys.readouterr().out)
    assert stop.value.code in (0, None)
    assert parse([str(file)]) == parse([*MINIMUM, '--loop.seed=4'])


def test_absolute_paths_hold_in_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = absolute(parse([*MINIMUM, '--model.encoder_weights=w.pth']))
    paths = [settings.source.root, settings.output, settings.model.encoder_weights]
    assert paths == [str(tmp_path / name) for name in ('sim', 'run', 'w.pth')]
    assert settings.classes == 'cityscapes'


def test_paths_of_all_labelled_sets_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = parse([*MINIMUM, '--extra_sources=[{root: b}]', '--few_labels.root=c'])
    found = absolute(settings)
    assert found.few_labels is not None
    assert [found.extra_sources[0].root, found.few_labels.root] == [
        str(tmp_path / 'b'),
        str(tmp_path / 'c'),
    ]


def test_differences_are_dotted_names() -> None:
    old = to_dict(parse(MINIMUM))
    new = to_dict(parse([*MINIMUM, '--loop.seed=4', '--validation.root=v']))
    assert differences(old, new) == ['validation', 'loop.seed']


def test_differences_of_lists_name_the_item() -> None:
    old, new = (
        to_dict(parse([*MINIMUM, f'--extra_sources=[{{root: a}}, {{root: {root}}}]']))
        for root in ('b', 'c')
    )
    assert differences(old, new) == ['extra_sources[1].root']
    assert differences(to_dict(parse(MINIMUM)), new) == ['extra_sources']


@pytest.mark.parametrize('file', CONFIGS, ids=lambda path: path.stem)
def test_config_files_are_valid(file: Path) -> None:
    given = yaml.safe_load(file.read_text())
    settings = parse([str(file)])
    assert settings.output == given.get('output', f'runs/{file.stem}')
    if settings.validation is not None and settings.classes == 'cityscapes':
        names = [*settings.validation.score, *settings.validation.merge]
        assert all(CITYSCAPES.index(name) >= 0 for name in names)


def test_there_are_config_files() -> None:
    names = {file.stem for file in CONFIGS}
    assert {'gta_to_cityscapes', 'robot', 'citysim_to_camvid'} <= names
