"""Dummy estimators: the same answer for every row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


@on_frame
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    strategy = model._strategy
    if strategy in ("stratified", "uniform"):
        raise _drawn(context, strategy)
    if strategy == "constant":
        chosen = np.ravel(model.constant)
    elif model.sparse_output_:  # there scikit-learn answers with the position, not with the label
        chosen = np.array([prior.argmax() for prior in _each(model, model.class_prior_)])
    else:
        parts = zip(_each(model, model.classes_), _each(model, model.class_prior_), strict=True)
        chosen = np.array([classes[prior.argmax()] for classes, prior in parts])
    return _repeated(X, chosen if model.n_outputs_ > 1 else chosen[0])


@on_frame
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor | list[Tensor]:
    if model._strategy == "stratified":
        raise _drawn(context, model._strategy)
    answers = [_repeated(X, row) for row in _rows(model)]
    return answers if model.n_outputs_ > 1 else answers[0]


def _rows(model: Any) -> list[NDArray[np.float64]]:
    """The distribution of each target."""
    rows = []
    for k, (classes, prior) in enumerate(
        zip(_each(model, model.classes_), _each(model, model.class_prior_), strict=True)
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


@on_frame
def _mean(_: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """DummyRegressor: every strategy has left a constant."""
    constant = np.ravel(model.constant_)
    return _repeated(X, constant if model.n_outputs_ > 1 else constant[0])


def _each(model: Any, value: Any) -> list[Any]:
    """*value* of each target, in a list also where there is one."""
    return list(value) if model.n_outputs_ > 1 else [value]


def _repeated(X: Tensor | Frame, row: Any) -> Tensor:
    return ops.full_rows(X.columns[0][0] if isinstance(X, Frame) else X, row)


def _drawn(context: Context, strategy: str) -> Exception:
    return context.refuse(
        f"strategy={strategy!r}: scikit-learn draws a random number for each row when it predicts, "
        "so the answer depends on the row's position and not on the row; use 'prior', "
        "'most_frequent' or 'constant'",
        drawn=True,
    )


CONVERTERS: dict[type, Methods] = {
    DummyClassifier: {"predict": _label, "predict_proba": _probabilities},
    DummyRegressor: {"predict": _mean},
}
