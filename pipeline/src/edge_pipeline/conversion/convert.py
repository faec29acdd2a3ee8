"""Convert a fitted estimator and a sample of its input to an :class:`OnnxModel`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Column, Schema
from edge_runtime.vectorizers.specification import Derived, Entries
from numpy.typing import NDArray
from sklearn.feature_extraction.image import PatchExtractor

from edge_pipeline.argument_order import check_estimator_and_sample
from edge_pipeline.conversion.accepted_columns import allow_missing_values
from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import CELLS, Context
from edge_pipeline.conversion.date_kinds import refuse_dates
from edge_pipeline.conversion.estimator_methods import (
    OPTIONAL_METHODS,
    dtype_name,
    predict_first_rows,
)
from edge_pipeline.conversion.graph.builder import Graph, names_used
from edge_pipeline.conversion.graph.shape_ops import reshape_rows
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.graph.types import STRING
from edge_pipeline.conversion.passes.prune_columns import prune_columns
from edge_pipeline.conversion.read_columns import without_unread_columns
from edge_pipeline.conversion.registry import converters_of
from edge_pipeline.conversion.skl2onnx_fallback import fallback
from edge_pipeline.data.first_step import first_step
from edge_pipeline.data.missing_policy import AS_ESTIMATOR, MissingPolicy
from edge_pipeline.data.sample import Sample, take_sample
from edge_pipeline.data.tensors import WIDE_COLUMNS
from edge_pipeline.data.zeros import Zeros
from edge_pipeline.errors import ConversionError, UnsupportedEstimatorError
from edge_pipeline.short_repr import short_repr

__all__ = ["OnnxModel", "convert", "convert_sample", "sample_and_rows", "sample_for"]

PRODUCER_VERSION = "1"
"""Written into the graph; the manifest names the versions of every distribution."""

LARGEST_LABEL = 2**63 - 1
"""Largest int64: onnxruntime reads and returns integers as int64."""


@short_repr
@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A converted estimator, not verified yet.

    Attributes
    ----------
    graph
        The serialized ModelProto.
    schema
        The columns of a row, their types and ranges.
    outputs
        The graph outputs, and the method that each one computes.
    classes
        Output name to class labels, for outputs that are labels.
    opsets
        Operator set domain to version.
    output_width
        Numbers in one row of the widest output.
    ambiguity_graph
        Another graph with the same inputs, for the build machine only.  Its output ``predict``
        marks the rows for which scikit-learn's own prediction is ambiguous.  An output of another
        name marks more rows, for that method alone.  None when no row can be ambiguous.
    has_float32_functions
        Whether the estimator computes log, exp or the like in float32, which depends on the CPU.
    promoted
        Place of an estimator to the dtype that it gets from a step, where that is not float64.
        The graph computes in float64 there; scikit-learn may compute in that dtype.
    """

    graph: bytes
    schema: Schema
    outputs: tuple[Output, ...]
    classes: dict[str, list[Any]]
    opsets: dict[str, int]
    output_width: int = 1
    ambiguity_graph: bytes | None = None
    has_float32_functions: bool = False
    promoted: Mapping[str, str] = field(default_factory=dict)


def convert(
    estimator: Any, X: Any, *, missing: str | Mapping[str, str] = "as-estimator"
) -> OnnxModel:
    """Convert a fitted estimator to an ONNX graph.

    Parameters
    ----------
    estimator
        Any fitted scikit-learn object with predict or transform.
    X
        A sample of the training input; its columns and types are the schema.
    missing
        As in :func:`edge_pipeline.export`.

    Raises
    ------
    UnsupportedEstimatorError
        No exact conversion is known.  The message names the estimator and its place in the
        pipeline.
    ConversionError
        *X* cannot be described, or the estimator is not fitted.
    """
    check_estimator_and_sample(estimator, X)
    sample = sample_for(estimator, X)
    return convert_sample(estimator, sample, MissingPolicy.read(missing, sample.schema.names))


def sample_for(estimator: Any, X: Any, *, as_tensors: bool = False) -> Sample:
    """Describe *X* as *estimator* reads it; as :func:`sample_and_rows`."""
    return sample_and_rows(estimator, X, as_tensors=as_tensors)[0]


def sample_and_rows(estimator: Any, X: Any, *, as_tensors: bool = False) -> tuple[Sample, Any]:
    """Describe *X* as *estimator* reads it; also return *X* without the columns nobody reads.

    For *as_tensors* see :func:`take_sample`.

    Raises
    ------
    UnsupportedEstimatorError
        The estimator does not predict row by row.
    ConversionError
        *X* cannot be described.
    """
    if isinstance(first_step(estimator), PatchExtractor):
        raise UnsupportedEstimatorError(
            "it cuts one image into many rows, so its output has another number of rows than its "
            "input, and no row has a prediction of its own; cut the images beforehand, on both "
            "machines, and flatten the patches",
            path="PatchExtractor",
        )
    X, ignored = without_unread_columns(X, estimator)
    return take_sample(X, estimator, ignored, as_tensors=as_tensors), X


def convert_sample(
    estimator: Any,
    sample: Sample,
    missing: MissingPolicy = AS_ESTIMATOR,
    without: Collection[str] = (),
) -> OnnxModel:
    """Convert as :func:`convert` does, for a sample that is described already.

    The methods *without* are left out.

    Where no converter serves missing values that only the estimator accepts, the schema allows
    those of the training sample alone.
    """
    first_outputs = predict_first_rows(estimator, sample, without)
    lenient = allow_missing_values(estimator, sample, first_outputs, missing)
    if lenient.schema != sample.schema:
        try:
            return _convert_described(estimator, lenient, first_outputs)
        except UnsupportedEstimatorError:
            sample = allow_missing_values(estimator, sample, first_outputs, missing.as_trained())
    return _convert_described(estimator, sample, first_outputs)


def _convert_described(estimator: Any, sample: Sample, first_outputs: dict[str, Any]) -> OnnxModel:
    context, outputs = _convert_methods(estimator, sample, first_outputs)
    schema = sample.schema
    if context.derived:
        # The width of the input was not known before: convert again, with the derived blocks in it.
        schema = _with_derived_blocks(schema, tuple(context.derived))
        sample = replace(sample, schema=schema)
        context, outputs = _convert_methods(estimator, sample, first_outputs)
    schema = _with_allowed_values(schema, context)
    model = context.graph.to_model(PRODUCER_VERSION)
    if any(CELLS in names_used(node) for node in model.graph.node):
        raise UnsupportedEstimatorError(_RAW_CELLS)
    ambiguity_graph = _ambiguity_graph(context)
    if schema.derived and ambiguity_graph is None:
        schema = prune_columns(model, schema, context.graph.shape_of)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    return OnnxModel(
        graph=model.SerializeToString(deterministic=True),
        schema=schema,
        outputs=tuple(outputs),
        classes=_classes(estimator, outputs),
        opsets={domain: opsets[domain] for domain in sorted(opsets)},
        output_width=_widest_row(first_outputs),
        ambiguity_graph=ambiguity_graph,
        has_float32_functions=context.has_float32_functions,
        promoted=context.promoted,
    )


_RAW_CELLS = (
    "a column of dicts or lists reaches an estimator that reads only numbers; put a DictVectorizer "
    "or a FeatureHasher before it"
)


_COLUMNS_OF_TENSOR = (
    f"it refuses some values of single columns, and an array of {WIDE_COLUMNS} columns or more "
    "is one tensor with one range; pass a DataFrame, whose columns have ranges of their own"
)


def _with_derived_blocks(schema: Schema, derived: tuple[Derived, ...]) -> Schema:
    """Add *derived* to the schema; the columns they read are free text and list no categories."""
    read_columns = {block.column for block in derived}
    columns = tuple(
        replace(column, categories=None) if column.name in read_columns else column
        for column in schema.columns
    )
    return replace(schema, columns=columns, derived=derived)


def _with_allowed_values(schema: Schema, context: Context) -> Schema:
    """Close the columns for which a converter knows all values that scikit-learn accepts."""
    if schema.kind == "tensor" and (context.allowed_values or context.allowed_ranges):
        raise UnsupportedEstimatorError(_COLUMNS_OF_TENSOR)

    def close(column: Column) -> Column:
        if column.name in context.allowed_values:
            values = tuple(sorted(context.allowed_values[column.name]))
            return replace(column, closed=True, categories=values)
        if column.name in context.allowed_ranges:
            low, high = context.allowed_ranges[column.name]
            return replace(column, closed=True, minimum=low, maximum=high, categories=None)
        return column

    return replace(schema, columns=tuple(map(close, schema.columns)))


def _convert_methods(
    estimator: Any, sample: Sample, first_outputs: dict[str, Any]
) -> tuple[Context, list[Output]]:
    """Write one graph with the outputs of all methods; return its context and those outputs."""
    graph, schema = Graph(), sample.schema
    context = Context(graph, converters_of, fallback, sample)
    X = _in_trained_order(estimator, _inputs(graph, schema, sample.zeros), schema)
    outputs: list[Output] = []
    for method, expected, tensors in _tensors_of_methods(context, estimator, X, first_outputs):
        is_list = isinstance(expected, list)
        if is_list != isinstance(tensors, list):
            raise ConversionError(
                f"{type(estimator).__name__}.{method}: scikit-learn and the converter disagree "
                "whether it returns a list; report it with the estimator's parameters"
            )
        if not is_list:
            tensors, expected = [tensors], [expected]
        for item, (tensor, example) in enumerate(zip(tensors, expected, strict=True)):
            refuse_dates(tensor, context.dates)
            output = Output(
                name=f"{method}.{item}" if is_list else method,
                method=method,
                dtype=dtype_name(example),
                item=item if is_list else None,
            )
            graph.output(output.name, _as_output(tensor, example))
            outputs.append(output)
    return context, outputs


def _ambiguity_graph(context: Context) -> bytes | None:
    """Serialize a graph whose outputs mark the ambiguous rows; None when no row can be."""
    rows = context.ambiguous_rows()
    if not rows:
        return None
    model = context.graph.to_model(PRODUCER_VERSION, outputs=rows)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _widest_row(first_outputs: dict[str, Any]) -> int:
    arrays = [
        array
        for output in first_outputs.values()
        for array in (output if isinstance(output, list) else [output])
    ]
    return max(1, *(int(np.prod(array.shape[1:])) for array in arrays))


def _inputs(graph: Graph, schema: Schema, zeros: Zeros) -> Tensor | Frame:
    """Add the graph's inputs; return the schema's columns as places in them."""
    tensor = schema.columns[0].tensor
    if tensor is not None:
        full = not schema.columns[0].missing
        flat = graph.input(NUMBERS, np.dtype(np.float64), (None, tensor.size), full=full)
        return reshape_rows(flat, *tensor.shape) if len(tensor.shape) > 1 else flat
    places: dict[int, tuple[Tensor, int]] = {}
    blocks = []
    for name, dtype, width, positions in (
        (NUMBERS, np.dtype(np.float64), schema.numbers_width, schema.numeric),
        (STRINGS, STRING, len(schema.textual), schema.textual),
    ):
        if width:
            full = name == NUMBERS and _has_no_missing_numbers(schema)
            block = graph.input(name, dtype, (None, width), full=full)
            blocks.append(replace(block, zeros=zeros))
            places.update((p, (blocks[-1], i)) for i, p in enumerate(positions))
    loose = [i for i, column in enumerate(schema.columns) if column.type in ("dict", "list")]
    cells = Tensor(graph, CELLS, STRING, (None, len(loose)))
    places.update((p, (cells, i)) for i, p in enumerate(loose))
    if len(blocks) == 1 and not loose and not schema.derived:
        return blocks[0]
    return Frame(tuple(places[i] for i in range(len(schema.columns))))


def _has_no_missing_numbers(schema: Schema) -> bool:
    """Whether no number in the graph's input can be missing."""
    missing = any(schema.columns[position].missing for position in schema.numeric)
    lenient = any(isinstance(b.reading, Entries) and b.reading.lenient for b in schema.derived)
    return not (missing or lenient)


def _in_trained_order(estimator: Any, X: Tensor | Frame, schema: Schema) -> Tensor | Frame:
    """Reorder the columns of *X* as in training, where the sample's order is another.

    Only a ColumnTransformer accepts such a sample: it finds columns by name and ignores others.
    """
    trained = [str(name) for name in getattr(first_step(estimator), "feature_names_in_", ())]
    names = list(schema.names)
    if schema.kind != "table" or trained == names or not trained:
        return X
    absent = set(trained) - set(names)
    if absent - set(schema.ignored):
        return X
    # Nobody reads an absent column, so that any column can stand in its place.
    positions = [names.index(name) if name in names else 0 for name in trained]
    return frame_of(X).select(positions)


def _tensors_of_methods(
    context: Context, estimator: Any, X: Tensor | Frame, first_outputs: dict[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield each method, its output for the first rows, and its tensors.

    A method that scikit-learn draws at random is left out, unless there is no other; so are log
    probabilities of a subclass that no converter knows, and :data:`OPTIONAL_METHODS`.
    """
    random_method: UnsupportedEstimatorError | None = None
    count = 0
    for method, output in first_outputs.items():
        try:
            tensors = context.call(estimator, method, X)
        except UnsupportedEstimatorError as error:
            if not error.is_random and method not in ("predict_log_proba", *OPTIONAL_METHODS):
                raise
            random_method = random_method or error
        else:
            count += 1
            yield method, output, tensors
    if random_method is not None and not count:
        raise random_method


def _as_output(tensor: Tensor | Frame, expected: NDArray[Any]) -> Tensor:
    """Return one tensor that has as many dimensions as scikit-learn's output."""
    if isinstance(tensor, Frame):
        columns = tensor.columns
        try:
            tensor = tensor.matrix()
        except ValueError as error:
            if any(column.name == CELLS for column, _ in columns):
                raise UnsupportedEstimatorError(_RAW_CELLS) from error
            raise UnsupportedEstimatorError(
                f"transform returns a table in which {error}; end with an encoder, or add a "
                "predictor"
            ) from error
    if tensor.ndim != expected.ndim:
        raise ConversionError(
            f"the converter returns {tensor.ndim} dimension(s), scikit-learn {expected.ndim}; "
            "report it with the estimator's parameters"
        )
    return tensor


def _classes(estimator: Any, outputs: list[Output]) -> dict[str, list[Any]]:
    names = [o.name for o in outputs if o.method == "predict"]
    if not names or not hasattr(estimator, "classes_"):
        return {}
    classes = estimator.classes_
    if isinstance(classes, list):
        return {names[0]: [_labels_to_json(labels) for labels in classes]}
    return {names[0]: _labels_to_json(classes)}


def _labels_to_json(classes: Any) -> list[Any]:
    if np.asarray(classes).dtype.kind == "u" and np.max(classes, initial=0) > LARGEST_LABEL:
        raise ConversionError(
            "a class label is larger than 2**63 - 1, the largest int64; train with labels of str"
        )
    values: list[Any] = np.asarray(classes).tolist()
    return values
