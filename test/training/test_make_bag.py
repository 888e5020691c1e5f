"""The make-bag command: images in, and the same out again."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from extracting import FOLDER, extract, tree

from hrda_core.image_codec import decode_bytes
from training.cli import main


def test_make_bag_and_extract_give_the_files_back(tmp_path, jpeg, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('images').mkdir()
    for number in range(3):
        Path(f'images/frame{number}.jpg').write_bytes(jpeg(number))
    assert main(['make-bag', 'images', '-o', 'drive', '--rate', '4', '--start', '2.5']) == 0
    assert extract('drive', '-o', 'out') == 0
    assert tree(Path('out')) == {
        f'{FOLDER}/2_500000000.jpg': jpeg(0),
        f'{FOLDER}/2_750000000.jpg': jpeg(1),
        f'{FOLDER}/3_000000000.jpg': jpeg(2),
    }


def test_make_bag_raw_keeps_the_pixels(tmp_path, jpeg):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/a.jpg').write_bytes(jpeg(0))
    bag = tmp_path / 'drive'
    assert main(['make-bag', str(tmp_path / 'images'), '-o', str(bag), '--raw']) == 0
    extract(bag, '-o', tmp_path / 'out', '--format', 'png')
    data = tree(tmp_path / 'out')['drive/camera__image_raw/1_000000000.png']
    np.testing.assert_array_equal(decode_bytes(data), decode_bytes(jpeg(0)))


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--rate', '0'], 'above 0'),
        (['--start', '-1'], '--start'),
        (['--topic', '/a//b'], 'cannot name a topic'),
    ],
)
def test_make_bag_refuses_impossible_settings(tmp_path, jpeg, capsys, options, words):
    (tmp_path / 'a.jpg').write_bytes(jpeg(0))
    assert main(['make-bag', str(tmp_path), '-o', str(tmp_path / 'bag'), *options]) == 1
    assert words in capsys.readouterr().err


def test_make_bag_names_a_damaged_file_and_leaves_nothing(tmp_path, jpeg, capsys):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/a.jpg').write_bytes(jpeg(0)[:-20])
    assert main(['make-bag', str(tmp_path / 'images'), '-o', str(tmp_path / 'bag')]) == 1
    assert 'a.jpg' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['images']


def test_a_full_disk_is_told_with_a_remedy(tmp_path, jpeg, capsys):
    """A limit on the size of files stands in for the end of the disk: it, too, cuts a write."""
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/a.jpg').write_bytes(jpeg(0, 96, 128))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        assert main(['make-bag', str(tmp_path / 'images'), '-o', str(tmp_path / 'bag')]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f'{tmp_path / "bag"}: File too large; make room there' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['images']
