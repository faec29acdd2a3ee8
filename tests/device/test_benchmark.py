"""``edge-runtime bench`` counts calls, orders quantiles, and holds a model to its limits."""

import json
from pathlib import Path
from typing import Any

import pytest
from device import models
from device.models import Parts
from device.streams import Run
from edge_runtime.benchmark import MIN_CALLS, measure, peak_memory_mb
from edge_runtime.bundle.manifest import GoldenRows

import edge_runtime
from edge_runtime import EdgeRuntimeError

QUICK = ("--seconds", "0.001", "--rows", "100")


def bench(run: Run, path: Path, parts: Parts, **limits: float) -> tuple[int, dict[str, Any]]:
    path.write_bytes(parts.sealed(limits=limits))
    code, out, err = run("bench", path, "--json", *QUICK)
    assert err == ""
    return code, json.loads(out)


def test_single_rows_and_batches_up_to_the_largest_are_timed(
    run: Run, tmp_path: Path, parts: Parts
) -> None:
    code, figures = bench(run, tmp_path / "m.onnx", parts)
    assert code == 0
    value = [(timing["call"], timing["rows"]) for timing in figures["timings"]]
    assert value == [("predict_one", 1), ("batch", 1), ("batch", 10), ("batch", 100)]
    for timing in figures["timings"]:
        quantiles = list(timing["latency_us"].values())
        assert list(timing["latency_us"]) == ["p50", "p90", "p99", "p99_9"]
        assert quantiles == sorted(quantiles)
        assert quantiles[0] > 0
        assert timing["calls"] >= MIN_CALLS
    assert figures["file_bytes"] == (tmp_path / "m.onnx").stat().st_size
    assert figures["load_ms"] > 0
    assert figures["peak_memory_mb"] > 20


@pytest.mark.parametrize(
    ("name", "loose_limit", "strict_limit"),
    [
        ("max_latency_us", 1e9, 1e-3),
        ("max_peak_memory_mb", 1e6, 1.0),
        ("max_model_bytes", 1e9, 100.0),
    ],
)
def test_a_broken_limit_sets_the_exit_code(
    run: Run, tmp_path: Path, parts: Parts, name: str, loose_limit: float, strict_limit: float
) -> None:
    code, figures = bench(run, tmp_path / "m.onnx", parts, **{name: loose_limit})
    assert (code, figures["limits"][name]["kept"]) == (0, True)
    code, figures = bench(run, tmp_path / "m.onnx", parts, **{name: strict_limit})
    assert (code, figures["limits"][name]["kept"]) == (1, False)
    assert figures["limits"][name]["found"] > strict_limit
    code, out, _ = run("bench", tmp_path / "m.onnx", *QUICK)
    assert code == 1
    assert "BROKEN" in out


@pytest.mark.parametrize(("bound", "code"), [(0.9, 0), (0.95, 1)])
def test_a_score_is_held_to_the_least_that_is_allowed(
    run: Run, tmp_path: Path, parts: Parts, bound: float, code: int
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(parts.sealed(metrics={"accuracy": 0.925}, limits={"min_accuracy": bound}))
    value, out, _ = run("bench", path, *QUICK)
    assert value == code
    assert f"min_accuracy         at least {bound}, found 0.9250" in out


def test_flipped_labels_are_held_to_the_most_that_is_allowed(
    run: Run, tmp_path: Path, parts: Parts
) -> None:
    code, figures = bench(run, tmp_path / "m.onnx", parts, max_label_flips=0.0)
    assert (code, figures["limits"]["max_label_flips"]["found"]) == (0, 0.0)


def test_passed_rows_replace_the_golden_rows(parts: Parts) -> None:
    with edge_runtime.load(parts.sealed()) as model:
        width = len(model.schema.columns)
        timings = measure(model, rows=1, seconds=0.001, cells=[[1.0] * width])
        assert [timing.rows for timing in timings] == [0, 1]
        with pytest.raises(edge_runtime.InputError):
            measure(model, rows=1, seconds=0.001, cells=[["nonsense"] * width])


def test_a_limit_without_a_measurement_is_not_met(run: Run, tmp_path: Path, parts: Parts) -> None:
    code, figures = bench(run, tmp_path / "m.onnx", parts, max_price=1.0)
    assert code == 1
    assert figures["limits"]["max_price"] == {"limit": 1.0, "found": None, "kept": None}
    assert "NOT MEASURED" in run("bench", tmp_path / "m.onnx", *QUICK)[1]


@pytest.mark.parametrize("make", ["mixed", "text", "two_targets", "transformer"])
def test_models_of_every_kind_of_row_are_timed(make: str) -> None:
    parts: Parts = getattr(models, make)()
    if not parts.manifest.golden.rows:
        graph, X = parts.graph, ((1.0, 2.0, 3.0),)
        with edge_runtime.Model.from_parts(graph, parts.manifest) as model:
            answers = {
                o.name: (value[o.item] if o.item is not None else value).tolist()
                for o in parts.manifest.outputs
                for value in [getattr(model, o.method)(X)]
            }
        golden = GoldenRows(X, answers)
    else:
        golden = parts.manifest.golden
    with edge_runtime.load(parts.sealed(golden=golden)) as model:
        timings = measure(model, rows=10, seconds=0.001)
        single = 0 if "predict" in model.methods else 1
        assert [timing.rows for timing in timings] == [0, 1, 10][single:]


def test_a_bundle_without_golden_rows_cannot_be_measured(parts: Parts) -> None:
    model = edge_runtime.load(parts.sealed(golden=GoldenRows((), {})))
    with model, pytest.raises(EdgeRuntimeError, match="no rows to predict"):
        measure(model)


def test_the_peak_covers_memory_that_was_held_briefly() -> None:
    before = peak_memory_mb()
    assert len(bytearray(b"x") * 200_000_000) == 200_000_000
    assert peak_memory_mb() >= max(before, 150.0)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "x", "1e9"])
def test_a_time_that_is_none_is_misuse(run: Run, bundle_file: Path, seconds: str) -> None:
    code, _, err = run("bench", bundle_file, "--seconds", seconds)
    assert code == 2
    assert "expected up to 3600 seconds" in err
