"""Code rows as sparse sums of atoms: orthogonal matching pursuit and least angle regression.

Both take ``gram`` (atoms times atoms) and the rows' products with the atoms, and carry the whole
batch through one loop; a row that has finished holds still.  The inverse of the Gram matrix of a
row's active atoms is kept as a full matrix with zeros elsewhere: one atom more or less is a matrix
of rank one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import iterate
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["least_angle_regression", "orthogonal_matching_pursuit"]

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


def any_row(rows: Tensor) -> Tensor:
    """Tell whether any row of the batch is true; the loop goes on while one is."""
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
        return [ops.where(going, solved, code), active, inverse, going], any_row(going)

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
    """Compute ``lars_path`` to its end: along equal angles until the penalty is *alpha*.

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
    path = _LeastAnglePath(products, gram, n_features, alpha, lasso, positive)
    state = _PathState(*iterate(path.start(), path.step, limit=max_iter))
    return path.polished(state) if lasso else state.code


class _PathState(NamedTuple):
    """A batch of rows on their way along the path of least angles; one row a sample.

    Attributes
    ----------
    code
        Coefficients of the atoms.
    signs
        Sign with which an active atom correlates; 0 for an idle one.
    inverse
        Inverse of the Gram matrix of the active atoms, zero elsewhere.
    dropped
        1 for an atom that the last step dropped.
    top
        Correlation that all active atoms have.
    level
        Correlation at the place where the path ends.
    going
        Whether the row has not reached its end.
    """

    code: Tensor
    signs: Tensor
    inverse: Tensor
    dropped: Tensor
    top: Tensor
    level: Tensor
    going: Tensor


@dataclass(frozen=True)
class _LeastAnglePath:
    """The steps of ``lars_path`` for a batch of rows (Efron et al. 2004)."""

    products: Tensor
    gram: Any
    n_features: int
    alpha: float
    lasso: bool
    positive: bool

    def start(self) -> _PathState:
        """No atom is active; rows whose penalty is *alpha* already have ended."""
        products = self.products
        zeros = ops.full_rows(products, np.zeros(products.width))
        top = _largest(self._size(products), zeros)
        going = ~(top / float(self.n_features) <= self.alpha + EQUAL_ALPHA)
        return _PathState(zeros, zeros, _start_inverse(products), zeros, top, top, going)

    def step(self, _: Graph, __: Tensor, tensors: Sequence[Tensor]) -> tuple[_PathState, Tensor]:
        """Add an atom and walk to the next one; rows that have ended keep their state."""
        state = _PathState(*tensors)
        after, ended = self._walk(state)
        tensors = [
            ops.where(ops.expand_dims(state.going, 2) if new.ndim == 3 else state.going, new, old)
            for new, old in zip(after[:-1], state[:-1], strict=True)
        ]
        has_idle_atom = ops.sum_(after.signs == 0.0, 1, True) > np.int64(0)
        going = state.going & ~ended & has_idle_atom
        return _PathState(*[*tensors, going]), any_row(going)

    def _walk(self, state: _PathState) -> tuple[_PathState, Tensor]:
        """Take one step, and tell whether the path ends there."""
        gram, lasso, positive = self.gram, self.lasso, self.positive
        # A dropped atom left at zero, but for rounding.
        code = ops.where(state.signs == 0.0, 0.0, state.code)
        correlations = self.products - code @ gram
        signs, inverse = self._enter(state, correlations)
        direction, length = _equal_angle(inverse, signs, gram)
        idle = signs == 0.0
        just_dropped = state.dropped * ops.sign(correlations)
        reach = _reach(
            correlations, state.top, direction @ gram, length, idle, just_dropped, positive=positive
        )
        reach, flipped = _first_sign_change(code, direction, signs, reach, lasso=lasso)
        next_code = code + reach * direction
        next_signs = ops.where(flipped > 0.0, 0.0 if lasso else -signs, signs)
        top = _largest(self._size(self.products - next_code @ gram), next_signs)
        next_code, level, ended = _stop_at_alpha(
            code, next_code, state.top, top, self.alpha, self.n_features
        )
        if lasso:  # an atom that changes its sign is dropped, unless the path ends before
            drops = (ops.sum_(flipped, 1, True) > 0.0) & ~ended
            inverse = ops.where(ops.expand_dims(drops, 2), _without_atom(inverse, flipped), inverse)
            next_signs = ops.where(ended, signs, next_signs)
        after = state._replace(
            code=next_code, signs=next_signs, inverse=inverse, dropped=flipped, top=top, level=level
        )
        return after, ended

    def _enter(self, state: _PathState, correlations: Tensor) -> tuple[Tensor, Tensor]:
        """Activate the idle atom that correlates most, unless the last step dropped one."""
        size = self._size(correlations)
        best = ops.argmax(ops.where(state.signs == 0.0, size, -np.inf), 1)
        after_drop = ops.sum_(state.dropped, 1, True) > 0.0
        marker = ops.where(after_drop, 0.0, _marker(best, self.products.width))
        signs = state.signs + (marker if self.positive else marker * ops.sign(correlations))
        keeps = ops.expand_dims(after_drop, 2)
        larger, _ = _with_atom(state.inverse, marker, self.gram)
        return signs, ops.where(keeps, state.inverse, larger)

    def polished(self, state: _PathState) -> Tensor:
        """Solve the equations of the last active set, to which the path only comes near.

        Where no idle atom correlates positively, ``lars_path`` interpolates with a penalty below
        zero and does not solve them either.
        """
        code = state.code
        solves = abs(state.signs) * (state.top >= 0.0).astype(np.float64)
        for _ in range(POLISHES):
            residual = self.products - state.level * state.signs - code @ self.gram
            code = code + _times(state.inverse, residual * solves) * solves
        return code

    def _size(self, correlations: Tensor) -> Tensor:
        return correlations if self.positive else abs(correlations)


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
