"""Files that appear whole or not at all, and the look at their place before the work."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from training.whole_files import check_writable, part_of, whole_folder, write_bytes


@pytest.mark.parametrize('folder', [False, True])
def test_new_places_are_taken_and_not_made(tmp_path: Path, folder: bool) -> None:
    check_writable(tmp_path / 'a' / 'b', folder=folder)
    assert not list(tmp_path.iterdir())


def test_a_file_may_be_written_again(tmp_path: Path) -> None:
    (tmp_path / 'a.json').write_text('old')
    check_writable(tmp_path / 'a.json')
    assert (tmp_path / 'a.json').read_text() == 'old'


def test_a_name_without_a_folder_is_below_the_present_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_writable('a.json')


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match='is a folder; name a file'):
        check_writable(tmp_path)
    with pytest.raises(ValueError, match='is a file; name a folder'):
        check_writable(tmp_path / 'file', folder=True)


@pytest.mark.parametrize('folder', [False, True])
def test_below_a_file_nothing_can_be_written(tmp_path: Path, folder: bool) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match=r'file/x/y cannot be written.*\(Not a dir'):
        check_writable(tmp_path / 'file' / 'x' / 'y', folder=folder)


def test_devices_are_refused_since_they_would_be_replaced() -> None:
    with pytest.raises(ValueError, match=r'/dev/null is a device'):
        check_writable('/dev/null')


def test_the_reason_of_the_system_is_told_with_the_name_that_was_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), '/somewhere/tmp1234')

    monkeypatch.setattr(tempfile, 'TemporaryFile', refuse)
    with pytest.raises(ValueError, match=r'x.json cannot be written.*\(Read-only') as caught:
        check_writable(tmp_path / 'x.json')
    assert 'tmp1234' not in str(caught.value)


def test_names_too_long_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='File name too long'):
        check_writable(tmp_path / ('x' * 300))


def test_what_cannot_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_bytes(tmp_path / 'missing' / 'x', b'')
    assert caught.value.filename == str(tmp_path / 'missing' / 'x')


def test_a_full_disk_leaves_no_part_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, 'write_bytes', fill)
    with pytest.raises(OSError, match='No space left') as caught:
        write_bytes(tmp_path / 'x', b'')
    assert caught.value.filename == str(tmp_path / 'x')
    assert not part_of(tmp_path / 'x').exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(NotADirectoryError) as caught, whole_folder(tmp_path / 'file' / 'x'):
        pass
    assert caught.value.filename == str(tmp_path / 'file' / 'x')
