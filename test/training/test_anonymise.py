"""The hook that makes frames anonymous: functions and programs that work, fail, or are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
import pytest
from extracting import ROOT, SECOND_NS, extract, tree

from hrda_core.image_codec import decode_bytes
from training.bags.writing import ImageBagWriter

FOLDER = 'drive/cam'


@pytest.fixture
def bag(tmp_path):
    with ImageBagWriter(tmp_path / 'drive') as writer:
        for number in range(3):
            rgb = np.random.default_rng(number).integers(8, 256, (48, 64, 3), np.uint8)
            data = cv2.imencode('.jpg', rgb)[1].tobytes()
            writer.write_compressed('/cam', SECOND_NS + number, data)
    return tmp_path / 'drive'


def read(path):
    return decode_bytes(path.read_bytes())


def test_a_dummy_function_anonymises(bag, tmp_path, monkeypatch):
    (tmp_path / 'dummy_blur.py').write_text(
        'def hide(rgb):\n    rgb[:10] = 7\n    return rgb\n'
        'def fail(rgb):\n    raise OSError("no model")\n'
        'def shrink(rgb):\n    return rgb[:5]\n'
        'def leave(rgb):\n    raise SystemExit(0)\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    hook = ['--anonymise', 'dummy_blur:hide', '--format', 'png']
    assert extract(bag, '-o', tmp_path / 'out', *hook) == 0
    found = read(tmp_path / 'out' / FOLDER / '1_000000000.png')
    assert (found[:10] == 7).all() and not (found[10:] == 7).all()
    for name in ('fail', 'shrink', 'leave', 'missing'):
        assert extract(bag, '-o', tmp_path / name, '--anonymise', f'dummy_blur:{name}') == 1
        assert not list((tmp_path / name).rglob('*.jpg'))


def test_an_anonymiser_that_is_not_installed_is_named(bag, tmp_path, capsys):
    hook = ['--anonymise', 'no_such_blur {input} {output}']
    assert extract(bag, '-o', tmp_path / 'out', *hook) == 1
    assert 'there is no program no_such_blur; install it' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_dummy_command_anonymises(bag, tmp_path, capsys):
    (tmp_path / 'blur.py').write_text(
        'import sys, cv2\npicture = cv2.imread(sys.argv[1])\npicture[:10] = 7\n'
        'cv2.imwrite(sys.argv[2], picture)\n'
    )
    command = f'{sys.executable} {tmp_path / "blur.py"} {{input}} {{output}}'
    options = ['--format', 'png', '--every', '1s', '--anonymise']
    assert extract(bag, '-o', tmp_path / 'out', *options, command) == 0
    assert (read(tmp_path / 'out' / FOLDER / '1_000000000.png')[:10] == 7).all()
    broken = f'{sys.executable} -c "1/0" {{input}} {{output}}'
    assert extract(bag, '-o', tmp_path / 'broken', *options, broken) == 1
    assert 'ZeroDivisionError' in capsys.readouterr().err


@pytest.mark.parametrize('hook', ['blur', 'blur {input}', 'no_such_module:f', 'os:sep'])
def test_hooks_that_are_none_are_refused(bag, tmp_path, hook):
    assert extract(bag, '-o', tmp_path / 'out', '--anonymise', hook) == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('hook', 'words'),
    [
        ("blur 'a {input} {output}", 'no closing quotation; close every quotation mark'),
        ('extracting:nothing', 'there is no nothing in extracting ('),
    ],
)
def test_what_is_wrong_with_a_hook_is_told(bag, tmp_path, capsys, hook, words):
    assert extract(bag, '-o', tmp_path / 'out', '--anonymise', hook) == 1
    assert words in capsys.readouterr().err


SLOW = """
import shutil, sys, time
print(file=open({flag!r}, 'w'))
time.sleep(0.5)
shutil.copy(sys.argv[1], sys.argv[2])
"""


@pytest.fixture
def slow(bag, tmp_path):
    """Start an extraction in a process group of its own, with a program of half a second."""
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    flag = tmp_path / 'begun'
    (tmp_path / 'slow.py').write_text(SLOW.format(flag=str(flag)))
    hook = f'{sys.executable} {tmp_path / "slow.py"} {{input}} {{output}}'
    command = [sys.executable, '-m', 'training.cli', 'extract', str(bag)]
    command += ['-o', str(tmp_path / 'out'), '--anonymise', hook]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, 'TMPDIR': str(temporary)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not flag.exists():
        assert process.poll() is None
    yield process, temporary
    process.communicate()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_without_blaming_it(slow, tmp_path, number):
    process, temporary = slow
    os.killpg(process.pid, number)
    told, complaints = process.communicate()
    assert (process.returncode, complaints.count('mend')) == (130, 0)
    assert told == f'{number.name}: stopped; the same command goes on from here\n'
    assert not tree(tmp_path / 'out')
    assert not list(temporary.iterdir())


def test_programs_that_hang_in_several_processes_end_with_the_extraction(bag, tmp_path):
    shutil.copytree(bag, tmp_path / 'other')
    hook = f'sh -c "echo > {tmp_path}/pid.$$; sleep 600; : {{input}} {{output}}"'
    command = [sys.executable, '-m', 'training.cli', 'extract', str(bag), str(tmp_path / 'other')]
    command += ['-o', str(tmp_path / 'out'), '--processes', '2', '--anonymise', hook]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while len(pids := [int(file.suffix[1:]) for file in tmp_path.glob('pid.*')]) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    assert process.communicate(timeout=60)[0].startswith('SIGTERM: stopped')
    assert process.returncode == 130
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


TRANSPARENT = """
import sys, cv2, numpy
picture = cv2.imread(sys.argv[1])
cv2.imwrite(sys.argv[2], numpy.dstack([picture, numpy.zeros(picture.shape[:2], 'u1')]))
"""


def test_what_is_hidden_by_transparency_is_not_hidden(bag, tmp_path, capsys, monkeypatch):
    (tmp_path / 'clear.py').write_text(TRANSPARENT)
    (tmp_path / 'dummy_mask.py').write_text(
        'import numpy\ndef hide(rgb):\n    return numpy.ma.masked_array(rgb, rgb > 0)\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    command = f'{sys.executable} {tmp_path / "clear.py"} {{input}} {{output}}'
    for hook, words in ((command, 'transparent where it hides'), ('dummy_mask:hide', 'masked')):
        assert extract(bag, '-o', tmp_path / 'out', '--anonymise', hook) == 1
        assert words in capsys.readouterr().err
        assert not tree(tmp_path / 'out')


def test_pictures_of_faces_on_the_summary_do_not_survive_a_failing_hook(bag, tmp_path):
    out = tmp_path / 'out'
    extract(bag, '-o', out)
    assert extract(bag, '-o', out, '--anonymise', 'false {input} {output}') == 1  # is refused
    assert (out / 'summary.html').exists()
    shutil.rmtree(out / 'drive')
    assert extract(bag, '-o', out, '--anonymise', 'false {input} {output}') == 1
    assert sorted(path.name for path in out.iterdir()) == ['drive', 'splits.json']


def test_a_frame_with_faces_does_not_survive_the_next_extraction(slow, bag, tmp_path, monkeypatch):
    process, temporary = slow
    process.kill()
    process.wait()
    assert list(temporary.glob('*/input.png'))
    monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
    assert extract(bag, '-o', tmp_path / 'plain') == 0
    assert not list(temporary.iterdir())
