"""What a computation would hold in memory, counted on tensors without data (device `meta`)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

if TYPE_CHECKING:
    pass

REDUCED = (F.linear, F.conv2d, torch.matmul, Tensor.matmul, Tensor.__matmul__)
"""What a GPU computes in the reduced precision; everything else follows its inputs."""
FULL = (F.layer_norm, F.group_norm, F.softmax, torch.softmax, Tensor.softmax, Tensor.sum)
"""What a GPU computes in float32 all the same."""


class LiveBytes(TorchDispatchMode):
    """Follows the storages of all tensors that are made while it is on.

    Args:
        full_sizes: sides of images [px]; maps whose two last sides are among them count as
            `full_size`: images, labels, enlarged logits and losses.

    Attributes:
        live: bytes of the storages that exist now.
        peak: the most there were.
        peak_full_size: the part of `peak` that is of full size.
    """

    def __init__(self, full_sizes: Sequence[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = self.peak_full_size = 0
        self._full_sizes = frozenset(full_sizes)
        self._full_size = 0
        self._known: dict[int, tuple[int, bool]] = {}
        self._shapes: dict[Any, Any] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = self._made_before(func, args, kwargs or {})
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == 'meta':
                self._add(leaf)
        return result

    def _made_before(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """The result of an operation; asking torch for its shape once is slow enough."""
        schema = func._schema  # type: ignore[attr-defined]
        if any(value.alias_info for value in (*schema.returns, *schema.arguments)):
            return func(*args, **kwargs)
        key = (func, _describe(args), _describe(tuple(kwargs.items())))
        if key not in self._shapes:
            result = func(*args, **kwargs)
            leaves = [leaf for leaf in tree_leaves(result) if leaf is not None]
            if all(isinstance(leaf, Tensor) and leaf.device.type == 'meta' for leaf in leaves):
                self._shapes[key] = tree_map(_layout, result)
            return result
        return tree_map(_empty, self._shapes[key], is_leaf=lambda x: isinstance(x, _Layout))

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        full = tensor.ndim > 2 and self._full_sizes.issuperset(tensor.shape[-2:])
        self._known[key] = (size, full)
        self.live += size
        self._full_size += size * full
        if self.live > self.peak:
            self.peak, self.peak_full_size = self.live, self._full_size
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        size, full = self._known.pop(key)
        self.live -= size
        self._full_size -= size * full


class _Layout(NamedTuple):
    shape: torch.Size
    strides: tuple[int, ...]
    dtype: torch.dtype
    device: str


def _describe(value: Any) -> Any:
    """What the shape of a result can depend on, hashable."""
    if isinstance(value, Tensor):
        return _layout(value)
    if isinstance(value, (list, tuple)):
        return tuple(_describe(entry) for entry in value)
    return type(value), value


def _layout(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return _Layout(value.shape, value.stride(), value.dtype, value.device.type)


def _empty(layout: Any) -> Any:
    if not isinstance(layout, _Layout):
        return layout
    shape, strides, dtype, device = layout
    return torch.empty_strided(shape, strides, dtype=dtype, device=device)


class ReducedPrecision(TorchFunctionMode):
    """Autocast as a GPU does it, for tensors without data, and attention that keeps no matrix.

    Args:
        dtype: what products are computed in; float32 leaves them as they are.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        self._weights: dict[int, Tensor] = {}
        self._enabled = dtype != torch.float32

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        attention = func is F.scaled_dot_product_attention
        if self._enabled and (attention or func in REDUCED):
            args, options = tree_map(self._reduce, (args, options))
        elif self._enabled and func in FULL:
            args, options = tree_map(_full, (args, options))
        if attention:
            return _Attention.apply(*args[:3])
        return func(*args, **options)

    def _reduce(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        if not (value.is_leaf and value.requires_grad):
            return value.to(self._dtype)
        # Autocast keeps one copy of every weight that is learnt.
        if id(value) not in self._weights:
            self._weights[id(value)] = value.to(self._dtype)
        return self._weights[id(value)]


def run_backward(loss: Tensor) -> None:
    """`loss.backward()` under the modes above.

    Tensor.backward leaves function modes, so that they would not see what is computed again.
    """
    torch.autograd.graph._engine_run_backward(
        (loss,),
        (torch.ones_like(loss),),
        False,
        False,
        (),
        allow_unreachable=True,
        accumulate_grad=True,
    )


def _full(value: Any) -> Any:
    reduced = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if reduced else value


class _Attention(torch.autograd.Function):
    """Keeps what flash attention keeps: its inputs, its result and a number per row."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = query.new_empty(*query.shape[:-1], value.shape[-1])
        rows = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, result, rows)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, _, _ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
