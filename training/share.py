"""Which of a step's images a method is given at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """One of the equal parts that the images of a step are split into.

    The images of a step have the slots 0, 1, 2, ... Whatever is random about one image comes
    from its step and slot, and whatever is random about all of them (detail boxes, whether
    colours are changed) from the step alone. So it does not matter how the step is split.

    Attributes:
        part: which part this is, from 0.
        parts: how many there are.
    """

    part: int = 0
    parts: int = 1

    @property
    def begins_step(self) -> bool:
        """Whether nothing of the step was done before."""
        return self.part == 0

    def total(self, count: int) -> int:
        """Images of the whole step, where `count` are at hand."""
        return self.parts * count

    def slots(self, count: int) -> range:
        """Slots of the `count` images at hand."""
        return range(self.part * count, (self.part + 1) * count)


WHOLE = Share()
"""All images of a step at once."""
