"""An ONNX graph under construction, which symbolic arrays write.

A converter computes with a ``Tensor`` as it would with a numpy array; every operation writes a
node.  Two equal operations on the same tensors are one node (hash-consing), so a formula may be
written where it is needed without being computed twice.  Names count up: the same calls give the
same bytes.
"""

from __future__ import annotations

import array
import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import helper, numpy_helper

from edge_pipeline.conversion.graph.nan_analysis import may_hold_nan
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.graph.types import ONNX_TYPES, STRING, Shape
from edge_pipeline.conversion.passes.gemm_fusion import GraphInfo
from edge_pipeline.conversion.passes.simplify import name_outputs, simplify
from edge_pipeline.errors import ConversionError

__all__ = ["IR_VERSION", "OPSETS", "Graph", "names_used"]

OPSETS = {"": 21, "ai.onnx.ml": 5, "com.microsoft": 1}
"""Operator sets written: ai.onnx.ml 5 has TreeEnsemble in double, and onnxruntime 1.28, the oldest
supported, runs all of them."""

IR_VERSION = 10
"""The IR version that belongs to opset 21 (onnx.helper.VERSION_TABLE)."""


class Graph:
    """Nodes in the order of their creation, constants, inputs and named outputs.

    Parameters
    ----------
    parent
        The enclosing graph, when this one is the body of a Loop, a Scan or an If: the body may
        use the parent's tensors, and its constants are kept by the outermost graph.
    """

    def __init__(self, parent: Graph | None = None) -> None:
        self._parent = parent
        self._root: Graph = parent._root if parent else self
        self._nodes: list[onnx.NodeProto] = []
        self._nodes_by_key: dict[Any, tuple[Tensor, ...]] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[str, tuple[NDArray[Any], Tensor]] = {}
        self._shapes: dict[str, Shape] = {}
        self._producers: dict[str, onnx.NodeProto] = {}
        self._full: frozenset[str] = frozenset()
        self._count = 0

    def fresh(self, hint: str) -> str:
        """A name that no other tensor of the whole graph has."""
        self._root._count += 1
        return f"{hint}_{self._root._count}"

    def input(self, name: str, dtype: Any, shape: Shape, *, full: bool = False) -> Tensor:
        """Declare an input; *full* when no number in it is missing."""
        if full:
            self._full |= {name}
        self._inputs.append(_value_info(name, np.dtype(dtype), shape))
        self._root._shapes[name] = shape
        return Tensor(self, name, np.dtype(dtype), shape)

    def may_hold_nan(self, tensor: Tensor) -> bool:
        """Whether *tensor* may hold NaN for rows that the schema allows."""
        root = self._root
        values = {constant.name: array for array, constant in root._constants.values()}
        return may_hold_nan(tensor.name, root._producers, values.get, root._full)

    def row_count(self) -> Tensor:
        """The number of rows that the model is asked for, int64 without a dimension.

        It is read off an input of the outermost graph, whatever was computed since: a loop of so
        many steps is one that the device's scan can see to end.
        """
        root = self._root
        declared = root._inputs[0]
        element = declared.type.tensor_type.elem_type
        dtypes: dict[int, np.dtype[Any]] = {code: dtype for dtype, code in ONNX_TYPES.items()}
        source = Tensor(root, declared.name, dtypes[element], (None, None))
        size = root.node("Shape", source, start=0, end=1, dtype=np.int64, shape=(1,))
        flat = np.array([], dtype=np.int64)
        return root.node("Reshape", size, flat, dtype=np.int64, shape=())

    def shape_of(self, name: str) -> Shape | None:
        """The static shape of a tensor by name, where it is known."""
        return self._root._shapes.get(name)

    def output(self, name: str, tensor: Tensor) -> None:
        """Declare an output: *tensor* under a name of its own."""
        self._nodes.append(helper.make_node("Identity", [tensor.name], [name]))
        self._outputs.append(_value_info(name, tensor.dtype, tensor.shape))

    def constant(self, value: ArrayLike, dtype: Any = None) -> Tensor:
        """*value* as an initializer; equal values exist once."""
        values = np.asarray(value, dtype=dtype)
        if values.dtype.kind in "US":
            values = values.astype(object)
        elif values.dtype.kind in "iu" and values.dtype != np.uint8 and values.dtype != np.int32:
            values = values.astype(np.int64)
        if values.dtype not in ONNX_TYPES:
            raise TypeError(f"no ONNX type for a constant of dtype {values.dtype}")
        key = _digest(values)
        root = self._root
        if key not in root._constants:
            name = root.fresh("c")
            root._constants[key] = (values, Tensor(root, name, values.dtype, values.shape))
        return root._constants[key][1]

    def node(
        self, op: str, *inputs: Any, dtype: Any, shape: Shape, domain: str = "", **attributes: Any
    ) -> Tensor:
        """Write a node with one output (or return the equal one that exists)."""
        return self.nodes(op, inputs, [(dtype, shape)], domain=domain, **attributes)[0]

    def nodes(
        self,
        op: str,
        inputs: Sequence[Any],
        outputs: Sequence[tuple[Any, Shape]],
        *,
        domain: str = "",
        **attributes: Any,
    ) -> tuple[Tensor, ...]:
        """Write a node with any number of outputs.

        Inputs are tensors, None for an optional input left out, or constants.
        """
        names = ["" if i is None else self.tensor(i).name for i in inputs]
        present = {key: value for key, value in attributes.items() if value is not None}
        key = (op, domain, tuple(names), tuple(sorted((k, _fold(v)) for k, v in present.items())))
        if key not in self._nodes_by_key:
            results = tuple(
                Tensor(self, self.fresh(op.lower()), np.dtype(dtype), shape)
                for dtype, shape in outputs
            )
            self._root._shapes.update((r.name, r.shape) for r in results)
            proto = helper.make_node(op, names, [r.name for r in results], domain=domain)
            proto.attribute.extend(_attribute(name, present[name]) for name in sorted(present))
            self._nodes.append(proto)
            self._root._producers.update((r.name, proto) for r in results)
            self._nodes_by_key[key] = results
        return self._nodes_by_key[key]

    def tensor(self, value: Any, like: np.dtype[Any] | None = None) -> Tensor:
        """*value* itself when it is a tensor, otherwise a constant (of dtype *like* if given)."""
        return value if isinstance(value, Tensor) else self.constant(value, like)

    def body(self, build: Callable[[Graph], None]) -> onnx.GraphProto:
        """A subgraph for a Loop, Scan or If: *build* declares its inputs and outputs."""
        inner = Graph(self)
        build(inner)
        return inner._to_proto(self._root.fresh("body"))

    def to_model(
        self, producer_version: str, *, outputs: Mapping[str, Tensor] | None = None
    ) -> onnx.ModelProto:
        """The finished model: only what the outputs need.

        Parameters
        ----------
        outputs
            Instead of the declared ones: another model of the same graph.
        """
        view = self if outputs is None else self._with_outputs(outputs)
        proto = view._to_proto("edge_pipeline")
        versions = {key: OPSETS[key] for key in OPSETS if key == "" or key in _domains(proto)}
        if _OLD_TREES & _operators(proto):
            versions["ai.onnx.ml"] = _before_tree_ensemble(proto)
        return helper.make_model(
            proto,
            opset_imports=[helper.make_opsetid(domain, versions[domain]) for domain in versions],
            ir_version=IR_VERSION,
            producer_name="edge-pipeline",
            producer_version=producer_version,
        )

    def _with_outputs(self, outputs: Mapping[str, Tensor]) -> Graph:
        declared = {output.name for output in self._outputs}
        view = copy.copy(self)
        view._nodes = [node for node in self._nodes if node.output[0] not in declared]
        view._outputs = []
        for name, tensor in outputs.items():
            view.output(name, tensor)
        return view

    def splice(
        self, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, NDArray[Any]]
    ) -> None:
        """Append foreign nodes whose names are already unique, with the constants they use."""
        self._nodes.extend(nodes)
        for name, values in constants.items():
            tensor = Tensor(self._root, name, values.dtype, values.shape)
            self._root._constants[f"foreign:{name}"] = (values, tensor)

    def _to_proto(self, name: str) -> onnx.GraphProto:
        output_names = [output.name for output in self._outputs]
        nodes, _ = _reachable(self._nodes, output_names)
        values = {tensor.name: array for array, tensor in self._root._constants.values()}
        graph_info = GraphInfo(
            value=values.get,
            shape=self.shape_of,
            constant=lambda array: self.constant(array).name,
            fresh=self.fresh,
            names_used=names_used,
        )
        nodes, used_names = _reachable(simplify(nodes, output_names, graph_info), output_names)
        initializers = [
            numpy_helper.from_array(values, tensor.name)
            for values, tensor in self._constants.values()
            if tensor.name in used_names
        ]
        inputs = self._inputs
        if self._parent is None:
            nodes = name_outputs(nodes, output_names)
            # Whoever runs the graph must feed what it declares: not the text of counted words.
            inputs = [
                value_info for value_info in inputs if value_info.name in used_names
            ] or inputs
        return helper.make_graph(nodes, name, inputs, self._outputs, initializers)


def _digest(values: NDArray[Any]) -> str:
    head = f"{values.dtype.str}{values.shape}".encode()
    if values.dtype == STRING:
        body = "\0".join(f"{len(str(item))}:{item}" for item in values.ravel()).encode()
    else:
        body = np.ascontiguousarray(values).tobytes()
    return hashlib.sha256(head + body).hexdigest()


def _fold(value: Any) -> Any:
    """A hashable stand-in for an attribute value."""
    if isinstance(value, onnx.TensorProto | onnx.GraphProto):
        return hashlib.sha256(value.SerializeToString(deterministic=True)).hexdigest()
    if isinstance(value, np.ndarray):
        return _digest(value)
    if isinstance(value, array.array):
        return hashlib.sha256(value.tobytes()).hexdigest()
    if isinstance(value, list | tuple):
        return tuple(value)
    return value


def _attribute(name: str, value: Any) -> onnx.AttributeProto:
    """A numpy array becomes a tensor, an ``array.array`` a list of ints; the rest is onnx's own.

    onnx.helper.make_attribute looks at every item of a list, which a forest's 300,000 nodes feel.
    """
    if isinstance(value, np.ndarray):
        value = numpy_helper.from_array(value)
    elif isinstance(value, array.array):
        proto = onnx.AttributeProto(name=name, type=onnx.AttributeProto.INTS)
        proto.ints.extend(value)
        return proto
    return helper.make_attribute(name, value)


def _value_info(name: str, dtype: np.dtype[Any], shape: Shape) -> onnx.ValueInfoProto:
    sizes = ["n_samples" if size is None else size for size in shape]
    return helper.make_tensor_value_info(name, ONNX_TYPES[dtype], sizes)


def _reachable(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]
) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that *outputs* depend on, in order, and every name they use."""
    names = set(outputs)
    reached = []
    for node in reversed(nodes):
        if names.intersection(node.output):
            reached.append(node)
            names.update(names_used(node))
    return reached[::-1], names


def names_used(node: onnx.NodeProto) -> set[str]:
    """Every name that *node* reads, the nodes of its bodies included."""
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            names.update(output.name for output in attribute.g.output)
            for inner in attribute.g.node:
                names |= names_used(inner)
    return names


_OLD_TREES = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}
"""What converters of skl2onnx and onnxmltools write; ai.onnx.ml 5 has TreeEnsemble instead."""


def _before_tree_ensemble(proto: onnx.GraphProto) -> int:
    """The last version of ai.onnx.ml with the old tree operators; all else we write is in it.

    Raises
    ------
    ConversionError
        The graph has the new one too, and no version has both.
    """
    if "TreeEnsemble" in _operators(proto):
        raise ConversionError(
            "a converter registered with skl2onnx writes an old tree operator, which no graph can "
            "have beside the trees of this package; unregister it, or export that estimator alone"
        )
    return 4


def _operators(proto: onnx.GraphProto) -> set[str]:
    op_types = {node.op_type for node in proto.node}
    for node in proto.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                op_types |= _operators(attribute.g)
    return op_types


def _domains(proto: onnx.GraphProto) -> set[str]:
    domains = {node.domain for node in proto.node}
    for node in proto.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                domains |= _domains(attribute.g)
    return domains
