"""Sparse regressions of a batch of rows on the same atoms: OMP, least angles, coordinates.

All take ``gram`` (atoms times atoms) and the rows' products with the atoms, and carry the whole
batch through one loop; a row that has finished holds still.  The inverse of the Gram matrix of a
row's active atoms is kept as a full matrix with zeros elsewhere: one atom more or less is a matrix
of rank one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import iterate
from edge_pipeline.conversion.graph.tensor import Tensor, comparison

__all__ = ["lasso_coordinate_descent", "least_angle_regression", "orthogonal_matching_pursuit"]

EPS = float(np.finfo(np.float64).eps)
EQUAL_ALPHA = float(np.finfo(np.float32).eps)
"""``lars_path`` takes penalties that are this close for equal."""

LARGEST = float(np.finfo(np.float64).max)
POLISHES = 2
"""Steps of refinement at the end of a lasso (14 atoms of length 10: 1e-8 without, 1e-13 with)."""

TINY32 = float(np.finfo(np.float32).tiny)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Each row's matrix times its vector."""
    return ops.squeeze(matrices @ ops.expand_dims(vectors, 2), 2)


def _outer(vectors: Tensor, scale: Tensor) -> Tensor:
    """The product v vᵀ · scale, of each row; *scale* has shape (n, 1)."""
    return ops.expand_dims(vectors, 2) * ops.expand_dims(vectors * scale, 1)


def _any(rows: Tensor) -> Tensor:
    return ops.sum_(rows, None) > np.int64(0)


def _with_atom(inverse: Tensor, marker: Tensor, gram: Any) -> tuple[Tensor, Tensor]:
    """The inverse with the atom that *marker* marks, and that atom's squared Cholesky pivot."""
    column = marker @ gram
    reach = _times(inverse, column)
    pivot = ops.sum_(column * marker, 1, True) - ops.sum_(column * reach, 1, True)
    safe = ops.where(pivot > EPS, pivot, 1.0)
    return inverse + _outer(marker - reach, 1.0 / safe), pivot


def _without_atom(inverse: Tensor, dropped: Tensor) -> Tensor:
    """The inverse without the atom that *dropped* marks."""
    column = _times(inverse, dropped)
    corner = ops.sum_(column * dropped, 1, True)
    return inverse - _outer(column, 1.0 / ops.where(corner == 0.0, 1.0, corner))


def _solve_active(inverse: Tensor, right: Tensor, active: Tensor, gram: Any) -> Tensor:
    """The active atoms' equations solved, with one step of refinement for the updates' rounding."""
    solved = _times(inverse, right * active)
    return (solved + _times(inverse, (right - solved @ gram) * active)) * active


def _marker(index: Tensor, width: int) -> Tensor:
    return ops.one_hot(index, width)


def _start_inverse(products: Tensor) -> Tensor:
    k = products.width
    return ops.full_rows(products, np.zeros((k, k)))


def orthogonal_matching_pursuit(products: Tensor, gram: Any, n_nonzero: int) -> Tensor:
    """``orthogonal_mp_gram``: the atom that fits the rest best, least squares on all, again."""
    width = products.width
    zeros = ops.full_rows(products, np.zeros(width))

    def once(_: Graph, step_number: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        code, active, inverse, going = state
        residual = products - code @ gram
        best = ops.argmax(abs(residual), 1)
        marker = _marker(best, width)
        again = ops.sum_(marker * active, 1, True) > 0.0
        value = ops.sum_(marker * residual, 1, True)
        larger, pivot = _with_atom(inverse, marker, gram)
        first = step_number == np.int64(0)
        stop = again | (value * value < EPS) | ((pivot <= EPS) & ~first)
        going = going & ~stop
        active = ops.where(going, active + marker, active)
        inverse = ops.where(ops.expand_dims(going, 2), larger, inverse)
        solved = _solve_active(inverse, products, active, gram)
        return [ops.where(going, solved, code), active, inverse, going], _any(going)

    start = [zeros, zeros, _start_inverse(products), ops.full_rows(products, np.array([True]))]
    return iterate(start, once, limit=n_nonzero)[0]


def least_angle_regression(
    products: Tensor,
    gram: Any,
    *,
    n_features: int,
    alpha: float,
    max_iter: int,
    lasso: bool,
    positive: bool,
) -> Tensor:
    """``lars_path`` to its end: along equal angles until the penalty is *alpha*.

    Parameters
    ----------
    n_features
        Length of the rows that are coded: the penalty is the largest correlation divided by it.
    alpha
        Where to stop; 0 for ``lars``.
    max_iter
        Steps; of ``lars`` the number of atoms wanted.
    lasso
        Whether an atom leaves when its coefficient changes sign.
    """
    width = products.width
    zeros = ops.full_rows(products, np.zeros(width))

    def size(correlation: Tensor) -> Tensor:
        return correlation if positive else abs(correlation)

    def once(_: Graph, done: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        whole, signs, inverse, dropped, top, _level, going = state
        code = ops.where(signs == 0.0, 0.0, whole)  # what left did so at 0 but for rounding
        rest = products - code @ gram
        best = ops.argmax(ops.where(signs == 0.0, size(rest), -np.inf), 1)
        after_drop = ops.sum_(dropped, 1, True) > 0.0
        chosen = ops.where(after_drop, 0.0, _marker(best, width))
        next_signs = signs + (chosen if positive else chosen * ops.sign(rest))
        grown = ops.where(
            ops.expand_dims(after_drop, 2), inverse, _with_atom(inverse, chosen, gram)[0]
        )
        direction, length = _equal_angle(grown, next_signs, gram)
        idle = next_signs == 0.0
        left = dropped * ops.sign(rest)
        reach = _reach(rest, top, direction @ gram, length, idle, left, positive=positive)
        reach, flipped = _first_sign_change(code, direction, next_signs, reach, lasso=lasso)
        moved = code + reach * direction
        turned = ops.where(flipped > 0.0, 0.0 if lasso else -next_signs, next_signs)
        next_top = _largest(size(products - moved @ gram), turned)
        moved, level, ended = _stop_at_alpha(code, moved, top, next_top, alpha, n_features)
        if lasso:  # what changes sign leaves, unless the way ends before
            flips = (ops.sum_(flipped, 1, True) > 0.0) & ~ended
            grown = ops.where(ops.expand_dims(flips, 2), _without_atom(grown, flipped), grown)
            turned = ops.where(ended, next_signs, turned)
        new = [moved, turned, grown, flipped, next_top, level]
        held = [
            ops.where(ops.expand_dims(going, 2) if n.ndim == 3 else going, n, s)
            for n, s in zip(new, state[:-1], strict=True)
        ]
        idle_left = ops.sum_(turned == 0.0, 1, True) > np.int64(0)
        going = going & ~ended & idle_left
        return [*held, going], _any(going)

    top = _largest(size(products), zeros)
    going = ~(top / float(n_features) <= alpha + EQUAL_ALPHA)
    start = [zeros, zeros, _start_inverse(products), zeros, top, top, going]
    code, signs, inverse, _, top, level, _ = iterate(start, once, limit=max_iter)
    if lasso:  # the equations of the last active set, which the way there only comes near to
        # Where no idle atom correlates positively, lars_path interpolates with a penalty below zero
        # and does not solve them either.
        solves = abs(signs) * (top >= 0.0).astype(np.float64)
        for _ in range(POLISHES):
            rest = products - level * signs - code @ gram
            code = code + _times(inverse, rest * solves) * solves
    return code


def _largest(correlations: Tensor, signs: Tensor) -> Tensor:
    """The largest correlation of an idle atom, 0 when none is idle; shape (n, 1)."""
    top = ops.max_(ops.where(signs == 0.0, correlations, -np.inf), 1, True)
    return ops.where(ops.isinf(top), 0.0, top)


def _equal_angle(inverse: Tensor, signs: Tensor, gram: Any) -> tuple[Tensor, Tensor]:
    """The direction of equal angles with the active atoms, and the correlation it takes away."""
    direction = _solve_active(inverse, signs, abs(signs), gram)
    length = 1.0 / ops.sqrt(ops.sum_(direction * signs, 1, True))
    return direction * length, length


def _reach(
    correlations: Tensor,
    top: Tensor,
    along: Tensor,
    length: Tensor,
    idle: Tensor,
    just_dropped: Tensor,
    *,
    positive: bool,
) -> Tensor:
    """How far to go until an idle atom correlates as the active ones do, or nothing is left.

    The atom that was just dropped (*just_dropped*, with its sign) still does; its correlation then
    falls behind.
    """
    along = ops.rint(along * 1e15) / 1e15
    gap = (top - correlations) / (length - along + TINY32)
    reach = ops.minimum(top / length, _smallest_positive(gap, idle & (just_dropped <= 0.0)))
    if positive:
        return reach
    gap = (top + correlations) / (length + along + TINY32)
    return ops.minimum(reach, _smallest_positive(gap, idle & (just_dropped >= 0.0)))


def _smallest_positive(values: Tensor, among: Tensor) -> Tensor:
    """``min_pos`` of each row."""
    return ops.min_(ops.where(among & (values > 0.0), values, LARGEST), 1, True)


def _first_sign_change(
    code: Tensor, direction: Tensor, signs: Tensor, reach: Tensor, *, lasso: bool
) -> tuple[Tensor, Tensor]:
    """How far to go at most, and the atoms whose coefficients are zero or flipped there."""
    crossing = -code / (direction + TINY32)
    first = _smallest_positive(crossing, signs != 0.0)
    changes = first < reach
    flipped = ((crossing == first) & changes & (signs != 0.0)).astype(np.float64)
    return (ops.where(changes, first, reach) if lasso else reach), flipped


def _stop_at_alpha(
    before: Tensor, after: Tensor, top: Tensor, next_top: Tensor, alpha: float, n_features: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The code where the penalty comes down to *alpha*, the correlation there, whether it does."""
    last, penalty = top / float(n_features), next_top / float(n_features)
    ended = penalty <= alpha + EQUAL_ALPHA
    beyond = ended & (abs(penalty - alpha) > EQUAL_ALPHA)
    share = (last - alpha) / (last - penalty)
    level = ops.where(beyond, alpha * n_features, next_top)
    return ops.where(beyond, before + share * (after - before), after), level, ended


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
        return [swept[0] - leaving, swept[1] - leaving @ gram, included, going & ~ended], _any(
            going & ~ended
        )

    if max_iter == 0:
        return zeros
    return iterate([zeros, zeros, included, going], sweep, limit=max_iter)[0]


LASSO_TOLERANCE = 1e-8
"""What ``sparse_encode`` hands to Lasso."""


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
