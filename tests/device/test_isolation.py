"""A file that crashes, hangs or bloats onnxruntime costs an error; the caller lives."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from device import models
from device.hostile import (
    IDENTITY_OUTPUT,
    ROWS,
    described,
    graph,
    node,
    number,
    subgraph,
)
from device.models import Parts
from device.tiny_onnx import integer, message, tensor
from edge_runtime.bundle.layout import pack
from edge_runtime.bundle.manifest import GoldenRows
from edge_runtime.graph_safety.rules import MAX_STEPS
from edge_runtime.isolation import try_in_child
from edge_runtime.model import Model
from edge_runtime.schema_rows import extreme_rows, typical_rows

import edge_runtime
from edge_runtime import EdgeRuntimeError, IntegrityError, IsolationError, IsolationLimits

NO_LIMITS = "QEMU does not pass RLIMIT_DATA on to the kernel, which would hit QEMU itself"


def test_a_healthy_file_passes_isolation_and_predicts(bundle_file: Path) -> None:
    with edge_runtime.load(bundle_file, isolate=True) as loaded:
        assert loaded.predict([[1.0, 2.0, 3.0]]).shape == (1,)  # type: ignore[union-attr]


@pytest.mark.parametrize("program", ["exit 3", "echo usage: no Python", "cat >/dev/null"])
def test_a_program_that_is_no_python_is_blamed_instead_of_the_file(
    bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """uWSGI and programs that embed Python name themselves in sys.executable."""
    server = tmp_path / "server"
    server.write_text(f"#!/bin/sh\n{program}\n")
    server.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(server))
    with pytest.raises(IsolationError, match=r"no Python.*before it read the file"):
        edge_runtime.load(bundle_file, isolate=True)


def test_a_server_that_never_ends_is_blamed(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "server"
    server.write_text("#!/bin/sh\nexec sleep 60\n")
    server.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(server))
    with pytest.raises(IsolationError, match="was still running before it read the file"):
        try_in_child(parts.graph, parts.manifest, IsolationLimits(wall_seconds=0.2))


def test_a_frozen_program_does_not_start_itself(
    bundle_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyInstaller's program ignores -c: each copy would start the next one."""
    monkeypatch.setattr(subprocess, "Popen", pytest.fail)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "frozen", True, raising=False)
        with pytest.raises(IsolationError, match="in this program"):
            edge_runtime.load(bundle_file, isolate=True)
    monkeypatch.setenv("EDGE_RUNTIME_CHILD", "1")
    with pytest.raises(IsolationError, match="in this program"):
        edge_runtime.load(bundle_file, isolate=True)


def test_the_memory_and_time_of_the_child_are_reported(parts: Parts) -> None:
    usage = try_in_child(parts.graph, parts.manifest)
    assert 10_000_000 < usage["peak_bytes"] < 300_000_000
    assert 0 <= usage["cpu_seconds"] < 60


def test_a_caller_with_limits_of_its_own_keeps_them(bundle_file: Path) -> None:
    """A caller under hard limits can isolate a file: only root may raise such limits."""
    script = (
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (30, 30))\n"
        "from edge_runtime.isolation import _lowered_limit\n"
        "assert _lowered_limit(60, resource.getrlimit(resource.RLIMIT_CPU)[1]) == (30, 30)\n"
        "assert _lowered_limit(20, 30) == (20, 20)\n"
        "assert _lowered_limit(60, resource.RLIM_INFINITY) == (60, 60)\n"
        "import edge_runtime\n"
        "print(edge_runtime.load(sys.argv[1], isolate=True).predict([[1.0, 2.0, 3.0]]).shape)\n"
    )
    command = [sys.executable, "-c", script, bundle_file]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.stdout, process.stderr) == ("(1,)\n", "")


def test_an_error_in_the_child_is_raised_in_the_parent(parts: Parts) -> None:
    with pytest.raises(IntegrityError, match="no output"):
        try_in_child(
            parts.graph,
            replace(
                parts.manifest,
                outputs=(
                    *parts.manifest.outputs,
                    replace(parts.manifest.outputs[0], name="transform", method="transform"),
                ),
            ),
        )
    golden = parts.manifest.golden
    answers = {**golden.answers, "predict": ["Nessie"] * len(golden.rows)}
    spoilt = replace(parts.manifest, golden=GoldenRows(golden.rows, answers))
    with pytest.raises(edge_runtime.SelfTestError, match="golden row 0"):
        try_in_child(parts.graph, spoilt)


@pytest.mark.native(NO_LIMITS)
def test_a_graph_that_allocates_terabytes_is_contained() -> None:
    # Small constants, a large tensor: what the scan cannot see.
    sizes = tensor("sizes", np.array([10**12]))
    nodes = [
        node("ConstantOfShape", ["sizes"], ["large"]),
        node("ReduceSum", ["large"], ["sum"]),
        node("Cast", ["sum"], ["float"], _to_float64()),
        node("Add", ["numbers", "float"], ["predict"]),
    ]
    raw = _only(nodes, [sizes])
    started = time.monotonic()
    with pytest.raises(IsolationError, match="bytes of memory"):
        edge_runtime.load(pack(raw, described()), isolate=True)
    assert time.monotonic() - started < 60
    # Half a gigabyte could be had; the limit says no.
    some = tensor("sizes", np.array([150_000_000]))
    with pytest.raises(IsolationError, match="bytes of memory"):
        edge_runtime.load(pack(_only(nodes, [some]), described()), isolate=True)


@pytest.mark.slow
def test_a_loop_of_hours_is_ended_by_a_time_limit(patience: int) -> None:
    steps = tensor("steps", np.array(MAX_STEPS))
    raw = pack(_only(_endless(), [steps]), described())
    for limits, words in (
        (IsolationLimits(wall_seconds=2.0), "longer than 2 s"),
        (IsolationLimits(cpu_seconds=1), "more than 1 s of processor time"),
    ):
        started = time.monotonic()
        with pytest.raises(IsolationError, match=words):
            edge_runtime.load(raw, isolate=limits)
        assert time.monotonic() - started < 60 * patience


def test_rows_of_the_schema_are_tried_without_golden_rows(patience: int) -> None:
    """A file without golden rows would otherwise pass, whatever its rows do."""
    without_rows = replace(described(), golden=GoldenRows((), {}))
    steps = tensor("steps", np.array(MAX_STEPS))
    raw = pack(_only(_endless(), [steps]), without_rows)
    started = time.monotonic()
    with pytest.raises(IsolationError, match="more than 1 s of processor time"):
        edge_runtime.load(raw, isolate=IsolationLimits(cpu_seconds=1))
    assert time.monotonic() - started < 60 * patience


def test_a_graph_that_fails_for_many_rows_is_refused() -> None:
    """It predicts each golden row, alone."""
    one = replace(described(), golden=GoldenRows((ROWS[0],), {"predict": [ROWS[0]]}))
    shape = tensor("shape", np.array([1, 3]))
    raw = pack(_only([node("Reshape", ["numbers", "shape"], ["predict"])], [shape]), one)
    edge_runtime.load(raw).close()
    with pytest.raises(IsolationError, match="fails on rows within the ranges of its own schema"):
        edge_runtime.load(raw, isolate=True)


@pytest.mark.native(NO_LIMITS)
def test_memory_that_grows_with_a_power_of_the_rows_is_contained() -> None:
    fourth = [
        node("Shape", ["numbers"], ["n"], number("start", 0), number("end", 1)),
        node("Mul", ["n", "n"], ["n2"]),
        node("Mul", ["n2", "n2"], ["n4"]),
        node("ConstantOfShape", ["n4"], ["large"]),
        node("ReduceSum", ["large"], ["sum"]),
        node("Cast", ["sum"], ["float"], _to_float64()),
        node("Add", ["numbers", "float"], ["predict"]),
    ]
    raw = pack(_only(fourth, []), described())
    edge_runtime.load(raw).close()
    with pytest.raises(IsolationError, match="bytes of memory"):
        edge_runtime.load(raw, isolate=True)


def test_the_model_says_what_was_tried(bundle_file: Path) -> None:
    with edge_runtime.load(bundle_file) as loaded:
        assert loaded.trial is None
    with edge_runtime.load(bundle_file, isolate=True) as loaded:
        assert loaded.trial is not None
        rows = loaded.trial["rows"]
    assert rows == {"golden": 3, "typical": 3, "extreme": 12, "at_once": 256, "refused": 0}


@pytest.mark.parametrize("make", [models.mixed, models.text, models.two_targets, models.regressor])
def test_typical_rows_are_accepted(make: Callable[[], Parts]) -> None:
    """Rows made from a schema pass its input validation."""
    parts = make()
    with Model.from_parts(parts.graph, parts.manifest) as model:
        typical = typical_rows(model.schema)
        assert len(model.predict(typical)) == len(typical) > 1
        for row in extreme_rows(model.schema):
            model.predict([row])
    assert try_in_child(parts.graph, parts.manifest)["rows"]["refused"] == 0


@pytest.mark.native(NO_LIMITS)
def test_a_child_that_dies_is_an_error_here(parts: Parts) -> None:
    # Less than Python and numpy need: how it dies differs from one machine to the next.
    with pytest.raises(IsolationError, match="the child process that tried"):
        try_in_child(parts.graph, parts.manifest, IsolationLimits(memory_bytes=20_000_000))


def test_the_child_imports_nothing_from_the_current_folder(
    bundle_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "resource.py").write_text("raise SystemExit('lent')")
    (tmp_path / "json.py").write_text("raise SystemExit('lent')")
    source = (
        "import edge_runtime, json, os, sys\n"  # before it stands in that folder itself
        "os.chdir(sys.argv[2])\n"
        "edge_runtime.load(sys.argv[1], isolate=True).close()\n"
        "print('loaded')"
    )
    process = subprocess.run(
        [sys.executable, "-c", source, bundle_file, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.stdout.strip(), process.returncode) == ("loaded", 0), process.stderr


@pytest.mark.parametrize("threads", [1, 4])
def test_isolation_does_not_depend_on_threads(bundle_file: Path, threads: int) -> None:
    edge_runtime.load(bundle_file, isolate=True, threads=threads).close()


def test_the_caller_lives_whatever_the_graph() -> None:
    """Legal nodes with attributes that contradict one another: onnxruntime's own business."""
    for attributes in (b"", _to_float64()):
        for op in ("LinearClassifier", "SVMRegressor", "ArrayFeatureExtractor", "TfIdfVectorizer"):
            nodes = [
                node(op, ["numbers", "numbers"], ["x"], attributes, domain="ai.onnx.ml"),
                node("Add", ["numbers", "x"], ["predict"]),
            ]
            opsets = (("", 21), ("ai.onnx.ml", 5))
            with pytest.raises(EdgeRuntimeError):
                edge_runtime.load(pack(_only(nodes, [], opsets), described(opsets)), isolate=True)


def _to_float64() -> bytes:
    return number("to", 11)


def _endless() -> list[bytes]:
    work = graph(
        [node("Identity", ["go"], ["on"]), node("Add", ["v", "v"], ["w"])],
        inputs=[("i", "int64", []), ("go", "bool", []), ("v", "float64", [None, 3])],
        outputs=[("on", "bool", []), ("w", "float64", [None, 3])],
    )
    return [node("Loop", ["steps", "", "numbers"], ["predict"], subgraph("body", work))]


def _only(
    nodes: list[bytes], initializers: list[bytes], opsets: tuple[tuple[str, int], ...] = (("", 21),)
) -> bytes:
    """A model of these nodes alone, which give ``predict`` themselves."""
    whole = graph(
        nodes,
        inputs=[("numbers", "float64", [None, 3])],
        outputs=[IDENTITY_OUTPUT],
        initializers=initializers,
    )
    opset_fields = b"".join(message(8, message(1, d) + integer(2, v)) for d, v in opsets)
    return integer(1, 10) + opset_fields + message(7, whole)
