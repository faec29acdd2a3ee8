"""Formulas of scalers, encoders and imputers, and of Pipeline, ColumnTransformer, FeatureUnion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING
from sklearn import preprocessing as pp
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline

from edge_pipeline.proof.expressions import apply
from edge_pipeline.proof.formulas.registry import (
    Formula,
    Formulas,
    Result,
    is_missing,
    is_text,
    looked_up,
)
from edge_pipeline.proof.scalars import SELF, Expr, NotUnderstood, constant

__all__ = ["FORMULAS"]


def _each(op: str, X: Sequence[Expr], row: Any) -> list[Expr]:
    return [
        apply(op, x, constant(float(value)))
        for x, value in zip(X, np.asarray(row).tolist(), strict=True)
    ]


def _standard(_: Formulas, scaler: Any, X: Sequence[Expr]) -> list[Expr]:
    X = _each("sub", X, scaler.mean_) if scaler.with_mean else list(X)
    return _each("div", X, scaler.scale_) if scaler.with_std else X


def _robust(_: Formulas, scaler: Any, X: Sequence[Expr]) -> list[Expr]:
    X = _each("sub", X, scaler.center_) if scaler.with_centering else list(X)
    return _each("div", X, scaler.scale_) if scaler.with_scaling else X


def _min_max(_: Formulas, scaler: Any, X: Sequence[Expr]) -> list[Expr]:
    X = _each("add", _each("mul", X, scaler.scale_), scaler.min_)
    return _clipped(X, *scaler.feature_range) if scaler.clip else X


def _max_abs(_: Formulas, scaler: Any, X: Sequence[Expr]) -> list[Expr]:
    X = _each("div", X, scaler.scale_)
    return _clipped(X, -1.0, 1.0) if getattr(scaler, "clip", False) else X


def _clipped(X: Sequence[Expr], low: float, high: float) -> list[Expr]:
    low_, high_ = constant(float(low)), constant(float(high))
    return [apply("min", apply("max", x, low_), high_) for x in X]


def _binarizer(_: Formulas, binarizer: Any, X: Sequence[Expr]) -> list[Expr]:
    threshold = constant(float(binarizer.threshold))
    return [apply("to float", apply("less", threshold, x)) for x in X]


def _codes(encoder: Any, i: int) -> tuple[list[int], int, int]:
    """Return the code of each category of column *i*, the number of codes, and the unknown code.

    Infrequent categories share the last code.  -1 is no code.
    """
    categories = list(encoder.categories_[i])
    infrequent_lists = getattr(encoder, "infrequent_categories_", None)
    infrequent = (
        [] if infrequent_lists is None or infrequent_lists[i] is None else list(infrequent_lists[i])
    )
    frequent = [c for c in categories if not _among(c, infrequent)]
    codes = [len(frequent) if _among(c, infrequent) else _position(c, frequent) for c in categories]
    shares = bool(infrequent) and encoder.handle_unknown in ("infrequent_if_exist", "warn")
    return codes, len(frequent) + bool(infrequent), len(frequent) if shares else -1


def _is_infrequent(encoder: Any, i: int, category: Any) -> bool:
    infrequent_lists = getattr(encoder, "infrequent_categories_", None)
    return (
        infrequent_lists is not None
        and infrequent_lists[i] is not None
        and _among(category, list(infrequent_lists[i]))
    )


def _among(value: Any, values: Sequence[Any]) -> bool:
    return any(value is v or value == v or (value != value and v != v) for v in values)


def _position(value: Any, values: Sequence[Any]) -> int:
    return next(
        i for i, v in enumerate(values) if value is v or value == v or (value != value and v != v)
    )


def _one_hot(_: Formulas, encoder: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow OneHotEncoder.transform: 1 in the column of the category, none for an unknown one."""
    columns = []
    for i, x in enumerate(X):
        codes, n_codes, unknown = _codes(encoder, i)
        left_out = None
        if encoder.drop_idx_ is not None and encoder.drop_idx_[i] is not None:
            left_out = codes[int(encoder.drop_idx_[i])]
        for code in range(n_codes):
            if code != left_out:
                ones = [float(c == code) for c in codes]
                columns.append(looked_up(x, encoder.categories_[i], ones, float(code == unknown)))
    return columns


def _ordinal(_: Formulas, encoder: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow OrdinalEncoder.transform; for a category that it refuses, any code would do."""
    dtype = np.dtype(encoder.dtype)

    def converted(code: float) -> float:
        """Convert *code* to the encoder's dtype."""
        return float(np.asarray(code).astype(dtype)) if dtype.kind in "biuf" else float(code)

    columns = []
    for i, x in enumerate(X):
        codes, _n, _unknown = _codes(encoder, i)
        unknown = -1.0 if encoder.unknown_value is None else converted(encoder.unknown_value)
        category_codes = []
        missing = [c for c in encoder.categories_[i] if isinstance(c, float) and c != c]
        for category, code in zip(encoder.categories_[i], codes, strict=True):
            if _among(category, missing):
                category_codes.append(converted(encoder.encoded_missing_value))
                continue
            # The code of infrequent categories does not count the missing value.
            is_shifted = bool(missing) and _is_infrequent(encoder, i, category)
            category_codes.append(converted(code - is_shifted))
        columns.append(looked_up(x, encoder.categories_[i], category_codes, unknown))
    return columns


def _target_means(_: Formulas, encoder: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow TargetEncoder.transform: a mean for each category, and for each class of several."""
    is_multiclass = encoder.target_type_ == "multiclass"
    means = list(encoder.target_mean_) if is_multiclass else [float(encoder.target_mean_)]
    columns = []
    for i, x in enumerate(X):
        for k, mean in enumerate(means):
            encodings = encoder.encodings_[i * len(means) + k].tolist()
            columns.append(looked_up(x, encoder.categories_[i], encodings, float(mean)))
    return columns


def _filled(_: Formulas, imputer: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow SimpleImputer.transform: columns without a statistic are dropped."""
    columns = []
    for x, fill in zip(X, imputer.statistics_.tolist(), strict=True):
        if isinstance(fill, float) and fill != fill and not imputer.keep_empty_features:
            continue
        if isinstance(fill, str) and not is_text(x):
            fill = float("nan")  # scikit-learn never fills text into numbers
        elif not is_text(x) and np.dtype(imputer._fill_dtype).kind in "iuf":
            fill = float(np.asarray(fill).astype(imputer._fill_dtype))
        replacement = (
            str(MISSING_STRING if is_missing(fill) else fill) if is_text(x) else float(fill)
        )
        columns.append(looked_up(x, [imputer.missing_values], [replacement], SELF))
    if imputer.add_indicator:
        columns += [apply("to float", mark) for mark in _marks(_, imputer.indicator_, X)]
    return columns


def _marks(_: Formulas, indicator: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow MissingIndicator.transform."""
    return [
        looked_up(X[int(i)], [indicator.missing_values], [True], False) for i in indicator.features_
    ]


def _does_nothing(step: Any) -> bool:
    """Return whether a step returns its input.

    ColumnTransformer replaces "passthrough" by a FunctionTransformer without a function.
    """
    is_passthrough = step is None or (isinstance(step, str) and step == "passthrough")
    return is_passthrough or (type(step) is pp.FunctionTransformer and step.func is None)


def _function(_: Formulas, transformer: Any, X: Sequence[Expr]) -> list[Expr]:
    if transformer.func is not None:
        raise NotUnderstood("a function of the user's own")
    return list(X)


def _pipeline(method: str) -> Formula:
    def formula(formulas: Formulas, pipeline: Any, X: Sequence[Expr]) -> Result:
        *before, (_, last) = pipeline.steps
        for _, step in before:
            if not _does_nothing(step):
                X = formulas.transform(step, X)
        return list(X) if _does_nothing(last) else formulas.result(last, method, X)

    return formula


def _side_by_side(formulas: Formulas, union: Any, X: Sequence[Expr]) -> list[Expr]:
    """Follow ColumnTransformer.transform: the columns of each transformer, in their order."""
    columns: list[Expr] = []
    for name, transformer, selection in union.transformers_:
        positions = np.arange(len(X))[union._transformer_to_input_indices[name]]
        transformed = [X[int(i)] for i in np.atleast_1d(positions)]
        if not transformed or (isinstance(transformer, str) and transformer == "drop"):
            continue
        if np.isscalar(selection):
            raise NotUnderstood("a ColumnTransformer that hands over a vector")
        if not _does_nothing(transformer):
            transformed = formulas.transform(transformer, transformed)
        columns += _weighted(union, name, transformed)
    return _of_one_dtype(columns)


def _union(formulas: Formulas, union: Any, X: Sequence[Expr]) -> list[Expr]:
    columns: list[Expr] = []
    for name, transformer in union.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        transformed = list(X) if _does_nothing(transformer) else formulas.transform(transformer, X)
        columns += _weighted(union, name, transformed)
    return _of_one_dtype(columns)


def _of_one_dtype(columns: list[Expr]) -> list[Expr]:
    """Convert booleans to numbers where other columns are numbers, as ``np.hstack`` does."""
    are_booleans = [c.op == "map" and isinstance(c.value.default, bool) for c in columns]
    if all(are_booleans):
        return columns
    pairs = zip(columns, are_booleans, strict=True)
    return [apply("to float", column) if is_boolean else column for column, is_boolean in pairs]


def _weighted(union: Any, name: str, columns: list[Expr]) -> list[Expr]:
    weight = (union.transformer_weights or {}).get(name)
    if weight is None:
        return columns
    return [apply("mul", column, constant(float(weight))) for column in columns]


_METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")

FORMULAS: Mapping[type, Mapping[str, Formula]] = {
    pp.StandardScaler: {"transform": _standard},
    pp.RobustScaler: {"transform": _robust},
    pp.MinMaxScaler: {"transform": _min_max},
    pp.MaxAbsScaler: {"transform": _max_abs},
    pp.Binarizer: {"transform": _binarizer},
    pp.OneHotEncoder: {"transform": _one_hot},
    pp.OrdinalEncoder: {"transform": _ordinal},
    pp.TargetEncoder: {"transform": _target_means},
    pp.FunctionTransformer: {"transform": _function},
    SimpleImputer: {"transform": _filled},
    MissingIndicator: {"transform": _marks},
    Pipeline: {method: _pipeline(method) for method in _METHODS},
    ColumnTransformer: {"transform": _side_by_side},
    FeatureUnion: {"transform": _union},
}
