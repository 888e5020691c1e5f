"""What commands found out about a network and wrote into its checkpoint's metadata, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar, TypeVar

from hrda_core.hrda import HRDA

E = TypeVar('E', bound='MetadataEntry')


@dataclass(frozen=True)
class MetadataEntry:
    """An entry of the metadata; a subclass has the fields, which are plain values.

    Attributes:
        key: name of the entry.
        command: what writes it, for the error.
    """

    key: ClassVar[str]
    command: ClassVar[str]

    def to_json(self) -> str:
        """Text for the metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls: type[E], model: HRDA) -> E | None:
        """What the checkpoint of a network says; None if it says nothing.

        Raises:
            ValueError: what it says cannot be understood.
        """
        text = model.metadata.get(cls.key)
        if text is None:
            return None
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f'the metadata {cls.key!r} of the checkpoint cannot be used ({error}); run '
                f'`{cls.command}` again'
            ) from error
