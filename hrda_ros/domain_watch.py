"""How far the camera's images are from those of training, told once a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hrda_core.classes import Uint8Array

NOT_LOOKED = 'no image was looked at yet'


class DomainScores(Protocol):
    """Tells how far images are from those of training: 1 or less is near."""

    def look(self, image: Uint8Array, stream: str) -> float:
        """Score an image, uint8 (H, W, 3) RGB, of the camera of that name, now and then."""

    def latest(self, stream: str) -> float | None:
        """The last score of a camera; None before the first."""


class DomainWatch:
    """Scores of domain shift, for as long as there is memory for them.

    Args:
        scores: gives them; None if the network does not know its domain.
        missing: why there are none.
        log: told why there are no more.
    """

    def __init__(
        self, scores: DomainScores | None, missing: str, log: Callable[[str], object]
    ) -> None:
        self._scores, self._missing, self._log = scores, missing, log

    def look(self, image: Uint8Array, stream: str) -> None:
        """Score an image of a camera, uint8 (H, W, 3) RGB, if it is time to."""
        if self._scores is None:
            return
        try:
            self._scores.look(image, stream)
        except RuntimeError as error:  # no memory left: the labels are worth more than a score
            self._scores, self._missing = None, str(error)
            self._log(f'no more scores of domain shift: {error}')

    def value(self, stream: str) -> str:
        """The newest score of a camera, as diagnostics want it, or why there is none."""
        if self._scores is None:
            return f'unknown: {self._missing}'
        score = self._scores.latest(stream)
        return f'unknown: {NOT_LOOKED}' if score is None else f'{score:.2f}'
