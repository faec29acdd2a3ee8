"""Inspect a sealed file from Python."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import edge_pipeline
import numpy as np
import pytest
from edge_runtime.bundle.seal import SEAL_ENTRY_BYTES
from sklearn.linear_model import LinearRegression

from edge_runtime import IntegrityError

X = np.random.default_rng(0).normal(size=(40, 2))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return edge_pipeline.export(
        LinearRegression().fit(X, X[:, 0]), X, tmp_path / "line.onnx", y=X[:, 0]
    ).path


def test_an_inspection_describes_the_file(path: Path) -> None:
    inspection = edge_pipeline.inspect(path)
    content = path.read_bytes()
    assert inspection.path == path
    assert inspection.bundle_bytes == len(content)
    assert inspection.sha256 == hashlib.sha256(content[:-SEAL_ENTRY_BYTES]).hexdigest()
    assert (inspection.is_signed, inspection.key_id) == (False, None)
    assert inspection.manifest.name == "line"
    assert sum(inspection.operators.values()) >= 1
    assert inspection.evaluation() is None


def test_an_inspection_becomes_plain_json(path: Path) -> None:
    inspection = edge_pipeline.inspect(str(path))
    document = json.loads(json.dumps(inspection.to_json(), allow_nan=False))
    assert document["operators"] == inspection.operators
    assert document["manifest"]["name"] == "line"


def test_a_signed_file_names_its_key(path: Path, tmp_path: Path) -> None:
    key = edge_pipeline.make_signing_key(tmp_path / "key.pem", password=None)
    edge_pipeline.sign(path, key)
    inspection = edge_pipeline.inspect(path)
    assert (inspection.is_signed, inspection.key_id) == (True, key.key_id)


def test_the_evaluation_of_another_file_is_ignored(path: Path) -> None:
    evaluation = edge_pipeline.Evaluation(sha256=edge_pipeline.inspect(path).sha256)
    evaluation.write(path.with_name("line.report.json"))
    assert edge_pipeline.inspect(path).evaluation() == evaluation
    edge_pipeline.Evaluation(sha256="0" * 64).write(path.with_name("line.report.json"))
    assert edge_pipeline.inspect(path).evaluation() is None


def test_a_damaged_file_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        edge_pipeline.inspect(path)
