"""A graph in, out what a finite answer of it proves of the rows that it was given.

A sum of products is finite only when each of its factors is: a NaN or an infinity times anything is
NaN or infinity, and so is whatever is added to it (IEEE 754-2019, sections 6.1 and 6.2).  The
answers of a linear model therefore tell of all cells, 20 times as many, say, and the cells need not
be read once more.  Where an answer is not finite it proves nothing, and the cells are looked at.
"""

from __future__ import annotations

from edge_runtime.bundle.schema import NUMBERS
from edge_runtime.graph_safety.onnx_reader import Node, Scope

__all__ = ["check_finite_proof"]


def check_finite_proof(main: Scope, name: str) -> tuple[bool, bool]:
    """What the output *name* of the graph *main* tells of its input ``numbers``.

    Returns
    -------
    proves_finite
        The output's rows are finite only if all numbers are from which they were computed.
    in_one_go
        Nothing between the numbers and the output is larger than the output, so that a batch of
        any size needs no cutting.
    """
    chain: list[bytes] = []
    at = name.encode()
    while at != _NUMBERS:
        maker = main.makers.get(at)
        if maker is None or maker.domain or len(chain) == _MAX_CHAIN or not _hands_on(maker, main):
            return False, False
        chain.append(maker.op)
        at = maker.inputs[0] if maker.inputs[0] not in main.tensors else maker.inputs[1]
    products = [op for op in chain if op in _PRODUCTS]
    return bool(products), len(products) == 1 and chain[-1] in _PRODUCTS


_NUMBERS = NUMBERS.encode()
_MAX_CHAIN = 16
_PRODUCTS = frozenset({b"Gemm", b"MatMul"})
_ELEMENTWISE = frozenset({b"Add", b"Sub", b"Mul"})
_SHAPING = frozenset({b"Identity", b"Reshape", b"Squeeze", b"Unsqueeze", b"Flatten"})


def _hands_on(node: Node, main: Scope) -> bool:
    """Whether every NaN or infinity in what *node* is given comes out as one."""
    stored = [name in main.tensors and main.tensors[name].elements > 0 for name in node.inputs]
    if node.op in _PRODUCTS:
        # With an alpha of zero nothing of the product would be left.
        return stored[:2] == [False, True] and all(stored[1:]) and b"alpha" not in node.attributes
    if node.op in _ELEMENTWISE:
        return sorted(stored) == [False, True]
    if node.op == b"Div":  # what is divided by infinity becomes zero
        return stored == [False, True]
    return node.op in _SHAPING and bool(stored) and not stored[0] and all(stored[1:])
