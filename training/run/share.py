"""Which of a step's images a method is given at a time."""

from __future__ import annotations

from dataclasses import dataclass

from training.run.processes import ALONE, Processes


@dataclass(frozen=True)
class Share:
    """One of the equal parts that the images of a step are split into.

    The images of a step have the slots 0, 1, 2, ... Whatever is random about one image comes
    from its step and slot, and whatever is random about all of them (detail boxes, whether
    colours are changed) from the step alone. So it does not matter how the step is split.

    Attributes:
        part: which of this process's parts this is, from 0.
        parts: how many each process has, one after the other.
        processes: this process among those that have a part each at the same time.
    """

    part: int = 0
    parts: int = 1
    processes: Processes = ALONE

    @property
    def number(self) -> int:
        """Number of this part among those of all processes."""
        return self.processes.rank * self.parts + self.part

    @property
    def begins_step(self) -> bool:
        """Whether this process has done nothing of the step before."""
        return self.part == 0

    def total(self, count: int) -> int:
        """Images of the whole step, where `count` are at hand."""
        return self.processes.count * self.parts * count

    def slots(self, count: int) -> range:
        """Slots of the `count` images at hand."""
        return range(self.number * count, (self.number + 1) * count)


WHOLE = Share()
"""All images of a step at once."""
