"""Running statistics of batch norms, which a forward pass moves even where no step follows it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class RunningStatistics:
    """The running statistics of networks, and a copy to go back to.

    Args:
        networks: on their device already; they keep their buffers from here on.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        norms = (
            module
            for network in networks
            for module in network.modules()
            if isinstance(module, nn.modules.batchnorm._NormBase)
        )
        buffers: list[Tensor] = [buffer for norm in norms for buffer in norm.buffers()]
        # Counters and means apart, so that each list is copied in one launch.
        kinds = {buffer.dtype for buffer in buffers}
        self._groups = [[b for b in buffers if b.dtype == kind] for kind in kinds]
        self._kept = [[b.clone() for b in group] for group in self._groups]

    @torch.no_grad()
    def keep(self) -> None:
        """Copy them as they are now."""
        for kept, buffers in zip(self._kept, self._groups, strict=True):
            torch._foreach_copy_(kept, buffers)

    @torch.no_grad()
    def restore(self) -> None:
        """Set them back to the last copy."""
        for kept, buffers in zip(self._kept, self._groups, strict=True):
            torch._foreach_copy_(buffers, kept)
