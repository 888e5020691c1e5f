"""The extract and make-bag commands: names, rates, resuming, damage, exit codes."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import yaml

from hrda_core.image_codec import ENCODINGS, decode_bytes, decode_image
from training.bags.writing import ImageBagWriter
from training.cli import main
from training.extraction.rate import FrameClock, parse_interval

COMPRESSED = '/camera/image_raw/compressed'
FOLDER = 'drive/camera__image_raw__compressed'
SECOND_NS = 1_000_000_000
ROOT = Path(__file__).parents[2]


def extract(*arguments):
    return main(['extract', *map(str, arguments)])


def manifest(root):
    """The lines of the manifests of all drives."""
    files = sorted(root.glob('*/*/manifest.jsonl'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def tree(root):
    """Every image below a folder with its bytes."""
    files = (path for path in root.rglob('*.*') if path.suffix in ('.jpg', '.png'))
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if name != 'contact_sheet.jpg'}


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


@pytest.mark.parametrize('every', ['0.5s', '500ms', '2Hz', '.5'])
def test_every_takes_frames_by_stamp(camera_bag, tmp_path, every):
    extract(camera_bag(count=20), '-o', tmp_path / 'out', '--every', every)
    names = sorted(Path(name).stem for name in tree(tmp_path / 'out'))
    assert names == ['1_000000000', '1_500000000', '2_000000000', '2_500000000']


@pytest.mark.parametrize('text', ['', '0', '-1s', '5 parsec', '0Hz', 'nan', '1e3s'])
def test_impossible_intervals_are_refused(text):
    with pytest.raises(ValueError, match='interval'):
        parse_interval(text)


def test_a_jittering_camera_keeps_its_rate():
    rng = np.random.default_rng(0)
    clock = FrameClock(SECOND_NS // 2)
    jitter = rng.integers(-2_000_000, 2_000_000, 600)
    stamps = [SECOND_NS + n * SECOND_NS // 30 + int(j) for n, j in enumerate(jitter)]
    taken = [stamp for stamp in stamps if clock.takes(stamp)]
    assert len(taken) == 40
    assert np.ptp(np.diff(taken)) < 2 * SECOND_NS / 30


def test_a_camera_at_the_asked_rate_loses_no_frame():
    clock = FrameClock(SECOND_NS // 2)
    stamps = [SECOND_NS + n * SECOND_NS // 2 + (-1) ** n * 3_000_000 for n in range(50)]
    assert all(clock.takes(stamp) for stamp in stamps)


def test_a_stamp_that_jumps_back_starts_the_grid_anew():
    clock = FrameClock(SECOND_NS)
    stamps = [100.0, 100.5, 101.0, 5.0, 5.5, 6.0]
    assert [clock.takes(round(s * SECOND_NS)) for s in stamps] == [True, False, True] * 2


def test_a_second_run_adds_nothing_and_touches_nothing(camera_bag, tmp_path):
    bag, out = camera_bag(), tmp_path / 'out'
    extract(bag, '-o', out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob('?_*.jpg')}
    lines = manifest(out)
    assert extract(bag, '-o', out) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob('?_*.jpg')} == before
    assert manifest(out) == lines


@pytest.mark.parametrize('lost_bytes', [1, 40, 2000])
def test_a_cut_manifest_is_mended(camera_bag, tmp_path, lost_bytes):
    bag, out = camera_bag(), tmp_path / 'out'
    extract(bag, '-o', out)
    images, lines, file = tree(out), manifest(out), out / FOLDER / 'manifest.jsonl'
    file.write_bytes(file.read_bytes()[:-lost_bytes])
    assert extract(bag, '-o', out) == 0
    assert tree(out) == images
    assert manifest(out) == lines


def test_a_broken_line_in_the_manifest_is_named(camera_bag, tmp_path, capsys):
    bag, out = camera_bag(count=2), tmp_path / 'out'
    extract(bag, '-o', out)
    file = out / FOLDER / 'manifest.jsonl'
    file.write_text('nonsense\n' + file.read_text())
    assert extract(bag, '-o', out) == 1
    assert 'line 1 of' in capsys.readouterr().err


def test_killed_in_the_middle_then_resumed_gives_the_same_folder(camera_bag, tmp_path):
    bag = camera_bag(count=400, size=(48, 64))
    extract(bag, '-o', tmp_path / 'whole')
    out = tmp_path / 'killed'
    command = [sys.executable, '-m', 'training.cli', 'extract', str(bag), '-o', str(out)]
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, **quiet)
    while process.poll() is None and sum(1 for _ in out.rglob('*.jpg')) < 20:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (out / FOLDER / '.half.jpg.part').write_bytes(b'half')
    assert extract(bag, '-o', out) == 0
    assert tree(out) == tree(tmp_path / 'whole')
    assert manifest(out) == manifest(tmp_path / 'whole')


def test_two_extractions_to_one_folder_do_not_mix(camera_bag, tmp_path, capsys):
    import fcntl

    bag, out = camera_bag(count=1), tmp_path / 'out'
    (out / FOLDER).mkdir(parents=True)
    with (out / FOLDER / 'manifest.jsonl').open('ab') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert extract(bag, '-o', out) == 1
    assert 'another process' in capsys.readouterr().err


def test_equal_stamps_get_numbers_and_nothing_is_overwritten(tmp_path, jpeg):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(3):
            bag.write_compressed(COMPRESSED, SECOND_NS, jpeg(number))
    out = tmp_path / 'out'
    for _ in range(2):
        assert extract(tmp_path / 'drive', '-o', out) == 0
        assert tree(out) == {
            f'{FOLDER}/1_000000000.jpg': jpeg(0),
            f'{FOLDER}/1_000000000_2.jpg': jpeg(1),
            f'{FOLDER}/1_000000000_3.jpg': jpeg(2),
        }


def test_a_foreign_file_of_the_same_name_stays(camera_bag, jpeg, tmp_path):
    out = tmp_path / 'out'
    (out / FOLDER).mkdir(parents=True)
    (out / FOLDER / '1_000000000.jpg').write_bytes(b'mine')
    extract(camera_bag(count=1), '-o', out)
    assert tree(out)[f'{FOLDER}/1_000000000.jpg'] == b'mine'
    assert tree(out)[f'{FOLDER}/1_000000000_2.jpg'] == jpeg(0)


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


def test_messages_of_video_types_are_refused_with_a_remedy(camera_bag, tmp_path, capsys):
    path = camera_bag(count=2, storage='sqlite3')
    with sqlite3.connect(path / 'drive.db3') as base:
        base.execute("UPDATE topics SET type='foxglove_msgs/msg/CompressedVideo'")
    base.close()
    assert extract(path, '-o', tmp_path / 'out') == 1
    assert 'CompressedVideo are a video stream; its frames' in capsys.readouterr().err


def test_camera_info_is_written_beside_the_images(tmp_path, jpeg):
    k = np.array([[100.0, 0, 16], [0, 100, 12], [0, 0, 1]])
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write_compressed(COMPRESSED, SECOND_NS, jpeg(0))
        bag.write_camera_info('/camera/camera_info', SECOND_NS, (32, 24), k)
    extract(tmp_path / 'drive', '-o', tmp_path / 'out')
    info = yaml.safe_load((tmp_path / 'out' / FOLDER / 'camera_info.yaml').read_text())
    assert (info['image_width'], info['image_height']) == (32, 24)
    assert info['camera_matrix'] == {'rows': 3, 'cols': 3, 'data': k.reshape(-1).tolist()}


def test_a_bag_without_images_is_code_2(tmp_path, capsys):
    with ImageBagWriter(tmp_path / 'drive') as bag:
        bag.write_camera_info('/camera_info', SECOND_NS, (4, 4), np.eye(3))
    assert extract(tmp_path / 'drive', '-o', tmp_path / 'out') == 2
    assert '/camera_info (sensor_msgs/msg/CameraInfo)' in capsys.readouterr().out


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


def test_a_run_that_failed_before_its_first_image_binds_nobody(camera_bag, tmp_path):
    camera_bag(count=3)
    out = tmp_path / 'out'
    assert extract(tmp_path / 'drive', '-o', out, '--anonymise', 'false {input} {output}') == 1
    assert extract(tmp_path / 'drive', '-o', out) == 0
    assert len(manifest(out)) == 3


def test_what_a_disk_cuts_short_does_not_become_an_image(camera_bag, tmp_path, capsys):
    """A limit on the size of files stands in for the end of the disk: it, too, cuts a write."""
    bag, out = camera_bag(count=3, size=(96, 128)), tmp_path / 'out'
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        assert extract(bag, '-o', out) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f'{out / FOLDER}: File too large' in capsys.readouterr().err
    assert not tree(out)
    assert extract(bag, '-o', out) == 0
    assert len(tree(out)) == 3


def test_an_output_inside_the_recording_is_refused(camera_bag, tmp_path, capsys):
    bag = camera_bag(count=1)
    for source, out in ((bag, bag), (bag, bag / 'a' / 'b'), (bag / 'drive.mcap', bag / 'images')):
        assert extract(source, '-o', out) == 1
        told = capsys.readouterr().err
        assert f'{out} would lie in the recording' in told
        assert f'such as {tmp_path / "drive_results"}' in told
    assert sorted(path.name for path in bag.iterdir()) == ['drive.mcap', 'metadata.yaml']


def test_images_may_stand_beside_a_file_without_metadata(camera_bag, tmp_path):
    (camera_bag(count=1) / 'drive.mcap').rename(tmp_path / 'drive.mcap')
    assert extract(tmp_path / 'drive.mcap', '-o', tmp_path) == 0


def test_a_place_that_cannot_be_written_is_told_first(camera_bag, tmp_path, capsys):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'drive').write_text('mine')
    assert extract(camera_bag(count=1), '-o', tmp_path / 'out') == 1
    assert f'{tmp_path / "out" / FOLDER} cannot be written' in capsys.readouterr().err
