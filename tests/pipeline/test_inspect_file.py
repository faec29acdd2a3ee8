"""Inspect a sealed file from Python."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
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


def components(document: bytes) -> dict[str, dict[str, object]]:
    """Return the components of a CycloneDX document by type, after validating it."""
    validation = pytest.importorskip("cyclonedx.validation.json")
    from cyclonedx.schema import SchemaVersion

    text = document.decode()
    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    read = json.loads(text)
    return {item["type"]: item for item in [read["metadata"]["component"], *read["components"]]}


@pytest.mark.slow
def test_a_bill_of_materials_describes_the_model(path: Path) -> None:
    document = edge_pipeline.inspect(path).to_sbom()
    assert document == edge_pipeline.inspect(path).to_sbom()
    parts = components(document)
    assert set(parts) == {"machine-learning-model"}
    model = parts["machine-learning-model"]
    manifest = edge_pipeline.inspect(path).manifest
    assert (model["name"], model["version"]) == (manifest.name, str(manifest.version))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert model["hashes"] == [{"alg": "SHA-256", "content": digest}]


@pytest.mark.slow
def test_a_bill_of_materials_of_a_build_has_training_data_and_metrics(
    tmp_path: Path, root: Path
) -> None:
    output = tmp_path / "penguins.onnx"
    path = edge_pipeline.build(root / "models/penguins", output=output, report=True).path
    inspection = edge_pipeline.inspect(path)
    evaluation = inspection.evaluation()
    assert evaluation is not None
    assert evaluation.source is not None
    parts = components(inspection.to_sbom())
    assert parts["data"]["hashes"] == [{"alg": "SHA-256", "content": evaluation.source.sha256}]
    card = parts["machine-learning-model"]["modelCard"]
    assert card["modelParameters"]["datasets"] == [{"ref": parts["data"]["bom-ref"]}]
    metrics = {m["type"]: m for m in card["quantitativeAnalysis"]["performanceMetrics"]}
    for score in evaluation.scores:
        assert float(metrics[score.name]["value"]) == score.value
        assert float(metrics[score.name]["confidenceInterval"]["lowerBound"]) == score.low
    command = [Path(sys.executable).with_name("edge-pipeline"), "inspect", path, "--sbom"]
    process = subprocess.run(command, capture_output=True, check=True)
    assert process.stdout == inspection.to_sbom()
