"""Hold what the rules check of a graph: its tensors, its nodes, and the names that it defines."""

from __future__ import annotations

from edge_runtime.records import record

__all__ = ["Node", "Scope", "Tensor"]


@record(frozen=True, slots=True)
class Tensor:
    """A stored tensor: its ONNX element type, size and shape, and the place of its bytes.

    ``start`` and ``end`` enclose ``raw_data``, and are equal when there is none.
    """

    name: bytes
    kind: int
    elements: int
    shape: tuple[int, ...]
    start: int
    end: int


class Node:
    """One node: its operator, its names, and the attributes that the rules check.

    Attributes
    ----------
    place
        Start and end of its bytes.
    attributes
        Names of all attributes.
    integers, texts, ints
        Attributes that are one integer, one text, or a short list of integers.
    runs
        Attributes that are a long list of integers, as places of its bytes, tags included.
    tensors, subgraphs
        Attributes that are a tensor or a graph.
    modes
        The strings ``nodes_modes`` of a tree ensemble.
    """

    # No dataclass: making two dataclasses would add 0.5 ms to every start.
    __slots__ = (
        "attributes",
        "domain",
        "inputs",
        "integers",
        "ints",
        "modes",
        "op",
        "outputs",
        "place",
        "runs",
        "subgraphs",
        "tensors",
        "texts",
    )

    def __init__(self, place: tuple[int, int]) -> None:
        self.place = place
        self.op = self.domain = b""
        self.inputs: list[bytes] = []
        self.outputs: list[bytes] = []
        self.attributes: set[bytes] = set()
        self.subgraphs: list[tuple[bytes, Scope]] = []
        self.integers: dict[bytes, int] = {}
        self.texts: dict[bytes, bytes] = {}
        self.ints: dict[bytes, list[int]] = {}
        self.runs: dict[bytes, tuple[int, int]] = {}
        self.tensors: dict[bytes, Tensor] = {}
        self.modes: list[bytes] = []


class Scope:
    """A graph, the main one or a subgraph, with the names that it defines.

    ``producers`` maps the name of a value to the node that computes it.
    """

    __slots__ = ("inputs", "nodes", "outputs", "parent", "producers", "tensors")

    def __init__(self, parent: Scope | None) -> None:
        self.parent = parent
        self.inputs: list[bytes] = []
        self.outputs: list[bytes] = []
        self.tensors: dict[bytes, Tensor] = {}
        self.nodes: list[Node] = []
        self.producers: dict[bytes, Node] = {}
