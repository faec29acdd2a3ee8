"""Convert baselines, which predict the same for every row: DummyClassifier, DummyRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS", "constant_rows"]


@on_any_dtype
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    strategy = model._strategy
    if strategy in ("stratified", "uniform"):
        raise _random(context, strategy)
    if strategy == "constant":
        labels = np.ravel(model.constant)
    elif model.sparse_output_:  # then scikit-learn predicts the position of the label
        labels = np.array([prior.argmax() for prior in _by_target(model, model.class_prior_)])
    else:
        parts = zip(
            _by_target(model, model.classes_), _by_target(model, model.class_prior_), strict=True
        )
        labels = np.array([classes[prior.argmax()] for classes, prior in parts])
    return constant_rows(X, labels if model.n_outputs_ > 1 else labels[0])


@on_any_dtype
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor | list[Tensor]:
    if model._strategy == "stratified":
        raise _random(context, model._strategy)
    probabilities = [constant_rows(X, row) for row in _rows(model)]
    return probabilities if model.n_outputs_ > 1 else probabilities[0]


def _rows(model: Any) -> list[NDArray[np.float64]]:
    """Return the class probabilities of each target."""
    rows = []
    for k, (classes, prior) in enumerate(
        zip(_by_target(model, model.classes_), _by_target(model, model.class_prior_), strict=True)
    ):
        if model._strategy == "prior":
            row = np.asarray(prior, dtype=np.float64)
        elif model._strategy == "uniform":
            row = np.ones(len(classes)) / len(classes)
        elif model._strategy == "constant":
            row = (classes == np.ravel(model.constant)[k]).astype(np.float64)
        else:
            row = np.eye(len(classes))[prior.argmax()]
        rows.append(row)
    return rows


@on_any_dtype
def _mean(_: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """DummyRegressor.predict: fitting has computed a constant for every strategy."""
    constant = np.ravel(model.constant_)
    return constant_rows(X, constant if model.n_outputs_ > 1 else constant[0])


@on_any_dtype
def _no_deviation(_: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """DummyRegressor.predict(return_std=True): a constant has none."""
    return constant_rows(X, np.zeros(model.n_outputs_) if model.n_outputs_ > 1 else 0.0)


def _by_target(model: Any, value: Any) -> list[Any]:
    """Return *value* of each target as a list, also for one target."""
    return list(value) if model.n_outputs_ > 1 else [value]


def constant_rows(X: Tensor | Frame, row: Any) -> Tensor:
    """Return *row* for every row of *X*."""
    return ops.full_rows(X.columns[0][0] if isinstance(X, Frame) else X, row)


def _random(context: Context, strategy: str) -> Exception:
    return context.refuse(
        f"strategy={strategy!r}: scikit-learn draws a random number for each row when it predicts, "
        "so the prediction does not depend on the values of the row; use 'prior', "
        "'most_frequent' or 'constant'",
        is_random=True,
    )


CONVERTERS: dict[type, Methods] = {
    DummyClassifier: {"predict": _label, "predict_proba": _probabilities},
    DummyRegressor: {"predict": _mean, "predict_std": _no_deviation},
}
