"""Code rows as sparse sums of atoms by coordinate descent, as ``Lasso`` does on a Gram matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import iterate
from edge_pipeline.conversion.graph.tensor import Tensor, comparison
from edge_pipeline.conversion.numeric.sparse_regression import any_row

__all__ = ["lasso_coordinate_descent"]


def lasso_coordinate_descent(
    products: Tensor, squares: Tensor, gram: Any, *, penalty: float, max_iter: int, positive: bool
) -> Tensor:
    """``enet_coordinate_descent_gram``: sweeps over the atoms until the duality gap is small.

    Parameters
    ----------
    squares
        The rows' squared lengths, shape (n_samples, 1).
    penalty
        Of the sum of absolute coefficients.
    """
    tolerance = LASSO_TOLERANCE * squares
    gram = np.asarray(gram, dtype=np.float64)
    zeros = ops.full_rows(products, np.zeros(products.width))
    gap, bound = _duality_gap(products, squares, zeros, zeros, penalty, positive)
    going = ~((gap >= 0.0) & (gap <= tolerance))
    usable = np.diag(gram) != 0.0
    included = _screen(products, zeros, gap, bound, gram, penalty)
    included = included & ops.full_rows(products, usable)

    def sweep(
        _: Graph, sweep_number: Tensor, state: Sequence[Tensor]
    ) -> tuple[list[Tensor], Tensor]:
        code, fitted, included, going = state
        moving = included & going
        swept = iterate(
            [code, fitted],
            _coordinate(products, gram, penalty, moving, positive),
            limit=products.width,
        )
        largest = ops.max_(abs(swept[0]), 1, True)
        # One visit an atom: the largest size met on the way is the largest at the end.
        change = ops.max_(abs(swept[0] - code), 1, True)
        look = (largest == 0.0) | (change / largest <= LASSO_TOLERANCE)
        gap, bound = _duality_gap(products, squares, swept[0], swept[1], penalty, positive)
        ended = look & (gap <= tolerance)
        screens = going & look & ~ended
        still_included = included & _screen(products, swept[1], gap, bound, gram, penalty)
        included = still_included | (included & ~screens)
        leaving = ops.where(included | ~screens, 0.0, swept[0])
        return [swept[0] - leaving, swept[1] - leaving @ gram, included, going & ~ended], any_row(
            going & ~ended
        )

    if max_iter == 0:
        return zeros
    return iterate([zeros, zeros, included, going], sweep, limit=max_iter)[0]


LASSO_TOLERANCE = 1e-8
"""Parameters that ``sparse_encode`` passes to Lasso."""


def _coordinate(products: Tensor, gram: Any, penalty: float, moving: Tensor, positive: bool) -> Any:
    """The step of one atom: soft thresholding of what the others leave for it."""
    diagonal = np.diag(gram)
    safe = np.where(diagonal == 0.0, 1.0, diagonal)

    def step(_: Graph, atom: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], None]:
        code, fitted = state
        at = ops.reshape(atom, [1])
        own, scale = ops.take(code, at, 1), ops.take(diagonal, at)
        remainder = ops.take(products, at, 1) - ops.take(fitted, at, 1) + own * scale
        shrunk = ops.maximum((remainder if positive else abs(remainder)) - penalty, 0.0)
        value = (shrunk if positive else ops.sign(remainder) * shrunk) / ops.take(safe, at)
        value = ops.where(ops.take(moving, at, 1), value, own)
        change = value - own
        is_atom = comparison("Equal", np.arange(len(diagonal)), at)
        return [ops.where(is_atom, value, code), fitted + change * ops.take(gram, at)], None

    return step


def _duality_gap(
    products: Tensor, squares: Tensor, code: Tensor, fitted: Tensor, penalty: float, positive: bool
) -> tuple[Tensor, Tensor]:
    """``gap_enet_gram``: the gap, and the dual norm that scales it."""
    aligned = ops.sum_(code * products, 1, True)
    residual = squares + ops.sum_(code * fitted, 1, True) - 2.0 * aligned
    residual_products = products - fitted
    if penalty == 0.0:
        gradient = ops.sum_(residual_products * residual_products, 1, True)
        return gradient, gradient
    bound = ops.max_(residual_products if positive else abs(residual_products), 1, True)
    scale = ops.where(bound > penalty, penalty / ops.where(bound == 0.0, 1.0, bound), 1.0)
    primal = 0.5 * residual + penalty * ops.sum_(abs(code), 1, True)
    dual = -0.5 * (scale * scale) * residual + scale * (squares - aligned)
    return primal - dual, bound


def _screen(
    products: Tensor, fitted: Tensor, gap: Tensor, bound: Tensor, gram: Any, penalty: float
) -> Tensor:
    """Atoms that may still matter (Gap Safe rules, arXiv:1802.07481, equation 11)."""
    if penalty == 0.0:
        return ops.full_rows(products, np.ones(products.width, dtype=np.bool_))
    radius = ops.sqrt(2.0 * abs(gap)) / penalty
    angle = (products - fitted) / ops.maximum(bound, penalty)
    lengths = np.sqrt(np.diag(gram))
    return (1.0 - abs(angle)) / np.where(lengths == 0.0, 1.0, lengths) <= radius
