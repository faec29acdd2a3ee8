"""A graph that cuts texts takes the memory of a slice, not that of rows times longest text."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from device import hostile
from device.hostile import described, node, number, with_opsets
from device.models import OutputEvidence, Parity
from device.tiny_onnx import integer, message, tensor
from edge_runtime.bundle.layout import pack
from edge_runtime.bundle.manifest import GoldenRows, Output, Requirements
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.engine.text_slices import MAX_CELLS_AT_ONCE, MAX_TEXT_CHARACTERS, TextSlicer

import edge_runtime
from edge_runtime import InputError

SCHEMA = Schema("table", (Column("a", "string"), Column("b", "string")))
OPSETS = (("", 21), ("com.microsoft", 1))


def text(name: str, value: str) -> bytes:
    return message(1, name) + message(4, value) + integer(20, 3)


def lengths_model() -> bytes:
    """A model that gives the number of characters of both texts."""
    tokenizer = node(
        "Tokenizer",
        ["strings"],
        ["characters"],
        hostile.strings("separators", [""]),
        text("pad_value", "\ufdd1"),
        number("mark", 0),
        number("mincharnum", 1),
        domain="com.microsoft",
    )
    nodes = [
        tokenizer,
        node("Equal", ["characters", "pad"], ["is_pad"]),
        node("Not", ["is_pad"], ["is_character"]),
        node("Cast", ["is_character"], ["ones"], number("to", 11)),
        node("ReduceSum", ["ones", "axis"], ["predict"], number("keepdims", 0)),
    ]
    body = hostile.graph(
        nodes,
        inputs=[("strings", "string", [None, 2])],
        outputs=[("predict", "float64", [None, 2])],
        initializers=[tensor("pad", np.array("\ufdd1")), tensor("axis", np.array([2]))],
    )
    manifest = replace(
        described(),
        schema=SCHEMA,
        outputs=(Output("predict", "predict", "float64"),),
        parity=Parity(1e-9, {"predict": OutputEvidence(9, 0, 0.0)}),
        golden=GoldenRows((("abc", "de"),), {"predict": [[3.0, 2.0]]}),
        requires=Requirements(dict(OPSETS), "1.28"),
    )
    return pack(with_opsets(body, OPSETS), manifest)


@pytest.fixture(params=["auto", "numpy"])
def model(request: pytest.FixtureRequest) -> edge_runtime.Model:
    return edge_runtime.load(lengths_model(), engine=request.param)


def test_long_and_short_texts_are_answered_in_order(model: edge_runtime.Model) -> None:
    sizes = [1, 2, 100_000, 3, 200_000, 4, 5, 65_537, 6]
    rows = [["x" * size, "é" * (size % 7 + 1)] for size in sizes]
    expected = [[float(size), float(size % 7 + 1)] for size in sizes]
    assert np.asarray(model.predict(rows)).tolist() == expected
    assert [list(model.predict_one(row)) for row in rows] == expected


def test_a_text_that_is_too_long_is_named(model: edge_runtime.Model) -> None:
    too_long = ["a", "x" * (MAX_TEXT_CHARACTERS + 1)]
    words = "column 'b': expected a text of at most 1000000 characters, found 1000001"
    with pytest.raises(InputError, match=f"row 1, {words}"):
        model.predict([["a", "b"], too_long])
    for _ in range(3):  # by a new runner, and by one from the pool
        with pytest.raises(InputError, match=words):
            model.predict_one(too_long)
        assert list(model.predict_one(["a", "bc"])) == [1.0, 2.0]


@pytest.mark.parametrize(
    "lengths",
    [
        [0],
        [5, 7],
        [1] * 10_000,
        [64] * 9_000,
        [1, 500_000] * 50,
        [MAX_TEXT_CHARACTERS] * 3,
        [1] * 5_000 + [100_000] + [1] * 5_000,
        list(range(0, 3_000, 7)),
    ],
)
def test_slices_cover_every_row_once_and_are_bounded(lengths: Sequence[int]) -> None:
    block = np.array([["x" * length, ""] for length in lengths], dtype=object)
    slices = list(TextSlicer(SCHEMA).slices(block, 4096))
    assert [i for start, end in slices for i in range(start, end)] == list(range(len(lengths)))
    for start, end in slices:
        n_cells = (end - start) * max(lengths[start:end])
        assert end - start == 1 or (end - start <= 4096 and n_cells <= MAX_CELLS_AT_ONCE)


SCRIPT = """
import re, sys
import edge_runtime
model = edge_runtime.load(sys.argv[1], engine=sys.argv[2])
rows = [["ab", "c"]] * 400
rows[77] = ["a" * 200_000, "b"]
answers = model.predict(rows)
assert answers[77].tolist() == [200_000.0, 1.0] and answers[399].tolist() == [2.0, 1.0]
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.native("an emulated process's memory is mostly QEMU's")
@pytest.mark.parametrize("engine", ["auto", "numpy"])
def test_one_long_text_does_not_widen_every_row(
    engine: str, in_new_process: Callable[..., str], tmp_path: Path
) -> None:
    """Rows x longest text would take 5 GB here."""
    path = tmp_path / "lengths.onnx"
    path.write_bytes(lengths_model())
    assert int(in_new_process(SCRIPT, path, engine)) < 300_000
