"""Faces and licence plates: the hook for whatever program makes them unrecognisable."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.extraction.picture_errors import PictureError
from training.scratch import ScratchFolder

Uint8Array = npt.NDArray[np.uint8]
Anonymiser = Callable[[Uint8Array], Uint8Array]
_FUNCTION = re.compile(r'[A-Za-z_][\w.]*:[A-Za-z_]\w*')
_ERROR_CHARACTERS = 300


def load_anonymiser(text: str) -> Anonymiser:
    """Find what makes frames anonymous.

    Args:
        text: 'module:function', called with every frame, uint8 (H, W, 3) RGB, before anything
            else is done to it, and returning one of the same shape; or a command with the words
            {input} and {output}, which reads one PNG file and writes another of the same size.

    Returns:
        A function that gives the changed frame.

    Raises:
        ValueError: neither of the two, or there is no such function; of the result: a frame
            could not be made anonymous. It is never written then.
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
    return _checked(_Command(words), words[0])


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
            result = np.asarray(function(rgb.copy()))
        except (Exception, SystemExit) as error:  # it is not ours: anything may come out of it
            raise PictureError(
                f'--anonymise: {name} failed on a frame ({type(error).__name__}: {error}); the '
                'frame was not written, mend the program and run the same command again'
            ) from error
        if result.shape != rgb.shape or result.dtype != np.uint8:
            raise PictureError(
                f'--anonymise: {name} made {result.dtype} {result.shape} of a frame uint8 '
                f'{rgb.shape}; it must keep type and size'
            )
        return np.ascontiguousarray(result)

    return anonymise


class _Command:
    """A program that reads one picture and writes another.

    It is no child of the terminal: a Ctrl-C is for the extraction, which ends after the frame.
    The picture with the faces lies in a folder that the next extraction clears away should this
    one be killed.
    """

    def __init__(self, words: list[str]) -> None:
        self._words = words
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
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, start_new_session=True
        )
        if done.returncode:
            told = done.stderr.strip()[-_ERROR_CHARACTERS:] or 'it said nothing'
            raise RuntimeError(f'exit code {done.returncode}: {told}')
        bgr = cv2.imread(str(target), cv2.IMREAD_COLOR) if target.exists() else None
        if bgr is None:
            raise RuntimeError('it wrote no picture to {output}')
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _replaced(word: str, names: dict[str, str]) -> str:
    for name, path in names.items():
        word = word.replace(name, path)
    return word
