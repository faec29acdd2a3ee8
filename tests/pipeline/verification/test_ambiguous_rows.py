"""What scikit-learn's own answer leaves open is said, and compared as far as it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.errors import UnsupportedEstimatorError
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3)).round(1)
FAR = X + 1e6


def test_rows_far_from_zero_need_a_wider_tolerance_and_then_convert(tmp_path: Path) -> None:
    model = KMeans(3, n_init=1, random_state=0).fit(FAR)
    with pytest.raises(UnsupportedEstimatorError, match="set a wider tolerance"):
        edge_pipeline.export(model, FAR, tmp_path / "m.onnx")
    report = edge_pipeline.export(model, FAR, tmp_path / "m.onnx", tolerance=0.1)
    assert "depends on rounding for every row" in report.notes[0]
    assert report.manifest.parity.tolerance == 0.1


@pytest.mark.parametrize("labels", [[0, 1], ["a", "b", "c"]])
def test_doubts_need_not_use_all_operators_of_the_graph(labels: Any, tmp_path: Path) -> None:
    y = np.array([labels[i % len(labels)] for i in range(80)])
    model = CalibratedClassifierCV(KNeighborsClassifier(), cv=2, method="isotonic").fit(X, y)
    assert edge_pipeline.export(model, X, tmp_path / "m.onnx").path.exists()
