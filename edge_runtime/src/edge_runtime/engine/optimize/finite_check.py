"""Find graphs whose output is finite only if all their inputs are.

A sum of products is finite only when each factor is: NaN or infinity times anything is NaN or
infinity, and so is any sum with it (IEEE 754-2019, sections 6.1 and 6.2).  So a finite
prediction of a linear model proves that all its cells are finite, and they need not be read again.
A prediction that is not finite proves nothing: then the cells are checked.
"""

from __future__ import annotations

from edge_runtime.bundle.schema import NUMBERS
from edge_runtime.graph_safety.onnx_graph import Node, Scope

__all__ = ["check_finite_proof"]


def check_finite_proof(main: Scope, name: str) -> tuple[bool, bool]:
    """Check what the output *name* of the graph *main* proves about its input ``numbers``.

    Returns
    -------
    proves_finite
        A row of the output is finite only if all numbers of that row are.
    needs_no_slices
        No value between input and output is larger than the output, so a batch of any size can
        run at once.
    """
    operators: list[bytes] = []
    value = name.encode()
    # Follow the chain of nodes from the output back to the input.
    while value != _NUMBERS:
        node = main.producers.get(value)
        if (
            node is None
            or node.domain
            or len(operators) == _MAX_CHAIN
            or not _propagates(node, main)
        ):
            return False, False
        operators.append(node.op)
        value = node.inputs[0] if node.inputs[0] not in main.tensors else node.inputs[1]
    products = [op for op in operators if op in _PRODUCTS]
    return bool(products), len(products) == 1 and operators[-1] in _PRODUCTS


_NUMBERS = NUMBERS.encode()
_MAX_CHAIN = 16
_PRODUCTS = frozenset({b"Gemm", b"MatMul"})
_ELEMENTWISE = frozenset({b"Add", b"Sub", b"Mul"})
_SHAPE_OPS = frozenset({b"Identity", b"Reshape", b"Squeeze", b"Unsqueeze", b"Flatten"})


def _propagates(node: Node, main: Scope) -> bool:
    """Whether a NaN or infinity in the input of *node* always gives one in its output."""
    is_constant = [name in main.tensors and main.tensors[name].elements > 0 for name in node.inputs]
    if node.op in _PRODUCTS:
        # An alpha of zero would remove the product.
        return (
            is_constant[:2] == [False, True]
            and all(is_constant[1:])
            and b"alpha" not in node.attributes
        )
    if node.op in _ELEMENTWISE:
        return sorted(is_constant) == [False, True]
    if node.op == b"Div":  # a constant divided by infinity would give zero
        return is_constant == [False, True]
    return (
        node.op in _SHAPE_OPS and bool(is_constant) and not is_constant[0] and all(is_constant[1:])
    )
