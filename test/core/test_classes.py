"""Class sets and overlays."""

from __future__ import annotations

import numpy as np
import pytest

from hrda_core.classes import CITYSCAPES, IGNORE, SYNTHIA, ClassSet, resolve_classes
from hrda_core.overlay import blend


@pytest.fixture
def two() -> ClassSet:
    return ClassSet(
        'two', ('road', 'person'), ((1, 2, 3), (4, 5, 6)), ((7, 8), (300,)), ('person',)
    )


def test_cityscapes_things_are_the_published_ones():
    assert CITYSCAPES.thing_ids == (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)


def test_synthia_ids_map_as_published():
    raw = np.array([3, 4, 1, 10, 8, 12, 11, 0], np.uint8)
    assert SYNTHIA.encode(raw).tolist() == [0, 1, 10, 11, 13, 17, 18, IGNORE]


def test_encode_handles_16_bit_ids_and_ignores_the_rest(two):
    raw = np.array([[7, 300], [8, 9]], np.uint16)
    assert two.encode(raw).tolist() == [[0, 1], [0, IGNORE]]


def test_encode_refuses_other_types(two):
    with pytest.raises(ValueError, match='uint8 or uint16'):
        two.encode(np.zeros((2, 2), np.int64))


def test_colorize_paints_unlabelled_black(two):
    assert two.colorize(np.array([[1, 255]], np.uint8)).tolist() == [[[4, 5, 6], [0, 0, 0]]]


def test_dictionary_round_trip(two):
    assert ClassSet.from_dict(two.to_dict()) == two


def test_yaml_ids_default_to_the_position(tmp_path):
    path = tmp_path / 'classes.yaml'
    path.write_text(
        'name: mine\nclasses:\n- {name: a, color: [1, 2, 3]}\n- {name: b, color: [4, 5, 6]}\n'
    )
    assert resolve_classes(str(path)).raw_ids == ((0,), (1,))


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('name: x\nclasses: [{name: a}]\n', 'color'),
        ('name: x\nclasses: [{name: a, color: [1, 2, 300]}]\n', '0..255'),
        ('name: x\nclasses: [{name: a, color: [1, 2, 3], colour: 1}]\n', 'colour'),
        ('name: x\nclasses: []\n', '1 to 255'),
        ('[1, 2', 'while parsing'),
    ],
)
def test_a_bad_class_file_is_named_with_its_reason(tmp_path, text, reason):
    path = tmp_path / 'bad.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=f'bad.yaml.*(?s:{reason})'):
        resolve_classes(str(path))


def test_an_unknown_set_lists_the_known_ones():
    with pytest.raises(ValueError, match='cityscapes, synthia'):
        resolve_classes('cityscape')


def test_raw_ids_must_be_unique():
    with pytest.raises(ValueError, match='stands in two classes'):
        ClassSet('x', ('a', 'b'), ((0, 0, 0), (1, 1, 1)), ((3,), (3,)))


def test_blend_keeps_unlabelled_pixels(two):
    image = np.full((1, 2, 3), 200, np.uint8)
    result = blend(image, np.array([[0, 255]], np.uint8), two.palette, 0.5)
    assert result[0, 1].tolist() == [200, 200, 200]
    np.testing.assert_allclose(result[0, 0], [100.5, 101, 101.5], atol=1)


@pytest.mark.parametrize('alpha', [0.0, 1.0])
def test_blend_reaches_both_ends(two, alpha):
    image = np.full((1, 1, 3), 255, np.uint8)
    result = blend(image, np.array([[1]], np.uint8), two.palette, alpha)
    assert result[0, 0].tolist() == ([4, 5, 6] if alpha else [255, 255, 255])


def test_blend_refuses_other_sizes_and_alphas(two):
    image, labels = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match='differ in size'):
        blend(image, labels, two.palette, 0.5)
    with pytest.raises(ValueError, match='is outside'):
        blend(image, labels[:, :2], two.palette, 1.5)
