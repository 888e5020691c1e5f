"""The rows of the paper's tables: their constants, their numbers, and `hrda experiments`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bare_python import run_without
from settings_parser import parse

from hrda_core.classes import CITYSCAPES
from training.cli import main
from training.settings.experiments import GROUPS
from training.settings.files import read_settings_file
from training.settings.plain import to_dict
from training.shipped import shipped_files, shipped_folder

FILES = shipped_files()
ROWS = [
    name for name, path in FILES.items() if (told := read_settings_file(path).about) and told.paper
]

FULL: dict[str, Any] = {
    'method': 'self_training',
    'classes': 'cityscapes',
    'crop_size': None,
    'source.kind': 'gta',
    'source.size': [2560, 1440],
    'source.max_class_share': 0.75,
    'source.photometric': False,
    'target.kind': 'cityscapes',
    'target.size': [2048, 1024],
    'target.margins': [30, 240, 30, 30],
    'validation.kind': 'cityscapes',
    'validation.score': [],
    'model.encoder': 'mit_b5',
    'model.head': 'daformer',
    'model.attention': 'classwise',
    'model.fixed_attention': None,
    'model.context_size': 1024,
    'model.detail_size': 512,
    'model.context_scale': 0.5,
    'model.detail_overlap': True,
    'model.detail_blur': False,
    'model.drop_path': 0.1,
    'model.dropout': 0.1,
    'model.mode': 'slide',
    'model.image_scale': 1.0,
    'self_training.detail_loss_weight': 0.1,
    'self_training.context_loss_weight': None,
    'self_training.ema_alpha': 0.999,
    'self_training.pseudo_threshold': 0.968,
    'self_training.class_mix': True,
    'self_training.class_mix_scope': 'batch',
    'self_training.jitter_probability': 0.8,
    'self_training.jitter_strength': 0.2,
    'self_training.blur_probability': 0.5,
    'self_training.blur_sigma': [0.15, 1.15],
    'self_training.feature_distance_weight': 0.005,
    'self_training.feature_distance_min_ratio': 0.75,
    'self_training.rare_class_sampling': True,
    'self_training.source_only_rare_class_sampling': False,
    'self_training.rare_class_temperature': 0.01,
    'self_training.rare_class_min_pixels': 3000,
    'self_training.rare_class_min_crop_ratio': 2.0,
    'optimiser.name': 'adamw',
    'optimiser.lr': 6e-5,
    'optimiser.head_lr_multiplier': 10.0,
    'optimiser.weight_decay': 0.01,
    'optimiser.decay_norms': False,
    'optimiser.betas': [0.9, 0.999],
    'optimiser.warmup_steps': 1500,
    'optimiser.schedule': 'poly',
    'optimiser.power': 1.0,
    'loop.iterations': 40000,
    'loop.batch_size': 2,
    'loop.precision': 'fp32',
}
"""The final configuration (spec sections 2 to 5); every row has these but for what it names."""
LOW = {
    'crop_size': 512,
    'source.size': [1280, 720],
    'target.size': [1024, 512],
    'target.margins': [15, 120, 15, 15],
    'model.context_size': 512,
    'model.image_scale': 0.5,
    'self_training.rare_class_min_crop_ratio': 0.5,
}
ONE = {'model.attention': 'none'}
DAFORMER = LOW | ONE | {'target.margins': [15, 120, 0, 0], 'model.mode': 'whole'}
RESNET = {
    'model.encoder': 'resnet101_v1c',
    'model.head': 'deeplab_v2',
    'model.drop_path': 0.0,
    'model.mode': 'whole',
    'optimiser.decay_norms': True,
}
SGD = {
    'source.photometric': True,
    'optimiser.name': 'sgd',
    'optimiser.lr': 0.0025,
    'optimiser.momentum': 0.9,
    'optimiser.weight_decay': 5e-4,
    'optimiser.head_lr_multiplier': 1.0,
}
ENTROPY = SGD | {'method': 'min_entropy', 'min_entropy.weight': 0.001}
ADVERSARIAL = SGD | {
    'method': 'adversarial',
    'adversarial.weight': 0.001,
    'adversarial.discriminator_lr': 1e-4,
    'adversarial.power': 0.9,
}
DACS = {
    'target.margins': [0, 0, 0, 0],
    'self_training.ema_alpha': 0.99,
    'self_training.feature_distance_weight': 0.0,
    'self_training.rare_class_sampling': False,
}
SYNTHIA = {
    'source.kind': 'synthia',
    'source.size': [2560, 1520],
    'validation.score': [
        name for name in CITYSCAPES.names if name not in ('terrain', 'truck', 'train')
    ],
}
ORACLE = {
    'method': 'source_only',
    'source.kind': 'cityscapes',
    'source.size': [2048, 1024],
    'source.photometric': True,
    'target': None,
}
LOW_ORACLE = ORACLE | {'source.size': [1024, 512], 'crop_size': 512, 'model.image_scale': 0.5}
ADVERSE = {
    'source.kind': 'cityscapes',
    'source.size': [2048, 1024],
    'target.size': [1920, 1080],
    'target.margins': [0, 0, 0, 0],
}
EXPECTED: dict[str, dict[str, Any]] = {
    'gta_to_cityscapes': {},
    'gta_to_cityscapes_mic': {
        'method': 'masked_consistency',
        'masked_consistency.block_size': 64,
        'masked_consistency.ratio': 0.7,
        'masked_consistency.weight': 1.0,
    },
    'cityscapes_to_acdc': ADVERSE | {'target.kind': 'acdc', 'validation.kind': 'acdc'},
    'cityscapes_to_dark_zurich': ADVERSE
    | {'target.kind': 'dark_zurich', 'validation.kind': 'dark_zurich'},
    'table1_gta_daformer': DAFORMER,
    'table1_synthia_daformer': DAFORMER | SYNTHIA | {'source.size': [1280, 760]},
    'table1_synthia_hrda': SYNTHIA,
    'table2_min_entropy': RESNET | LOW | ONE | ENTROPY,
    'table2_min_entropy_hrda': RESNET | ENTROPY,
    'table2_adversarial': RESNET | LOW | ONE | ADVERSARIAL,
    'table2_adversarial_hrda': RESNET | ADVERSARIAL,
    'table2_dacs': RESNET | LOW | ONE | DACS,
    'table2_dacs_hrda': RESNET | DACS,
    'table2_daformer': RESNET | LOW | ONE,
    'table2_daformer_hrda': RESNET,
    **{f'fig4_lr_{s}': LOW | ONE | {'model.context_size': s} for s in (128, 256, 384, 512)},
    **{
        f'fig4_hr_{s}': ONE | {'crop_size': 1024, 'model.context_size': s} for s in (256, 512, 768)
    },
    **{
        f'fig4_oracle_lr_{s}': LOW_ORACLE | ONE | {'model.context_size': s}
        for s in (128, 256, 384, 512)
    },
    **{
        f'fig4_oracle_hr_{s}': ORACLE | ONE | {'crop_size': 1024, 'model.context_size': s}
        for s in (256, 512, 768)
    },
    'table3_context_512': {'crop_size': 1024, 'model.context_size': 512},
    'table3_context_768': {'crop_size': 1024, 'model.context_size': 768},
    'table4_detail_256': {'model.detail_size': 256},
    'table4_detail_384': {'model.detail_size': 384},
    'table5_context_768_detail_384': {
        'crop_size': 1024,
        'model.context_size': 768,
        'model.detail_size': 384,
    },
    'table6_same_scale': LOW | {'model.detail_size': 256, 'model.context_scale': 1.0},
    'table6_blurred_detail': {'model.detail_blur': True},
    'table7_average': {
        'model.fixed_attention': 0.5,
        'model.detail_overlap': False,
        'self_training.detail_loss_weight': 0.0,
    },
    'table7_side_by_side': {
        'model.detail_overlap': False,
        'self_training.detail_loss_weight': 0.0,
    },
    'table7_no_detail_loss': {'self_training.detail_loss_weight': 0.0},
    **{
        f'supplement_detail_loss_0{tenths}': {'self_training.detail_loss_weight': tenths / 10}
        for tenths in range(2, 8)
    },
    'supplement_context_scale_025': {
        'crop_size': 1024,
        'model.context_size': 512,
        'model.context_scale': 0.25,
    },
    'supplement_context_scale_075': {
        'crop_size': 1024,
        'model.context_size': 512,
        'model.context_scale': 0.75,
    },
}
"""What each row has instead (spec section 7)."""
CERTAIN = {
    'gta_to_cityscapes': 73.8,
    'table1_gta_daformer': 68.3,
    'table1_synthia_hrda': 65.8,
    'table1_synthia_daformer': 60.9,
    'cityscapes_to_acdc': 68.0,
    'cityscapes_to_dark_zurich': 55.9,
    'gta_to_cityscapes_mic': 75.9,
}
FROM_MEMORY = {
    'table2_min_entropy': 44.3,
    'table2_min_entropy_hrda': 46.7,
    'table2_adversarial': 44.2,
    'table2_adversarial_hrda': 47.1,
    'table2_dacs': 53.9,
    'table2_dacs_hrda': 59.4,
    'table2_daformer': 56.0,
    'table2_daformer_hrda': 63.0,
    'fig4_lr_512': 68.5,
}


@cache
def parsed(name: str) -> dict[str, Any]:
    """Settings of an experiment; each is parsed once."""
    return to_dict(parse([str(FILES[name])]))


def flat(values: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    """Nested settings by their dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found[f'{prefix}{key}'] = value
        if isinstance(value, dict):
            found |= flat(value, f'{prefix}{key}.')
    return found


def test_every_row_is_expected_and_there() -> None:
    assert sorted(ROWS) == sorted(EXPECTED)


@pytest.mark.parametrize('name', EXPECTED)
def test_row_has_the_published_constants(name: str) -> None:
    settings = flat(parsed(name))
    expected = FULL | EXPECTED[name]
    if settings['target'] is None:
        expected = {key: value for key, value in expected.items() if not key.startswith('target.')}
    assert {key: settings[key] for key in expected} == expected


def test_every_experiment_parses_to_a_run_of_its_own() -> None:
    runs = [parsed(name) for name in FILES]
    assert len({settings['output'] for settings in runs}) == len(FILES)
    assert len({str(settings | {'output': ''}) for settings in runs}) == len(FILES)


def test_only_known_numbers_are_quoted() -> None:
    told = {name: read_settings_file(path).about for name, path in FILES.items()}
    quoted = {name: a.published for name, a in told.items() if a and a.published is not None}
    assert quoted == CERTAIN | FROM_MEMORY
    assert {name for name, a in told.items() if a and a.from_memory} == set(FROM_MEMORY)


def test_every_table_has_rows_and_every_row_a_table() -> None:
    told = [read_settings_file(FILES[name]).about for name in ROWS]
    assert {table for a in told if a for table in a.paper} == set(GROUPS)


def test_every_experiment_says_what_it_shows_and_has_a_name_of_its_own() -> None:
    files = [p for p in shipped_folder().rglob('*.yaml') if p.parent.name != 'base']
    assert len(files) == len(FILES)
    assert all(about and about.shows for about in (read_settings_file(p).about for p in files))


def test_encoder_weights_of_mit_are_chosen_in_one_place() -> None:
    chosen = [
        path
        for path in shipped_folder().rglob('*.yaml')
        if 'mit_b5' in str(read_settings_file(path).values.get('model', {}).get('encoder_weights'))
    ]
    assert [path.name for path in chosen] == ['gta_to_cityscapes.yaml']


def test_list_names_every_experiment_and_needs_no_torch() -> None:
    result = run_without(['torch', 'timm'], ['experiments'])
    assert result.returncode == 0, result.stderr
    assert all(f'  {name} ' in result.stdout for name in FILES)
    assert '~56.0' in result.stdout and ' 73.8 ' in result.stdout


def test_one_experiment_is_shown_with_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['experiments', 'table4_detail_256']) == 0
    lines = [' '.join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert 'model.detail_size 256 instead of 512' in lines
    assert 'published: not quoted' in lines
    assert 'command: hrda train table4_detail_256' in lines


def test_a_number_is_shown_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['experiments', 'gta_to_cityscapes']) == 0
    assert 'published: 73.8 mIoU, README of lhoyer/HRDA' in capsys.readouterr().out


def test_unknown_experiment_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['experiments', 'table4_detail_265']) == 1
    error = capsys.readouterr().err
    assert 'did you mean table4_detail_256?' in error and error.count('\n') == 1


def test_a_bare_name_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse(['table4_detail_256', '--loop.seed=3']).model.detail_size == 256
    assert parse(['table4_detail_256']).output == 'runs/table4_detail_256'
    assert main(['train', 'table4_detail_256']) == 1
    assert 'data/gta' in capsys.readouterr().err
