"""Verify a sealed file again: with its own estimator it passes, with another it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from edge_pipeline.build_from_recipe import export_function
from edge_pipeline.cli.main import cli
from edge_pipeline.errors import ConversionError, ParityError
from edge_pipeline.verification.reverify import verify
from edge_runtime.bundle.layout import pack, unpack
from edge_runtime.bundle.manifest import Manifest, OutputEvidence, Parity

SOURCE = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

X = np.random.default_rng(0).normal(size=(60, 3))
y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def fitted():
    return DecisionTreeClassifier(random_state=0).fit(X, y), X


def shallow():
    return DecisionTreeClassifier(max_depth=1).fit(X, y), X


def narrow():
    return DecisionTreeClassifier(random_state=0).fit(X[:, :2], y), X[:, :2]


def logistic():
    return LogisticRegression().fit(X, y), X
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    file = tmp_path / "train.py"
    file.write_text(SOURCE, encoding="utf-8")
    return str(file)


def seal_model(source: str, function: str = "fitted") -> Path:
    path = Path(source).with_name(f"{function}.onnx")
    export_function(f"{source}:{function}", path)
    return path


def with_claim(path: Path, **claims: object) -> Path:
    """Change what the file claims about its output ``predict``."""
    bundle = unpack(path.read_bytes())
    parity = bundle.manifest.parity
    evidence: OutputEvidence = replace(parity.outputs["predict"], **claims)  # type: ignore[arg-type]
    parity = Parity(parity.tolerance, {**parity.outputs, "predict": evidence})
    manifest: Manifest = replace(bundle.manifest, parity=parity)
    path.write_bytes(pack(bytes(bundle.graph), manifest))
    return path


def test_the_evidence_is_the_same_again(source: str) -> None:
    path = seal_model(source)
    result = verify(path, f"{source}:fitted")
    assert result.parity == result.manifest.parity
    assert {evidence.level for evidence in result.parity.outputs.values()} == {"proven"}


def test_another_estimator_is_refused(source: str) -> None:
    with pytest.raises(ParityError, match="scikit-learn predicts"):
        verify(seal_model(source), f"{source}:shallow")
    with pytest.raises(ConversionError, match="name the function"):
        verify(seal_model(source), f"{source}:narrow")


def test_an_exaggerated_claim_is_refused(source: str) -> None:
    path = with_claim(seal_model(source, "logistic"), level="proven", bound=0.0)
    with pytest.raises(ParityError, match="shows bounded"):
        verify(path, f"{source}:logistic")
    path = with_claim(seal_model(source, "logistic"), bound=1e-30)
    with pytest.raises(ParityError, match="1e-30"):
        verify(path, f"{source}:logistic")


def test_the_command_prints_the_evidence_or_exits_with_1(source: str) -> None:
    path, run = seal_model(source), CliRunner().invoke
    result = run(cli, ["verify", str(path), "--against", f"{source}:fitted", "-q"])
    assert result.exit_code == 0, result.output
    assert "evidence predict         proven: bit for bit" in result.output
    refused = run(cli, ["verify", str(path), "--against", f"{source}:shallow", "-q"])
    assert refused.exit_code == 1
    assert run(cli, ["verify", str(path), "--against", "train.py", "-q"]).exit_code == 2
