"""What commands found out about a network and wrote into its checkpoint's metadata, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from hrda_core.hrda import HRDA

T = TypeVar('T')


def entry_of(model: HRDA, key: str, build: Callable[..., T], command: str) -> T | None:
    """An entry of the metadata of a network's checkpoint; None if there is none.

    Args:
        model: with the metadata.
        key: name of the entry.
        build: makes it of the fields that the JSON holds.
        command: what writes the entry, for the error.

    Raises:
        ValueError: what it says cannot be understood.
    """
    text = model.metadata.get(key)
    if text is None:
        return None
    try:
        return build(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'the metadata {key!r} of the checkpoint cannot be used ({error}); run `{command}` '
            'again'
        ) from error
