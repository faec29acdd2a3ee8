"""Draw the graph of a sealed file as text or as SVG, without running the model."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import prod
from pathlib import Path
from statistics import mean

import onnx
from edge_runtime.bundle.layout import unpack

from edge_pipeline.short_repr import short_repr

__all__ = ["GraphDrawing", "draw_graph"]

BOX_WIDTH, BOX_HEIGHT = 168, 46
GAP_X, GAP_Y = 22, 44
LINE_WIDTH = 12
MARGIN = 16
SWEEPS = 4
"""Passes that move each node near its neighbours (see :class:`_Layout`)."""

MAX_LETTERS = 24
"""Most letters in one line of a box."""


@dataclass(frozen=True)
class _Box:
    """A node, input or output of the graph; ``feeds`` are the positions of its input boxes."""

    title: str
    detail: str
    feeds: tuple[int, ...]
    kind: str


@short_repr
@dataclass(frozen=True)
class GraphDrawing:
    """The nodes of a graph as boxes, in the order of execution."""

    name: str
    boxes: tuple[_Box, ...]

    def to_text(self) -> str:
        """Write a line for each node: number, operator, constants and the numbers of its inputs."""
        width = max(len(box.title) for box in self.boxes)
        details = min(46, max(len(box.detail) for box in self.boxes))
        lines = [f"graph of {self.name}: {sum(b.kind == 'node' for b in self.boxes)} nodes"]
        for number, box in enumerate(self.boxes, 1):
            input_numbers = ", ".join(str(feed + 1) for feed in box.feeds)
            arrow = f"<- {input_numbers}" if input_numbers else ""
            lines.append(
                f"{number:>4}  {box.title:<{width}}  {box.detail:<{details}}  {arrow}".rstrip()
            )
        return "\n".join(_printable(line) for line in lines)

    def to_svg(self) -> str:
        """Draw the graph from top to bottom, in the light or dark theme of the reader's screen."""
        layout = _Layout(self.boxes)
        width, height = layout.width, layout.height
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img">',
            f"<title>{_text(f'Graph of {self.name}')}</title>",
            f"<style>{_CSS}</style>",
        ]
        parts += layout.paths()
        for i, box in enumerate(self.boxes):
            x, y = layout.places[i]
            middle = x + BOX_WIDTH / 2
            detail = (
                f'<text class="detail" x="{middle:.1f}" y="{y + 35:.1f}">'
                f"{_text(_short(box.detail))}</text>"
            )
            parts.append(
                f"<g><title>{_text(f'{box.title} {box.detail}')}</title>"
                f'<rect class="{box.kind}" x="{x:.1f}" y="{y:.1f}" width="{BOX_WIDTH}" '
                f'height="{BOX_HEIGHT}" rx="7"/>'
                f'<text x="{middle:.1f}" y="{y + (19 if box.detail else 27):.1f}">'
                f"{_text(_short(box.title))}</text>{detail if box.detail else ''}</g>"
            )
        return "\n".join([*parts, "</svg>", ""])

    def _repr_svg_(self) -> str:
        """Show the drawing in a notebook."""
        return self.to_svg()


def draw_graph(path: str | os.PathLike[str]) -> GraphDrawing:
    """Read the graph of a sealed file.

    Raises
    ------
    EdgeRuntimeError
        *path* is no sealed file.
    OSError
        The file cannot be read.
    """
    bundle = unpack(Path(path).read_bytes())
    graph = onnx.load_model_from_string(bytes(bundle.graph)).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    boxes: list[_Box] = []
    producer: dict[str, int] = {}
    for value in graph.input:
        producer[value.name] = len(boxes)
        boxes.append(_Box(value.name, _type(value), (), "input"))
    for node in graph.node:
        feeds = tuple(dict.fromkeys(producer[name] for name in node.input if name in producer))
        for name in node.output:
            producer[name] = len(boxes)
        boxes.append(_Box(node.op_type, _detail(node, constants), feeds, "node"))
    for value in graph.output:
        feeds = (producer[value.name],) if value.name in producer else ()
        boxes.append(_Box(value.name, _type(value), feeds, "output"))
    return GraphDrawing(bundle.manifest.name, tuple(boxes))


_CSS = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1a1d21; --line: #6b7280;
  --node: #eef3fb; --input: #e3f4ef; --output: #fbeede; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e9ebee; --line: #8d96a3;
  --node: #1f2a3d; --input: #17332d; --output: #3a2a18; } }
svg { background: var(--paper); }
text { font: 13px system-ui, sans-serif; fill: var(--ink); text-anchor: middle; }
.detail { font-size: 11px; }
rect { stroke: var(--line); }
.node { fill: var(--node); } .input { fill: var(--input); } .output { fill: var(--output); }
path { fill: none; stroke: var(--line); stroke-width: 1.3; }
"""


def _type(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    sizes = [d.dim_param or (str(d.dim_value) if d.dim_value else "?") for d in tensor.shape.dim]
    name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    return f"{name} [{', '.join(sizes)}]"


def _detail(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> str:
    """Summarize a node: shapes of its constants, number of trees, type of a cast."""
    parts = []
    for attribute in node.attribute:
        if attribute.name == "tree_roots":
            parts.append(f"{len(attribute.ints):,} trees")
        elif attribute.name == "nodes_featureids":
            parts.append(f"{len(attribute.ints):,} nodes")
        elif attribute.type == onnx.AttributeProto.GRAPH:
            parts.append(f"body of {len(attribute.g.node)} nodes")
        elif attribute.type == onnx.AttributeProto.INT and attribute.name in ("axis", "axes"):
            parts.append(f"{attribute.name} {attribute.i}")
        elif attribute.name == "to":
            parts.append(onnx.TensorProto.DataType.Name(attribute.i).lower())
    for name in node.input:
        if name in constants:
            tensor = constants[name]
            count = prod(tensor.dims)
            shape = "x".join(map(str, tensor.dims)) or "1"
            parts.append(f"constant {shape}" if count > 1 else f"constant {_value(tensor)}")
    return ", ".join(parts)


def _value(tensor: onnx.TensorProto) -> str:
    if tensor.data_type == onnx.TensorProto.STRING:
        return tensor.string_data[0].decode("utf-8", "replace")[:12] if tensor.string_data else ""
    return f"{onnx.numpy_helper.to_array(tensor).ravel().tolist()[0]:.6g}"


class _Layout:
    """Place the boxes in rows by their distance from the inputs, with few crossing lines.

    The layered drawing of Sugiyama, Tagawa and Toda (1981).  A line that spans several rows gets a
    narrow placeholder in each row between, so that no box hides it.
    """

    def __init__(self, boxes: Sequence[_Box]) -> None:
        depth = [0] * len(boxes)
        for i, box in enumerate(boxes):
            depth[i] = max((depth[feed] + 1 for feed in box.feeds), default=0)
        deepest = max(depth)
        depth = [deepest if b.kind == "output" else d for b, d in zip(boxes, depth, strict=True)]
        self.count = len(boxes)
        self.lines: list[list[int]] = []
        for i, box in enumerate(boxes):
            for feed in box.feeds:
                rows_between = range(depth[feed] + 1, depth[i])
                placeholders = list(range(len(depth), len(depth) + len(rows_between)))
                depth += rows_between
                self.lines.append([feed, *placeholders, i])
        rows: dict[int, list[int]] = defaultdict(list)
        for item, level in enumerate(depth):
            rows[level].append(item)
        self._sort_rows(rows)
        self._set_places(rows, deepest)

    def width_of(self, item: int) -> int:
        """Return the width of a box, or of the placeholder of a line."""
        return BOX_WIDTH if item < self.count else LINE_WIDTH

    def _sort_rows(self, rows: dict[int, list[int]]) -> None:
        """Sort each row by the mean place of its neighbours, downwards and upwards in turn."""
        above: dict[int, list[int]] = defaultdict(list)
        below: dict[int, list[int]] = defaultdict(list)
        for line in self.lines:
            for upper, lower in pairwise(line):
                above[lower].append(upper)
                below[upper].append(lower)
        place = {item: float(i) for row in rows.values() for i, item in enumerate(row)}
        for sweep in range(SWEEPS):
            upwards = bool(sweep % 2)
            neighbours = below if upwards else above
            for level in sorted(rows, reverse=upwards):
                barycentre = {
                    item: mean([place[n] for n in neighbours[item]])
                    if neighbours[item]
                    else place[item]
                    for item in rows[level]
                }
                rows[level].sort(key=barycentre.__getitem__)
                for i, item in enumerate(rows[level]):
                    place[item] = i - (len(rows[level]) - 1) / 2

    def _set_places(self, rows: dict[int, list[int]], deepest: int) -> None:
        widths = {
            level: sum(map(self.width_of, row)) + GAP_X * (len(row) - 1)
            for level, row in rows.items()
        }
        self.width = 2 * MARGIN + max(widths.values())
        self.height = 2 * MARGIN + (deepest + 1) * (BOX_HEIGHT + GAP_Y) - GAP_Y
        self.places: dict[int, tuple[float, float]] = {}
        for level, row in rows.items():
            x = (self.width - widths[level]) / 2
            for item in row:
                self.places[item] = (x, float(MARGIN + level * (BOX_HEIGHT + GAP_Y)))
                x += self.width_of(item) + GAP_X

    def paths(self) -> Iterator[str]:
        """Draw each line as an SVG path from box to box, through its placeholders."""
        for line in self.lines:
            path, previous_x = "", None
            for item in line:
                x, y = self.places[item]
                x += self.width_of(item) / 2
                if previous_x is None:
                    path = f"M{x:.1f} {y + BOX_HEIGHT:.1f}"
                else:
                    bend = y - GAP_Y / 2
                    path += f" C{previous_x:.1f} {bend:.1f} {x:.1f} {bend:.1f} {x:.1f} {y:.1f}"
                    if item >= self.count:
                        path += f" V{y + BOX_HEIGHT:.1f}"
                previous_x = x
            yield f'<path d="{path}"/>'


def _short(text: str) -> str:
    return text if len(text) <= MAX_LETTERS else f"{text[: MAX_LETTERS - 1]}…"


def _printable(text: str) -> str:
    """Replace characters that control a terminal or are invalid in XML."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _text(text: str) -> str:
    return escape(_printable(text))
