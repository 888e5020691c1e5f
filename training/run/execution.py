"""How the networks of a run are computed: memory layout, recomputation, compilation.

None of it changes weights, their names or what is saved, so a run can go on with other choices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hrda_core.heads import AtrousPyramid
from hrda_core.hrda import HRDA

if TYPE_CHECKING:
    from training.methods import Method
    from training.settings.run import LoopSettings


def prepare(method: Method, settings: LoopSettings) -> None:
    """Have the networks of a method computed as the settings say.

    Args:
        method: on its device already.
        settings: channels_last, gradient_checkpointing and compile.

    Raises:
        ValueError: torch cannot compile on this machine.
    """
    networks = _networks(method)
    if settings.channels_last:
        for network in networks:
            network.to(memory_format=torch.channels_last)
    if settings.gradient_checkpointing:
        for module in recomputable(method.student):
            recompute(module)
    if settings.compile:
        check_compiler(next(method.student.parameters()).device)
        for network in networks:
            compile_parts(network)


def set_tf32(allowed: bool) -> None:
    """Whether float32 products and convolutions on a GPU may round their inputs to TF32."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _networks(method: Method) -> list[nn.Module]:
    teacher = getattr(method, 'teacher', None)
    found = (method.student, teacher and teacher.model, getattr(method, 'feature_encoder', None))
    return [network for network in found if network is not None]


def recomputable(model: HRDA) -> list[nn.Module]:
    """The parts whose inner activations are not worth their memory.

    The blocks of the encoder, or all of it where none are found; the wide branches of the heads.
    """
    modules = list(_blocks(model.encoder.body)) or [model.encoder.body]
    for head in (model.head, model.attention_head):
        fuse = getattr(head, 'fuse', None)
        if isinstance(fuse, AtrousPyramid):
            modules += fuse.branches
    return modules


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Members of the outermost lists of modules that are made of modules themselves."""
    for child in module.children():
        members = list(child.children())
        is_list = isinstance(child, (nn.Sequential, nn.ModuleList))
        if is_list and members and all(any(True for _ in m.children()) for m in members):
            yield from members
        else:
            yield from _blocks(child)


def recompute(module: nn.Module) -> None:
    """Keep the inputs of a module in training instead of what it computes on the way.

    The backward pass computes it again, with the same dropout and drop path. Statistics of batch
    norms are not moved a second time.
    """
    module.forward = partial(_recomputed, module, module.forward)


def _recomputed(module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not (module.training and torch.is_grad_enabled()):
        return forward(*args, **kwargs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _still_statistics(module)

    return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)


@contextmanager
def _still_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms in training use the batch at hand and remember nothing of it."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, counter) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, counter


def check_compiler(device: torch.device) -> None:
    """Compile something small.

    Raises:
        ValueError: it fails, so nothing larger will work.
    """
    try:
        torch.compile(_something_small)(torch.ones(8, device=device))
    except Exception as error:  # whatever a compiler, a linker or a driver can say
        reason = str(error).strip().partition('\n')[0]
        raise ValueError(
            f'loop.compile: torch.compile does not work on this machine ({reason}); install a C++ '
            'compiler, or set loop.compile to false'
        ) from error


def _something_small(values: torch.Tensor) -> torch.Tensor:
    return (values * 2).sin()


def compile_parts(network: nn.Module) -> None:
    """Compile encoder and heads when they are first used, once per size of their input.

    In place, so that the names of the weights stay. The rest cuts boxes that change from step to
    step, and would be compiled again and again.
    """
    if not isinstance(network, HRDA):
        network.compile(dynamic=False)
        return
    for part in (network.encoder, network.head, network.attention_head):
        if part is not None:
            part.compile(dynamic=False)
