"""``convert``: fitted estimator and a sample of its input in, :class:`OnnxModel` out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import METHODS, Output
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Column, Schema
from edge_runtime.vectorizers.specification import Derived, Entries
from numpy.typing import NDArray
from sklearn.feature_extraction.image import PatchExtractor
from sklearn.pipeline import Pipeline

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import CELLS, Context
from edge_pipeline.conversion.graph.builder import Graph, names_used
from edge_pipeline.conversion.graph.tensor import STRING, Tensor
from edge_pipeline.conversion.passes.prune_columns import without_unread_columns
from edge_pipeline.conversion.registry import converters_of
from edge_pipeline.conversion.skl2onnx_fallback import fallback
from edge_pipeline.data.sample import Sample, take_sample
from edge_pipeline.errors import ConversionError, UnsupportedEstimatorError

__all__ = ["OnnxModel", "convert", "convert_sample", "methods_of", "sample_for"]

PRODUCER_VERSION = "1"
"""Written into the graph; the manifest names the versions of every distribution."""


LARGEST_LABEL = 2**63 - 1
"""Of int64, in which onnxruntime takes and gives whole numbers."""


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A converted estimator: nothing has been checked yet.

    Attributes
    ----------
    graph
        The serialized ModelProto.
    schema
        What a row looks like.
    outputs
        Which graph output serves which method.
    classes
        Output name to class labels, for outputs that choose among them.
    opsets
        Operator set domain to version.
    output_width
        Numbers in one row's widest answer.
    ambiguity_graph
        Another graph of the same inputs, for the build machine alone: its output ``predict`` tells
        the rows that scikit-learn's answer does not determine.  None when it always does.
    """

    graph: bytes
    schema: Schema
    outputs: tuple[Output, ...]
    classes: dict[str, list[Any]]
    opsets: dict[str, int]
    output_width: int = 1
    ambiguity_graph: bytes | None = None


def convert(estimator: Any, X: Any) -> OnnxModel:
    """Write the graph of a fitted estimator.

    Parameters
    ----------
    estimator
        Any fitted scikit-learn object with predict or transform.
    X
        A sample of the training input; its columns, types and missing values are the schema.

    Raises
    ------
    UnsupportedEstimatorError
        No exact conversion is known; names the estimator and its place in the pipeline.
    ConversionError
        *X* cannot be described, or the estimator is not fitted.
    """
    return convert_sample(estimator, sample_for(estimator, X))


def sample_for(estimator: Any, X: Any) -> Sample:
    """*X* described as *estimator* reads it.

    Raises
    ------
    UnsupportedEstimatorError
        The answers of *estimator* are no function from a row to a row.
    ConversionError
        *X* cannot be described.
    """
    first = estimator
    while isinstance(first, Pipeline) and first.steps:
        first = first.steps[0][1]
    if isinstance(first, PatchExtractor):
        raise UnsupportedEstimatorError(
            "it cuts one image into many rows, so that its answer has another number of rows than "
            "the question: no row has an answer of its own; cut the images before, on both "
            "machines, and flatten the patches",
            path="PatchExtractor",
        )
    return take_sample(X, estimator)


def convert_sample(estimator: Any, sample: Sample) -> OnnxModel:
    """As :func:`convert`, for a sample that has been described already."""
    answers = _first_answers(estimator, sample)
    gaps = dict(zip(sample.schema.names, sample.missing_markers, strict=True))
    context, outputs = _written(estimator, sample.schema, answers, gaps)
    schema = sample.schema
    if context.derived:
        # How wide the input is was not known before: once more, with the derived blocks in it.
        schema = _with_derived(schema, tuple(context.derived))
        context, outputs = _written(estimator, schema, answers, gaps)
    schema = _closed(schema, context)
    model = context.graph.to_model(PRODUCER_VERSION)
    if any(CELLS in names_used(node) for node in model.graph.node):
        raise UnsupportedEstimatorError(_UNREAD)
    ambiguity_graph = _doubt(context.graph, context.ambiguous_rows())
    if schema.derived and ambiguity_graph is None:
        schema = without_unread_columns(model, schema, context.graph.shape_of)
    used = {entry.domain: entry.version for entry in model.opset_import}
    listed = [given if isinstance(given, list) else [given] for given in answers.values()]
    return OnnxModel(
        graph=model.SerializeToString(deterministic=True),
        schema=schema,
        outputs=tuple(outputs),
        classes=_classes(estimator, outputs),
        opsets={domain: used[domain] for domain in sorted(used)},
        output_width=max(1, *(int(np.prod(a.shape[1:])) for given in listed for a in given)),
        ambiguity_graph=ambiguity_graph,
    )


_UNREAD = (
    "a column of dicts or lists is used as it is; put a DictVectorizer or a FeatureHasher on it"
)


def _with_derived(schema: Schema, derived: tuple[Derived, ...]) -> Schema:
    """*schema* with *derived*; the texts of the sample, which are no categories, are not listed."""
    read = {block.column for block in derived}
    columns = tuple(
        replace(column, categories=None) if column.name in read else column
        for column in schema.columns
    )
    return replace(schema, columns=columns, derived=derived)


def _closed(schema: Schema, context: Context) -> Schema:
    """*schema* with the values that converters know to be all that scikit-learn takes."""

    def closed(column: Column) -> Column:
        if column.name in context.closed:
            values = tuple(sorted(context.closed[column.name]))
            return replace(column, closed=True, categories=values)
        if column.name in context.bounded:
            low, high = context.bounded[column.name]
            return replace(column, closed=True, minimum=low, maximum=high, categories=None)
        return column

    return replace(schema, columns=tuple(map(closed, schema.columns)))


def _written(
    estimator: Any, schema: Schema, first_answers: dict[str, Any], gaps: dict[str, Any]
) -> tuple[Context, list[Output]]:
    """A graph with an output for every method, in its context."""
    graph = Graph()
    context = Context(graph, converters_of, fallback, schema, gaps)
    X = _in_trained_order(estimator, _inputs(graph, schema), schema)
    outputs: list[Output] = []
    for method, answers, tensors in _converted(context, estimator, X, first_answers):
        listed = isinstance(answers, list)
        if listed != isinstance(tensors, list):
            raise ConversionError(
                f"{type(estimator).__name__}.{method}: the converter disagrees on a list"
            )
        for item, (tensor, answer) in enumerate(
            zip(tensors if listed else [tensors], answers if listed else [answers], strict=True)
        ):
            output = Output(
                name=f"{method}.{item}" if listed else method,
                method=method,
                dtype=dtype_name(answer),
                item=item if listed else None,
            )
            graph.output(output.name, _finished(tensor, answer))
            outputs.append(output)
    return context, outputs


def _doubt(graph: Graph, rows: Tensor | None) -> bytes | None:
    if rows is None:
        return None
    model = graph.to_model(PRODUCER_VERSION, outputs={"predict": rows})
    raw: bytes = model.SerializeToString(deterministic=True)
    return raw


def methods_of(estimator: Any) -> tuple[str, ...]:
    """The methods of *estimator* that a bundle can serve, in the order of :data:`METHODS`.

    Raises
    ------
    ConversionError
        It has none.
    """
    if isinstance(estimator, type):
        raise ConversionError(
            f"{estimator.__name__} is a class; expected a fitted estimator, an instance of it"
        )
    found = tuple(method for method in METHODS if hasattr(estimator, method))
    if not found:
        raise ConversionError(
            f"{type(estimator).__name__} has none of {', '.join(METHODS)}: it cannot answer for "
            "new rows; expected a fitted estimator"
        )
    return found


def dense(answer: Any) -> NDArray[Any]:
    """A method's answer as one dense array."""
    if hasattr(answer, "toarray"):
        answer = answer.toarray()
    return np.asarray(answer)


def dtype_name(answer: NDArray[Any]) -> str:
    """*answer*'s dtype as the manifest spells it.

    Raises
    ------
    ConversionError
        It is of bytes, or of something else that no graph answers with.
    """
    if answer.dtype.kind not in "biufUO":
        raise ConversionError(
            f"it answers in {answer.dtype}, which is neither numbers nor text; train with labels "
            "of str or int"
        )
    return answer.dtype.str if answer.dtype.kind == "U" else answer.dtype.name


def _inputs(graph: Graph, schema: Schema) -> Tensor | Frame:
    places: dict[int, tuple[Tensor, int]] = {}
    blocks = []
    for name, dtype, width, positions in (
        (NUMBERS, np.dtype(np.float64), schema.numbers_width, schema.numeric),
        (STRINGS, STRING, len(schema.textual), schema.textual),
    ):
        if width:
            full = name == NUMBERS and _is_full(schema)
            blocks.append(graph.input(name, dtype, (None, width), full=full))
            places.update((p, (blocks[-1], i)) for i, p in enumerate(positions))
    loose = [i for i, column in enumerate(schema.columns) if column.type in ("dict", "list")]
    cells = Tensor(graph, CELLS, STRING, (None, len(loose)))
    places.update((p, (cells, i)) for i, p in enumerate(loose))
    if len(blocks) == 1 and not loose and not schema.derived:
        return blocks[0]
    return Frame(tuple(places[i] for i in range(len(schema.columns))))


def _is_full(schema: Schema) -> bool:
    """Whether no number that the graph is fed can be missing."""
    gaps = any(schema.columns[at].missing for at in schema.numeric)
    lenient = any(isinstance(b.reading, Entries) and b.reading.lenient for b in schema.derived)
    return not (gaps or lenient)


def _in_trained_order(estimator: Any, X: Tensor | Frame, schema: Schema) -> Tensor | Frame:
    """*X* with the columns in the order of training, where the sample's is another.

    Only a ColumnTransformer takes that: it finds columns by name, and lets others pass by.
    """
    trained = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    names = list(schema.names)
    if schema.kind != "table" or trained == names or not set(trained) <= set(names):
        return X
    return frame_of(X).select([names.index(name) for name in trained]) if trained else X


def _converted(
    context: Context, estimator: Any, X: Tensor | Frame, first_answers: dict[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Each method with its answer for the first rows and its tensors.

    Methods that draw at random are left out, as long as another one is not.
    """
    drawn: UnsupportedEstimatorError | None = None
    count = 0
    for method, answers in first_answers.items():
        try:
            tensors = context.call(estimator, method, X)
        except UnsupportedEstimatorError as error:
            if not error.drawn:
                raise
            drawn = drawn or error
        else:
            count += 1
            yield method, answers, tensors
    if drawn is not None and not count:
        raise drawn


def _first_answers(estimator: Any, sample: Sample) -> dict[str, Any]:
    """What each method answers for the first rows: tells shape, dtype and whether it is a list.

    A method that refuses while others answer is one that the estimator has by name alone:
    transform of LinearDiscriminantAnalysis(solver="lsqr"), predict_proba of
    GaussianProcessClassifier(multi_class="one_vs_one").
    """
    rows = sample.as_trained(sample.table.head(2))
    answers: dict[str, Any] = {}
    refused: dict[str, Exception] = {}
    for method in methods_of(estimator):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = getattr(estimator, method)(rows)
        except Exception as error:
            refused.setdefault(method, error)
            continue
        answers[method] = [dense(a) for a in answer] if isinstance(answer, list) else dense(answer)
    if not answers:
        method, refusal = next(iter(refused.items()))
        raise ConversionError(
            f"{type(estimator).__name__}.{method} refuses the first rows of the sample X: "
            f"{refusal}; is it fitted, "
            "and is X of the kind that it was trained on?"
        ) from refusal
    return answers


def _finished(answer: Tensor | Frame, expected: NDArray[Any]) -> Tensor:
    """The tensor to put out, of the number of dimensions that scikit-learn has."""
    if isinstance(answer, Frame):
        columns = answer.columns
        try:
            answer = answer.matrix()
        except ValueError as error:
            if any(tensor.name == CELLS for tensor, _ in columns):
                raise UnsupportedEstimatorError(_UNREAD) from error
            raise UnsupportedEstimatorError(
                f"transform answers with a table in which {error}; end with an encoder, or add a "
                "predictor"
            ) from error
    if answer.ndim != expected.ndim:
        raise ConversionError(
            f"the converter answers with {answer.ndim} dimension(s), scikit-learn with "
            f"{expected.ndim}"
        )
    return answer


def _classes(estimator: Any, outputs: list[Output]) -> dict[str, list[Any]]:
    names = [o.name for o in outputs if o.method == "predict"]
    if not names or not hasattr(estimator, "classes_"):
        return {}
    classes = estimator.classes_
    if isinstance(classes, list):
        return {names[0]: [_plain(c) for c in classes]}
    return {names[0]: _plain(classes)}


def _plain(classes: Any) -> list[Any]:
    if np.asarray(classes).dtype.kind == "u" and np.max(classes, initial=0) > LARGEST_LABEL:
        raise ConversionError(
            "a class label is beyond 2**63, the largest whole number of a graph's labels; train "
            "with labels of str"
        )
    values: list[Any] = np.asarray(classes).tolist()
    return values
