"""How far the camera's images are from those of training, told once a second."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

PERIOD_S = 1.0
UNKNOWN = 'unknown'


class DomainWatch:
    """Scores of domain shift, where the checkpoint knows its domain.

    Args:
        checkpoint: the file; without one, or one that knows no domain, nothing is scored.
        device: where early features are computed.
        log: told why there is no score.
    """

    def __init__(self, checkpoint: str, device: str, log: Callable[[str], object]) -> None:
        self._log = log
        self._shift = None
        if not checkpoint:
            return
        # Here, because an interpreter without torch must still get to its one sentence.
        from hrda_core.checkpoints import load_model, read_metadata
        from hrda_core.domain_shift import METADATA_KEY, DomainShift

        try:
            if METADATA_KEY in read_metadata(checkpoint):
                self._shift = DomainShift(load_model(checkpoint, device), PERIOD_S)
        except (ValueError, RuntimeError) as error:
            log(f'no score of domain shift: {error}')

    def look(self, image: npt.NDArray[np.uint8], stream: str) -> None:
        """Score an image of a camera, uint8 (H, W, 3) RGB, if it is time to."""
        if self._shift is None:
            return
        try:
            self._shift.look(image, stream)
        except RuntimeError as error:  # no memory left: the labels are worth more than a score
            self._shift = None
            self._log(f'no more scores of domain shift: {error}')

    def value(self, stream: str) -> str:
        """The newest score of a camera, as diagnostics want it."""
        score = None if self._shift is None else self._shift.latest(stream)
        return UNKNOWN if score is None else f'{score:.2f}'
