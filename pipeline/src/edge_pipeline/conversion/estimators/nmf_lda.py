"""Non-negative factors of a row: NMF, MiniBatchNMF and LatentDirichletAllocation, iterated.

scikit-learn stops the factorizations by a criterion over all rows that are transformed together, so
what it answers for a row depends, within ``tol``, on the rows beside it.  The graph iterates and
stops in the same way: it answers as scikit-learn does for the same rows together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import NMF, LatentDirichletAllocation, MiniBatchNMF
from sklearn.decomposition._nmf import EPSILON

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import iterate
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]

EPS = float(np.finfo(np.float64).eps)


def _factors(context: Context, model: Any, X: Tensor) -> Tensor:
    """NMF.transform."""
    if model.solver == "cd":
        if model.shuffle:
            raise context.refuse(
                "shuffle=True: it draws a random order at every call; fit with shuffle=False"
            )
        return _coordinate_descent(model, X)
    return _multiplicative(model, X)


def _regularization(model: Any, X: Tensor) -> tuple[float, float]:
    weight = X.width * model.alpha_W
    return float(weight * model.l1_ratio), float(weight * (1.0 - model.l1_ratio))


def _coordinate_descent(model: Any, X: Tensor) -> Tensor:
    """_fit_coordinate_descent: one component after the other, until the violation has shrunk."""
    H = np.asarray(model.components_, dtype=np.float64)
    l1, l2 = _regularization(model, X)
    gram = H @ H.T + l2 * np.eye(len(H))
    target = X @ H.T - l1 if l1 else X @ H.T
    zero = X.graph.constant(np.float64(0.0))

    def coordinate(W: Tensor, violation: Tensor, t: int) -> tuple[Tensor, Tensor]:
        weight = W[:, t : t + 1]
        gradient = W @ gram[:, [t]] - target[:, t : t + 1]
        projected = ops.where(weight == 0.0, ops.minimum(gradient, 0.0), gradient)
        violation = violation + ops.sum_(abs(projected), None)
        if gram[t, t] == 0.0:
            return W, violation
        moved = ops.maximum(weight - gradient / float(gram[t, t]), 0.0)
        return ops.where(np.arange(len(H)) == t, moved, W), violation

    def sweep(_: Graph, done: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        W, first = state
        violation = zero
        for t in range(len(H)):
            W, violation = coordinate(W, violation, t)
        first = ops.where(done == np.int64(0), violation, first)
        more = (first != 0.0) & ~(violation / first <= float(model.tol))
        return [W, first], more

    start = ops.full_rows(X, np.zeros(len(H)))
    return iterate([start, zero], sweep, limit=model.max_iter)[0]


def _start(X: Tensor, components: int) -> Tensor:
    """The square root of all rows' mean, shared out: what multiplicative updates start from."""
    count = ops.reshape(ops.rows(X), ()).astype(np.float64) * float(X.width)
    average = ops.sqrt(ops.sum_(X, None) / count / float(components))
    return ops.full_rows(X, np.ones(components)) * average


def _update(model: Any, X: Tensor) -> Callable[[Tensor, Any], Tensor]:
    """_multiplicative_update_w: W to the next W."""
    H = np.asarray(model.components_, dtype=np.float64)
    beta = float(model._beta_loss)
    l1, l2 = _regularization(model, X)
    gamma = 1.0 / (2.0 - beta) if beta < 1 else 1.0 / (beta - 1.0) if beta > 2 else 1.0

    def ratio(W: Tensor) -> tuple[Tensor, Any]:
        if beta == 2.0:
            return X @ H.T, W @ (H @ H.T)
        product = W @ H
        safe = ops.maximum(product, EPSILON) if beta < 2.0 else product
        if beta == 1.0:
            return (X / safe) @ H.T, np.sum(H, axis=1)[np.newaxis, :]
        shrunk = 1.0 / safe if beta == 0.0 else None
        scaled = shrunk * shrunk * X if shrunk is not None else safe ** (beta - 2.0) * X
        base = ops.maximum(product, EPSILON) if beta < 1.0 else product
        return scaled @ H.T, base ** (beta - 1.0) @ H.T

    def update(W: Tensor, _: Any) -> Tensor:
        numerator, denominator = ratio(W)
        if l1 > 0:
            denominator = denominator + l1
        if l2 > 0:
            denominator = denominator + l2 * W
        if isinstance(denominator, Tensor):
            denominator = ops.where(denominator == 0.0, EPSILON, denominator)
        else:
            denominator = np.where(denominator == 0, EPSILON, denominator)
        change = numerator / denominator
        answer: Tensor = W * (change if gamma == 1.0 else change**gamma)
        return answer

    return update


def _multiplicative(model: Any, X: Tensor) -> Tensor:
    """_fit_multiplicative_update: ten updates, then a look at the error."""
    update, beta = _update(model, X), float(model._beta_loss)
    start = _start(X, len(model.components_))

    def once(_: Graph, done: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], None]:
        W = update(state[0], None)
        return [ops.where(W < EPS, 0.0, W) if beta < 1.0 else W], None

    if model.tol <= 0:
        return iterate([start], once, limit=model.max_iter)[0]
    at_start = _divergence(X, start, model)

    def ten(_: Graph, done: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        W, before, _more = state
        (W,) = iterate([W], once, limit=10)
        error = _divergence(X, W, model)
        more = ~((before - error) / at_start < float(model.tol))
        return [W, error, more], more

    tens, rest = divmod(model.max_iter, 10)
    W, going = start, X.graph.constant(np.array(True))
    if tens:
        W, _, going = iterate([W, at_start, going], ten, limit=tens)
    if rest:
        (after,) = iterate([W], once, limit=rest)
        W = ops.where(going, after, W)
    return W


def _divergence(X: Tensor, W: Tensor, model: Any) -> Tensor:
    """_beta_divergence, the square root of its double."""
    H = np.asarray(model.components_, dtype=np.float64)
    beta = float(model._beta_loss)
    product = W @ H
    if beta == 2.0:
        gap = X - product
        return ops.sqrt(ops.sum_(gap * gap, None) / 2.0 * 2.0)
    counted = X > EPSILON
    x = ops.where(counted, X, 1.0)
    safe = ops.where(counted, ops.maximum(product, EPSILON), 1.0)
    kept = ops.where(counted, X, 0.0)
    if beta == 1.0:
        total = ops.sum_(kept * ops.log(x / safe), None)
        total = total + (ops.sum_(product, None) - ops.sum_(kept, None))
    elif beta == 0.0:
        quotient = ops.where(counted, x / safe, 0.0)
        logs = ops.log(x / safe)
        count = ops.reshape(ops.rows(X), ()).astype(np.float64) * float(X.width)
        total = ops.sum_(quotient, None) - count - ops.sum_(logs, None)
    else:
        cross = ops.sum_(kept * safe ** (beta - 1.0), None)
        total = ops.sum_(ops.where(counted, x**beta, 0.0), None) - beta * cross
        total = total + ops.sum_(product**beta, None) * (beta - 1.0)
        total = total / (beta * (beta - 1.0))
    return ops.sqrt(2.0 * ops.maximum(total, 0.0))


def _mini_batch_factors(context: Context, model: Any, X: Tensor) -> Tensor:
    """MiniBatchNMF.transform: until an update moves the factors by less than ``tol``.

    It does not refuse negative values as NMF does, but divides by sums that may then vanish: what
    comes out is rounding, multiplied at every step.
    """
    negative = ops.min_(X, None) < 0.0
    context.mark_ambiguous(ops.full_rows(X, np.array(True)) & negative)
    update = _update(model, X)

    def once(_: Graph, done: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        (before,) = state
        W = update(before, None)
        if model.tol <= 0:
            return [W], None
        gap = W - before
        change = ops.sqrt(ops.sum_(gap * gap, None)) / ops.sqrt(ops.sum_(W * W, None))
        return [W], ~(change <= float(model.tol))

    start = _start(X, len(model.components_))
    return iterate([start], once, limit=model._transform_max_iter)[0]


def _topics(_: Context, model: Any, X: Tensor) -> Tensor:
    """LatentDirichletAllocation.transform: each document until its topics hardly move."""
    words = np.asarray(model.exp_dirichlet_component_, dtype=np.float64)
    topics = len(words)
    start = ops.full_rows(X, np.ones(topics))
    limit = int(model.max_doc_update_iter)

    def once(_: Graph, done: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        before, expected, going = state
        scale = expected @ words + EPS
        counts = expected * ((X / scale) @ words.T) + float(model.doc_topic_prior_)
        after = ops.where(going, counts, before)
        change = ops.sum_(abs(before - after), 1, True) / float(topics)
        going = going & ~(change < float(model.mean_change_tol))
        more = ops.sum_(going, None) > np.int64(0)
        return [after, _expectation(after), going], more

    if limit:
        settled = ops.full_rows(X, np.array([True]))
        start = iterate([start, _expectation(start), settled], once, limit=limit)[0]
    return start / ops.sum_(start, 1, True)


def _expectation(weights: Tensor) -> Tensor:
    """exp(E[log(theta)]) for theta ~ Dirichlet(weights)."""
    both = _psi(ops.concatenate([weights, ops.sum_(weights, 1, True)], 1))
    topics = weights.width
    return ops.exp(both[:, :topics] - both[:, topics:])


def _psi(x: Tensor) -> Tensor:
    """Digamma as ``_online_lda_fast.pyx`` approximates it (Bernardo 1976, algorithm AS 103)."""
    tiny = x <= 1e-6
    result: Any = 0.0
    shifted = ops.where(tiny, 1.0, x)
    for _ in range(6):
        small = shifted < 6.0
        result = result - ops.where(small, 1.0 / shifted, 0.0)
        shifted = shifted + small.astype(np.float64)
    r = 1.0 / shifted
    result = result + (ops.log(shifted) - 0.5 * r)
    r = r * r
    result = result - r * ((1.0 / 12.0) - r * ((1.0 / 120.0) - r * (1.0 / 252.0)))
    return ops.where(tiny, -np.euler_gamma - 1.0 / x, result)


CONVERTERS: dict[type, Methods] = {
    NMF: {"transform": _factors},
    MiniBatchNMF: {"transform": _mini_batch_factors},
    LatentDirichletAllocation: {"transform": _topics},
}
