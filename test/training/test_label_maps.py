"""Tables from ids and colours to classes, the reading of label files, and their errors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hrda_core.classes import CITYSCAPES, IGNORE, SYNTHIA, ClassSet
from training.data.kinds import KINDS
from training.data.label_maps.codecs import MappedLabels
from training.data.label_maps.label_map import (
    LabelMap,
    LabelRow,
    built_in_label_maps,
    resolve_label_map,
)
from training.data.label_maps.pixels import color_code, color_of, read_colors, read_ids, read_red

CHANNEL = st.integers(0, 255)


def _classes_of(name: str) -> dict[int, int]:
    """Id → train id of a built-in table, ignored ones left out."""
    entries = resolve_label_map(name).codec(CITYSCAPES, 'id').entries
    return {value: train_id for value, train_id in entries if train_id != IGNORE}


def _write(path: Path, rows: str, head: str = '') -> str:
    path.write_text(f'{head}\nlabels:\n{rows}\n')
    return str(path)


def test_gta_and_cityscapes_ids_are_the_published_ones() -> None:
    published = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert _classes_of('cityscapes') == {raw: train for train, raw in enumerate(published)}
    assert list(CITYSCAPES.raw_ids) == [(raw,) for raw in published]


def test_synthia_ids_are_the_published_ones() -> None:
    text = (
        '3:0 4:1 2:2 21:3 5:4 7:5 15:6 9:7 6:8 16:9 1:10 10:11 17:12 8:13 18:14 19:15 20:16 12:17 '
        '11:18'
    )
    published = {int(a): int(b) for a, b in (pair.split(':') for pair in text.split())}
    assert _classes_of('synthia') == published
    assert [(raw,) for raw in sorted(published, key=published.__getitem__)] == [*SYNTHIA.raw_ids]


@pytest.mark.parametrize(
    ('name', 'count', 'examples'),
    [
        (
            'mapillary_v1.2',
            66,
            {13: 'road', 19: 'person', 27: 'sky', 55: 'car', 50: 'traffic sign'},
        ),
        ('mapillary_v2.0', 124, {21: 'road', 30: 'person', 61: 'sky', 108: 'car'}),
        ('camvid', 32, {0: None, 17: 'road', 21: 'sky', 30: None, 31: 'wall'}),
        ('camvid_11', 12, {0: 'sky', 3: 'road', 8: 'car', 10: 'rider', 11: None}),
        ('carla', 29, {1: 'road', 11: 'sky', 14: 'car', 24: 'road', 28: None}),
        ('carla_0.9.13', 23, {7: 'road', 6: 'road', 10: 'car', 13: 'sky', 22: 'terrain'}),
        ('cityscapes_train', 20, {0: 'road', 18: 'bicycle', 255: None}),
    ],
)
def test_tables_are_complete(name: str, count: int, examples: dict[int, str | None]) -> None:
    rows = {row.id: row.class_name for row in resolve_label_map(name).rows}
    assert len(rows) == count
    assert {number: rows[number] for number in examples} == examples


def test_every_table_names_cityscapes_classes_and_every_kind_a_table() -> None:
    for name in built_in_label_maps():
        used = {row.class_name for row in resolve_label_map(name).rows} - {None}
        assert used <= set(CITYSCAPES.names), name
    tables = {f.label_map for k in KINDS.values() for la in k.layouts for f in la.label_files}
    assert tables - {None} <= set(built_in_label_maps())


@given(CHANNEL, CHANNEL, CHANNEL)
def test_colours_survive_their_code(red: int, green: int, blue: int) -> None:
    assert color_of(color_code((red, green, blue))) == (red, green, blue)


@settings(deadline=None, max_examples=20)  # every scheme has a table of its own
@given(st.dictionaries(st.tuples(CHANNEL, CHANNEL, CHANNEL), st.integers(0, 18), min_size=1))
def test_colour_labels_read_back_what_was_painted(
    tmp_path_factory: pytest.TempPathFactory, scheme: dict[tuple[int, int, int], int]
) -> None:
    path = tmp_path_factory.mktemp('colour') / 'label.png'
    Image.fromarray(np.array([list(scheme)], np.uint8)).save(path)
    entries = tuple(sorted((color_code(color), train) for color, train in scheme.items()))
    read = MappedLabels('mine', 'color', entries, 'mend it').read(path)
    assert read.tolist() == [list(scheme.values())]


@settings(deadline=None)
@given(st.integers(0, 65535), st.integers(0, 65535))
def test_the_red_channel_of_16_bit_pictures(
    tmp_path_factory: pytest.TempPathFactory, red: int, green: int
) -> None:
    path = tmp_path_factory.mktemp('red') / 'label.png'
    cv2.imwrite(str(path), np.full((2, 3, 3), (0, green, red), np.uint16))  # OpenCV writes BGR
    assert (read_red(path) == red).all()


def test_the_red_channel_of_rgba_and_grey_pictures(tmp_path: Path) -> None:
    ids = np.array([[3, 200]], np.uint8)
    rgba = np.stack([ids, ids * 0 + 9, ids * 0, ids * 0 + 255], axis=2)
    for number, picture in enumerate((rgba, ids)):
        path = tmp_path / f'{number}.png'
        Image.fromarray(picture).save(path)
        assert read_red(path).tolist() == [[3, 200]]


def _palette_picture(path: Path) -> Path:
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), mode='P')
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(path)
    return path


def test_palettes_by_index_and_by_colour(tmp_path: Path) -> None:
    path = _palette_picture(tmp_path / 'p.png')
    assert read_ids(path).tolist() == [[0, 1]]
    codes = [[color_code((10, 20, 30)), color_code((40, 50, 60))]]
    assert read_colors(path).tolist() == codes


def test_the_wrong_kind_of_picture_is_named(tmp_path: Path) -> None:
    grey = tmp_path / 'grey.png'
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(grey)
    with pytest.raises(ValueError, match=r'grey\.png is a grey picture; expected RGB'):
        read_colors(grey)
    with pytest.raises(ValueError, match=r'p\.png is a palette picture'):
        read_red(_palette_picture(tmp_path / 'p.png'))
    with pytest.raises(ValueError, match=r'no\.png cannot be read'):
        read_colors(tmp_path / 'no.png')


def test_cut_off_colour_labels_are_found(tmp_path: Path) -> None:
    path = tmp_path / 'cut.png'
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r'cut\.png cannot be read: .*cut off'):
        read_colors(path)


def test_an_unknown_value_is_named_with_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / 'label.png'
    image = np.zeros((4, 5, 3), np.uint8)
    image[0] = (1, 2, 3)
    image[1, 0] = (9, 9, 9)
    Image.fromarray(image).save(path)
    file = _write(tmp_path / 'm.yaml', '- {color: [0, 0, 0], class: road}', 'pixels: color')
    with pytest.raises(
        ValueError, match=r'label\.png holds colour \(1, 2, 3\) in 5 pixels and 1 more such'
    ):
        resolve_label_map(file).codec(CITYSCAPES).read(path)


def test_others_may_be_ignored(tmp_path: Path) -> None:
    path = tmp_path / 'label.png'
    Image.fromarray(np.array([[4, 77]], np.uint8)).save(path)
    file = _write(tmp_path / 'm.yaml', '- {id: 4, class: car}', 'others: ignore')
    assert resolve_label_map(file).codec(CITYSCAPES).read(path).tolist() == [[13, 255]]


def test_a_built_in_table_serves_other_class_sets(tmp_path: Path) -> None:
    mine = ClassSet('mine', ('car', 'road'), ((0, 0, 0), (1, 1, 1)), ((0,), (1,)))
    entries = dict(resolve_label_map('cityscapes').codec(mine).entries)
    assert (entries[26], entries[7], entries[24]) == (0, 1, IGNORE)
    other = ClassSet('other', ('lorry',), ((0, 0, 0),), ((0,),))
    with pytest.raises(ValueError, match='belongs to a class of class set'):
        resolve_label_map('cityscapes').codec(other)


@pytest.mark.parametrize(
    ('rows', 'reason'),
    [
        ('- {id: 1, class: rode}', "no class 'rode'.*did you mean 'road'"),
        ('- {id: 1, class: road}\n- {id: 1, class: car}', '1 stands for two classes'),
        ('- {class: road}', 'neither id nor color'),
        ('- {id: 1}', 'lacks `class`'),
        ('- {id: -1, class: road}', 'outside 0..65535'),
        ('- {id: one, class: road}', 'no whole number'),
        ('- {color: [1, 2, 300], class: road}', '0..255'),
        ('- {color: [1, 2], class: road}', r'not \[red, green, blue\]'),
        ('- {colour: [1, 2, 3], class: road}', 'did you mean color'),
    ],
)
def test_a_bad_table_is_named_with_its_reason(tmp_path: Path, rows: str, reason: str) -> None:
    file = _write(tmp_path / 'bad.yaml', rows)
    with pytest.raises(ValueError, match=f'bad.yaml.*{reason}'):
        resolve_label_map(file).codec(CITYSCAPES)


@pytest.mark.parametrize('head', ['pixel: id', 'pixels: colour', 'others: skip'])
def test_a_bad_head_is_refused(tmp_path: Path, head: str) -> None:
    file = _write(tmp_path / 'bad.yaml', '- {id: 1, class: road}', head)
    with pytest.raises(ValueError, match=r'bad\.yaml'):
        resolve_label_map(file)


def test_an_unknown_table_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match='expected one of camvid, camvid_11, carla'):
        resolve_label_map('karla')


def test_colours_of_two_classes_are_found_only_when_colours_are_read() -> None:
    rows = (LabelRow('road', id=1, color=(1, 1, 1)), LabelRow('car', id=2, color=(1, 1, 1)))
    table = LabelMap('t', rows)
    assert table.codec(CITYSCAPES).entries == ((1, 0), (2, 13))
    with pytest.raises(ValueError, match='stands for two classes'):
        table.codec(CITYSCAPES, 'color')


def test_the_table_to_copy_can_be_used() -> None:
    table = resolve_label_map(str(Path(__file__).parents[2] / 'config' / 'label_map.yaml'))
    assert len(table.codec(CITYSCAPES).entries) == len(table.rows)
