"""Where random numbers come from: the seed, the step and the purpose, never a stored state."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Purposes whose random numbers must not depend on each other."""

    SOURCE = 0
    TARGET = 1
    METHOD = 2
    MASK = 3
    CUT = 4
    DATA_SET = 5
    CLASSES = 6


def step_generator(seed: int, stream: Stream, step: int, slot: int = 0) -> np.random.Generator:
    """The generator of one purpose at one step, the same whenever and wherever it is made.

    Args:
        seed: seed of the run, at least 0.
        stream: what the numbers are for.
        step: 0-based training step.
        slot: position in the batch, where every image draws on its own.
    """
    return np.random.default_rng([seed, int(stream), step, slot])
