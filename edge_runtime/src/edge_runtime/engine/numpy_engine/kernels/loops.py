"""Run subgraphs: Loop and If."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_runtime.engine.numpy_engine.node_spec import Kernel, KernelMaker, NodeSpec

__all__ = ["LOOPS"]


def _loop(spec: NodeSpec) -> Kernel:
    """Repeat the body, and stack what it gives beside the carried values."""
    body = spec.attributes["body"]
    n_carried = len(spec.constants) - 2
    n_outputs = spec.n_outputs

    def kernel(trip_count: Any, condition: Any, *values: Any) -> Any:
        carried, captured = list(values[:n_carried]), values[n_carried:]
        stacks: list[list[Any]] = [[] for _ in range(n_outputs - n_carried)]
        limit = np.inf if trip_count is None else int(trip_count.item())
        goes_on = True if condition is None else bool(condition)
        iteration = 0
        while goes_on and iteration < limit:
            number = np.array(iteration, dtype=np.int64)
            going_on = np.array(goes_on)
            goes_on, *results = body.run([number, going_on, *carried, *captured])
            carried = results[:n_carried]
            for stack, result in zip(stacks, results[n_carried:], strict=True):
                stack.append(result)
            iteration += 1
        outputs = [*carried, *map(_stack, stacks)]
        return outputs if n_outputs > 1 else outputs[0]

    return kernel


def _stack(results: list[Any]) -> Any:
    return np.stack(results) if results else np.zeros((0,))


def _if(spec: NodeSpec) -> Kernel:
    then_branch, else_branch = spec.attributes["then_branch"], spec.attributes["else_branch"]
    n_then = len(then_branch.captured)
    is_first = next(iter(spec.attributes)) == "then_branch"

    def kernel(condition: Any, *captured: Any) -> Any:
        n_first = n_then if is_first else len(else_branch.captured)
        first, second = captured[:n_first], captured[n_first:]
        for_then, for_else = (first, second) if is_first else (second, first)
        is_true = bool(condition)
        branch = then_branch if is_true else else_branch
        results = branch.run(for_then if is_true else for_else)
        return results if spec.n_outputs > 1 else results[0]

    return kernel


LOOPS: Mapping[str, KernelMaker] = {"If": _if, "Loop": _loop}
