"""Convert support vector machines: a kernel with the support vectors, then one product.

The converters follow ``svm_predict_values`` and ``svm_predict_probability`` in scikit-learn's
svm/src/libsvm/svm.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import svm
from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.linear import second_score
from edge_pipeline.conversion.fitted_arrays import dense_array
from edge_pipeline.conversion.graph import ops, special_functions
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import iterate
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.kernels import kernel
from edge_pipeline.conversion.numeric.pairwise import squared_differences
from edge_pipeline.conversion.numeric.sparse_rows import stays_sparse
from edge_pipeline.conversion.tracing.array import Tracer
from edge_pipeline.conversion.tracing.trace import call_traced

__all__ = ["CONVERTERS"]

Pairs = list[tuple[int, int]]

_CLASSIFIERS = ("c_svc", "nu_svc")


def _decisions(context: Context, machine: Any, X: Tensor) -> Tensor:
    """Return libsvm's decision values, shape (n_samples, n_pairs); one column for regression.

    Two classes have two columns: zero, and the decision with scikit-learn's sign, positive for the
    second class.
    """
    weights = _weights(machine)
    bias = np.asarray(machine._intercept_, dtype=np.float64)
    if machine._impl in _CLASSIFIERS and len(machine.classes_) == 2:
        weights = np.hstack([np.zeros_like(weights), -weights])
        bias = np.append(0.0, -bias)
    X = X.astype(np.float64)  # the final estimator of a stack may read integer labels
    if not len(machine.support_):
        return ops.full_rows(X, bias)
    if callable(machine.kernel):
        return _callable_kernel(context, machine, X) @ _weights_of_all_rows(machine, weights) + bias
    if machine.kernel == "precomputed":
        return X @ _weights_of_all_rows(machine, weights) + bias
    vectors = machine.support_vectors_
    if machine.kernel == "linear":
        scores: Tensor = X @ (vectors.T @ weights) + bias
        return scores
    gamma = float(machine._gamma)
    if machine.kernel == "rbf":
        return _rbf_kernel(context, X, vectors, gamma) @ weights + bias
    params = {"gamma": gamma, "coef0": machine.coef0, "degree": machine.degree}
    return kernel(context, machine.kernel, X, vectors, **params) @ weights + bias


def _weights(machine: Any) -> NDArray[np.float64]:
    """Return the coefficients of the support vectors, shape (n_vectors, n_pairs).

    For the pair (i, j), libsvm keeps the coefficients of class i's vectors in row j - 1.  It keeps
    those of class j's vectors in row i.
    """
    rows = dense_array(machine._dual_coef_)
    if machine._impl not in _CLASSIFIERS:
        return rows.T
    ends = np.cumsum(machine._n_support)
    starts = ends - machine._n_support
    pairs = _pairs(len(machine.classes_))
    weights = np.zeros((rows.shape[1], len(pairs)))
    for k, (i, j) in enumerate(pairs):
        weights[starts[i] : ends[i], k] = rows[j - 1, starts[i] : ends[i]]
        weights[starts[j] : ends[j], k] = rows[i, starts[j] : ends[j]]
    return weights


def _pairs(n_classes: int) -> Pairs:
    return [(i, j) for i in range(n_classes) for j in range(i + 1, n_classes)]


def _weights_of_all_rows(machine: Any, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights for every training row, zero where it is not a support vector."""
    full = np.zeros((machine.shape_fit_[0], weights.shape[1]))
    full[machine.support_] = weights
    return full


def _callable_kernel(context: Context, machine: Any, X: Tensor) -> Tensor:
    """Compute the user's kernel of two matrices: one of scikit-learn's, or a function to trace."""
    function: Any = machine.kernel
    params: dict[str, Any] = {}
    if isinstance(function, partial) and not function.args:
        function, params = function.func, dict(function.keywords)
    rows = dense_array(machine._BaseLibSVM__Xfit)
    for name, pairwise in PAIRWISE_KERNEL_FUNCTIONS.items():
        if function is pairwise:
            return kernel(context, name, X, rows, **params)
    name = getattr(function, "__name__", function)
    similarities = call_traced(
        context,
        Tracer(X, context.vector),
        f"kernel={name!r} uses what ONNX has no node for",
        "write it with numpy's elementary functions, or use a named kernel",
        machine.kernel,
        X,
        rows,
    )
    if not isinstance(similarities, Tensor):
        raise context.refuse(f"kernel={function!r} does not use its first argument")
    return similarities


UNCENTRED, CENTRED = 100.0, 1000.0
"""Up to these values of gamma * |y|², distances from products are as exact as from differences.

Their rounding, 4 * 1.1e-16 times the value, changes the exponent by less than 5e-13."""


def _rbf_kernel(context: Context, X: Tensor, rows: Any, gamma: float) -> Tensor:
    """Compute exp(-gamma |x - y|²): from x·y where that is exact, otherwise from differences.

    The product form is one matrix product: 1,000 rows against 500 vectors of 20 features take 7 ms
    with it and 250 ms with differences (2 cores, onnxruntime 1.32).  Only the size of *y* matters:
    a row far from every *y* has kernel zero either way, and a row near some *y* is about as large.
    Rows of words stay sparse.
    """
    if stays_sparse(rows) and gamma * float(rows.multiply(rows).sum(axis=1).max()) <= UNCENTRED:
        return kernel(context, "rbf", X, rows, gamma=gamma)
    vectors = dense_array(rows)
    size = gamma * _max_square(vectors)
    if not size <= UNCENTRED:
        centre = vectors.mean(axis=0)
        if not gamma * _max_square(vectors - centre) <= CENTRED:
            return ops.exp(-gamma * squared_differences(X, vectors))
        X, vectors = X - centre, vectors - centre
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    # The row's own squared length is one more column of the product.
    columns = ops.concatenate([X, ops.sum_of_squares(X, 1, keepdims=True)], 1)
    weights = np.vstack([2.0 * gamma * vectors.T, np.full((1, len(vectors)), -gamma)])
    return ops.exp(columns @ weights + (-gamma * lengths))


def _max_square(vectors: NDArray[np.float64]) -> float:
    """Return the largest squared length of a vector."""
    return float(np.einsum("ij,ij->i", vectors, vectors).max(initial=0.0))


def _vote_matrix(n_classes: int) -> NDArray[np.float64]:
    """Return +1 where the class is the first of the pair, -1 where it is the second."""
    pairs = _pairs(n_classes)
    matrix = np.zeros((len(pairs), n_classes))
    for k, (i, j) in enumerate(pairs):
        matrix[k, i], matrix[k, j] = 1.0, -1.0
    return matrix


def _scores(context: Context, machine: Any, X: Tensor) -> Tensor:
    """SVC.decision_function: the decision of two classes; votes or pairs of more."""
    decisions = _decisions(context, machine, X)
    if len(machine.classes_) == 2:
        return second_score(decisions)
    if machine.decision_function_shape != "ovr":
        return decisions
    return _one_versus_rest(decisions, len(machine.classes_))


def _one_versus_rest(decisions: Tensor, n_classes: int) -> Tensor:
    """``_ovr_decision_function``: votes plus confidences scaled into (-1/3, 1/3) to break ties."""
    matrix = _vote_matrix(n_classes)
    pairs_begun = np.arange(n_classes - 1.0, -1.0, -1.0)
    votes = (decisions < 0.0).astype(np.float64) @ -matrix + pairs_begun
    confidence = decisions @ matrix
    total: Tensor = votes + confidence / (3.0 * (abs(confidence) + 1.0))
    return total


def _label(context: Context, machine: Any, X: Tensor) -> Tensor:
    """SVC.predict: the class with most votes, the first of equal ones; ``break_ties`` by scores."""
    classes = machine.classes_
    decisions = _decisions(context, machine, X)
    if len(classes) == 2:
        return context.labels(classes, ops.argmax(decisions, 1, last=True))
    if machine.break_ties and machine.decision_function_shape == "ovr":
        return context.labels(classes, ops.argmax(_one_versus_rest(decisions, len(classes)), 1))
    pairs_ended = np.arange(float(len(classes)))
    votes = (decisions > 0.0).astype(np.float64) @ _vote_matrix(len(classes)) + pairs_ended
    return context.labels(classes, ops.argmax(votes, 1))


def _probabilities(context: Context, machine: Any, X: Tensor) -> Tensor:
    """SVC.predict_proba: Platt's sigmoid of every decision, coupled into one distribution."""
    decisions = _decisions(context, machine, X)
    if len(machine.classes_) == 2:
        decisions = -decisions[:, 1:]
    pairwise = special_functions.expit(-(decisions * machine._probA + machine._probB))
    return _coupled(
        ops.clip(pairwise, _MIN_PROBABILITY, 1.0 - _MIN_PROBABILITY), len(machine.classes_)
    )


_MIN_PROBABILITY = 1e-7
"""``min_prob`` of ``svm_predict_probability``."""


def _coupled(pairwise: Tensor, k: int) -> Tensor:
    """Iterate ``multiclass_probability`` until each row settles (Wu, Lin, Weng 2004)."""
    pairs = _pairs(k)
    zero = ops.full_rows(pairwise, np.zeros(1))
    both_ways = ops.concatenate([pairwise, 1.0 - pairwise, zero], 1)
    column = np.full((k, k), 2 * len(pairs), dtype=np.int64)
    for position, (i, j) in enumerate(pairs):
        column[i, j], column[j, i] = position, len(pairs) + position
    # r[:, i, j] is the probability of i against j, zero on the diagonal.
    r, r_transposed = ops.take(both_ways, column, 1), ops.take(both_ways, column.T, 1)
    diagonal = ops.sum_(r_transposed * r_transposed, 2)
    Q = ops.expand_dims(diagonal, 2) * np.eye(k) - r_transposed * r

    def step(_: Graph, __: Tensor, state: Sequence[Tensor]) -> tuple[Sequence[Tensor], Tensor]:
        p, settled = _coupling_round(state[0], Q, diagonal)
        unsettled = ops.sum_((~settled).astype(np.int64), 0)
        return [p], unsettled > 0

    start = ops.full_rows(pairwise, np.full(k, 1.0 / k))
    return iterate([start], step, limit=max(100, k))[0]


def _coupling_round(p: Tensor, Q: Tensor, diagonal: Tensor) -> tuple[Tensor, Tensor]:
    """Update every class once; rows that had settled before stay as they were."""
    k = p.width
    Qp = ops.squeeze(Q @ ops.expand_dims(p, 2), 2)
    pQp = ops.sum_(p * Qp, 1, keepdims=True)
    settled = ops.max_(abs(Qp - pQp), 1) < 0.005 / k
    updated = p
    for t in range(k):
        own, own_Qp = diagonal[:, t : t + 1], Qp[:, t : t + 1]
        gain = (pQp - own_Qp) / own
        scale = 1.0 + gain
        pQp = (pQp + gain * (gain * own + 2.0 * own_Qp)) / scale / scale
        Qp = (Qp + gain * Q[:, t]) / scale
        updated = (updated + gain * np.eye(k)[t]) / scale
    return ops.where(ops.expand_dims(settled, 1), p, updated), settled


def _regression(context: Context, machine: Any, X: Tensor) -> Tensor:
    return ops.squeeze(_decisions(context, machine, X), 1)


def _inlier(context: Context, machine: Any, X: Tensor) -> Tensor:
    return ops.where(_regression(context, machine, X) > 0.0, np.int64(1), np.int64(-1))


def _score_samples(context: Context, machine: Any, X: Tensor) -> Tensor:
    return _regression(context, machine, X) + float(np.ravel(machine.offset_)[0])


CLASSIFIER: Methods = {
    "predict": _label,
    "decision_function": _scores,
    "predict_proba": _probabilities,
}

REGRESSOR: Methods = {"predict": _regression}

CONVERTERS: dict[type, Methods] = {
    **dict.fromkeys((svm.SVC, svm.NuSVC), CLASSIFIER),
    **dict.fromkeys((svm.SVR, svm.NuSVR), REGRESSOR),
    svm.OneClassSVM: {
        "predict": _inlier,
        "decision_function": _regression,
        "score_samples": _score_samples,
    },
}
