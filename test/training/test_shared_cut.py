"""Small squares at the same place in source and target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from settings_parser import parse
from tiny_run import tiny_settings, write_config, write_data
from torch.utils.data import Dataset

from hrda_core.classes import CITYSCAPES
from training.data.shared_cut import SharedCut
from training.progress import PlainDisplay
from training.run.assembly import Batches

SIDE = 20


class Numbered(Dataset[dict[str, Any]]):
    """Every pixel holds its own number, plus one of the sample's place."""

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any]:
        label = torch.arange(SIDE * SIDE).reshape(SIDE, SIDE)
        return {'image': label.expand(3, -1, -1), 'label': label, 'file': str(place)}


def test_the_same_square_of_everything_is_cut() -> None:
    source, target = SharedCut(Numbered(), 8, seed=3), SharedCut(Numbered(), 8, seed=3)
    places = [(step, slot) for step in range(4) for slot in range(2)]
    for place in places:
        one, other = source[place], target[place]
        assert one['label'].shape == (8, 8) and one['file'] == str(place)
        assert torch.equal(one['image'][2], one['label'])
        assert torch.equal(one['label'], other['label'])
    assert len({int(source[place]['label'][0, 0]) for place in places}) > 4


def test_squares_reach_every_border() -> None:
    data = SharedCut(Numbered(), SIDE - 1, seed=0)
    corners = {int(data[(step, 0)]['label'][0, 0]) for step in range(40)}
    assert corners == {0, 1, SIDE, SIDE + 1}


@pytest.mark.parametrize('crop_size', [None, 80])
def test_batches_are_cut_to_the_context(tmp_path: Path, crop_size: int | None) -> None:
    write_data(tmp_path)
    changes = {'crop_size': crop_size, 'model__detail_size': 64}
    config = write_config(
        tmp_path / 'c.yaml', tiny_settings(tmp_path, tmp_path / 'run', **changes)
    )
    batches = Batches(parse([str(config)]), CITYSCAPES, pin=False, display=PlainDisplay(Console()))
    batch = next(iter(batches(range(1))))
    assert batch['source']['image'].shape == (2, 3, 64, 64)
    assert batch['target']['valid'].shape == (2, 64, 64)


def test_crops_must_hold_the_context(tmp_path: Path) -> None:
    options = ['--source.root=s', '--target.root=t', '--output=o', '--crop_size=512']
    with pytest.raises(ValueError, match=r'crop_size 512 is smaller .* 1024'):
        parse(options)
