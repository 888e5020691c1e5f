"""Several sources and a few labels: shares, rarity, leaks, and runs that stop and go on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import tiny_settings, write_config, write_data, write_frames

from hrda_core.classes import CITYSCAPES
from training.cli import main
from training.data.datasets import SourceDataset
from training.data.labelled_sets import MixedSources, check_apart, labelled_sets, open_labelled
from training.data.settings import (
    FewLabelsSettings,
    SourceSettings,
    TargetSettings,
    ValidationSettings,
)
from training.methods.settings import SelfTrainingSettings
from training.progress import SilentDisplay
from training.run.assembly import assemble
from training.run.folder import RunFolder
from training.run.launch import find_workplace
from training.run.state_file import read_state
from training.settings.run import ModelSettings, TrainSettings

RARE = SelfTrainingSettings(rare_class_min_pixels=100, rare_class_min_crop_ratio=0.5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def _settings(folder: Path, **changes: Any) -> TrainSettings:
    source = changes.pop('source', SourceSettings(str(folder / 'source')))
    target = TargetSettings(str(folder / 'target'), 'folder', 'images', size=(48, 40))
    return TrainSettings(source, str(folder / 'run'), target, **changes)


def _open(settings: TrainSettings) -> SourceDataset | MixedSources:
    sets = labelled_sets(settings)
    return open_labelled(sets, CITYSCAPES, crop_size=32, seed=1, rare=RARE)


def test_shares_follow_the_weights_and_leave_room_for_few_labels(tmp_path: Path) -> None:
    settings = _settings(
        tmp_path,
        extra_sources=[SourceSettings('town', weight=3.0)],
        few_labels=FewLabelsSettings('few', share=0.2),
    )
    found = {each.role: each.share for each in labelled_sets(settings)}
    expected = {'source': 0.2, 'extra_sources[0]': 0.6, 'few_labels': 0.2}
    assert found == pytest.approx(expected)


def test_few_labels_are_sized_like_the_camera_unless_told_otherwise(tmp_path: Path) -> None:
    settings = _settings(tmp_path, few_labels=FewLabelsSettings('few'))
    assert labelled_sets(settings)[-1].settings.size == (48, 40)
    settings = _settings(tmp_path, few_labels=FewLabelsSettings('few', size=(20, 16)))
    assert labelled_sets(settings)[-1].settings.size == (20, 16)


def test_one_source_is_drawn_as_if_there_were_no_others(tmp_path: Path) -> None:
    write_data(tmp_path)
    alone = _open(_settings(tmp_path))
    assert isinstance(alone, SourceDataset)
    extra = [SourceSettings(str(tmp_path / 'target'), weight=1e-9)]
    both = _open(_settings(tmp_path, extra_sources=extra))
    for step in range(4):
        one, other = alone[(step, 1)], both[(step, 1)]
        assert torch.equal(one['image'], other['image'])
        assert other['file'] == f'source: {one["file"]}'


def test_data_sets_are_drawn_by_their_shares(tmp_path: Path) -> None:
    write_data(tmp_path)
    settings = _settings(
        tmp_path,
        source=SourceSettings(str(tmp_path / 'source'), weight=3.0),
        extra_sources=[SourceSettings(str(tmp_path / 'target'))],
    )
    mixed, again = _open(settings), _open(settings)
    files = [mixed[(step, slot)]['file'] for step in range(60) for slot in range(2)]
    share = np.mean([file.startswith('source: ') for file in files])
    assert share == pytest.approx(0.75, abs=0.1)
    assert files[5] == again[(2, 1)]['file']
    assert len(mixed) == 6


def test_a_class_is_rare_when_it_is_rare_in_all_sets(tmp_path: Path) -> None:
    write_data(tmp_path)
    plain = write_one_class(tmp_path / 'roads')
    mixed = _open(_settings(tmp_path, extra_sources=[SourceSettings(str(plain), weight=9.0)]))
    assert isinstance(mixed, MixedSources)
    alone = _open(_settings(tmp_path))
    assert isinstance(alone, SourceDataset)
    for dataset in (mixed.datasets[0], alone):
        assert dataset._sampler is not None
    road = [mixed.datasets[0]._sampler.probabilities[0], alone._sampler.probabilities[0]]
    assert road[0] < road[1], 'the other set is nothing but road'
    assert mixed.datasets[1]._sampler.probabilities[0] == 1


def write_one_class(folder: Path) -> Path:
    """Frames like the others, in which everything is road."""
    write_frames(folder, 2, 7)
    for path in (folder / 'labels').iterdir():
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    return folder


@pytest.mark.parametrize('link', [os.symlink, os.link])
def test_few_labels_that_are_scored_are_refused(tmp_path: Path, link: Any) -> None:
    write_data(tmp_path)
    write_frames(tmp_path / 'few', 2, 5)
    scored = ValidationSettings(str(tmp_path / 'validation'))
    few = FewLabelsSettings(str(tmp_path / 'few'))
    check_apart(_settings(tmp_path, few_labels=few, validation=scored), CITYSCAPES)
    (tmp_path / 'few' / 'images' / '01.png').unlink()
    link(tmp_path / 'validation' / 'images' / '02.png', tmp_path / 'few' / 'images' / '01.png')
    with pytest.raises(ValueError, match=r'1 of the 2 frames .*few/images/01\.png'):
        check_apart(_settings(tmp_path, few_labels=few, validation=scored), CITYSCAPES)


def test_errors_name_the_set(tmp_path: Path) -> None:
    write_data(tmp_path)
    (tmp_path / 'target' / 'labels' / '01.png').unlink()
    extra = [SourceSettings(str(tmp_path / 'target'))]
    with pytest.raises(ValueError, match=r'01\.png has no label .* extra_sources\[0\]\.labels'):
        _open(_settings(tmp_path, extra_sources=extra))


def test_a_run_begins_by_telling_which_sets_are_too_small_for_its_crops(tmp_path: Path) -> None:
    write_data(tmp_path)
    few = FewLabelsSettings(str(tmp_path / 'validation'))
    model = ModelSettings('mit_b0', context_size=64, detail_size=64)
    settings = _settings(tmp_path, few_labels=few, model=model)
    parts = assemble(settings, SilentDisplay(), find_workplace(settings.loop), fresh=False)
    told = [text for text in parts.introduction if 'padding' in text]
    assert [text.partition(':')[0] for text in told] == ['few_labels', 'target']
    assert '3 of 3 frames are smaller than the crop of 64x64 px' in told[1]
    assert '53% of such a crop is padding; enlarge target.size, or lower' in told[1]


@pytest.mark.parametrize('weight', [0.0, -1.0, float('inf'), float('nan')])
def test_impossible_weights_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match='of the source town must be above 0'):
        SourceSettings('town', weight=weight)


@pytest.mark.parametrize('share', [0.0, 1.0, 7.0])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r'few_labels\.share'):
        FewLabelsSettings('few', share=share)


@pytest.mark.parametrize('method', ['source_only', 'self_training', 'masked_consistency'])
def test_a_run_on_several_sets_goes_on_the_same(tmp_path: Path, method: str) -> None:
    write_data(tmp_path)
    write_frames(tmp_path / 'few', 2, 5)
    changes: dict[str, Any] = {
        'method': method,
        'extra_sources': [{'root': str(tmp_path / 'target'), 'weight': 2.0}],
        'few_labels': {'root': str(tmp_path / 'few'), 'share': 0.5},
        'optimiser__schedule': 'constant',
    }
    whole, split = tmp_path / 'whole', tmp_path / 'split'
    for run, steps in ((whole, 3), (split, 2)):
        settings = tiny_settings(tmp_path, run, **changes, loop__iterations=steps)
        settings['validation'] = None
        assert main(['train', str(write_config(tmp_path / 'c.yaml', settings))]) == 0
    text = RunFolder(whole).log_file.read_text()
    assert '3 of extra_sources[0] drawn 33% of the time' in text
    assert main(['train', '--resume', str(split), '--loop.iterations=3']) == 0
    first, second = (
        read_state(RunFolder(run).state)['method']['student'] for run in (whole, split)
    )
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
