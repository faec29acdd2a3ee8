"""Encoders of categories: a hash look-up, then ones and zeros, a code, or a mean of the target."""

from __future__ import annotations

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

__all__ = ["CONVERTERS", "Codes", "look_up"]

MAX_TABLE_CELLS = 1 << 16
"""Largest table of columns by distinct values: half a megabyte of float64."""


@dataclass(frozen=True)
class Codes:
    """What one column's values become.

    Attributes
    ----------
    values
        Distinct: all str or missing, or all numbers or missing.
    codes
        One number of each value, float64 or int64 (of all columns looked up together).
    default
        That of any other value.
    """

    values: Sequence[Any]
    codes: NDArray[Any]
    default: float


def look_up(
    context: Context, frame: Frame, columns: Sequence[Codes], *, distinct: bool = False
) -> Tensor:
    """Every column through its own table: shape (n_samples, frame.width), of the codes' dtype.

    Parameters
    ----------
    distinct
        Whether a value that one column does not know may have the code of another column that
        does: the caller compares codes, and no code of the one is a code of the other.
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
    """The same question asked of the columns that an imputer has not filled yet.

    What marks a gap is one more value, with the code of what would fill it: filling strings first
    takes two nodes that copy every one of them.
    """
    sources, told = [], []
    for (tensor, place), column in zip(frame.columns, columns, strict=True):
        while (before := context.before_imputation(tensor, place)) is not None:
            keys = _keys(column.values, tensor.is_string)
            mark, fill = _keys([before.marker, before.fill_value], tensor.is_string)
            code = column.codes[keys.index(fill)] if fill in keys else column.default
            known = np.array([key != mark and key is not mark for key in keys], dtype=np.bool_)
            column = Codes(
                [*(value for value, kept in zip(column.values, known, strict=True) if kept), mark],
                np.append(column.codes[known], np.asarray(code, dtype=column.codes.dtype)),
                column.default,
            )
            tensor, place = before.tensor, before.position
        sources.append((tensor, place))
        told.append(column)
    return Frame(tuple(sources)), told


def _look_up_run(X: Tensor, columns: Sequence[Codes], distinct: bool) -> Tensor:
    """One hash table for all columns of one dtype where that is small, otherwise one each."""
    keys = [_keys(column.values, X.is_string) for column in columns]
    merged = _merged(keys, columns) if distinct or _are_one(keys) else None
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
    place = {key: i for i, key in enumerate(union)}
    for row, (part, column) in enumerate(zip(keys, columns, strict=True)):
        table[row, [place[key] for key in part]] = column.codes
    position = ops.lookup(X, _key_array(union, X), np.arange(len(union)), len(union))
    return ops.take(table.ravel(), position + np.arange(len(columns)) * size)


_NAN = float("nan")
"""The one NaN that stands for every missing number, so that dictionaries find it."""


def _keys(values: Sequence[Any], is_string: bool) -> list[Any]:
    """*values* as the graph has them."""
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


def _are_one(keys: list[list[Any]]) -> bool:
    return all(set(part) == set(keys[0]) for part in keys)


def _merged(keys: list[list[Any]], columns: Sequence[Codes]) -> dict[Any, Any] | None:
    """The code of every key, or None where two columns disagree about one or about the default."""
    merged: dict[Any, Any] = {}
    defaults = [float(column.default) for column in columns]
    if not np.array_equal(defaults, defaults[:1] * len(columns), equal_nan=True):
        return None
    for part, column in zip(keys, columns, strict=True):
        for key, code in zip(part, column.codes.tolist(), strict=True):
            known = merged.setdefault(key, code)
            if known != code and not (known != known and code != code):
                return None
    return merged


def _check_categories(context: Context, encoder: Any, X: Frame) -> None:
    """Refuse None beside NaN, which the graph cannot tell apart; tell what the encoder refuses."""
    for position, categories in enumerate(encoder.categories_):
        if pd.isna(categories).sum() > 1:
            raise context.refuse(
                f"categories_[{position}] holds both None and NaN, which are one missing value on "
                "the device; write missing values in one way before training"
            )
    if getattr(encoder, "handle_unknown", "ignore") == "error":
        context.restrict_values(X, encoder.categories_)


def _grouped(encoder: Any, i: int) -> tuple[NDArray[np.int64], float]:
    """The code of each category of column *i* after infrequent ones are one, and an unknown's.

    -1 stands for no code.  ``_BaseEncoder._map_infrequent_categories``.
    """
    categories = encoder.categories_[i]
    codes = np.arange(len(categories))
    if not encoder._infrequent_enabled or encoder._infrequent_indices[i] is None:
        return codes, -1.0
    mapping = encoder._default_to_infrequent_mappings[i]
    # A missing category of OrdinalEncoder is not grouped: the mapping ends before it.
    codes[: len(mapping)] = mapping
    groups = encoder.handle_unknown in ("infrequent_if_exist", "warn")
    return codes, float(mapping.max()) if groups else -1.0


@on_frame
def _one_hot(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    """OneHotEncoder: the code of each value compared with those that have a column."""
    frame = frame_of(X)
    _check_categories(context, encoder, frame)
    numbers = count()
    code_of: dict[Any, int] = {}
    columns, source, wanted = [], [], []
    for i, categories in enumerate(encoder.categories_):
        groups, default = _grouped(encoder, i)
        keys = _keys(categories, frame.columns[i][0].is_string)
        codes = _distinct_codes(keys, groups, code_of, numbers)
        unknown = -1 if default < 0 else int(codes[-1])
        columns.append(Codes(list(categories), codes[groups], unknown))
        kept = np.arange(len(codes))
        if encoder._drop_idx_after_grouping is not None:
            kept = kept[kept != encoder._drop_idx_after_grouping[i]]
        source += [i] * len(kept)
        wanted += codes[kept].tolist()
    if not source:
        raise context.refuse("drop leaves no category, so nothing is left to answer with")
    code = look_up(context, frame, columns, distinct=True)
    if source != list(range(frame.width)):
        code = ops.take(code, np.array(source, dtype=np.int64), 1)
    return (code == np.array(wanted, dtype=np.int64)).astype(np.float64)


def _distinct_codes(
    keys: list[Any], groups: NDArray[np.int64], code_of: dict[Any, int], numbers: Iterator[int]
) -> NDArray[np.int64]:
    """A code of each group of one column, which no other group of any column has.

    A value that is a group of its own has the same code in whatever column, so that one hash table
    serves them all; *code_of* remembers it.
    """
    codes = [next(numbers) for _ in range(int(groups.max()) + 1)]
    members = np.bincount(groups)
    for key, group in zip(keys, groups, strict=True):
        if members[group] == 1:
            codes[group] = code_of.setdefault(key, codes[group])
    return np.array(codes, dtype=np.int64)


@on_frame
def _ordinal(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    """OrdinalEncoder: the code itself, as far as the encoder's dtype holds it."""
    dtype = np.dtype(encoder.dtype if np.dtype(encoder.dtype).kind in "biuf" else np.float64)
    _check_categories(context, encoder, frame_of(X))
    columns = []
    for i, categories in enumerate(encoder.categories_):
        codes = _grouped(encoder, i)[0].astype(dtype)
        missing = encoder._missing_indices.get(i)
        if missing is not None:
            codes[missing] = encoder.encoded_missing_value
        # With handle_unknown="error" the border has refused the row.
        unknown = -1.0
        if encoder.unknown_value is not None:
            unknown = float(np.asarray(encoder.unknown_value).astype(dtype))
        columns.append(Codes(list(categories), codes.astype(np.float64), unknown))
    return look_up(context, frame_of(X), columns)


@on_frame
def _target(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    """TargetEncoder: each category's mean of the target; of several classes one column a class."""
    frame = frame_of(X)
    _check_categories(context, encoder, frame)
    if encoder.target_type_ != "multiclass":
        mean = float(encoder.target_mean_)
        known = zip(encoder.categories_, encoder.encodings_, strict=True)
        return look_up(
            context, frame, [Codes(list(values), means, mean) for values, means in known]
        )
    # One look-up a column, whose answer is a row of the table: one mean of every class.
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
