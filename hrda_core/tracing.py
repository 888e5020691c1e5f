"""Whether the network runs, or is only recorded."""

from __future__ import annotations

import torch


def is_traced() -> bool:
    """Whether the network is being compiled or exported, which wants plain convolutions."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
