"""Data sets in the layouts that they are downloaded in, and what is said when they are not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from tiny_run import tiny_settings, write_config

from hrda_core.classes import CITYSCAPES, ClassSet
from training.cli import main
from training.data.frames import LabelledFrames, find_labelled, target_images
from training.data.settings import SourceSettings, TargetSettings, ValidationSettings
from training.settings.plain import absolute
from training.settings.run import TrainSettings

ROAD, CAR = 0, 13
IMAGE = np.zeros((2, 3, 3), np.uint8)


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


def _ids(road: int, car: int, depth: type = np.uint8) -> np.ndarray:
    ids = np.full((2, 3), road, depth)
    ids[0] = car
    return ids


def _colors(road: tuple[int, ...], car: tuple[int, ...]) -> np.ndarray:
    picture = np.full((2, 3, 3), road, np.uint8)
    picture[0] = car
    return picture


def _red(road: int, car: int) -> np.ndarray:
    ids = _ids(road, car, np.uint16)
    return np.stack([ids, ids * 300, ids * 0], axis=2)


TRAIN, RAW = _ids(ROAD, CAR), _ids(7, 26)
LAYOUTS: list[tuple[str, str, str, str, np.ndarray]] = [
    ('gta', 'train', 'images/00001.png', 'labels/00001.png', RAW),
    ('synthia', 'train', 'RGB/0000001.png', 'GT/LABELS/0000001.png', _red(3, 8)),
    (
        'synthia',
        'train',
        'RAND_CITYSCAPES/RGB/0000001.png',
        'RAND_CITYSCAPES/GT/LABELS/0000001.png',
        _red(3, 8),
    ),
    (
        'cityscapes',
        'train',
        'leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png',
        'gtFine/train/ulm/ulm_000000_000019_gtFine_labelIds.png',
        RAW,
    ),
    (
        'cityscapes',
        'val',
        'leftImg8bit/val/lindau/lindau_0_leftImg8bit.png',
        'gtFine/val/lindau/lindau_0_gtFine_labelTrainIds.png',
        TRAIN,
    ),
    (
        'acdc',
        'val',
        'rgb_anon/{c}/val/GP01/GP01_frame_1_rgb_anon.png',
        'gt/{c}/val/GP01/GP01_frame_1_gt_labelIds.png',
        RAW,
    ),
    (
        'acdc',
        'train',
        'rgb_anon_trainvaltest/rgb_anon/{c}/train/GP01/GP01_frame_1_rgb_anon.png',
        'gt_trainval/gt/{c}/train/GP01/GP01_frame_1_gt_labelTrainIds.png',
        TRAIN,
    ),
    (
        'dark_zurich',
        'val',
        'rgb_anon/val/night/GOPR0356/GOPR0356_frame_000321_rgb_anon.png',
        'gt/val/night/GOPR0356/GOPR0356_frame_000321_gt_labelTrainIds.png',
        TRAIN,
    ),
    (
        'dark_zurich',
        'val',
        'Dark_Zurich_val_anon/rgb_anon/val/night/G/G_1_rgb_anon.png',
        'Dark_Zurich_val_anon/gt/val/night/G/G_1_gt_labelIds.png',
        RAW,
    ),
    ('bdd100k', 'val', 'images/10k/val/a-b.jpg', 'labels/sem_seg/masks/val/a-b.png', TRAIN),
    (
        'bdd100k',
        'train',
        'bdd100k/seg/images/train/a-b.jpg',
        'bdd100k/seg/labels/train/a-b_train_id.png',
        TRAIN,
    ),
    ('mapillary', 'val', 'validation/images/k.jpg', 'validation/v1.2/labels/k.png', _ids(13, 55)),
    ('mapillary', 'train', 'training/images/k.jpg', 'training/labels/k.png', _ids(13, 55)),
    (
        'mapillary_v2',
        'train',
        'training/images/k.jpg',
        'training/v2.0/labels/k.png',
        _ids(21, 108),
    ),
    ('camvid', 'train', 'train/0001TP_006690.png', 'trainannot/0001TP_006690.png', _ids(3, 8)),
    (
        'camvid',
        'val',
        'val/0016E5_07959.png',
        'val_labels/0016E5_07959_L.png',
        _colors((128, 64, 128), (64, 0, 128)),
    ),
    (
        'camvid',
        'train',
        '701_StillsRaw_full/0001TP_006690.png',
        'LabeledApproved_full/0001TP_006690_L.png',
        _colors((128, 64, 128), (64, 128, 192)),
    ),
    ('camvid', 'train', 'images/0001TP_1.png', 'labels/0001TP_1_P.png', _ids(17, 5)),
]
CONDITIONS = ('fog', 'night', 'rain', 'snow')


def _write(root: Path, image: str, label: str | None, ids: np.ndarray) -> None:
    for condition in CONDITIONS if '{c}' in image else ('',):
        _save(root / image.replace('{c}', condition), IMAGE)
        if label is not None:
            _save(root / label.replace('{c}', condition), ids)


def _find(root: Path, kind: str, role: str = 'source', **changes: Any) -> LabelledFrames:
    kinds = {'source': SourceSettings, 'validation': ValidationSettings}
    settings = kinds[role](str(root), kind=kind, **changes)  # type: ignore[arg-type]
    return find_labelled(settings, CITYSCAPES, role)


@pytest.mark.parametrize(('kind', 'split', 'image', 'label', 'ids'), LAYOUTS)
def test_downloaded_layouts(
    tmp_path: Path, kind: str, split: str, image: str, label: str, ids: np.ndarray
) -> None:
    _write(tmp_path, image, label, ids)
    frames = _find(tmp_path, kind, 'source' if split == 'train' else 'validation')
    assert len(frames) == (4 if '{c}' in image else 1)
    for index in range(len(frames)):
        frames.check_header(index)
        assert frames.read(index)[1].tolist() == [[CAR] * 3, [ROAD] * 3]


@pytest.mark.parametrize(('kind', 'split', 'image', 'label', 'ids'), LAYOUTS)
def test_targets_need_no_labels(
    tmp_path: Path, kind: str, split: str, image: str, label: str, ids: np.ndarray
) -> None:
    _write(tmp_path, image, None, ids)
    conditions = ['night'] if '{c}' in image else []
    split_name: Any = split if '/val' in f'/{image}' or 'train' in image else None
    settings = TargetSettings(
        str(tmp_path),
        kind=kind,
        split=split_name,
        conditions=conditions,  # type: ignore[arg-type]
    )
    (found,) = target_images(settings)
    assert found == tmp_path / image.replace('{c}', 'night')


def test_raw_ids_win_over_train_ids_unless_asked_for(tmp_path: Path) -> None:
    stem = tmp_path / 'gtFine/train/ulm/ulm_1_gtFine_'
    _save(tmp_path / 'leftImg8bit/train/ulm/ulm_1_leftImg8bit.png', IMAGE)
    for name, ids in (('labelIds', RAW), ('labelTrainIds', _ids(2, 2))):
        _save(Path(f'{stem}{name}.png'), ids)
    assert _find(tmp_path, 'cityscapes').read_label(0)[0, 0] == CAR
    assert _find(tmp_path, 'cityscapes', label_ids='train').read_label(0)[0, 0] == 2


def test_train_ids_of_a_data_set_are_not_those_of_other_class_sets(tmp_path: Path) -> None:
    mine = ClassSet('mine', ('car', 'road'), ((0, 0, 0), (1, 1, 1)), ((0,), (1,)))
    _write(tmp_path, 'images/10k/train/a.jpg', 'labels/sem_seg/masks/train/a.png', TRAIN)
    frames = find_labelled(SourceSettings(str(tmp_path), 'bdd100k'), mine, 'source')
    assert frames.read_label(0).tolist() == [[0] * 3, [1] * 3]


def test_settings_win_over_the_kind(tmp_path: Path) -> None:
    _save(tmp_path / 'leftImg8bit/train_extra/x/a_leftImg8bit.png', IMAGE)
    _save(tmp_path / 'gtCoarse/train_extra/x/a_gtCoarse_labelIds.png', RAW)
    frames = _find(
        tmp_path,
        'cityscapes',
        images='leftImg8bit/train_extra',
        labels='gtCoarse/train_extra',
        label_suffix='_gtCoarse_labelIds',
    )
    assert frames.read_label(0)[0, 0] == CAR


def test_converted_copies_are_read_as_train_ids(tmp_path: Path) -> None:
    _write(tmp_path, 'images/1.png', 'labels/1_labelTrainIds.png', TRAIN)
    assert _find(tmp_path, 'gta').read_label(0)[0, 0] == CAR


def test_night_of_dark_zurich_alone_unless_more_is_asked_for(tmp_path: Path) -> None:
    for condition in ('night', 'day'):
        _save(tmp_path / f'rgb_anon/train/{condition}/G/G_1_rgb_anon.png', IMAGE)
    settings = TargetSettings(str(tmp_path), kind='dark_zurich')
    assert len(target_images(settings)) == 1
    assert len(target_images(dataclasses.replace(settings, conditions=['night', 'day']))) == 2


def test_reference_images_are_left_out(tmp_path: Path) -> None:
    _save(tmp_path / 'rgb_anon/fog/train/G/G_1_rgb_anon.png', IMAGE)
    _save(tmp_path / 'rgb_anon/fog/train_ref/G/G_1_rgb_ref_anon.png', IMAGE)
    settings = TargetSettings(str(tmp_path), kind='acdc', conditions=['fog'])
    assert [path.name for path in target_images(settings)] == ['G_1_rgb_anon.png']


def test_frames_are_left_out_by_name(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        _write(tmp_path, f'images/{number}.png', f'labels/{number}.png', RAW)
    assert len(_find(tmp_path, 'gta', exclude=['2.png', 'images/3*'])) == 1
    with pytest.raises(ValueError, match=r"source\.exclude: '4\.png' is the name of no image"):
        _find(tmp_path, 'gta', exclude=['4.png'])
    with pytest.raises(ValueError, match='leaves no image of the 3'):
        _find(tmp_path, 'gta', exclude=['*'])


def test_labels_below_the_images_are_no_images(tmp_path: Path) -> None:
    _write(tmp_path, 'drive/1.png', 'labels/drive/1.png', TRAIN)
    frames = _find(tmp_path, 'bag_images', labels='labels')
    assert [frames.name(0)] == ['drive/1.png'] and len(frames) == 1
    with pytest.raises(ValueError, match=r'no labels of its own; .* source\.labels'):
        _find(tmp_path, 'bag_images')


def test_a_simulator_with_ids_in_the_red_channel(tmp_path: Path) -> None:
    _write(tmp_path, 'images/1.png', 'labels/1.png', _red(1, 14).astype(np.uint8))
    assert _find(tmp_path, 'folder', label_map='carla').read_label(0)[0, 0] == CAR
    colors = _colors((128, 64, 128), (0, 0, 142))
    _write(tmp_path, 'images/1.png', 'labels/1.png', colors)
    frames = _find(tmp_path, 'folder', label_map='carla', label_ids='color')
    assert frames.read_label(0)[0, 0] == CAR


def test_colours_of_the_class_set_itself(tmp_path: Path) -> None:
    colors = _colors((128, 64, 128), (0, 0, 0))
    _write(tmp_path, 'images/1.png', 'labels/1.png', colors)
    frames = _find(tmp_path, 'folder', label_ids='color')
    assert frames.read_label(0).tolist() == [[255] * 3, [ROAD] * 3]
    _write(tmp_path, 'images/1.png', 'labels/1.png', _colors((128, 64, 128), (5, 5, 5)))
    with pytest.raises(ValueError, match=r'holds colour \(5, 5, 5\) in 3 pixels'):
        frames.read_label(0)


def test_raw_ids_of_the_class_set_in_a_downloaded_layout(tmp_path: Path) -> None:
    vehicles = ClassSet('v', ('ground', 'vehicle'), ((0, 0, 0), (1, 1, 1)), ((7, 8), (26, 27)))
    _write(tmp_path, 'images/1.png', 'labels/1.png', RAW)
    settings = SourceSettings(str(tmp_path), 'gta', label_ids='raw')
    frames = find_labelled(settings, vehicles, 'source')
    assert frames.read_label(0).tolist() == [[1] * 3, [0] * 3]


def test_an_id_that_the_data_set_does_not_have_is_named(tmp_path: Path) -> None:
    _write(tmp_path, 'images/1.png', 'labels/1.png', _ids(7, 77))
    with pytest.raises(ValueError, match=r"1\.png holds id 77 in 3 pixels, .* 'cityscapes'"):
        _find(tmp_path, 'gta').read_label(0)


@pytest.mark.parametrize(
    ('kind', 'changes', 'message'),
    [
        (
            'cityscapes',
            {},
            r'leftImg8bit/train \(nor .*trainvaltest.*leftImg8bit_trainvaltest\.zip',
        ),
        ('gta', {'split': 'val'}, r'no folder .*images; check'),
        ('acdc', {'conditions': ['fog', 'hail']}, "names 'hail'; .* fog, night, rain, snow"),
        ('gta', {'conditions': ['fog']}, 'conditions of kind gta are: none'),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, kind: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _find(tmp_path, kind, **changes)


def test_a_split_that_the_layout_has_not_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, 'images/1.png', 'labels/1.png', RAW)
    with pytest.raises(ValueError, match=r'source\.split is val, but kind gta has all its frames'):
        _find(tmp_path, 'gta', split='val')


def test_a_condition_that_is_not_there_is_named(tmp_path: Path) -> None:
    _save(tmp_path / 'rgb_anon/fog/train/G/G_1_rgb_anon.png', IMAGE)
    with pytest.raises(ValueError, match=r'no folder .*rgb_anon/night/train; check target\.cond'):
        target_images(TargetSettings(str(tmp_path), kind='acdc'))


def test_labels_that_were_not_downloaded_are_named(tmp_path: Path) -> None:
    _save(tmp_path / 'leftImg8bit/train/ulm/ulm_1_leftImg8bit.png', IMAGE)
    with pytest.raises(ValueError, match=r'no folder .*gtFine/train; .*gtFine_trainvaltest\.zip'):
        _find(tmp_path, 'cityscapes')


def test_a_map_and_train_ids_contradict_each_other(tmp_path: Path) -> None:
    _write(tmp_path, 'images/1.png', 'labels/1.png', RAW)
    with pytest.raises(ValueError, match='name one of the two'):
        _find(tmp_path, 'folder', label_map='carla', label_ids='train')


def test_split_folders_of_ones_own(tmp_path: Path) -> None:
    _write(tmp_path, 'val/rgb/1.png', 'val/ids/1.png', TRAIN)
    places = {'images': '{split}/rgb', 'labels': '{split}/ids'}
    assert len(_find(tmp_path, 'folder', 'validation', **places)) == 1


def test_label_maps_keep_their_place_in_a_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path('mine.yaml').write_text('labels: [{id: 1, class: road}]')
    source = SourceSettings('sim', label_map='mine.yaml')
    settings = absolute(TrainSettings(source, 'run', method='source_only'))
    assert settings.source.label_map == str(tmp_path / 'mine.yaml')
    named = dataclasses.replace(source, label_map='carla')
    settings = absolute(TrainSettings(named, 'run', method='source_only'))
    assert settings.source.label_map == 'carla'


def test_palette_labels_of_mapillary(tmp_path: Path) -> None:
    _save(tmp_path / 'training/images/k.jpg', IMAGE)
    label = tmp_path / 'training/v1.2/labels/k.png'
    label.parent.mkdir(parents=True)
    picture = Image.fromarray(_ids(13, 55), mode='P')
    picture.putpalette([7, 7, 7] * 256)
    picture.save(label)
    assert _find(tmp_path, 'mapillary').read_label(0)[0, 0] == CAR


def test_a_run_from_gta_to_cityscapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    noise = np.random.default_rng(0).integers(0, 256, (72, 80, 3), np.uint8)
    ids = np.full((72, 80), 7, np.uint8)
    ids[:36] = 26
    for image, label in (
        ('gta/images/1.png', 'gta/labels/1.png'),
        ('cs/leftImg8bit/train/ulm/1_leftImg8bit.png', None),
        ('cs/leftImg8bit/val/ulm/2_leftImg8bit.png', 'cs/gtFine/val/ulm/2_gtFine_labelIds.png'),
    ):
        _save(tmp_path / image, noise)
        if label is not None:
            _save(tmp_path / label, ids)
    settings = tiny_settings(tmp_path, tmp_path / 'run', loop__iterations=1)
    settings['source'] = {'root': str(tmp_path / 'gta'), 'kind': 'gta'}
    for name in ('target', 'validation'):
        settings[name] = {'root': str(tmp_path / 'cs'), 'kind': 'cityscapes'}
    assert main(['train', str(write_config(tmp_path / 'c.yaml', settings))]) == 0
    assert (tmp_path / 'run' / 'model.safetensors').is_file()


def test_classes_that_the_class_set_lacks_are_told(tmp_path: Path) -> None:
    mine = ClassSet('mine', ('car', 'road'), ((0, 0, 0), (1, 1, 1)), ((0,), (1,)))
    _write(tmp_path, 'images/1.png', 'labels/1.png', _ids(7, 24))
    frames = find_labelled(SourceSettings(str(tmp_path), 'gta'), mine, 'source')
    assert frames.read_label(0).tolist() == [[255] * 3, [1] * 3]
    assert frames.left_out().startswith('class set mine lacks sidewalk, building, ')
    assert not _find(tmp_path, 'gta').left_out()
