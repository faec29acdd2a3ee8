"""Test random bytes: no crash, no hang, no exception outside the error tree.

The examples are derived from the tests' names, so that a run can be repeated.  ``tools/fuzz.py``
searches longer; its findings are in tests/data/fuzz.
"""

import contextlib
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from device import models
from device.hostile import TREE_OPSETS, body, described, loop, model, node, trees
from device.sealing import sealed
from device.tiny_onnx import integer, message, tensor
from edge_runtime.bundle.json_reader import read_json
from edge_runtime.bundle.layout import unpack
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.cli.main import main
from edge_runtime.graph_safety.onnx_reader import read_graph
from edge_runtime.graph_safety.protobuf_wire import (
    Budget,
    WireError,
    count_varints,
    fields,
    read_run,
)
from edge_runtime.graph_safety.rules import scan
from edge_runtime.trust.public_key import PublicKey
from fuzz_targets import TARGETS

import edge_runtime
from edge_runtime import BundleError, EdgeRuntimeError, IntegrityError, UnsafeGraphError

pytest.importorskip("hypothesis", reason="hypothesis is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

FEW = settings(max_examples=100, deadline=None, derandomize=True, database=None)
MANY = settings(max_examples=600, deadline=None, derandomize=True, database=None)

CORPUS = Path(__file__).parents[1] / "data" / "fuzz"
TOOLS = Path(__file__).parents[2] / "tools"

HEALTHY = {
    "classifier": models.classifier(),
    "mixed": models.mixed(),
    "text": models.text(),
    "two targets": models.two_targets(),
}
GRAPHS = [
    HEALTHY["classifier"].graph,
    model([loop("n", body(loop("n", body(state="2"), to="y")))], initializers=[tensor("n", 3)]),
    model([trees([1, 2, 0], [0, 0, 1])], opsets=TREE_OPSETS),
    model([trees([*range(1, 400), 0], [0] * 399 + [1])], opsets=TREE_OPSETS),
]


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of *originals* with a few bytes changed, cut out, doubled or put in."""
    raw = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        match draw(st.sampled_from(["flip", "set", "cut", "double", "insert"])):
            case "flip" if raw:
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if raw:
                raw[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
            case "cut":
                del raw[at : at + draw(st.integers(1, 40))]
            case "double":
                raw[at:at] = raw[at : at + draw(st.integers(1, 40))]
            case _:
                raw[at:at] = draw(st.binary(max_size=12))
    return bytes(raw)


@MANY
@given(st.binary(max_size=200), st.integers(0, 60))
def test_the_wire_is_read_or_refused_and_never_beyond_its_end(raw: bytes, fits: int) -> None:
    budget = Budget(50)
    end = max(0, len(raw) - fits)
    with contextlib.suppress(WireError):
        last = 0
        for tag, start, stop in fields(raw, 0, end, budget, frozenset({0x40, 0x3D})):
            assert last < stop <= end
            assert tag & 7 == 0 or 0 <= start <= stop
            last = stop
        assert last == end
    with contextlib.suppress(WireError):
        assert 0 <= count_varints(raw, 0, end) <= end


BITS = st.sampled_from([7, 14, 21, 28, 35, 63])
ALIKE = BITS.flatmap(lambda n: st.lists(st.integers(2 ** (n - 7), 2**n - 1), max_size=900))
SHORT = st.binary(max_size=30)
MIXED = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=900)


@FEW
@given(st.tuples(ALIKE | MIXED, ALIKE | MIXED).map(lambda p: p[0] + p[1]).filter(bool), SHORT)
def test_long_lists_are_read_as_the_short_ones_are(values: list[int], more: bytes) -> None:
    run = b"".join(integer(8, value) for value in values)
    raw = run + message(1, more)
    long_fields = list(fields(raw, 0, len(raw), Budget(2000), frozenset({0x40})))
    short_fields = list(fields(raw, 0, len(raw), Budget(2000)))
    assert [v for t, v, _ in short_fields if t == 0x40] == [v % 2**64 for v in values]
    if len(raw) > 512:
        assert long_fields[0] == (-0x40, 0, len(run))
        assert read_run(raw, 0, len(run)).tolist() == values
        assert long_fields[-1] == short_fields[-1]
    else:
        assert long_fields == short_fields


@MANY
@given(st.one_of(st.binary(max_size=300), mutated(GRAPHS)))
def test_a_graph_is_read_or_refused(raw: bytes) -> None:
    for manifest in (described(), described(TREE_OPSETS)):
        with contextlib.suppress(BundleError):
            scan(raw, manifest)
    with contextlib.suppress(UnsafeGraphError):
        read_graph(raw)


@MANY
@given(st.one_of(st.binary(max_size=700), mutated([p.sealed() for p in HEALTHY.values()])))
def test_a_file_is_the_one_that_was_sealed_or_refused(raw: bytes) -> None:
    with contextlib.suppress(BundleError):
        unpack(raw)
        assert raw in [p.sealed() for p in HEALTHY.values()]


@MANY
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
        mutated([p.manifest.to_bytes() for p in HEALTHY.values()]),
    )
)
def test_manifest_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(IntegrityError):
        again = Manifest.from_bytes(raw)
        assert Manifest.from_bytes(again.to_bytes()) == again


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**22), 10**22)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["nan", "inf", "predict", "float64", "string", "dict", "list", "\ufdd0", ""]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def other_manifests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A graph, and its manifest with some values replaced: JSON of the right form, mostly."""
    parts = HEALTHY[draw(st.sampled_from(sorted(HEALTHY)))]
    value: Any = json.loads(parts.manifest.to_bytes())
    for _ in range(draw(st.integers(1, 3))):
        place = value
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 5)):
                place = inner
                continue
            match draw(st.integers(0, 3)):
                case 0 if isinstance(place, list):
                    place.append(inner)
                case 1:
                    del place[key]
                case _:
                    place[key] = draw(JSON_VALUES)
            break
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return parts.graph, text.encode("utf-8", "surrogatepass")


@settings(FEW, max_examples=300)
@given(other_manifests())
def test_a_resealed_file_loads_or_is_refused(parts: tuple[bytes, bytes]) -> None:
    with contextlib.suppress(EdgeRuntimeError), edge_runtime.load(sealed(*parts)) as loaded:
        assert repr(loaded)


@settings(FEW, max_examples=60)
@given(other_manifests())
def test_commands_never_print_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, parts: tuple[bytes, bytes]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "fuzzed.onnx"
    path.write_bytes(sealed(*parts))
    for command in (("info",), ("info", "--json"), ("check",)):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert main([command[0], str(path), *command[1:]]) in (0, 1)


@FEW
@given(st.binary(max_size=200), st.booleans())
def test_any_key_file_is_read_or_refused(raw: bytes, framed: bool) -> None:
    if framed:
        raw = b"-----BEGIN PUBLIC KEY-----\n" + raw + b"\n-----END PUBLIC KEY-----\n"
    with contextlib.suppress(EdgeRuntimeError):
        key = PublicKey.from_pem(raw)
        assert PublicKey.from_pem(key.to_pem()) == key


@FEW
@given(JSON_VALUES)
def test_canonical_json_is_read_back(value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        return
    with contextlib.suppress(IntegrityError):  # numbers of more than 20 digits
        assert read_json(raw, name="this") == value


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_of_the_fuzzer_raises_our_errors_only(name: str) -> None:
    """The files that reach furthest, and those once found to behave badly: tests/data/fuzz."""
    target = TARGETS[name]()
    paths = sorted((CORPUS / name).glob("*.bin"))
    outcomes = {target.outcome(raw) for raw in target.seeds}
    outcomes |= {target.outcome(path.read_bytes()) for path in paths}
    # A corpus that stops at the first check would hold nothing.
    assert len(outcomes) > 8, outcomes


def test_every_target_has_a_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize(
    ("reading", "ends"),
    [
        ("raise KeyError(raw)", 1),
        ("while True: pass", -signal.SIGALRM),
        ("os.abort()", -signal.SIGABRT),
        ("bytearray(1 << 31)", 1),
        ("return 'fine'", 0),
    ],
)
def test_the_fuzzer_notices(tmp_path: Path, reading: str, ends: int) -> None:
    """An error, a hang, a crash and too much memory end the worker, which names the input."""
    (tmp_path / "fuzz_targets.py").write_text(f"""import os
class Target:
    seeds = [b"first"]
    def outcome(self, raw):
        {reading}
TARGETS = {{"tiny": Target}}
""")
    (tmp_path / "corpus" / "tiny").mkdir(parents=True)
    current = tmp_path / "current-tiny"
    current.write_bytes(bytes(1 << 17))
    program = f"""import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(TOOLS)!r}]
import fuzz_targets, fuzz_worker
fuzz_worker.MAX_SECONDS = 0.2
fuzz_worker.main(["search", "tiny", {str(tmp_path)!r}, "mutator", "0.3", "1"])"""
    child = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert child.returncode == ends, child.stderr
    length = int.from_bytes(current.read_bytes()[8:16], "little")
    if ends:
        assert current.read_bytes()[16 : 16 + length] == b"first"


def test_no_file_of_the_corpus_is_loaded_or_ends_the_process() -> None:
    for path in sorted(CORPUS.glob("*/*.bin")):
        with contextlib.suppress(BundleError), edge_runtime.load(path.read_bytes()) as loaded:
            assert path.parent.name == "file"
            assert repr(loaded)


def test_a_node_can_be_fuzzed_at_all() -> None:
    # The healthy originals pass, or every mutation of them would be refused for one reason.
    for graph in GRAPHS[1:2]:
        scan(graph, described())
    for graph in GRAPHS[2:]:
        scan(graph, described(TREE_OPSETS))
    assert node("Identity", ["a"], ["b"])
