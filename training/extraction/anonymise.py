"""Faces and licence plates: the hook for whatever program makes them unrecognisable."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.extraction.picture_errors import AnonymiseError
from training.run.stop_signals import Stopped
from training.scratch import ScratchFolder

Uint8Array = npt.NDArray[np.uint8]
Anonymiser = Callable[[Uint8Array], Uint8Array]
_FUNCTION = re.compile(r'[A-Za-z_][\w.]*:[A-Za-z_]\w*')
_ERROR_CHARACTERS = 300
_LOOK_EVERY_S = 0.2


def load_anonymiser(text: str, alive: Callable[[], None] = lambda: None) -> Anonymiser:
    """Find what makes frames anonymous.

    Args:
        text: 'module:function', called with every frame, uint8 (H, W, 3) RGB, before anything
            else is done to it, and returning one of the same shape; or a command with the words
            {input} and {output}, which reads one PNG file and writes another of the same size.
        alive: called again and again while a command works; what it raises ends the command.

    Returns:
        A function that gives the changed frame.

    Raises:
        ValueError: neither of the two, or there is no such function.
        AnonymiseError: (of the result) a frame could not be made anonymous; it is never written.
    """
    if _FUNCTION.fullmatch(text):
        return _checked(_find_function(text), text)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(
            f'--anonymise {text!r}: {str(error).lower()}; close every quotation mark in it'
        ) from error
    if not any('{input}' in word for word in words) or '{output}' not in text:
        raise ValueError(
            f'--anonymise {text!r} must be module:function, or a command with {{input}} and '
            "{output}, such as 'blur-faces {input} -o {output}'"
        )
    if shutil.which(words[0]) is None:
        raise ValueError(
            f'--anonymise {text!r}: there is no program {words[0]}; install it, or give its path'
        )
    return _checked(_Command(words, alive), words[0])


def _find_function(text: str) -> Callable[[Uint8Array], Any]:
    module, _, name = text.partition(':')
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f'--anonymise {text}: {error}; install the module, or name its folder in PYTHONPATH'
        ) from error
    except (Exception, SystemExit) as error:  # whatever is in it
        raise ValueError(
            f'--anonymise {text}: {module} cannot be imported ({type(error).__name__}: {error}); '
            'mend it'
        ) from error
    function = getattr(found, name, None)
    if function is None:
        place = getattr(found, '__file__', None) or 'built in'
        raise ValueError(f'--anonymise {text}: there is no {name} in {module} ({place})')
    if not callable(function):
        raise ValueError(f'--anonymise {text} is no function but a {type(function).__name__}')
    return function


def _checked(function: Callable[[Uint8Array], Any], name: str) -> Anonymiser:
    """The function, of whose errors and results nothing goes unnoticed."""

    def anonymise(rgb: Uint8Array) -> Uint8Array:
        try:
            # A copy: the frame may be a view of the recording, and functions paint over it.
            result = function(rgb.copy())
            if isinstance(result, np.ma.MaskedArray):
                raise TypeError('a masked array still holds what is hidden; paint over it')
            result = np.asarray(result)
        except (KeyboardInterrupt, Stopped):
            raise
        except BaseException as error:  # it is not ours, so anything may come out of it
            raise AnonymiseError(
                f'--anonymise: {name} failed on a frame ({type(error).__name__}: {error}); the '
                'frame was not written, mend the program and run the same command again'
            ) from error
        if result.shape != rgb.shape or result.dtype != np.uint8:
            raise AnonymiseError(
                f'--anonymise: {name} made {result.dtype} {result.shape} of a frame uint8 '
                f'{rgb.shape}; it must keep type and size'
            )
        return np.ascontiguousarray(result)

    return anonymise


class _Command:
    """A program that reads one picture and writes another.

    It is no child of the terminal: a Ctrl-C is for the extraction, which ends the program. The
    picture with the faces lies in a folder that the next extraction clears away should this one
    be killed.
    """

    def __init__(self, words: list[str], alive: Callable[[], None]) -> None:
        self._words, self._alive = words, alive
        self._scratch: ScratchFolder | None = None

    def __call__(self, rgb: Uint8Array) -> Uint8Array:
        self._scratch = self._scratch or ScratchFolder('anonymise')
        source, target = self._scratch.path / 'input.png', self._scratch.path / 'output.png'
        try:
            return self._run(rgb, source, target)
        finally:
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    def _run(self, rgb: Uint8Array, source: Path, target: Path) -> Uint8Array:
        if not cv2.imwrite(str(source), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)):
            raise RuntimeError(f'{source} cannot be written; make room there, or set TMPDIR')
        names = {'{input}': str(source), '{output}': str(target)}
        command = [_replaced(word, names) for word in self._words]
        code, complaints = _run_alone(command, self._alive)
        if code:
            told = complaints.strip()[-_ERROR_CHARACTERS:] or 'it said nothing'
            raise RuntimeError(f'exit code {code}: {told}')
        bgr = cv2.imread(str(target), cv2.IMREAD_COLOR) if target.exists() else None
        if bgr is None:
            raise RuntimeError('it wrote no picture to {output}')
        _check_opaque(target)
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _check_opaque(path: Path) -> None:
    """Refuse pictures that hide by transparency: who drops that, as a JPEG does, sees it all."""
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is not None and stored.ndim == 3 and stored.shape[2] == 4:
        opaque = np.iinfo(stored.dtype).max if stored.dtype.kind == 'u' else 1
        if (stored[..., 3] != opaque).any():
            raise RuntimeError(
                'its picture is transparent where it hides; have it paint over that'
            )


def _run_alone(command: list[str], alive: Callable[[], None]) -> tuple[int, str]:
    """Run a program in a session of its own; its exit code, and what it complained of."""
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        start_new_session=True,
    ) as program:
        try:
            complaints = _waited_for(program, alive)
        except BaseException:  # with all that the program has started
            os.killpg(program.pid, signal.SIGKILL)
            raise
    return program.returncode, complaints


def _waited_for(program: subprocess.Popen[str], alive: Callable[[], None]) -> str:
    """What a program has complained of when it has ended."""
    while True:
        try:
            return program.communicate(timeout=_LOOK_EVERY_S)[1]
        except subprocess.TimeoutExpired:
            alive()


def _replaced(word: str, names: dict[str, str]) -> str:
    for name, path in names.items():
        word = word.replace(name, path)
    return word
