"""Convert encoders of categories: a hash look-up of one-hot columns, codes or target means."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.input_restrictions import restrict_values
from edge_pipeline.errors import UnsupportedEstimatorError

__all__ = ["CONVERTERS", "Codes", "look_up"]

MAX_TABLE_CELLS = 1 << 16
"""Largest table of columns by distinct values: half a megabyte of float64."""


@dataclass(frozen=True)
class Codes:
    """Map the values of one column to codes.

    Attributes
    ----------
    values
        Distinct: all str or missing, or all numbers or missing.
    codes
        The code of each value; the columns of one look-up have the same dtype, float64 or int64.
    default
        The code of any other value.
    """

    values: Sequence[Any]
    codes: NDArray[Any]
    default: float


def look_up(
    context: Context, frame: Frame, columns: Sequence[Codes], *, distinct: bool = False
) -> Tensor:
    """Replace the values of every column by their codes: shape (n_samples, frame.width).

    Parameters
    ----------
    distinct
        Whether no two columns share a code of different values, and the caller only compares
        codes.  A value unseen in one column may then get its code of another column.
    """
    frame, columns = _before_imputation(context, frame, columns)
    parts = []
    start = 0
    for run in frame.runs():
        parts.append(_look_up_run(run, columns[start : start + run.width], distinct))
        start += run.width
    return ops.concatenate(parts, 1)


def _before_imputation(
    context: Context, frame: Frame, columns: Sequence[Codes]
) -> tuple[Frame, list[Codes]]:
    """Look up the columns as they were before imputation.

    The marker of a missing value becomes one more value, with the code of its fill value.  This
    saves the two nodes that would copy every string to impute it.
    """
    sources, tables = [], []
    for (tensor, position), column in zip(frame.columns, columns, strict=True):
        while (before := context.before_imputation(tensor, position)) is not None:
            keys = _keys(column.values, tensor.is_string)
            marker, fill = _keys([before.marker, before.fill_value], tensor.is_string)
            code = column.codes[keys.index(fill)] if fill in keys else column.default
            unmarked = [i for i, key in enumerate(keys) if key != marker and key is not marker]
            column = Codes(
                [*(column.values[i] for i in unmarked), marker],
                np.append(column.codes[unmarked], np.asarray(code, dtype=column.codes.dtype)),
                column.default,
            )
            tensor, position = before.tensor, before.position
        sources.append((tensor, position))
        tables.append(column)
    return Frame(tuple(sources)), tables


def _look_up_run(X: Tensor, columns: Sequence[Codes], distinct: bool) -> Tensor:
    """Use one hash table for all columns of one dtype where it is small, else one for each."""
    keys = [_keys(column.values, X.is_string) for column in columns]
    merged = _merged(keys, columns) if distinct or _have_same_keys(keys) else None
    if merged is not None:
        codes = np.array(list(merged.values()), dtype=columns[0].codes.dtype)
        return _hash(X, list(merged), codes, columns[0].default)
    union = list(dict.fromkeys(key for part in keys for key in part))
    size = len(union) + 1
    if size * len(columns) > MAX_TABLE_CELLS:
        return ops.concatenate(
            [
                _look_up_run(X[:, i : i + 1], columns[i : i + 1], distinct)
                for i in range(len(columns))
            ],
            1,
        )
    defaults = np.array([column.default for column in columns], dtype=columns[0].codes.dtype)
    table = np.repeat(defaults[:, None], size, axis=1)
    row_of = {key: i for i, key in enumerate(union)}
    for row, (part, column) in enumerate(zip(keys, columns, strict=True)):
        table[row, [row_of[key] for key in part]] = column.codes
    position = ops.lookup(X, _key_array(union, X), np.arange(len(union)), len(union))
    return ops.take(table.ravel(), position + np.arange(len(columns)) * size)


_NAN = float("nan")
"""The one NaN object for every missing number, so that dictionaries find it."""


def _keys(values: Sequence[Any], is_string: bool) -> list[Any]:
    """Return *values* as the graph represents them."""
    if np.asarray(values).dtype.kind == "M" or any(isinstance(v, datetime.date) for v in values):
        raise UnsupportedEstimatorError(
            "an encoder whose categories are dates: every later date is unseen; encode a part of "
            'them, such as df["day"].dt.month or .dt.strftime("%Y-%m"), by a FunctionTransformer'
        )
    if is_string:
        return [MISSING_STRING if pd.isna(value) else str(value) for value in values]
    # Zero of either sign is one key of a dictionary, and of onnxruntime's hash table.
    return [_NAN if pd.isna(value) else float(value) for value in values]


def _key_array(keys: Sequence[Any], X: Tensor) -> NDArray[Any]:
    return np.array(keys, dtype=object if X.is_string else np.float64)


def _hash(X: Tensor, keys: Sequence[Any], codes: NDArray[Any], default: float) -> Tensor:
    if not keys:
        return ops.full_rows(X, np.full(X.width, default, dtype=codes.dtype))
    return ops.lookup(X, _key_array(keys, X), codes, default)


def _have_same_keys(keys: list[list[Any]]) -> bool:
    return all(set(part) == set(keys[0]) for part in keys)


def _merged(keys: list[list[Any]], columns: Sequence[Codes]) -> dict[Any, Any] | None:
    """Merge the codes of all columns; None where two columns differ in a code or in the default."""
    merged: dict[Any, Any] = {}
    defaults = [float(column.default) for column in columns]
    if not np.array_equal(defaults, defaults[:1] * len(columns), equal_nan=True):
        return None
    for part, column in zip(keys, columns, strict=True):
        for key, code in zip(part, column.codes.tolist(), strict=True):
            first = merged.setdefault(key, code)
            if first != code and not (first != first and code != code):  # NaN is a code too
                return None
    return merged


def _check_categories(context: Context, encoder: Any, X: Frame) -> None:
    """Refuse None beside NaN, which the graph cannot tell apart; record the allowed values."""
    for position, categories in enumerate(encoder.categories_):
        if pd.isna(categories).sum() > 1:
            raise context.refuse(
                f"categories_[{position}] holds both None and NaN, which are one missing value on "
                "the device; write missing values in one way before training"
            )
    if getattr(encoder, "handle_unknown", "ignore") == "error":
        restrict_values(context, X, encoder.categories_)


def _infrequent_groups(encoder: Any, i: int) -> tuple[NDArray[np.int64], float]:
    """Return the code of each category of column *i*, and the code of an unseen category.

    All infrequent categories share a code; -1 means no code.
    ``_BaseEncoder._map_infrequent_categories``.
    """
    categories = encoder.categories_[i]
    codes = np.arange(len(categories))
    if not encoder._infrequent_enabled or encoder._infrequent_indices[i] is None:
        return codes, -1.0
    mapping = encoder._default_to_infrequent_mappings[i]
    # A missing category of OrdinalEncoder is not grouped: the mapping ends before it.
    codes[: len(mapping)] = mapping
    unseen_is_infrequent = encoder.handle_unknown in ("infrequent_if_exist", "warn")
    return codes, float(mapping.max()) if unseen_is_infrequent else -1.0


@on_frame
def _one_hot(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    """OneHotEncoder.transform: compare the code of each value with those that have a column."""
    frame = frame_of(X)
    _check_categories(context, encoder, frame)
    numbers = count()
    code_of: dict[Any, int] = {}
    columns, source, column_codes = [], [], []
    for i, categories in enumerate(encoder.categories_):
        groups, default = _infrequent_groups(encoder, i)
        keys = _keys(categories, frame.columns[i][0].is_string)
        codes = _distinct_codes(keys, groups, code_of, numbers)
        unseen = -1 if default < 0 else int(codes[-1])
        columns.append(Codes(list(categories), codes[groups], unseen))
        remaining = np.arange(len(codes))
        if encoder._drop_idx_after_grouping is not None:
            remaining = remaining[remaining != encoder._drop_idx_after_grouping[i]]
        source += [i] * len(remaining)
        column_codes += codes[remaining].tolist()
    if not source:
        raise context.refuse("drop leaves no category, so the encoder has no output column")
    code = look_up(context, frame, columns, distinct=True)
    if source != list(range(frame.width)):
        code = ops.take(code, np.array(source, dtype=np.int64), 1)
    return (code == np.array(column_codes, dtype=np.int64)).astype(np.float64)


def _distinct_codes(
    keys: list[Any], groups: NDArray[np.int64], code_of: dict[Any, int], numbers: Iterator[int]
) -> NDArray[np.int64]:
    """Return a code for each group of one column, which no other group of any column has.

    A value that is a group of its own has the same code in every column, so that all columns share
    one hash table; *code_of* remembers it.
    """
    codes = [next(numbers) for _ in range(int(groups.max()) + 1)]
    members = np.bincount(groups)
    for key, group in zip(keys, groups, strict=True):
        if members[group] == 1:
            codes[group] = code_of.setdefault(key, codes[group])
    return np.array(codes, dtype=np.int64)


@on_frame
def _ordinal(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    """OrdinalEncoder.transform: the code itself, cast to the encoder's dtype."""
    dtype = np.dtype(encoder.dtype if np.dtype(encoder.dtype).kind in "biuf" else np.float64)
    _check_categories(context, encoder, frame_of(X))
    columns = []
    for i, categories in enumerate(encoder.categories_):
        codes = _infrequent_groups(encoder, i)[0].astype(dtype)
        missing = encoder._missing_indices.get(i)
        if missing is not None:
            codes[missing] = encoder.encoded_missing_value
        # With handle_unknown="error" input validation has refused the row.
        unseen = -1.0
        if encoder.unknown_value is not None:
            unseen = float(np.asarray(encoder.unknown_value).astype(dtype))
        columns.append(Codes(list(categories), codes.astype(np.float64), unseen))
    return look_up(context, frame_of(X), columns)


@on_frame
def _target(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    """TargetEncoder.transform: the target mean of each category; multiclass, a column a class."""
    frame = frame_of(X)
    _check_categories(context, encoder, frame)
    if encoder.target_type_ != "multiclass":
        mean = float(encoder.target_mean_)
        encodings = zip(encoder.categories_, encoder.encodings_, strict=True)
        return look_up(
            context, frame, [Codes(list(values), means, mean) for values, means in encodings]
        )
    # Each column looks up a row of a table that has a mean for every class.
    n_classes = len(encoder.target_mean_)
    columns, rows, start = [], [], 0
    for i, values in enumerate(encoder.categories_):
        means = np.stack(encoder.encodings_[i * n_classes : (i + 1) * n_classes], axis=1)
        rows += [means, encoder.target_mean_[None, :]]
        stop = start + len(values)
        columns.append(Codes(list(values), np.arange(start, stop), stop))
        start = stop + 1
    row = look_up(context, frame, columns)
    return ops.reshape_rows(ops.take(np.concatenate(rows), row), frame.width * n_classes)


CONVERTERS: dict[type, Methods] = {
    OneHotEncoder: {"transform": _one_hot},
    OrdinalEncoder: {"transform": _ordinal},
    TargetEncoder: {"transform": _target},
}
