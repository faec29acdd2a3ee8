"""Write the graph and schema of a sealed file as JSON that operators.js runs in a browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from edge_runtime.bundle.layout import Bundle
from edge_runtime.bundle.manifest import Manifest, cell_to_json
from edge_runtime.bundle.schema import Schema
from edge_runtime.inputs.cells import EXACT_INTEGERS
from edge_runtime.loading import load
from edge_runtime.schema_rows import typical_rows

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.report.page_script import json_in_script
from edge_pipeline.evaluation.report.text_blocks import text_blocks

__all__ = ["COVERED", "NOT_COVERED", "browser_model"]

MAX_CHARACTERS = 700_000
"""Longest graph in the page, as JSON: the whole page has at most 1.5 MB."""

MAX_FIELDS = 100
"""Most fields in a form."""

NOT_COVERED = frozenset(
    """
    BitwiseNot Einsum Loop Mod RegexFullMatch StringConcat StringSplit Tokenizer TopK
    """.split()  # noqa: SIM905 - one name a line would hide that they belong together
)
"""Operators that converters write and operators.js lacks: loops, text, sorting, sums of products.

Linear models, trees and the usual preprocessing need none of them.
"""

_ATTRIBUTES = {
    "ArgMax": "axis keepdims",
    "ArgMin": "axis keepdims",
    "Cast": "to",
    "Concat": "axis",
    "Gather": "axis",
    "GatherElements": "axis",
    "LabelEncoder": "default_tensor keys_tensor values_tensor",
    **dict.fromkeys(
        ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"), "keepdims"
    ),
    "ScatterElements": "axis reduction",
    "Shape": "start end",
    "Softmax": "axis",
    "Split": "axis",
    "Transpose": "perm",
    "TreeEnsemble": (
        "aggregate_function leaf_targetids leaf_weights membership_values n_targets "
        "nodes_falseleafs nodes_falsenodeids nodes_featureids nodes_missing_value_tracks_true "
        "nodes_modes nodes_splits nodes_trueleafs nodes_truenodeids post_transform tree_roots"
    ),
}

_COVERED_NAMES = """
    Abs Add And ArgMax ArgMin Asin BitwiseAnd BitwiseOr BitwiseXor Cast Ceil Concat Cos CumSum Div
    Equal Exp Expand Floor Gather GatherElements Gemm Greater GreaterOrEqual Identity IsInf IsNaN
    LabelEncoder Less LessOrEqual Log MatMul Max Min Mul Neg Not Or Pow ReduceMax ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round ScatterElements Shape Sigmoid Sign Sin
    Slice Softmax Split Sqrt Squeeze Sub Sum Tanh Transpose TreeEnsemble Unsqueeze Where Xor
"""

COVERED = {name: frozenset(_ATTRIBUTES.get(name, "").split()) for name in _COVERED_NAMES.split()}
"""Operators of operators.js, each with the attributes that it reads."""

EXACT_IN_FLOAT32 = frozenset(
    """
    Abs Add And Cast Concat Div Equal Expand Gather GatherElements Greater GreaterOrEqual Identity
    IsInf IsNaN LabelEncoder Less LessOrEqual Max Min Mul Neg Relu Reshape Shape Sign Slice Split
    Sqrt Squeeze Sub Transpose Unsqueeze Where
    """.split()  # noqa: SIM905
)
"""Operators whose float32 result is the float64 result, rounded (Figueroa, 1995)."""

_TYPES: dict[int, str] = {
    onnx.TensorProto.DOUBLE: "float64",
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.BOOL: "bool",
    onnx.TensorProto.STRING: "string",
}
_SUM_OR_AVERAGE = (0, 1)


def browser_model(bundle: Bundle, path: Path, *, show_rows: bool) -> str:
    """Write everything that the form needs as JSON, safe inside of a script element.

    Parameters
    ----------
    bundle, path
        The content of the sealed file, and its path.
    show_rows
        Whether golden rows, which are rows of the sample, may be in the page.  Otherwise the
        form is checked with rows made from the schema.

    Raises
    ------
    MeasurementError
        The form does not cover the model; the message is the reason.
    """
    manifest = bundle.manifest
    _check_schema(manifest.schema)
    graph = _graph(onnx.load_model_from_string(bytes(bundle.graph)))
    content = {
        "graph": graph,
        "columns": [{"limits": None, **column.to_json()} for column in manifest.schema.columns],
        "outputs": [
            {"name": o.name, "method": o.method, "dtype": o.dtype, "item": o.item}
            for o in manifest.outputs
        ],
        "derived": text_blocks(manifest.schema),
        "classes": list(manifest.classes.get("predict", ())),
        "tolerance": manifest.parity.tolerance,
        "proof": _golden_rows(manifest) if show_rows else _schema_rows(manifest, path),
        "task": manifest.task,
    }
    text = json_in_script(content)
    if len(text) > MAX_CHARACTERS:
        raise MeasurementError(f"the model takes {len(text):,} characters, too many for a page")
    return text


def _check_schema(schema: Schema) -> None:
    if schema.kind == "tensor":
        raise MeasurementError("the model reads an array, for which a form has no field")
    if schema.kind in ("dicts", "lists"):
        raise MeasurementError("the model counts entries, which the page's script does not")
    if any(column.type == "datetime" for column in schema.columns):
        raise MeasurementError("the model reads dates, which the page's script does not")
    if len(schema.columns) > MAX_FIELDS:
        raise MeasurementError(f"{len(schema.columns)} columns are too many for a form")


def _golden_rows(manifest: Manifest) -> dict[str, Any]:
    golden = manifest.golden
    return {
        "rows": [list(row) for row in golden.rows],
        "answers": dict(golden.answers),
        "origin": "golden rows",
    }


def _schema_rows(manifest: Manifest, path: Path) -> dict[str, Any]:
    """Predict rows made from the schema with edge_runtime."""
    rows = typical_rows(manifest.schema)
    by_name = {name: [row[i] for row in rows] for i, name in enumerate(manifest.schema.names)}
    answers = {}
    with load(path) as model:
        for output in manifest.outputs:
            result = getattr(model, output.method)(by_name)
            values = np.asarray(result if output.item is None else result[output.item])
            answers[output.name] = _to_json(values.tolist())
    cells = [[cell_to_json(cell) for cell in row] for row in rows]
    return {"rows": cells, "answers": answers, "origin": "rows made from the schema"}


def _to_json(values: Any) -> Any:
    return [_to_json(v) for v in values] if isinstance(values, list) else cell_to_json(values)


def _graph(model: onnx.ModelProto) -> dict[str, Any]:
    """Convert the graph, or refuse it with the operator that the page does not cover."""
    types = _value_types(model)
    graph = model.graph
    for node in graph.node:
        _check_operator(node, types)
    return {
        "nodes": [
            {
                "operator": node.op_type,
                "inputs": list(node.input),
                "outputs": list(node.output),
                "attributes": {a.name: _attribute(a) for a in node.attribute},
            }
            for node in graph.node
        ],
        "constants": {tensor.name: _tensor(tensor) for tensor in graph.initializer},
        "outputs": [value.name for value in graph.output],
    }


def _check_operator(node: onnx.NodeProto, types: Mapping[str, int]) -> None:
    name = node.op_type
    if name not in COVERED:
        raise MeasurementError(f"the model needs the operator {name}, which the page lacks")
    node_types = {types.get(value) for value in (*node.input, *node.output) if value}
    attributes = {a.name: a for a in node.attribute}
    if not attributes.keys() <= COVERED[name]:
        unknown = min(attributes.keys() - COVERED[name])
        raise MeasurementError(f"the page lacks the attribute {unknown} of {name}")
    if None in node_types:
        raise MeasurementError(f"the type of a value of {name} is unknown")
    is_exact = name in EXACT_IN_FLOAT32 or (name == "TreeEnsemble" and _adds_integers(attributes))
    if onnx.TensorProto.FLOAT in node_types and not is_exact:
        raise MeasurementError(f"the model computes {name} in float32, the page in float64")
    if name == "Cast" and onnx.TensorProto.STRING in node_types:
        raise MeasurementError(
            "the model converts between numbers and text, which the page does not"
        )
    if name == "TreeEnsemble" and (
        attributes["aggregate_function"].i not in _SUM_OR_AVERAGE
        or ("post_transform" in attributes and attributes["post_transform"].i)
    ):
        raise MeasurementError("the trees are joined in a way that the page lacks")


def _adds_integers(attributes: Mapping[str, onnx.AttributeProto]) -> bool:
    """Whether the sums of the trees are exact in float32, in any order."""
    leaves = onnx.numpy_helper.to_array(attributes["leaf_weights"].t)
    largest = float(np.abs(leaves).max(initial=0.0)) * len(attributes["tree_roots"].ints)
    is_sum = attributes["aggregate_function"].i == 1
    return is_sum and largest <= 2**24 and bool((leaves == np.trunc(leaves)).all())


def _value_types(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    return {
        **{value.name: value.type.tensor_type.elem_type for value in values},
        **{tensor.name: tensor.data_type for tensor in inferred.initializer},
    }


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "to":
        return _TYPES[value]
    if isinstance(value, onnx.TensorProto):
        return _tensor(value)
    if isinstance(value, bytes):
        return value.decode()
    return list(value) if attribute.type == onnx.AttributeProto.INTS else value


def _tensor(tensor: onnx.TensorProto) -> dict[str, Any]:
    """Write whole numbers and strings as a list, other numbers in the shorter of two ways."""
    head = {"type": _TYPES[tensor.data_type], "shape": list(tensor.dims)}
    values = onnx.numpy_helper.to_array(tensor).ravel()
    if tensor.data_type == onnx.TensorProto.STRING:
        return {**head, "list": [v.decode() if isinstance(v, bytes) else str(v) for v in values]}
    if values.dtype.kind != "f":
        if np.abs(values.astype(np.float64)).max(initial=0.0) > EXACT_INTEGERS:
            raise MeasurementError("the model has an integer that JavaScript's numbers cannot hold")
        return {**head, "list": values.astype(np.int64).tolist()}
    numbers = values.astype("<f8")
    if np.isfinite(numbers).all():
        listing = numbers.tolist()
        if len(json.dumps(listing)) <= 11 * len(listing):
            return {**head, "list": listing}
    return {**head, "text": base64.b64encode(numbers.tobytes()).decode()}
