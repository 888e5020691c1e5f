"""Temporary folders that are cleared away even after a kill: by the next process that looks."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import socket
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path


class ScratchFolder:
    """A temporary folder that is this process's own as long as it lives.

    It is locked, and a lock ends with its process, however that ends: what nobody holds is left
    over from a process that was killed.

    Args:
        kind: what it is for, a word of its name.

    Raises:
        OSError: there is no room for it, or no right to make it.

    Attributes:
        path: the folder, below TMPDIR.
    """

    def __init__(self, kind: str) -> None:
        while True:
            self._folder = tempfile.TemporaryDirectory(prefix=f'{_prefix()}{kind}_')
            self.path = Path(self._folder.name)
            lock = _locked(self.path)
            if lock is not None:  # else it was cleared away before it was locked
                break
        self._unlock = weakref.finalize(self, os.close, lock)

    def close(self) -> None:
        """Delete the folder."""
        self._folder.cleanup()
        self._unlock()


def _prefix() -> str:
    """The beginning of names: locks need not reach other machines that share a folder."""
    return f'hrda_scratch_{socket.gethostname()}_'


def _locked(folder: Path) -> int | None:
    """Lock a folder; None when it is gone."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # where folders cannot be locked (NFS), nobody clears them either
        fcntl.flock(lock, fcntl.LOCK_EX)
    if folder.exists():
        return lock
    os.close(lock)
    return None


def clear_abandoned_scratch() -> None:
    """Delete the scratch folders of processes of this user, on this machine, that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f'{glob.escape(_prefix())}*'):
        with suppress(OSError):  # of another user, or just deleted by its own process
            _delete_unless_held(folder)


def _delete_unless_held(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
