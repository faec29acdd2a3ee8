"""What our tables do not know: converters that skl2onnx has, or that a user registered with it.

The estimator becomes a model of its own through skl2onnx's public interface, in float64, and that
model's nodes are spliced into ours under fresh names.
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

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.graph.builder import OPSETS
from edge_pipeline.conversion.graph.ops import squeeze
from edge_pipeline.conversion.graph.tensor import ONNX_TYPES, Shape, Tensor, graph_of

if TYPE_CHECKING:
    from edge_pipeline.conversion.context import Context

__all__ = ["guest", "is_registered_by_user"]

# What skl2onnx calls a classifier's second output depends on an option.
_CLASSIFIER_OUTPUT = {"predict": 0, "predict_proba": 1, "decision_function": 1}
_UNBOUNDED = frozenset({"Scan", "SequenceMap"})
"""What the device's scan of a graph refuses, though a converter may well write it."""

_OTHER_OUTPUT = {"predict": 0, "transform": 0, "score_samples": 1, "decision_function": 1}


def is_registered_by_user(estimator: Any) -> bool:
    """Whether somebody else than skl2onnx itself registered a converter for this class."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import _converter_pool

    kind = type(estimator)
    registered = _converter_pool.get(sklearn_operator_name_map.get(kind, ""))
    if registered is None:
        return False
    # The pool wraps every function; a class that is not scikit-learn's came from somebody else.
    function = getattr(registered, "_fct", registered)
    ours = str(getattr(function, "__module__", "")).startswith("skl2onnx.")
    return not (ours and kind.__module__.startswith("sklearn."))


def guest(context: Context, estimator: Any, method: str, X: Tensor | Frame) -> Tensor:
    """The answer of *method* through skl2onnx.

    Columns that are all numbers or all strings become one input, as in skl2onnx's own examples; of
    mixed ones, each becomes an input of shape (n_samples, 1).

    Raises
    ------
    UnsupportedEstimatorError
        skl2onnx has no converter for the class, refuses it in float64, or lacks the method.
    """
    from skl2onnx._supported_operators import sklearn_operator_name_map

    kind = type(estimator)
    if kind not in sklearn_operator_name_map:
        raise context.refuse(_no_converter(kind, method))
    inputs = _inputs(estimator, X)
    try:
        model = _foreign_model(estimator, method, inputs)
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
    answer = _splice(model, [tensor for _, tensor in inputs], position)
    if not answer.shape:
        answer = replace(answer, shape=_usual_shape(context, estimator, method))
    if method == "predict" and answer.ndim == 2 and answer.shape[1] == 1:
        return squeeze(answer, 1)  # skl2onnx answers with a column where scikit-learn has a vector
    return answer


def _usual_shape(context: Context, estimator: Any, method: str) -> Shape:
    """What scikit-learn answers with, where the converter's shape function does not say."""
    if method == "predict":
        return (None,)
    if method == "predict_proba":
        return (None, len(estimator.classes_))
    raise context.refuse(
        f"the shape function that was registered for {type(estimator).__name__} does not set the "
        "shape of its output; set operator.outputs[0].type"
    )


def _no_converter(kind: type, method: str) -> str:
    from edge_pipeline.conversion.registry import overridden

    remedy = (
        "register one with skl2onnx.update_registered_converter, or train one that "
        "docs/estimators.md lists"
    )
    changed = overridden(kind, method)
    why = f": {changed}" if changed else ""
    return f"no converter for {kind.__module__}.{kind.__qualname__}.{method}{why}; {remedy}"


def _inputs(estimator: Any, X: Tensor | Frame) -> list[tuple[str, Tensor]]:
    """Names and tensors to hand to skl2onnx."""
    if isinstance(X, Tensor):
        return [("X", X)]
    runs = X.runs()
    if len({run.is_string for run in runs}) == 1:
        return [("X", X.matrix())]
    names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(X.width)])
    return [(str(name), X.column(i)) for i, name in enumerate(names)]


def _foreign_model(
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
        warnings.simplefilter("ignore")  # its own use of deprecated names is not the user's concern
        model: onnx.ModelProto = to_onnx(
            estimator,
            initial_types=types,
            options={id(estimator): options} if options else None,
            target_opset={
                domain: version for domain, version in OPSETS.items() if domain != "com.microsoft"
            },
            name="guest",
        )
    return model


def _splice(model: onnx.ModelProto, inputs: Sequence[Tensor], position: int) -> Tensor:
    graph = graph_of(*inputs)
    prefix = graph.fresh("guest")
    given = zip(model.graph.input, inputs, strict=True)
    names = {"": "", **{declared.name: tensor.name for declared, tensor in given}}
    constants = {}
    for initializer in model.graph.initializer:
        names[initializer.name] = f"{prefix}_{len(names)}"
        array = numpy_helper.to_array(initializer)
        constants[names[initializer.name]] = (
            array.astype(object) if array.dtype.kind in "SU" else array
        )
    nodes = []
    for node in model.graph.node:
        made = copy.deepcopy(node)
        made.name = ""
        for i, name in enumerate(node.input):
            made.input[i] = names[name]
        for i, name in enumerate(node.output):
            made.output[i] = names.setdefault(name, f"{prefix}_{len(names)}")
        nodes.append(made)
    graph.splice(nodes, constants)
    output = model.graph.output[position]
    dtypes: dict[int, Any] = {code: dtype for dtype, code in ONNX_TYPES.items()}
    kind = output.type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    return Tensor(graph, names[output.name], np.dtype(dtypes[kind.elem_type]), tuple(shape))
