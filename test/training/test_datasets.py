"""Data sets: samples, determinism, and errors that name the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hrda_core.classes import CITYSCAPES
from training.data import crop_padding
from training.data.datasets import SourceDataset, TargetDataset, valid_mask
from training.data.label_maps.pixels import read_ids
from training.data.labelled_sets import LabelledSet, open_labelled
from training.data.loader import make_loader
from training.data.settings import SourceSettings, TargetSettings, ValidationSettings
from training.data.validation_frames import ValidationFrames
from training.methods.settings import SelfTrainingSettings

WriteFrames = Callable[..., Path]
RARE = SelfTrainingSettings(rare_class_min_pixels=10, rare_class_min_crop_ratio=1.0)


def _random_frames(count: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(0)
    return [
        (
            generator.integers(0, 256, (40, 60, 3)).astype(np.uint8),
            np.kron(generator.integers(0, 5, (4, 6)), np.ones((10, 10))).astype(np.uint8),
        )
        for _ in range(count)
    ]


def _open(root: Path, crop_size: int = 32, **changes: object) -> SourceDataset:
    settings = replace(SourceSettings(str(root)), **changes)  # type: ignore[arg-type]
    sets = [LabelledSet(settings)]
    options = {'crop_size': crop_size, 'seed': 1, 'rare': RARE, 'cache_dir': root / 'cache'}
    dataset = open_labelled(sets, CITYSCAPES, **options)
    assert isinstance(dataset, SourceDataset)
    return dataset


def test_source_sample(write_frames: WriteFrames) -> None:
    sample = _open(write_frames(_random_frames()))[(0, 0)]
    assert sample['image'].shape == (3, 32, 32) and sample['image'].dtype == torch.uint8
    assert sample['label'].shape == (32, 32) and sample['label'].dtype == torch.uint8
    assert sample['file'].startswith('images/')


def test_image_and_label_stay_together(write_frames: WriteFrames) -> None:
    label = np.random.default_rng(0).integers(0, 19, (50, 70)).astype(np.uint8)
    image = np.repeat(label[..., None], 3, axis=2)
    data = _open(write_frames([(image, label)]))
    for step in range(8):
        sample = data[(step, 0)]
        assert torch.equal(sample['image'][1], sample['label'])


def test_same_place_gives_the_same_sample(write_frames: WriteFrames) -> None:
    root = write_frames(_random_frames())
    first, second = _open(root), _open(root)
    assert torch.equal(first[(7, 1)]['image'], second[(7, 1)]['image'])
    assert not torch.equal(first[(7, 1)]['image'], first[(7, 0)]['image'])


def test_small_frames_are_padded(write_frames: WriteFrames) -> None:
    sample = _open(write_frames(_random_frames()), crop_size=64)[(0, 0)]
    assert (sample['label'][40:] == 255).all() and (sample['label'][:, 60:] == 255).all()
    assert sample['image'][:, 63, 63].tolist() == [124, 116, 104]


def test_many_frames_are_judged_by_some_of_them(
    write_frames: WriteFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crop_padding, 'LOOKED_AT', 2)
    (text,) = _open(write_frames(_random_frames()), crop_size=64).padding()
    assert text.startswith('source (2 of 3 looked at): 2 of 2 frames are smaller')


def test_frames_are_resized(write_frames: WriteFrames) -> None:
    sample = _open(write_frames(_random_frames()), crop_size=64, size=(30, 30))[(0, 0)]
    assert (sample['label'][20:] == 255).all()
    assert (sample['label'][:20, :30] < 5).all()


def test_rare_class_is_in_the_crop(write_frames: WriteFrames) -> None:
    label = np.zeros((64, 160), np.uint8)
    label[:32, 120:] = 12
    label[32:] = 1
    data = _open(write_frames([(np.zeros((64, 160, 3), np.uint8), label)]))
    hits = [int((data[(step, 0)]['label'] == 12).sum()) > 10 for step in range(60)]
    # A crop of 32 px that is not drawn for the class holds it in a third of all draws.
    assert sum(hits) > 50


def test_photometric_distortion_leaves_labels(write_frames: WriteFrames) -> None:
    root = write_frames(_random_frames())
    plain, distorted = _open(root), _open(root, photometric=True)
    changed = 0
    for step in range(6):
        a, b = plain[(step, 0)], distorted[(step, 0)]
        assert torch.equal(a['label'], b['label'])
        changed += not torch.equal(a['image'], b['image'])
    assert changed > 2


def test_gta_labels_are_raw_palette_indices(tmp_path: Path) -> None:
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / 'images' / '1.png')
    label = np.full((40, 40), 7, np.uint8)
    label[:20] = 26
    picture = Image.fromarray(label, mode='P')
    picture.putpalette([9, 9, 9] * 256)
    picture.save(tmp_path / 'labels' / '1.png')
    sample = _open(tmp_path, kind='gta')[(0, 0)]
    assert set(sample['label'].unique().tolist()) <= {0, 13}


@pytest.mark.parametrize('bits', [8, 16])
def test_labels_of_8_and_16_bit(tmp_path: Path, bits: int) -> None:
    ids = np.full((4, 4), 300 if bits == 16 else 200, f'uint{bits}')
    Image.fromarray(ids).save(tmp_path / 'label.png')
    assert np.array_equal(read_ids(tmp_path / 'label.png'), ids)


def test_target_sample_with_margins(write_frames: WriteFrames) -> None:
    root = write_frames(_random_frames())
    settings = TargetSettings(str(root), images='images', margins=(5, 10, 0, 0))
    sample = TargetDataset(settings, crop_size=64, seed=0)[(0, 0)]
    assert sample['image'].shape == (3, 64, 64)
    assert sample['valid'].sum() == (40 - 15) * 60
    assert not sample['valid'][:5].any() and not sample['valid'][30:].any()


def test_target_finds_extracted_frames(tmp_path: Path) -> None:
    place = tmp_path / 'drive' / 'camera' / 'front'
    place.mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(place / '1_000000002.jpg')
    (tmp_path / 'manifest.csv').write_text('')
    data = TargetDataset(TargetSettings(str(tmp_path)), crop_size=8, seed=0)
    assert data[(0, 0)]['file'] == 'drive/camera/front/1_000000002.jpg'


def test_margins_never_leave_the_frame() -> None:
    assert not valid_mask(8, 8, (5, 5, 0, 0)).any()
    assert valid_mask(8, 8, (0, 0, 0, 0)).all()


@pytest.mark.parametrize('workers', [0, 2])
def test_loader_goes_on_exactly(write_frames: WriteFrames, workers: int) -> None:
    data = _open(write_frames(_random_frames()))
    whole = list(make_loader(data, range(6), 2, workers, pin=False))
    rest = list(make_loader(data, range(4, 6), 2, 0, pin=False))
    assert whole[0]['image'].shape == (2, 3, 32, 32)
    assert [batch['file'] for batch in whole[4:]] == [batch['file'] for batch in rest]
    assert all(torch.equal(a['image'], b['image']) for a, b in zip(whole[4:], rest, strict=True))


def test_loader_leaves_the_global_generator_alone(write_frames: WriteFrames) -> None:
    data = _open(write_frames(_random_frames()))
    before = torch.get_rng_state()
    list(make_loader(data, range(2), 1, 0, pin=False))
    assert torch.equal(before, torch.get_rng_state())


def test_validation_frames_are_spread(write_frames: WriteFrames) -> None:
    root = write_frames(_random_frames(6))
    frames = ValidationFrames(ValidationSettings(str(root), limit=3), CITYSCAPES)
    assert [frame.file for frame in frames] == [f'images/{n:03}.png' for n in (0, 2, 4)]
    assert frames[0].image.shape == (40, 60, 3) and frames[0].label.shape == (40, 60)


def _break_missing_folder(root: Path) -> None:
    (root / 'labels').rename(root / 'elsewhere')


def _break_missing_label(root: Path) -> None:
    (root / 'labels' / '001.png').unlink()


def _break_label_suffix(root: Path) -> None:
    (root / 'labels' / '001.png').rename(root / 'labels' / '001_ids.png')


def _break_no_images(root: Path) -> None:
    for path in (root / 'images').iterdir():
        path.unlink()


def _break_unreadable_image(root: Path) -> None:
    (root / 'images' / '001.png').write_bytes(b'no image')


def _break_unreadable_label(root: Path) -> None:
    path = root / 'labels' / '001.png'
    path.write_bytes(path.read_bytes()[:60])


def _break_label_size(root: Path) -> None:
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(root / 'labels' / '001.png')


def _break_label_id(root: Path) -> None:
    Image.fromarray(np.full((40, 60), 33, np.uint8)).save(root / 'labels' / '001.png')


def _break_colour_label(root: Path) -> None:
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(root / 'labels' / '001.png')


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (_break_missing_folder, r'no folder .*labels; check source'),
        (_break_missing_label, r'001\.png has no label .*label_suffix'),
        (_break_label_suffix, r"set source\.label_suffix to '_ids'"),
        (_break_no_images, r'images holds no image'),
        (_break_unreadable_image, r'images/001\.png cannot be read'),
        (_break_unreadable_label, r'labels/001\.png cannot be read'),
        (_break_label_size, r'001\.png is 5x5 px, its image .* is 60x40 px'),
        (_break_label_id, r'001\.png holds id 33, .* 0\.\.18'),
        (_break_colour_label, r'001\.png is a RGB picture'),
    ],
)
def test_damaged_sources_are_found_before_training(
    write_frames: WriteFrames, damage: Callable[[Path], None], message: str
) -> None:
    root = write_frames(_random_frames())
    damage(root)
    with pytest.raises(ValueError, match=message):
        _open(root)


def test_missing_target_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='hrda extract'):
        TargetDataset(TargetSettings(str(tmp_path / 'nothing')), crop_size=8, seed=0)


def test_unreadable_target_is_named(tmp_path: Path) -> None:
    (tmp_path / 'a.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match=r'a\.jpg cannot be read'):
        TargetDataset(TargetSettings(str(tmp_path)), crop_size=8, seed=0)
