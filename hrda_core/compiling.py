"""Faster forms of a function for one shape: compiled by torch, or recorded as a CUDA graph."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hrda_core.cache import cache_folder
from hrda_core.prepared_shapes import MOST_SHAPES, Function, Maps

CACHE_VARIABLE = 'TORCHINDUCTOR_CACHE_DIR'
RUNS_BEFORE_CAPTURE = 3


def compiler(function: Function) -> Callable[[Tensor], Function]:
    """Compilation of a function for one shape after the other.

    What was compiled stays in the folder that TORCHINDUCTOR_CACHE_DIR names, by default one in
    the cache of the user, so that the next start is faster.
    """
    os.environ.setdefault(CACHE_VARIABLE, str(cache_folder() / 'inductor'))

    def prepare(example: Tensor) -> Function:
        import torch._dynamo  # takes a second, and most runs do not compile
        import torch._inductor.config

        dynamo = torch._dynamo.config
        dynamo.recompile_limit = max(dynamo.recompile_limit, 2 * MOST_SHAPES)
        torch._inductor.config.fx_graph_cache = True
        return torch.compile(function, dynamic=False)

    return prepare


class GraphRecorder:
    """Records functions as CUDA graphs, which share memory for their activations.

    They may: results are copied out before another graph runs.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def record(self, function: Function, example: Tensor) -> Function:
        """The function as a graph for inputs like the example, on its device."""
        fixed = example.clone()
        side = torch.cuda.Stream(example.device)
        side.wait_stream(torch.cuda.current_stream(example.device))
        with torch.cuda.stream(side):
            for _ in range(RUNS_BEFORE_CAPTURE):
                function(fixed)
        torch.cuda.current_stream(example.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            results = function(fixed)
        self._pool = self._pool or graph.pool()

        def replay(maps: Tensor) -> Maps:
            fixed.copy_(maps)
            graph.replay()
            return tuple(result.clone() for result in results)

        return replay
