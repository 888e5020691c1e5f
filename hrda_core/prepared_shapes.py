"""Functions made ready for one shape of input each, while there is time for it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Maps = tuple[Tensor, ...]
Function = Callable[[Tensor], Maps]
MOST_SHAPES = 12
"""Most shapes that are made ready: each holds memory, that of a CUDA graph for its activations."""


class PreparedShapes:
    """Calls a function, in a faster form for those shapes that were seen during warm-up.

    Nothing is made ready at any other time: that takes seconds, which no frame has.

    Args:
        plain: the function as it is, for every other shape.
        prepare: gives the faster form for inputs like an example; whatever it raises means that
            there is none.
        most: most shapes that are made ready.

    Attributes:
        warming: whether new shapes are being made ready.
        failure: why the last shape could not be, in words; empty if all could.
    """

    def __init__(
        self, plain: Function, prepare: Callable[[Tensor], Function], most: int = MOST_SHAPES
    ) -> None:
        self.warming = False
        self.failure = ''
        self._plain, self._prepare, self._most = plain, prepare, most
        self._ready: dict[tuple[int, ...], Function] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def __call__(self, maps: Tensor) -> Maps:
        """Compute, by what is ready for this shape."""
        shape = tuple(maps.shape)
        room = not self.failure and len(self._ready) < self._most
        if self.warming and room and shape not in self._ready:
            self._make_ready(shape, maps)
        return self._ready.get(shape, self._plain)(maps)

    def _make_ready(self, shape: tuple[int, ...], example: Tensor) -> None:
        try:
            function = self._prepare(example)
            function(example)
        except Exception as error:  # compilers raise what they like; nothing is lost here
            self.failure = str(error).strip().partition('\n')[0] or type(error).__name__
        else:
            self._ready[shape] = function
