"""The extract command: names, bytes, encodings, damage, exit codes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import yaml
from extracting import COMPRESSED, FOLDER, ROOT, SECOND_NS, extract, manifest, tree

from hrda_core.image_codec import ENCODINGS, decode_bytes, decode_image
from training.bags.writing import ImageBagWriter


def test_jpegs_are_copied_unchanged_under_the_names_of_their_stamps(camera_bag, jpeg, tmp_path):
    assert extract(camera_bag(count=3), '-o', tmp_path / 'out') == 0
    assert tree(tmp_path / 'out') == {
        f'{FOLDER}/1_000000000.jpg': jpeg(0),
        f'{FOLDER}/1_100000000.jpg': jpeg(1),
        f'{FOLDER}/1_200000000.jpg': jpeg(2),
    }


def test_the_manifest_has_a_line_per_frame(camera_bag, jpeg, tmp_path):
    bag = camera_bag(count=2)
    extract(bag, '-o', tmp_path / 'out')
    assert manifest(tmp_path / 'out')[1] == {
        'bag': str(bag),
        'drive': 'drive',
        'topic': COMPRESSED,
        'record_ns': 1_100_000_000,
        'stamp_ns': 1_100_000_000,
        'frame_id': 'camera_optical_frame',
        'encoding': 'jpeg',
        'width': 32,
        'height': 24,
        'sha1': hashlib.sha1(jpeg(1)).hexdigest(),
        'kept': True,
        'reason': '',
        'detail': '',
        'file': '1_100000000.jpg',
    }


def test_a_header_without_stamp_falls_back_to_the_record_time(tmp_path, jpeg):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write_compressed(COMPRESSED, 0, jpeg(0))
        connection = bag._connections[COMPRESSED]
        fields = {'header': bag.header(0), 'format': 'jpeg', 'data': np.frombuffer(jpeg(1), 'u1')}
        bag.write(COMPRESSED, connection.msgtype, 5 * SECOND_NS + 7, **fields)
    extract(tmp_path / 'drive', '-o', tmp_path / 'out')
    assert f'{FOLDER}/5_000000007.jpg' in tree(tmp_path / 'out')


def test_two_bags_of_one_name_get_two_folders(camera_bag, tmp_path):
    camera_bag('monday/bag', count=1)
    camera_bag('tuesday/bag', count=1)
    extract(tmp_path / 'monday/bag', tmp_path / 'tuesday/bag', '-o', tmp_path / 'out')
    drives = sorted(path.name for path in (tmp_path / 'out').iterdir() if path.is_dir())
    assert drives == ['monday_bag', 'tuesday_bag']


def test_bags_below_folders_of_one_name_get_longer_names(camera_bag, tmp_path):
    for place in ('x/monday/bag', 'y/monday/bag', 'tuesday/bag'):
        camera_bag(place, count=1)
    extract(*(tmp_path / f'{name}' for name in ('x/monday', 'y/monday', 'tuesday')),
            '-o', tmp_path / 'out')  # fmt: skip
    drives = sorted(path.name for path in (tmp_path / 'out').iterdir() if path.is_dir())
    assert drives == ['tuesday_bag', 'x_monday_bag', 'y_monday_bag']


def raw_bag(path, rgb, **changes):
    height, width, _ = rgb.shape
    with ImageBagWriter(path) as bag:
        fields = {
            'header': bag.header(SECOND_NS),
            'height': height,
            'width': width,
            'encoding': 'bgr8',
            'is_bigendian': 0,
            'step': 3 * width,
            'data': np.ascontiguousarray(rgb[..., ::-1]).reshape(-1),
        }
        bag.write('/cam', 'sensor_msgs/msg/Image', SECOND_NS, **{**fields, **changes})
    return path


def test_raw_images_become_png_without_loss(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    bag = raw_bag(tmp_path / 'drive', rgb)
    assert extract(bag, '-o', tmp_path / 'out', '--format', 'png') == 0
    ((name, data),) = tree(tmp_path / 'out').items()
    assert name == 'drive/cam/1_000000000.png'
    np.testing.assert_array_equal(decode_bytes(data), rgb)


@pytest.mark.parametrize('big', [0, 1])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_with_padded_rows_comes_out_as_the_decoder_says(tmp_path, encoding, big):
    planar = {'nv12': 1.5, 'nv21': 1.5, 'nv24': 3.0}
    step, height = 4 * 2 * 8 + 5, 6
    length = round(step * height * planar.get(encoding, 1.0))
    data = np.random.default_rng(0).integers(0, 256, length, np.uint8)
    fields = {'encoding': encoding, 'is_bigendian': big, 'step': step, 'data': data}
    bag = raw_bag(tmp_path / 'drive', np.zeros((height, 8, 3), np.uint8), **fields)
    assert extract(bag, '-o', tmp_path / 'out', '--format', 'png') == 0
    (found,) = tree(tmp_path / 'out').values()
    message = SimpleNamespace(height=height, width=8, **fields)
    np.testing.assert_array_equal(decode_bytes(found), decode_image(message))


def test_a_damaged_raw_image_is_called_by_its_own_encoding(tmp_path, capsys):
    bag = raw_bag(tmp_path / 'drive', np.zeros((20, 30, 3), np.uint8), step=80)
    assert extract(bag, '-o', tmp_path / 'out') == 3
    assert "at least 90 for this width of 'bgr8'" in capsys.readouterr().out


def test_an_output_without_a_name_is_refused(camera_bag, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert extract(camera_bag(count=1), '-o', '') == 1
    assert '--output is empty' in capsys.readouterr().err
    assert not (tmp_path / 'splits.json').exists()


def test_raw_images_become_good_jpegs(tmp_path):
    rgb = np.full((20, 30, 3), (200, 60, 20), np.uint8)
    extract(raw_bag(tmp_path / 'drive', rgb), '-o', tmp_path / 'out')
    (data,) = tree(tmp_path / 'out').values()
    assert np.abs(decode_bytes(data).astype(int) - rgb).max() <= 4


def test_a_png_of_sixteen_bits_is_reduced(tmp_path):
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write_compressed('/cam', SECOND_NS, cv2.imencode('.png', pixels)[1].tobytes())
    extract(tmp_path / 'drive', '-o', tmp_path / 'out', '--format', 'png')
    (data,) = tree(tmp_path / 'out').values()
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).dtype == np.uint8


def test_camera_info_is_written_beside_the_images(tmp_path, jpeg):
    k = np.array([[100.0, 0, 16], [0, 100, 12], [0, 0, 1]])
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write_compressed(COMPRESSED, SECOND_NS, jpeg(0))
        bag.write_camera_info('/camera/camera_info', SECOND_NS, (32, 24), k)
    extract(tmp_path / 'drive', '-o', tmp_path / 'out')
    info = yaml.safe_load((tmp_path / 'out' / FOLDER / 'camera_info.yaml').read_text())
    assert (info['image_width'], info['image_height']) == (32, 24)
    assert info['camera_matrix'] == {'rows': 3, 'cols': 3, 'data': k.reshape(-1).tolist()}


def test_a_truncated_bag_is_code_3_and_gives_its_frames(camera_bag, tmp_path, capsys):
    path = camera_bag(count=100, size=(96, 128))
    file = path / 'drive.mcap'
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for _ in range(2):
        assert extract(path, '-o', tmp_path / 'out') == 3
        report = capsys.readouterr().out
        assert 'cut off' in report
        assert 'of the 100 messages' in report
    assert 45 <= len(tree(tmp_path / 'out')) <= 50


def test_garbage_is_code_3(tmp_path):
    (tmp_path / 'x.mcap').write_bytes(b'garbage' * 50)
    assert extract(tmp_path / 'x.mcap', '-o', tmp_path / 'out') == 3


def test_a_corrupt_jpeg_does_not_become_an_image(tmp_path, jpeg):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write_compressed(COMPRESSED, SECOND_NS, jpeg(0))
        cut = np.frombuffer(jpeg(1)[:-50], np.uint8)
        fields = {'header': bag.header(2 * SECOND_NS), 'format': 'jpeg', 'data': cut}
        bag.write(COMPRESSED, 'sensor_msgs/msg/CompressedImage', 2 * SECOND_NS, **fields)
    out = tmp_path / 'out'
    for _ in range(2):
        assert extract(tmp_path / 'drive', '-o', out) == 3
        assert list(tree(out)) == [f'{FOLDER}/1_000000000.jpg']
    assert 'cut off' in manifest(out)[1]['detail']
    assert len(manifest(out)) == 2


def test_a_jpeg_damaged_inside_is_left_out_by_those_who_look_at_pixels(tmp_path, jpeg, capfd):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write_compressed(COMPRESSED, SECOND_NS, jpeg(0))
        whole = jpeg(1)
        hole = np.frombuffer(whole[: len(whole) // 2] + whole[-2:], np.uint8)
        fields = {'header': bag.header(2 * SECOND_NS), 'format': 'jpeg', 'data': hole}
        bag.write(COMPRESSED, 'sensor_msgs/msg/CompressedImage', 2 * SECOND_NS, **fields)
    assert extract(tmp_path / 'drive', '-o', tmp_path / 'out', '--min-brightness=0.01') == 3
    assert 'damaged: premature end' in manifest(tmp_path / 'out')[1]['detail']
    assert 'Corrupt JPEG' not in capfd.readouterr().err


def test_a_missing_bag_is_code_1(tmp_path, capsys):
    assert extract(tmp_path / 'nowhere', '-o', tmp_path / 'out') == 1
    assert 'nowhere' in capsys.readouterr().err


def test_extract_imports_neither_torch_nor_ros():
    code = (
        'import sys, training.extraction.command, training.bags.make_bag; '
        "print(sorted({'torch', 'rclpy', 'hrda_ros', 'timm'} & set(sys.modules)))"
    )
    found = subprocess.check_output([sys.executable, '-c', code], text=True, cwd=ROOT)
    assert found.strip() == '[]'
