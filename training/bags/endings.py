"""How commands that work through recordings end: exit codes, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from training.bags.reading import Bag

NOTHING, DAMAGED, STOPPED = 2, 3, 130
"""Exit codes: nothing was made, something could not be read, a signal ended it."""


def no_images(bags: Sequence[Bag]) -> str:
    """A sentence about recordings without images, with the topics that they have."""
    names = sorted({f'{t.name} ({t.msgtype})' for bag in bags for t in bag.topics()})
    return f'No image messages in these bags; their topics: {", ".join(names) or "none"}'


def stopped(signal: object, rest: str = 'the same command goes on from here') -> str:
    """A sentence about a signal that ended the work, and what that means for the rest of it."""
    return f'{signal}: stopped; {rest}'
