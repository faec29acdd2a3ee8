"""Convert skrub's TableVectorizer and Cleaner, and the steps that they are made of.

Both are pipelines of steps, each of which applies transformers to single columns.  A transformer
that has no converter becomes look-up tables (``lookup_tables``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING
from skrub import Cleaner, DropCols, SelectCols, StringEncoder, TableVectorizer, ToFloat
from skrub._apply_to_cols import ApplyToCols
from skrub._apply_to_each_col import ApplyToEachCol
from skrub._apply_to_sub_frame import ApplyToSubFrame
from skrub._check_input import CheckInputDataFrame
from skrub._clean_null_strings import CleanNullStrings
from skrub._drop_uninformative import DropUninformative
from skrub._single_column_transformer import SingleColumnTransformer
from skrub._to_categorical import ToCategorical
from skrub._to_str import ToStr

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context, Converter, MethodOutput, Methods, on_any_dtype
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.graph.text_ops import matches
from edge_pipeline.conversion.libraries import skrub_dates
from edge_pipeline.conversion.lookup_tables.convert_lookups import as_lookups
from edge_pipeline.conversion.lookup_tables.learn_columns import NotALookUpError

__all__ = ["CONVERTERS"]


@on_any_dtype
def _inner_pipeline(context: Context, vectorizer: Any, X: Tensor | Frame) -> MethodOutput:
    """Convert the pipeline that TableVectorizer and Cleaner fit."""
    for position, (_, step) in enumerate(vectorizer._pipeline.steps):
        X = context.transform(step, X, at=f"_pipeline[{position}]")
    return X


@on_any_dtype
def _checked_input(context: Context, step: Any, X: Tensor | Frame) -> Frame:
    return _with_names(context, frame_of(X), step.feature_names_out_)


@on_any_dtype
def _wrapped(context: Context, step: Any, X: Tensor | Frame) -> MethodOutput:
    return context.transform(step._wrapped_transformer, X, at="_wrapped_transformer")


@on_any_dtype
def _each_column(context: Context, step: Any, X: Tensor | Frame) -> Frame:
    """Apply to each column its own transformer."""
    frame = frame_of(X)
    columns: list[tuple[Tensor, int]] = []
    for position, name in enumerate(step.all_inputs_):
        column = _with_names(context, frame.select([position]), [name])
        transformer = step.transformers_.get(name)
        if transformer is None or step.keep_original:
            columns += column.columns
        if transformer is not None and step.input_to_outputs_[name]:
            has_converter = context.converter(transformer, "transform") is not None
            if isinstance(transformer, SingleColumnTransformer) and not has_converter:
                transformer = _AsTable(transformer)
            output = context.transform(transformer, column, at=f"transformers_[{name!r}]")
            columns += frame_of(output).columns
    return _with_names(context, Frame(tuple(columns)), step.all_outputs_)


@on_any_dtype
def _sub_frame(context: Context, step: Any, X: Tensor | Frame) -> Frame:
    """Apply one transformer to some columns."""
    frame, names = frame_of(X), list(step.all_inputs_)
    passed_names = (
        names if step.keep_original else [name for name in names if name not in step._columns]
    )
    columns = list(frame.select([names.index(name) for name in passed_names]).columns)
    if step._columns:
        part = frame.select([names.index(name) for name in step._columns])
        output = context.transform(
            step.transformer_, _with_names(context, part, step._columns), at="transformer_"
        )
        columns += frame_of(output).columns
    return _with_names(context, Frame(tuple(columns)), step.all_outputs_)


def _selected(attribute: str) -> Converter:
    @on_any_dtype
    def convert(context: Context, step: Any, X: Tensor | Frame) -> Frame:
        names = context.names.of(X)
        if names is None:
            raise context.refuse("the names of its columns are unknown here")
        selected = list(getattr(step, attribute))
        frame = frame_of(X).select([names.index(name) for name in selected])
        return _with_names(context, frame, selected)

    return convert


def _with_names(context: Context, frame: Frame, names: Any) -> Frame:
    context.names.record(frame, names)
    return frame


@on_any_dtype
def _to_float(context: Context, step: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Round a column of numbers to float32; look up numbers written as text."""
    column = frame_of(X).column(0)
    if column.is_string:
        raise context.refuse(
            "ToFloat reads numbers from text, which has no form in a graph; convert the column "
            "before training"
        )
    return column.astype(np.float32).astype(np.float64)


@on_any_dtype
def _null_strings(context: Context, step: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Make blank texts and the listed ones missing."""
    column = frame_of(X).column(0)
    if not column.is_string:
        return X
    text = ops.squeeze(column, 1)
    # pandas replaces by Python's pattern, whose \s is every space of Unicode.
    spaces = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
    blank = matches(text, "[" + "".join(f"\\x{{{ord(c):x}}}" for c in spaces) + "]*")
    listed = ops.lookup(
        text, np.array(step.null_strings_, dtype=object),
        np.ones(len(step.null_strings_), dtype=np.int64), 0,
    ) > 0  # fmt: skip
    return ops.expand_dims(ops.where(blank | listed, MISSING_STRING, text), 1)


@on_any_dtype
def _unchanged(context: Context, step: Any, X: Tensor | Frame) -> Tensor | Frame:
    return X


@on_any_dtype
def _text(context: Context, step: Any, X: Tensor | Frame) -> Tensor | Frame:
    if not frame_of(X).columns[0][0].is_string:
        raise context.refuse("it writes numbers as text; convert the column before training")
    return X


@on_any_dtype
def _string_encoder(context: Context, step: Any, X: Tensor | Frame) -> Tensor | Frame:
    raise context.refuse(
        "it multiplies by its SVD in float32, whose sums differ from device to device by more than "
        "rounding in float64; encode this column with skrub's MinHashEncoder on known values, "
        "sklearn's OrdinalEncoder or TargetEncoder: TableVectorizer(high_cardinality=...)"
    )


class _AsTable:
    """A transformer of one series, run on frames of one column."""

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        output = self.transformer.transform(X.iloc[:, 0])
        if isinstance(output, list) and not output:
            return X.iloc[:, :0]
        if isinstance(output, list):
            return pd.concat(output, axis=1)
        return output.to_frame() if isinstance(output, pd.Series) else output


@on_any_dtype
def _single_column(context: Context, step: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Convert any other transformer of one column to look-up tables."""
    try:
        return as_lookups(context, step, X)
    except NotALookUpError as error:
        raise context.refuse(
            f"{type(step.transformer).__name__} is no look-up table: {error}"
        ) from error


CONVERTERS: dict[type, Methods] = {
    TableVectorizer: {"transform": _inner_pipeline},
    Cleaner: {"transform": _inner_pipeline},
    CheckInputDataFrame: {"transform": _checked_input},
    ApplyToCols: {"transform": _wrapped},
    ApplyToEachCol: {"transform": _each_column},
    ApplyToSubFrame: {"transform": _sub_frame},
    SelectCols: {"transform": _selected("columns_")},
    DropCols: {"transform": _selected("kept_cols_")},
    ToFloat: {"transform": _to_float},
    CleanNullStrings: {"transform": _null_strings},
    DropUninformative: {"transform": _unchanged},
    ToCategorical: {"transform": _unchanged},
    ToStr: {"transform": _text},
    StringEncoder: {"transform": _string_encoder},
    _AsTable: {"transform": _single_column},
    **skrub_dates.CONVERTERS,
}
