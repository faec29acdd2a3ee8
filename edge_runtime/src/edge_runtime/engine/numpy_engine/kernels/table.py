"""List the kernel of every operator, by domain."""

from __future__ import annotations

from collections.abc import Mapping

from edge_runtime.engine.numpy_engine.kernels.activations import ACTIVATIONS
from edge_runtime.engine.numpy_engine.kernels.elementwise import ELEMENTWISE
from edge_runtime.engine.numpy_engine.kernels.lookups import LOOKUPS, ML_LOOKUPS, TEXT_EXTENSIONS
from edge_runtime.engine.numpy_engine.kernels.loops import LOOPS
from edge_runtime.engine.numpy_engine.kernels.reductions import REDUCTIONS
from edge_runtime.engine.numpy_engine.kernels.shapes import SHAPES
from edge_runtime.engine.numpy_engine.kernels.trees import TREES
from edge_runtime.engine.numpy_engine.node_spec import KernelMaker

__all__ = ["KERNELS"]

KERNELS: Mapping[str, Mapping[str, KernelMaker]] = {
    "": {**ELEMENTWISE, **SHAPES, **REDUCTIONS, **LOOKUPS, **LOOPS, **ACTIVATIONS},
    "ai.onnx.ml": {**ML_LOOKUPS, **TREES},
    "com.microsoft": TEXT_EXTENSIONS,
}
