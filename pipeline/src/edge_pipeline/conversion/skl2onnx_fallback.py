"""Convert the classes that our tables lack with skl2onnx, or with a user's registered converter.

skl2onnx's public interface makes a float64 model of the estimator alone.  That model's nodes are
spliced into our graph under fresh names.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from edge_pipeline.conversion.column_frame import Frame, in_float64
from edge_pipeline.conversion.graph.builder import OPSETS
from edge_pipeline.conversion.graph.ops import squeeze
from edge_pipeline.conversion.graph.tensor import Tensor, graph_of
from edge_pipeline.conversion.graph.types import ONNX_TYPES, Shape
from edge_pipeline.conversion.overridden_methods import find_override
from edge_pipeline.conversion.registry import nearest_base
from edge_pipeline.conversion.tracing.own_classes import has_own_method, own_method

if TYPE_CHECKING:
    from edge_pipeline.conversion.context import Context, MethodOutput

__all__ = ["fallback"]

_CLASSIFIER_OUTPUT = {"predict": 0, "predict_proba": 1, "decision_function": 1}
_OTHER_OUTPUT = {"predict": 0, "transform": 0, "score_samples": 1, "decision_function": 1}
"""Method to position among the outputs.  An option decides which method the second output has."""

_UNBOUNDED = frozenset({"Scan", "SequenceMap"})
"""Operators that skl2onnx's converters write and the device's graph check refuses."""


def fallback(context: Context, estimator: Any, method: str, X: Tensor | Frame) -> MethodOutput:
    """Convert *method* of *estimator* by tracing it if it is the user's own, else with skl2onnx.

    Columns of numbers alone or of strings alone become one input, as in skl2onnx's own examples.
    Otherwise every column becomes an input of shape (n_samples, 1).

    Raises
    ------
    UnsupportedEstimatorError
        skl2onnx has no converter for the class, refuses it in float64, or lacks the method.
    """
    from skl2onnx._supported_operators import sklearn_operator_name_map

    kind = type(estimator)
    if kind not in sklearn_operator_name_map:
        if has_own_method(estimator, method):
            return own_method(context, estimator, method, X)
        raise context.refuse(_no_converter(kind, method))
    inputs = _inputs(estimator, in_float64(X))
    try:
        model = _skl2onnx_model(estimator, method, inputs)
    except Exception as error:  # skl2onnx raises whatever its converters raise
        raise context.refuse(f"skl2onnx refuses {kind.__name__} in float64: {error}") from error
    unbounded = sorted({node.op_type for node in model.graph.node} & _UNBOUNDED)
    if unbounded:
        raise context.refuse(
            f"skl2onnx's converter of {kind.__name__} writes {' and '.join(unbounded)}, whose "
            "number of steps nothing in the file bounds, so the device refuses it; write a Loop, "
            "or CDist (option optim='cdist')"
        )
    table = _CLASSIFIER_OUTPUT if hasattr(estimator, "classes_") else _OTHER_OUTPUT
    position = table.get(method)
    if position is None or position >= len(model.graph.output):
        raise context.refuse(f"skl2onnx's converter of {kind.__name__} has no output for {method}")
    output = _splice(model, [tensor for _, tensor in inputs], position)
    if not output.shape:
        output = replace(output, shape=_usual_shape(context, estimator, method))
    if method == "predict" and output.ndim == 2 and output.shape[1] == 1:
        return squeeze(output, 1)  # skl2onnx makes a column where scikit-learn makes a vector
    return output


def _usual_shape(context: Context, estimator: Any, method: str) -> Shape:
    """Return scikit-learn's shape, where the converter's shape function leaves it open."""
    if method == "predict":
        return (None,)
    if method == "predict_proba":
        return (None, len(estimator.classes_))
    raise context.refuse(
        f"the shape function that was registered for {type(estimator).__name__} does not set the "
        "shape of its output; set operator.outputs[0].type"
    )


def _no_converter(kind: type, method: str) -> str:
    remedy = (
        "register one with skl2onnx.update_registered_converter, or train one that "
        "docs/estimators.md lists"
    )
    base = nearest_base(kind)
    override = find_override(kind, base, method) if base else None
    reason = f": {override}" if override else ""
    return f"no converter for {kind.__module__}.{kind.__qualname__}.{method}{reason}; {remedy}"


def _inputs(estimator: Any, X: Tensor | Frame) -> list[tuple[str, Tensor]]:
    """Name the input tensors of skl2onnx's model."""
    if isinstance(X, Tensor):
        return [("X", X)]
    runs = X.runs()
    if len({run.is_string for run in runs}) == 1:
        return [("X", X.matrix())]
    names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(X.width)])
    return [(str(name), X.column(i)) for i, name in enumerate(names)]


def _skl2onnx_model(
    estimator: Any, method: str, inputs: Sequence[tuple[str, Tensor]]
) -> onnx.ModelProto:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

    options: dict[str, Any] = {}
    if hasattr(estimator, "classes_"):
        options = {"zipmap": False}
        if method == "decision_function":
            options["raw_scores"] = True
    if method == "score_samples":
        options["score_samples"] = True
    types = [
        (name, (StringTensorType if tensor.is_string else DoubleTensorType)([None, tensor.width]))
        for name, tensor in inputs
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skl2onnx itself uses deprecated names
        model: onnx.ModelProto = to_onnx(
            estimator,
            initial_types=types,
            options={id(estimator): options} if options else None,
            target_opset={
                domain: version for domain, version in OPSETS.items() if domain != "com.microsoft"
            },
            name="fallback",
        )
    return model


def _splice(model: onnx.ModelProto, inputs: Sequence[Tensor], position: int) -> Tensor:
    """Copy the nodes of *model* into the graph of *inputs*; return its output at *position*."""
    graph = graph_of(*inputs)
    prefix = graph.fresh("guest")
    names = {"": ""}
    for model_input, tensor in zip(model.graph.input, inputs, strict=True):
        names[model_input.name] = tensor.name
    constants = {}
    for initializer in model.graph.initializer:
        names[initializer.name] = f"{prefix}_{len(names)}"
        array = numpy_helper.to_array(initializer)
        constants[names[initializer.name]] = (
            array.astype(object) if array.dtype.kind in "SU" else array
        )
    nodes = []
    for node in model.graph.node:
        renamed = copy.deepcopy(node)
        renamed.name = ""
        for i, name in enumerate(node.input):
            renamed.input[i] = names[name]
        for i, name in enumerate(node.output):
            renamed.output[i] = names.setdefault(name, f"{prefix}_{len(names)}")
        nodes.append(renamed)
    graph.splice(nodes, constants)
    output = model.graph.output[position]
    dtypes: dict[int, Any] = {code: dtype for dtype, code in ONNX_TYPES.items()}
    kind = output.type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    return Tensor(graph, names[output.name], np.dtype(dtypes[kind.elem_type]), tuple(shape))
