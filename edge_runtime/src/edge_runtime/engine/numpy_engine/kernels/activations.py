"""Compute the activation functions that only graphs from other programs have.

The formulas and the defaults of the attributes are those of the operator's page at onnx.ai.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, sqrt
from typing import Any

import numpy as np

from edge_runtime.engine.numpy_engine.node_spec import Kernel, KernelMaker, NodeSpec

__all__ = ["ACTIVATIONS"]


def _activation(function: Callable[..., Any], **defaults: float) -> KernelMaker:
    """Make the maker of a kernel ``function(x, *attributes)``."""

    def maker(spec: NodeSpec) -> Kernel:
        values = [spec.attributes.get(name, default) for name, default in defaults.items()]

        def kernel(x: Any) -> Any:
            return function(x, *map(x.dtype.type, values)).astype(x.dtype, copy=False)

        return kernel

    return maker


def _erf(x: Any) -> Any:
    cells = [erf(cell) for cell in x.ravel().tolist()]
    return np.array(cells, dtype=x.dtype).reshape(x.shape)


def _gelu(spec: NodeSpec) -> Kernel:
    if spec.attributes.get("approximate", "none") == "tanh":
        factor = sqrt(2 / np.pi)
        return lambda x: (0.5 * x * (1 + np.tanh(factor * (x + 0.044715 * x**3)))).astype(x.dtype)
    return lambda x: (0.5 * x * (1 + _erf(x / sqrt(2)))).astype(x.dtype)


def _clip(_: NodeSpec) -> Kernel:
    def kernel(x: Any, low: Any = None, high: Any = None) -> Any:
        result = x if low is None else np.maximum(x, low)
        return result if high is None else np.minimum(result, high)

    return kernel


def _mean(*arrays: Any) -> Any:
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total / total.dtype.type(len(arrays))


def _elu(x: Any, alpha: Any) -> Any:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


ACTIVATIONS: Mapping[str, KernelMaker] = {
    "CastLike": lambda _: lambda x, like: x.astype(like.dtype),
    "Celu": _activation(
        lambda x, a: np.maximum(x, 0) + np.minimum(0, a * np.expm1(x / a)), alpha=1.0
    ),
    "Clip": _clip,
    "Elu": _activation(_elu, alpha=1.0),
    "Erf": lambda _: _erf,
    "Gelu": _gelu,
    "HardSigmoid": _activation(
        lambda x, a, b: np.maximum(0, np.minimum(1, a * x + b)), alpha=0.2, beta=0.5
    ),
    "HardSwish": _activation(lambda x: x * np.maximum(0, np.minimum(1, x / 6 + 0.5))),
    "LeakyRelu": _activation(lambda x, a: np.where(x < 0, a * x, x), alpha=0.01),
    "Mean": lambda _: _mean,
    "Mish": _activation(lambda x: x * np.tanh(np.logaddexp(x, 0))),
    "PRelu": lambda _: lambda x, slope: np.where(x < 0, slope * x, x),
    "Selu": _activation(
        lambda x, a, g: g * _elu(x, a),
        alpha=1.6732632423543772,
        gamma=1.0507009873554805,
    ),
    "ThresholdedRelu": _activation(lambda x, a: np.where(x > a, x, 0), alpha=1.0),
}
