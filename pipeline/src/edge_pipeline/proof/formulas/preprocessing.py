"""Scalers, encoders and imputers, and estimators in a row or side by side."""

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
from edge_pipeline.proof.formulas.estimators import (
    Answer,
    Formula,
    Oracle,
    is_gap,
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


def _standard(_: Oracle, scaler: Any, X: Sequence[Expr]) -> list[Expr]:
    X = _each("sub", X, scaler.mean_) if scaler.with_mean else list(X)
    return _each("div", X, scaler.scale_) if scaler.with_std else X


def _robust(_: Oracle, scaler: Any, X: Sequence[Expr]) -> list[Expr]:
    X = _each("sub", X, scaler.center_) if scaler.with_centering else list(X)
    return _each("div", X, scaler.scale_) if scaler.with_scaling else X


def _min_max(_: Oracle, scaler: Any, X: Sequence[Expr]) -> list[Expr]:
    X = _each("add", _each("mul", X, scaler.scale_), scaler.min_)
    return _clipped(X, *scaler.feature_range) if scaler.clip else X


def _max_abs(_: Oracle, scaler: Any, X: Sequence[Expr]) -> list[Expr]:
    X = _each("div", X, scaler.scale_)
    return _clipped(X, -1.0, 1.0) if getattr(scaler, "clip", False) else X


def _clipped(X: Sequence[Expr], low: float, high: float) -> list[Expr]:
    low_, high_ = constant(float(low)), constant(float(high))
    return [apply("min", apply("max", x, low_), high_) for x in X]


def _binarizer(_: Oracle, binarizer: Any, X: Sequence[Expr]) -> list[Expr]:
    threshold = constant(float(binarizer.threshold))
    return [apply("to float", apply("less", threshold, x)) for x in X]


def _codes(encoder: Any, i: int) -> tuple[list[int], int, int]:
    """The code of each category of column *i*, how many codes there are, and an unknown one's.

    Infrequent categories share the last code; -1 is none.
    """
    categories = list(encoder.categories_[i])
    rare = getattr(encoder, "infrequent_categories_", None)
    infrequent = [] if rare is None or rare[i] is None else list(rare[i])
    frequent = [c for c in categories if not _among(c, infrequent)]
    codes = [len(frequent) if _among(c, infrequent) else _position(c, frequent) for c in categories]
    shares = bool(infrequent) and encoder.handle_unknown in ("infrequent_if_exist", "warn")
    return codes, len(frequent) + bool(infrequent), len(frequent) if shares else -1


def _is_infrequent(encoder: Any, i: int, category: Any) -> bool:
    rare = getattr(encoder, "infrequent_categories_", None)
    return rare is not None and rare[i] is not None and _among(category, list(rare[i]))


def _among(value: Any, values: Sequence[Any]) -> bool:
    return any(value is v or value == v or (value != value and v != v) for v in values)


def _position(value: Any, values: Sequence[Any]) -> int:
    return next(
        i for i, v in enumerate(values) if value is v or value == v or (value != value and v != v)
    )


def _one_hot(_: Oracle, encoder: Any, X: Sequence[Expr]) -> list[Expr]:
    """OneHotEncoder.transform: 1 in the column of the category, no 1 for an unknown one."""
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


def _ordinal(_: Oracle, encoder: Any, X: Sequence[Expr]) -> list[Expr]:
    """OrdinalEncoder.transform; of a value that it refuses any answer would do."""
    dtype = np.dtype(encoder.dtype)

    def told(code: float) -> float:
        """*code* as the encoder's dtype holds it."""
        return float(np.asarray(code).astype(dtype)) if dtype.kind in "biuf" else float(code)

    columns = []
    for i, x in enumerate(X):
        codes, _n, _unknown = _codes(encoder, i)
        unknown = -1.0 if encoder.unknown_value is None else told(encoder.unknown_value)
        answers = []
        gap = [c for c in encoder.categories_[i] if isinstance(c, float) and c != c]
        for category, code in zip(encoder.categories_[i], codes, strict=True):
            if _among(category, gap):
                answers.append(told(encoder.encoded_missing_value))
                continue
            # A gap is no category among those that infrequent ones come after.
            behind = bool(gap) and _is_infrequent(encoder, i, category)
            answers.append(told(code - behind))
        columns.append(looked_up(x, encoder.categories_[i], answers, unknown))
    return columns


def _target_means(_: Oracle, encoder: Any, X: Sequence[Expr]) -> list[Expr]:
    """TargetEncoder.transform: a mean for each category, of several classes one for each."""
    several = encoder.target_type_ == "multiclass"
    means = list(encoder.target_mean_) if several else [float(encoder.target_mean_)]
    columns = []
    for i, x in enumerate(X):
        for k, mean in enumerate(means):
            told = encoder.encodings_[i * len(means) + k].tolist()
            columns.append(looked_up(x, encoder.categories_[i], told, float(mean)))
    return columns


def _filled(_: Oracle, imputer: Any, X: Sequence[Expr]) -> list[Expr]:
    """SimpleImputer.transform: the statistic where the mark stands; columns without one leave."""
    columns = []
    for x, fill in zip(X, imputer.statistics_.tolist(), strict=True):
        if isinstance(fill, float) and fill != fill and not imputer.keep_empty_features:
            continue
        if isinstance(fill, str) and not is_text(x):
            fill = float("nan")  # for a gap, if there is one, what nobody would fill in
        elif not is_text(x) and np.dtype(imputer._fill_dtype).kind in "iu":
            fill = float(np.asarray(fill).astype(imputer._fill_dtype))
        replacement = str(MISSING_STRING if is_gap(fill) else fill) if is_text(x) else float(fill)
        columns.append(looked_up(x, [imputer.missing_values], [replacement], SELF))
    if imputer.add_indicator:
        columns += [apply("to float", mark) for mark in _marks(_, imputer.indicator_, X)]
    return columns


def _marks(_: Oracle, indicator: Any, X: Sequence[Expr]) -> list[Expr]:
    """MissingIndicator.transform."""
    return [
        looked_up(X[int(i)], [indicator.missing_values], [True], False) for i in indicator.features_
    ]


def _does_nothing(step: Any) -> bool:
    """Whether a step hands on what it gets; ColumnTransformer fits "passthrough" as the last."""
    named = step is None or (isinstance(step, str) and step == "passthrough")
    return named or (type(step) is pp.FunctionTransformer and step.func is None)


def _function(_: Oracle, transformer: Any, X: Sequence[Expr]) -> list[Expr]:
    if transformer.func is not None:
        raise NotUnderstood("a function of the user's own")
    return list(X)


def _pipeline(method: str) -> Formula:
    def formula(oracle: Oracle, pipeline: Any, X: Sequence[Expr]) -> Answer:
        *before, (_, last) = pipeline.steps
        for _, step in before:
            if not _does_nothing(step):
                X = oracle.transformed(step, X)
        return list(X) if _does_nothing(last) else oracle.answer(last, method, X)

    return formula


def _side_by_side(oracle: Oracle, union: Any, X: Sequence[Expr]) -> list[Expr]:
    """ColumnTransformer.transform: each transformer's columns, in the order they are listed."""
    columns: list[Expr] = []
    for name, transformer, given in union.transformers_:
        at = np.arange(len(X))[union._transformer_to_input_indices[name]]
        chosen = [X[int(i)] for i in np.atleast_1d(at)]
        if not chosen or (isinstance(transformer, str) and transformer == "drop"):
            continue
        if np.isscalar(given):
            raise NotUnderstood("a ColumnTransformer that hands over a vector")
        if not _does_nothing(transformer):
            chosen = oracle.transformed(transformer, chosen)
        columns += _weighted(union, name, chosen)
    return _of_one_dtype(columns)


def _union(oracle: Oracle, union: Any, X: Sequence[Expr]) -> list[Expr]:
    columns: list[Expr] = []
    for name, transformer in union.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        made = list(X) if _does_nothing(transformer) else oracle.transformed(transformer, X)
        columns += _weighted(union, name, made)
    return _of_one_dtype(columns)


def _of_one_dtype(columns: list[Expr]) -> list[Expr]:
    """*columns* as ``np.hstack`` has them: MissingIndicator's truths are numbers beside numbers."""
    truths = [c.op == "map" and isinstance(c.value.default, bool) for c in columns]
    if all(truths):
        return columns
    pairs = zip(columns, truths, strict=True)
    return [apply("to float", column) if truth else column for column, truth in pairs]


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
