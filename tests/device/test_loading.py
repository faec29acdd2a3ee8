"""``load`` refuses every bad file, with a message of one line."""

import ast
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device import models
from device.models import Parts
from device.tiny_onnx import Graph, external_tensor
from edge_runtime.bundle.bundle_file import MAX_BUNDLE_BYTES
from edge_runtime.bundle.digest import SMALL_BYTES, sha256
from edge_runtime.bundle.format_version import FORMAT_VERSION
from edge_runtime.bundle.layout import pack, unpack
from edge_runtime.bundle.manifest import GoldenRows, Output, Requirements
from edge_runtime.bundle.seal import SEAL_ENTRY_BYTES, Seal
from edge_runtime.engine.session import Session
from edge_runtime.model import Model

import edge_runtime
from edge_runtime import (
    BundleError,
    FormatVersionError,
    IntegrityError,
    NotABundleError,
    SelfTestError,
    UnsafeGraphError,
    UnsupportedRuntimeError,
)


def test_a_healthy_bundle_loads_from_its_path_and_from_its_bytes(
    bundle_file: Path, healthy_bundle: bytes
) -> None:
    X = [[1.0, 2.0, 3.0]]
    for source in (bundle_file, str(bundle_file), healthy_bundle):
        with edge_runtime.load(source) as model:
            assert model.predict(X).tolist() == models.labels(X).tolist()


def test_a_flip_of_any_byte_is_refused(healthy_bundle: bytes) -> None:
    for place in range(len(healthy_bundle)):
        spoilt = bytearray(healthy_bundle)
        spoilt[place] ^= 1 << place % 8
        with pytest.raises(BundleError):
            unpack(bytes(spoilt))


def test_every_truncation_is_refused(healthy_bundle: bytes) -> None:
    for length in range(len(healthy_bundle)):
        with pytest.raises(BundleError):
            unpack(healthy_bundle[:length])


def test_a_file_of_any_flipped_byte_or_length_is_refused_by_load(
    healthy_bundle: bytes, bundle_file: Path
) -> None:
    for place in range(0, len(healthy_bundle), 23):
        spoilt = bytearray(healthy_bundle)
        spoilt[place] ^= 1 << place % 8
        for raw in (spoilt, healthy_bundle[:place], healthy_bundle + spoilt[:place] + b"\0"):
            bundle_file.write_bytes(raw)
            with pytest.raises(BundleError):
                edge_runtime.load(bundle_file)


def test_two_bundles_in_a_row_are_not_one(healthy_bundle: bytes, bundle_file: Path) -> None:
    bundle_file.write_bytes(healthy_bundle * 2)
    with pytest.raises(IntegrityError, match="do not lie where the seal says"):
        edge_runtime.load(bundle_file)


def test_a_flipped_byte_is_refused_by_load_before_onnxruntime_sees_it(
    healthy_bundle: bytes, bundle_file: Path
) -> None:
    spoilt = bytearray(healthy_bundle)
    spoilt[60] ^= 4
    bundle_file.write_bytes(spoilt)
    with pytest.raises(IntegrityError, match="changed after it was sealed"):
        edge_runtime.load(bundle_file)


def test_a_future_format_says_to_update(healthy_bundle: bytes) -> None:
    head = len(healthy_bundle) - SEAL_ENTRY_BYTES
    seal = unpack(healthy_bundle).seal
    text = replace(seal, format=FORMAT_VERSION + 1).to_text().encode()
    entry = healthy_bundle[head : head + SEAL_ENTRY_BYTES - len(text)]
    with pytest.raises(FormatVersionError, match="update edge-runtime") as caught:
        edge_runtime.load(healthy_bundle[:head] + entry + text)
    assert (caught.value.format_version, caught.value.supported) == (
        FORMAT_VERSION + 1,
        FORMAT_VERSION,
    )
    assert Seal.from_text(seal.to_text()) == seal


@pytest.mark.parametrize("raw", [b"", b"a,b\n1,2\n" * 99, b"\x80\x04pickle" * 99, bytes(5000)])
def test_bytes_that_are_no_bundle_say_so(raw: bytes) -> None:
    with pytest.raises(NotABundleError, match="edge-pipeline"):
        edge_runtime.load(raw)


def test_a_bare_onnx_graph_is_no_bundle(parts: Parts) -> None:
    with pytest.raises(NotABundleError):
        edge_runtime.load(parts.graph)


def test_a_sealed_file_that_is_no_onnx_is_refused_in_one_line(parts: Parts) -> None:
    with pytest.raises(UnsafeGraphError, match="no ONNX model") as caught:
        edge_runtime.load(pack(b"not a graph at all", parts.manifest))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_stay_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        edge_runtime.load(tmp_path / "absent.onnx")
    with pytest.raises(IsADirectoryError):
        edge_runtime.load(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_a_device_is_not_read_without_end() -> None:
    with pytest.raises(NotABundleError, match="no regular file"):
        edge_runtime.load("/dev/zero")


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(MAX_BUNDLE_BYTES + 1)  # sparse: takes no space
    with pytest.raises(NotABundleError, match="at most"):
        edge_runtime.load(path)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("predict", lambda a: ["Gentoo", *a[1:]] if a[0] != "Gentoo" else ["Adelie", *a[1:]]),
        ("predict", lambda a: a[:-1]),
        ("predict", lambda a: [None, *a[1:]]),
        ("predict_proba", lambda a: [[v + 1e-6 for v in a[0]], *a[1:]]),
        ("predict_proba", lambda a: ["nan", *a[1:]]),
        ("predict_proba", lambda a: [["nan", *a[0][1:]], *a[1:]]),
        ("predict_proba", lambda a: [row[:2] for row in a]),
        ("decision_function", lambda a: [["inf", *a[0][1:]], *a[1:]]),
    ],
)
def test_a_golden_row_that_answers_differently_is_refused(
    parts: Parts, name: str, spoil: Callable[[list[object]], object]
) -> None:
    golden = parts.manifest.golden
    answers = {**golden.answers, name: spoil(golden.answers[name])}
    with pytest.raises(SelfTestError, match=name):
        edge_runtime.load(parts.sealed(golden=GoldenRows(golden.rows, answers)))


def test_a_golden_row_within_the_tolerance_is_taken(parts: Parts) -> None:
    golden = parts.manifest.golden
    near = [[v + 1e-11 for v in row] for row in golden.answers["predict_proba"]]
    answers = {**golden.answers, "predict_proba": near}
    edge_runtime.load(parts.sealed(golden=GoldenRows(golden.rows, answers))).close()


@pytest.mark.parametrize("row", [(1.0, 2.0), (1.0, 2.0, "three"), (1.0, 2.0, "nan"), ()])
def test_golden_rows_that_contradict_the_schema_are_refused(
    parts: Parts, row: tuple[object, ...]
) -> None:
    golden = GoldenRows((row, *parts.manifest.golden.rows[1:]), parts.manifest.golden.answers)  # type: ignore[arg-type]
    with pytest.raises(SelfTestError, match="cannot be predicted"):
        edge_runtime.load(parts.sealed(golden=golden))


def test_golden_answers_must_cover_every_output(parts: Parts) -> None:
    golden = parts.manifest.golden
    answers = {"predict": golden.answers["predict"]}
    with pytest.raises(SelfTestError, match="no golden predictions for predict_proba"):
        edge_runtime.load(parts.sealed(golden=GoldenRows(golden.rows, answers)))


def test_a_newer_onnxruntime_than_installed_is_asked_for(parts: Parts) -> None:
    with pytest.raises(UnsupportedRuntimeError, match=r"pip install 'onnxruntime>=99\.1'"):
        edge_runtime.load(
            parts.sealed(requires=Requirements({"": 21}, "99.1")), engine="onnxruntime"
        )


def test_a_graph_of_an_unknown_operator_set_is_refused(parts: Parts) -> None:
    graph = Graph([("numbers", "float64", [None, 3])], [("predict", "float64", [None, 3])], {})
    graph.node("Identity", ["numbers"], "predict")
    with pytest.raises(UnsupportedRuntimeError, match="update edge-runtime and onnxruntime"):
        Model.from_parts(graph.to_bytes(opset=999), parts.manifest)


def test_an_output_that_the_graph_lacks_is_refused(parts: Parts) -> None:
    outputs = (*parts.manifest.outputs, Output("transform", "transform", "float64"))
    with pytest.raises(IntegrityError, match="no output 'transform'"):
        edge_runtime.load(parts.sealed(outputs=outputs))


def test_outputs_of_a_list_must_be_numbered_from_zero(parts: Parts) -> None:
    outputs = (replace(parts.manifest.outputs[0], item=1), *parts.manifest.outputs[1:])
    with pytest.raises(IntegrityError, match="not numbered from 0"):
        edge_runtime.load(parts.sealed(outputs=outputs))


def test_a_graph_that_reads_what_the_schema_lacks_is_refused(parts: Parts) -> None:
    mixed = models.mixed()
    with pytest.raises(IntegrityError, match="reads 'strings'"):
        Model.from_parts(mixed.graph, replace(parts.manifest, outputs=mixed.manifest.outputs))


def external(location: str) -> bytes:
    graph = Graph(
        [("numbers", "float64", [None, 3])],
        [("predict", "float64", [None, 3])],
        {},
        raw_initializers=[external_tensor("w", 3, location)],
    )
    return graph.node("Add", ["numbers", "w"], "predict").to_bytes()


@pytest.mark.parametrize("location", ["w.bin", "sub/w.bin", "../w.bin", "../../w.bin"])
def test_external_data_is_not_read(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    here = tmp_path / "a" / "b"
    (here / "sub").mkdir(parents=True)
    monkeypatch.chdir(here)
    (here / location).write_bytes(np.zeros(3).tobytes())
    spoilt = replace(parts.manifest, outputs=(Output("predict", "predict", "float64"),))
    for graph in (external(location), external(str((here / location).resolve()))):
        with pytest.raises(UnsafeGraphError, match="outside the file"):
            Model.from_parts(graph, spoilt)
        # The session would not read it either.
        with pytest.raises(UnsupportedRuntimeError):
            Session(graph)


@pytest.mark.parametrize("threads", [0, -1, True, 1.0, "2", 1025, 10**9])
def test_threads_must_be_a_whole_number(healthy_bundle: bytes, threads: object) -> None:
    with pytest.raises(ValueError, match="threads must be a whole number from 1 to 1,024"):
        edge_runtime.load(healthy_bundle, threads=threads)  # type: ignore[arg-type]


def test_extra_columns_has_two_values(healthy_bundle: bytes) -> None:
    with pytest.raises(ValueError, match="refuse"):
        edge_runtime.load(healthy_bundle, extra_columns="drop")  # type: ignore[arg-type]


def test_importing_edge_runtime_does_not_import_onnxruntime(
    in_new_process: Callable[..., str],
) -> None:
    source = "import edge_runtime, sys; print('onnxruntime' in sys.modules)"
    assert in_new_process(source).strip() == "False"


def test_telemetry_is_off_before_onnxruntime_is_imported(
    in_new_process: Callable[..., str],
) -> None:
    source = "import edge_runtime.engine.session, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert in_new_process(source).strip() == "1"
    assert in_new_process(source, ORT_DISABLE_TELEMETRY="0").strip() == "0"


@pytest.mark.parametrize("n_bytes", [0, 5, SMALL_BYTES, SMALL_BYTES + 1])
def test_the_digest_is_sha_256_whoever_computes_it(n_bytes: int) -> None:
    raw = bytes(range(256)) * (n_bytes // 256 + 1)
    view = memoryview(raw)
    assert sha256(view[:n_bytes]) == hashlib.sha256(view[:n_bytes]).hexdigest()
    assert sha256(view[:n_bytes], raw) == hashlib.sha256(bytes(view[:n_bytes]) + raw).hexdigest()


def test_a_start_does_not_load_rarely_needed_modules(bundle_file: Path) -> None:
    source = """
import sys, edge_runtime
edge_runtime.load(sys.argv[1]).predict_one([0.0, 1.0, 2.0])
print(sorted(sys.modules))
"""
    child = subprocess.run(
        [sys.executable, "-c", source, bundle_file], capture_output=True, text=True, check=True
    )
    of_python = {"hashlib", "pathlib", "tempfile", "subprocess", "csv", "argparse"}
    ours = {
        *("edge_runtime.vectorizers", "edge_runtime.inputs.derived_columns"),
        *("edge_runtime.inputs.suggestions", "edge_runtime.inputs.allowed_values"),
        *("edge_runtime.trust", "edge_runtime.isolation", "edge_runtime.notebook_html"),
        *("edge_runtime.bundle.atomic_file", "edge_runtime.benchmark", "edge_runtime.cli"),
    }
    assert all(importlib.util.find_spec(name) for name in ours)  # a renamed module is noticed
    loaded = set(ast.literal_eval(child.stdout))
    without_us = subprocess.run(
        [sys.executable, "-c", "import numpy, onnxruntime, sys; print(sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded & of_python <= set(ast.literal_eval(without_us.stdout))
    assert loaded & ours == set()


@pytest.mark.parametrize("source", [5, True, None, 1.5, io.BytesIO()])
def test_what_is_neither_path_nor_bytes_is_a_type_error(source: Any) -> None:
    with pytest.raises(TypeError, match="expected the path of a bundle"):
        edge_runtime.load(source)


@pytest.mark.parametrize("form", [bytearray, memoryview])
def test_bytes_of_any_form_are_loaded(healthy_bundle: bytes, form: Callable[[bytes], Any]) -> None:
    with edge_runtime.load(form(healthy_bundle)) as model:
        assert model.origin is not None
        assert model.origin.source == healthy_bundle
