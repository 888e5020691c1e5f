"""Which topics an extraction takes, and which it refuses."""

from __future__ import annotations

import sqlite3
import tempfile

import numpy as np
import pytest
from extracting import COMPRESSED, SECOND_NS, extract, manifest, tree

from training.bags.writing import ImageBagWriter


def write_topics(path, jpeg, *topics, rgb=()):
    with ImageBagWriter(path) as bag:
        for topic in topics:
            bag.write_compressed(topic, SECOND_NS, jpeg(0))
        for topic in rgb:
            bag.write_rgb(topic, SECOND_NS, np.zeros((4, 4, 3), np.uint8))
    return path


def test_several_cameras_are_listed_and_need_a_choice(tmp_path, jpeg, capsys):
    bag = write_topics(tmp_path / 'drive', jpeg, '/left/compressed', rgb=['/right'])
    assert extract(bag, '-o', tmp_path / 'out') == 1
    error = capsys.readouterr().err
    assert '/left/compressed (compressed jpeg, 32x24, 1 images)' in error
    assert '/right (raw rgb8, 4x4, 1 images)' in error
    assert '--topic' in error
    assert extract(bag, '-o', tmp_path / 'out', '--topic', '/right') == 0
    assert list(tree(tmp_path / 'out')) == ['drive/right/1_000000000.jpg']


def test_the_compressed_twin_of_the_only_camera_is_taken_and_said(tmp_path, jpeg, capsys):
    bag = write_topics(tmp_path / 'drive', jpeg, '/cam/compressed', rgb=['/cam'])
    assert extract(bag, '-o', tmp_path / 'out') == 0
    assert list(tree(tmp_path / 'out')) == ['drive/cam__compressed/1_000000000.jpg']
    assert 'copied unchanged' in capsys.readouterr().err


def test_the_raw_name_finds_its_recorded_twin(tmp_path, jpeg, capsys):
    bag = write_topics(tmp_path / 'drive', jpeg, '/a/compressed', '/b/compressed')
    assert extract(bag, '-o', tmp_path / 'out', '--topic', 'a') == 0
    assert 'compressed twin /a/compressed' in capsys.readouterr().err


def test_an_unknown_topic_is_refused_with_the_known_ones(camera_bag, tmp_path, capsys):
    assert extract(camera_bag(count=1), '-o', tmp_path / 'out', '--topic', '/x') == 1
    assert COMPRESSED in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_depth_beside_the_camera_does_not_ask_for_a_choice(tmp_path, jpeg):
    bag_path = tmp_path / 'drive'
    with ImageBagWriter(bag_path) as bag:
        bag.write_compressed('/cam/compressed', SECOND_NS, jpeg(0))
        depth = {'header': bag.header(1), 'format': '16UC1; compressedDepth png'}
        data = np.zeros(9, np.uint8)
        kind = 'sensor_msgs/msg/CompressedImage'
        bag.write('/depth/compressedDepth', kind, SECOND_NS, **depth, data=data)
    assert extract(bag_path, '-o', tmp_path / 'out') == 0
    assert len(tree(tmp_path / 'out')) == 1


def test_video_is_refused_with_a_remedy(tmp_path, capsys):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        fields = {'header': bag.header(1), 'format': 'h264', 'data': np.zeros(9, np.uint8)}
        bag.write('/cam', 'sensor_msgs/msg/CompressedImage', SECOND_NS, **fields)
    assert extract(tmp_path / 'drive', '-o', tmp_path / 'out') == 1
    assert 'republish' in capsys.readouterr().err


@pytest.mark.parametrize('order', [['plain', 'video'], ['video', 'plain']])
@pytest.mark.parametrize('has_twin', [False, True])
def test_a_video_among_recordings_is_told_and_the_others_are_taken(
    camera_bag, tmp_path, capsys, order, has_twin
):
    camera_bag('plain', count=3)
    with ImageBagWriter(tmp_path / 'video') as bag:
        fields = {'header': bag.header(1), 'format': 'h264', 'data': np.zeros(9, np.uint8)}
        bag.write(COMPRESSED, 'sensor_msgs/msg/CompressedImage', SECOND_NS, **fields)
        if has_twin:
            raw = COMPRESSED.removesuffix('/compressed')
            bag.write_rgb(raw, SECOND_NS, np.zeros((4, 4, 3), np.uint8))
    bags = [tmp_path / name for name in order]
    topic = ['--topic', COMPRESSED]
    assert extract(*bags, '-o', tmp_path / 'out', *topic) == (0 if has_twin else 3)
    assert len(tree(tmp_path / 'out')) == 3 + has_twin
    told = capsys.readouterr()
    assert f'{COMPRESSED} (compressed jpeg, 32x24, 3 images' in told.err
    if has_twin:
        assert f'{tmp_path / "video"} has no usable images on {COMPRESSED}; taking' in told.err
    else:
        assert f'{tmp_path / "video"}: {COMPRESSED}: compressed format' in told.out


def test_of_many_packed_recordings_a_glance_at_one_tells_of_all(
    tmp_path, jpeg, monkeypatch, capsys
):
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
    for name in 'abc':
        with ImageBagWriter(tmp_path / 'season' / name, compression='file') as bag:
            bag.write_compressed('/cam', SECOND_NS, jpeg(0))
            depth = {'header': bag.header(1), 'height': 1, 'width': 1, 'encoding': '32FC1'}
            depth |= {'is_bigendian': 0, 'step': 4, 'data': np.zeros(4, np.uint8)}
            bag.write('/depth', 'sensor_msgs/msg/Image', SECOND_NS, **depth)
    assert extract(tmp_path / 'season', '-o', tmp_path / 'out') == 0
    assert '/depth (raw 32FC1, 1x1, 3 images, not usable)' in capsys.readouterr().err
    assert len(tree(tmp_path / 'out')) == 3
    assert not list(temporary.iterdir())


@pytest.mark.parametrize('order', [['raw', 'video'], ['video', 'raw']])
def test_a_video_twin_is_told(tmp_path, capsys, order):
    raw = COMPRESSED.removesuffix('/compressed')
    with ImageBagWriter(tmp_path / 'raw') as bag:
        bag.write_rgb(raw, SECOND_NS, np.zeros((4, 4, 3), np.uint8))
    with ImageBagWriter(tmp_path / 'video') as bag:
        fields = {'header': bag.header(1), 'format': 'h264', 'data': np.zeros(9, np.uint8)}
        bag.write(COMPRESSED, 'sensor_msgs/msg/CompressedImage', SECOND_NS, **fields)
    bags = [tmp_path / name for name in order]
    assert extract(*bags, '-o', tmp_path / 'out') == 3
    assert f'{tmp_path / "video"}: {COMPRESSED}: compressed format' in capsys.readouterr().out


def test_topics_too_long_for_the_name_of_a_folder(tmp_path, jpeg):
    names = ['/' + '/'.join(['level'] * 60) + end for end in ('/left', '/right')]
    bag = write_topics(tmp_path / 'drive', jpeg, *names)
    assert extract(bag, '-o', tmp_path / 'out', '--topic', names[0], '--topic', names[1]) == 0
    folders = list((tmp_path / 'out' / 'drive').iterdir())
    assert len(folders) == 2
    assert sorted(line['topic'] for line in manifest(tmp_path / 'out')) == names


def test_messages_of_video_types_are_refused_with_a_remedy(camera_bag, tmp_path, capsys):
    path = camera_bag(count=2, storage='sqlite3')
    with sqlite3.connect(path / 'drive.db3') as base:
        base.execute("UPDATE topics SET type='foxglove_msgs/msg/CompressedVideo'")
    base.close()
    assert extract(path, '-o', tmp_path / 'out') == 1
    assert 'CompressedVideo are a video stream; its frames' in capsys.readouterr().err


def test_a_bag_without_images_is_code_2(tmp_path, capsys):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write_camera_info('/camera_info', SECOND_NS, (4, 4), np.eye(3))
    assert extract(tmp_path / 'drive', '-o', tmp_path / 'out') == 2
    assert '/camera_info (sensor_msgs/msg/CameraInfo)' in capsys.readouterr().out
