"""Test models whose predictions scikit-learn itself does not reproduce for some rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.errors import ParityError, UnsupportedEstimatorError
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.cross_decomposition import PLSRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3)).round(1)
FAR = X + 1e6


def test_ambiguous_rows_need_a_wider_tolerance(tmp_path: Path) -> None:
    model = KMeans(3, n_init=1, random_state=0).fit(FAR)
    with pytest.raises(UnsupportedEstimatorError, match="set a wider tolerance"):
        edge_pipeline.export(model, FAR, tmp_path / "m.onnx")
    report = edge_pipeline.export(model, FAR, tmp_path / "m.onnx", tolerance=0.1)
    assert "depends on rounding for every row" in report.notes[0]
    assert report.manifest.parity.tolerance == 0.1


@pytest.mark.parametrize("labels", [[0, 1], ["a", "b", "c"]])
def test_the_ambiguity_graph_may_use_fewer_operators(labels: Any, tmp_path: Path) -> None:
    y = np.array([labels[i % len(labels)] for i in range(80)])
    model = CalibratedClassifierCV(KNeighborsClassifier(), cv=2, method="isotonic").fit(X, y)
    assert edge_pipeline.export(model, X, tmp_path / "m.onnx").path.exists()


def test_a_sum_that_keeps_few_digits_is_refused_with_its_cause(tmp_path: Path) -> None:
    """scikit-learn's own prediction changes as much when the last bit of the number does."""
    x = np.sort(np.random.default_rng(3).random((30, 1)), axis=0)
    y = np.cos(4.7 * x[:, 0]) + 0.1 * RNG.normal(size=30)
    model = make_pipeline(PolynomialFeatures(15), PLSRegression(15)).fit(x, y)
    with pytest.raises(ParityError, match="lower the degree, or set a wider tolerance"):
        edge_pipeline.export(model, x, tmp_path / "m.onnx")
    assert edge_pipeline.export(model, x, tmp_path / "m.onnx", tolerance=1e-3).path.exists()
