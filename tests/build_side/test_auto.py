"""``estimator = "auto"`` where there is no table with a target: clusters, anomalies, texts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.building import build


@pytest.mark.parametrize("task", ["clustering", "anomaly", "transform"])
def test_auto_needs_no_target_where_nothing_is_predicted(tmp_path: Path, task: str) -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0], [9, 0, 9], [0, 9, 4]])
    X = np.vstack([centre + rng.normal(scale=0.3, size=(30, 3)) for centre in centres])
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    text = f'name = "t"\ntask = "{task}"\nestimator = "auto"\n[data]\nfile = "t.csv"\n'
    (tmp_path / "recipe.toml").write_text(text)
    report = build(tmp_path, tmp_path / "t.onnx")
    assert report.manifest.task == task
    if task == "clustering":
        assert report.search is not None
        assert report.search.chosen.parameters == {"n_clusters": 3}


def test_texts_are_searched_with_words_counted(tmp_path: Path) -> None:
    (tmp_path / "rows.py").write_text(
        "def make():\n"
        "    good = [f'a fine and sunny day {i}' for i in range(30)]\n"
        "    bad = [f'rain again and cold wind {i}' for i in range(30)]\n"
        "    return good + bad, ['good'] * 30 + ['bad'] * 30\n"
    )
    (tmp_path / "recipe.toml").write_text(
        'name = "t"\ntask = "classification"\nestimator = "auto"\n'
        '[data]\nfunction = "rows:make"\n[search]\nmeasured = 1\n'
    )
    report = build(tmp_path, tmp_path / "t.onnx")
    assert report.manifest.metrics["accuracy"] == 1.0
