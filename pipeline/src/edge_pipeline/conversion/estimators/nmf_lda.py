"""Convert NMF, MiniBatchNMF and LatentDirichletAllocation by iterating in the graph.

scikit-learn stops by a criterion over all rows of a call.  So the output for a row depends, within
``tol``, on the other rows.  The graph iterates and stops in the same way, so it returns the same
as scikit-learn for the same rows together.
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
    """Return the weights of the l1 and the l2 penalty (``_compute_regularization``)."""
    weight = X.width * model.alpha_W
    return float(weight * model.l1_ratio), float(weight * (1.0 - model.l1_ratio))


def _coordinate_descent(model: Any, X: Tensor) -> Tensor:
    """_fit_coordinate_descent: update each component in turn until the violation is small."""
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
        updated = ops.maximum(weight - gradient / float(gram[t, t]), 0.0)
        return ops.where(np.arange(len(H)) == t, updated, W), violation

    def sweep(_: Graph, iteration: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        W, first = state
        violation = zero
        for t in range(len(H)):
            W, violation = coordinate(W, violation, t)
        first = ops.where(iteration == np.int64(0), violation, first)
        more = (first != 0.0) & ~(violation / first <= float(model.tol))
        return [W, first], more

    start = ops.full_rows(X, np.zeros(len(H)))
    return iterate([start, zero], sweep, limit=model.max_iter)[0]


def _start(X: Tensor, components: int) -> Tensor:
    """Return the start of multiplicative updates: sqrt(X.mean() / n_components) everywhere."""
    size = _size(X)
    average = ops.sqrt(ops.sum_(X, None) / size / float(components))
    return ops.full_rows(X, np.ones(components)) * average


def _size(X: Tensor) -> Tensor:
    """Return the number of elements of *X*."""
    return ops.reshape(ops.rows(X), ()).astype(np.float64) * float(X.width)


def _update(model: Any, X: Tensor) -> Callable[..., Tensor]:
    """Return the function from W to the next W (_multiplicative_update_w).

    Its second argument replaces the row sums of H plus the L1 penalty, where beta is 1.
    """
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

    def update(W: Tensor, penalized_sums: Tensor | None = None) -> Tensor:
        numerator, denominator = ratio(W)
        if penalized_sums is not None:
            denominator = penalized_sums
        elif l1 > 0:
            denominator = denominator + l1
        if l2 > 0:
            denominator = denominator + l2 * W
        if isinstance(denominator, Tensor):
            denominator = ops.where(denominator == 0.0, EPSILON, denominator)
        else:
            denominator = np.where(denominator == 0, EPSILON, denominator)
        change = numerator / denominator
        updated: Tensor = W * (change if gamma == 1.0 else change**gamma)
        return updated

    return update


def _multiplicative(model: Any, X: Tensor) -> Tensor:
    """_fit_multiplicative_update: check the error after every ten updates.

    With the Kullback-Leibler divergence, scikit-learn adds the L1 penalty in place to the row sums
    of H, which it keeps from update to update: update number i divides by sums + i * l1.
    """
    update, beta = _update(model, X), float(model._beta_loss)
    l1, _ = _regularization(model, X)
    start = [_start(X, len(model.components_))]
    if beta == 1.0 and l1 > 0:
        row_sums = np.sum(np.asarray(model.components_, dtype=np.float64), axis=1, keepdims=True)
        start.append(X.graph.constant(row_sums.T))

    def step(_: Graph, __: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], None]:
        penalized_sums = [sums + l1 for sums in state[1:]]
        W = update(state[0], *penalized_sums)
        return [ops.where(W < EPS, 0.0, W) if beta < 1.0 else W, *penalized_sums], None

    if model.tol <= 0:
        return iterate(start, step, limit=model.max_iter)[0]
    at_start = _divergence(X, start[0], model)

    def ten_steps(_: Graph, __: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        *factors, before, _more = state
        factors = list(iterate(factors, step, limit=10))
        error = _divergence(X, factors[0], model)
        more = ~((before - error) / at_start < float(model.tol))
        return [*factors, error, more], more

    tens, remaining = divmod(model.max_iter, 10)
    factors, more = start, X.graph.constant(np.array(True))
    if tens:
        *factors, _, more = iterate([*factors, at_start, more], ten_steps, limit=tens)
    if remaining:
        after, *_ = iterate(factors, step, limit=remaining)
        return ops.where(more, after, factors[0])
    return factors[0]


def _divergence(X: Tensor, W: Tensor, model: Any) -> Tensor:
    """_beta_divergence(square_root=True): the square root of twice the divergence."""
    H = np.asarray(model.components_, dtype=np.float64)
    beta = float(model._beta_loss)
    product = W @ H
    if beta == 2.0:
        difference = X - product
        return ops.sqrt(ops.sum_(difference * difference, None) / 2.0 * 2.0)
    # scikit-learn leaves zeros out of the sums.
    is_positive = X > EPSILON
    x = ops.where(is_positive, X, 1.0)
    safe = ops.where(is_positive, ops.maximum(product, EPSILON), 1.0)
    x_or_zero = ops.where(is_positive, X, 0.0)
    if beta == 1.0:
        total = ops.sum_(x_or_zero * ops.log(x / safe), None)
        total = total + (ops.sum_(product, None) - ops.sum_(x_or_zero, None))
    elif beta == 0.0:
        quotient = ops.where(is_positive, x / safe, 0.0)
        logs = ops.log(x / safe)
        size = _size(X)
        total = ops.sum_(quotient, None) - size - ops.sum_(logs, None)
    else:
        cross = ops.sum_(x_or_zero * safe ** (beta - 1.0), None)
        total = ops.sum_(ops.where(is_positive, x**beta, 0.0), None) - beta * cross
        total = total + ops.sum_(product**beta, None) * (beta - 1.0)
        total = total / (beta * (beta - 1.0))
    return ops.sqrt(2.0 * ops.maximum(total, 0.0))


def _mini_batch_factors(context: Context, model: Any, X: Tensor) -> Tensor:
    """MiniBatchNMF.transform: iterate until an update changes the factors by less than ``tol``.

    It does not refuse negative values as NMF does.  It then divides by sums that may be only
    rounding, and multiplies that rounding at every step.
    """
    negative = ops.min_(X, None) < 0.0
    context.mark_ambiguous(ops.full_rows(X, np.array(True)) & negative)
    update = _update(model, X)

    def step(_: Graph, __: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        (before,) = state
        W = update(before)
        if model.tol <= 0:
            return [W], None
        difference = W - before
        change = ops.sqrt(ops.sum_(difference * difference, None)) / ops.sqrt(ops.sum_(W * W, None))
        return [W], ~(change <= float(model.tol))

    start = _start(X, len(model.components_))
    return iterate([start], step, limit=model._transform_max_iter)[0]


def _topics(_: Context, model: Any, X: Tensor) -> Tensor:
    """LatentDirichletAllocation.transform: iterate each document until its topics settle.

    ``sklearn.decomposition._lda._update_doc_distribution`` (Hoffman, Blei, Bach 2010).
    """
    words = np.asarray(model.exp_dirichlet_component_, dtype=np.float64)
    topics = len(words)
    start = ops.full_rows(X, np.ones(topics))
    limit = int(model.max_doc_update_iter)

    def step(_: Graph, __: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        before, expected, unsettled = state
        scale = expected @ words + EPS
        counts = expected * ((X / scale) @ words.T) + float(model.doc_topic_prior_)
        after = ops.where(unsettled, counts, before)
        change = ops.sum_(abs(before - after), 1, True) / float(topics)
        unsettled = unsettled & ~(change < float(model.mean_change_tol))
        more = ops.sum_(unsettled, None) > np.int64(0)
        return [after, _expectation(after), unsettled], more

    if limit:
        unsettled = ops.full_rows(X, np.array([True]))
        start = iterate([start, _expectation(start), unsettled], step, limit=limit)[0]
    return start / ops.sum_(start, 1, True)


def _expectation(weights: Tensor) -> Tensor:
    """Compute exp(E[log(theta)]) for theta ~ Dirichlet(weights)."""
    psi = _psi(ops.concatenate([weights, ops.sum_(weights, 1, True)], 1))
    topics = weights.width
    return ops.exp(psi[:, :topics] - psi[:, topics:])


def _psi(x: Tensor) -> Tensor:
    """Compute digamma as ``_online_lda_fast.pyx`` does (Bernardo 1976, algorithm AS 103)."""
    tiny = x <= 1e-6
    result: Any = 0.0
    shifted = ops.where(tiny, 1.0, x)
    for _ in range(6):  # psi(x) = psi(x + 1) - 1 / x
        small = shifted < 6.0
        result = result - ops.where(small, 1.0 / shifted, 0.0)
        shifted = shifted + small.astype(np.float64)
    # The asymptotic series.
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
