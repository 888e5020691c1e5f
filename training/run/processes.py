"""The processes that train together: what they tell each other, and how they end together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar('T')
PATIENCE = timedelta(hours=2)
"""How long a process waits for the others, one of which may be busy with validation frames."""


class OtherProcessFailed(ValueError):
    """Another process ended the run; the message says which and why.

    Attributes:
        rank: number of the process that was told so.
    """

    def __init__(self, rank: int, text: str) -> None:
        super().__init__(text)
        self.rank = rank


class Processes:
    """This process among those that train together.

    Every process computes gradients on images of its own; their mean moves the same weights
    everywhere. Small things are told through the CPUs, where an error or the end of one process
    reaches all others in whatever they wait for; gradients go from device to device.

    Args:
        rank: number of this process, from 0.
        count: how many there are; more than one need torch's process group to be initialised.

    Attributes:
        rank: see above.
        count: see above.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count
        self._group: Any = dist.new_group(backend='gloo', timeout=PATIENCE) if count > 1 else None

    @property
    def first(self) -> bool:
        """Whether this process writes the run folder and scores the student."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank; every process has to call this equally often.

        Raises:
            OtherProcessFailed: another process has left `together` with an error, or died.
        """
        return [value] if self.count == 1 else self._exchange(value, None)

    def _exchange(self, value: Any, error: str | None) -> list[Any]:
        answers: list[Any] = [None] * self.count
        try:
            dist.all_gather_object(answers, (value, error), group=self._group)
        except RuntimeError as lost:
            raise OtherProcessFailed(
                self.rank,
                'another process of this run ended without a word, or could not be reached '
                f'({str(lost).splitlines()[0]}); see its output and the system log',
            ) from lost
        for rank, (_, text) in enumerate(answers):
            if text is not None and error is None:
                raise OtherProcessFailed(self.rank, f'process {rank} of {self.count}: {text}')
        return [answer for answer, _ in answers]

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that all processes leave together: an error in one ends it in all."""
        try:
            yield
            self.gather(None)
        except OtherProcessFailed:
            raise
        except Exception as error:
            if self.count > 1:
                self._tell(error)
            raise

    def _tell(self, error: Exception) -> None:
        # Where they have ended already, there is nobody left to tell.
        with suppress(OtherProcessFailed):
            self._exchange(None, str(error) or type(error).__name__)

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """A block that the first process runs before all others: they find its files."""
        if not self.first:
            self.gather(None)
        yield
        if self.first:
            self.gather(None)

    def average(self, value: Tensor) -> Tensor:
        """Mean of a scalar over the processes."""
        if self.count == 1:
            return value
        return value.new_tensor(sum(self.gather(value.item())) / self.count)

    @torch.no_grad()
    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their means over the processes, all of them at once.

        A parameter without gradient here counts as zero, where it has one in another process.
        The means are computed in one buffer as large as all gradients together, at a time when
        the activations are gone.
        """
        if self.count == 1:
            return
        own = list(parameters)
        known = self.gather([p.grad is not None for p in own])
        moved = [p for p, has in zip(own, zip(*known, strict=True), strict=True) if any(has)]
        if not moved:
            return
        for parameter in moved:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in moved if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        means = flat.split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    @torch.no_grad()
    def copy_from_first(self, module: nn.Module) -> None:
        """Give a network the weights and statistics that it has in the first process."""
        if self.count > 1:
            self.gather(None)
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor, 0)


ALONE = Processes()
"""The only process of its run."""
