"""Convert sparse coding: each row as a combination of few atoms of a dictionary.

The coders follow ``sklearn.decomposition._dict_learning._sparse_encode_precomputed``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import decomposition as dc

from edge_pipeline.conversion.context import Context, Converter, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.loops import map_rows
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.coordinate_descent import lasso_coordinate_descent
from edge_pipeline.conversion.numeric.sparse_regression import (
    least_angle_regression,
    orthogonal_matching_pursuit,
)

__all__ = ["CONVERTERS"]

MAX_ATOMS_TOGETHER = 64
"""With more atoms, rows are coded one by one: a batch needs a square matrix for each row."""


def _codes(attribute: str) -> Converter:
    """Convert ``_BaseSparseCoding._transform`` with the dictionary in *attribute*."""

    def convert(context: Context, model: Any, X: Tensor) -> Tensor:
        atoms = np.asarray(getattr(model, attribute), dtype=np.float64)
        code = _CODERS[model.transform_algorithm](model, X, atoms)
        if not model.split_sign:
            return code
        return ops.concatenate([ops.maximum(code, 0.0), -ops.minimum(code, 0.0)], 1)

    return convert


def _alpha(model: Any) -> float:
    """Return the regularization: ``transform_alpha``, else ``alpha``, else 1."""
    alpha = model.transform_alpha
    alpha = getattr(model, "alpha", None) if alpha is None else alpha
    return 1.0 if alpha is None else float(alpha)


def _n_nonzero(model: Any, X: Tensor, atoms: Any) -> int:
    n_nonzero = model.transform_n_nonzero_coefs
    return int(min(max(X.width / 10, 1), len(atoms)) if n_nonzero is None else n_nonzero)


def _threshold(model: Any, X: Tensor, atoms: Any) -> Tensor:
    products = X @ atoms.T
    code = ops.sign(products) * ops.maximum(abs(products) - _alpha(model), 0.0)
    return ops.maximum(code, 0.0) if model.positive_code else code


def _omp(model: Any, X: Tensor, atoms: Any) -> Tensor:
    gram, n_nonzero = atoms @ atoms.T, _n_nonzero(model, X, atoms)
    return _by_rows(
        X @ atoms.T, lambda products: orthogonal_matching_pursuit(products, gram, n_nonzero)
    )


def _lars(model: Any, X: Tensor, atoms: Any) -> Tensor:
    return _least_angle(X, atoms, alpha=0.0, steps=_n_nonzero(model, X, atoms))


def _lasso_lars(model: Any, X: Tensor, atoms: Any) -> Tensor:
    alpha, steps = _alpha(model) / X.width, model.transform_max_iter
    return _least_angle(
        X, atoms, alpha=alpha, steps=steps, lasso=True, positive=model.positive_code
    )


def _least_angle(
    X: Tensor, atoms: Any, *, alpha: float, steps: int, lasso: bool = False, positive: bool = False
) -> Tensor:
    gram, n_features = atoms @ atoms.T, X.width

    def code(products: Tensor) -> Tensor:
        return least_angle_regression(
            products,
            gram,
            n_features=n_features,
            alpha=alpha,
            max_iter=steps,
            lasso=lasso,
            positive=positive,
        )

    return _by_rows(X @ atoms.T, code)


def _lasso(model: Any, X: Tensor, atoms: Any) -> Tensor:
    return lasso_coordinate_descent(
        X @ atoms.T,
        ops.sum_(X * X, 1, True),
        atoms @ atoms.T,
        penalty=_alpha(model) / X.width * X.width,
        max_iter=model.transform_max_iter,
        positive=model.positive_code,
    )


def _by_rows(products: Tensor, code: Callable[[Tensor], Tensor]) -> Tensor:
    if products.width <= MAX_ATOMS_TOGETHER:
        return code(products)
    return map_rows(products, lambda _, row: ops.squeeze(code(ops.expand_dims(row, 0)), 0))


_CODERS: Mapping[str, Callable[[Any, Tensor, Any], Tensor]] = {
    "threshold": _threshold,
    "omp": _omp,
    "lars": _lars,
    "lasso_lars": _lasso_lars,
    "lasso_cd": _lasso,
}

CONVERTERS: dict[type, Methods] = {
    dc.SparseCoder: {"transform": _codes("dictionary")},
    dc.DictionaryLearning: {"transform": _codes("components_")},
    dc.MiniBatchDictionaryLearning: {"transform": _codes("components_")},
}
