"""Figures from rows given to ``report``, of models with several targets."""

import json
from pathlib import Path

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from edge_pipeline import MeasurementError
from edge_pipeline.cli.main import cli
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor


@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_rows_with_several_targets_give_the_figures(kind: str, tmp_path: Path) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 2)), columns=["a", "b"])
    tree = DecisionTreeClassifier if kind == "labels" else DecisionTreeRegressor
    y = (X > 0).astype(int) if kind == "labels" else X * 2
    path, table = tmp_path / "both.onnx", tmp_path / "t.csv"
    edge_pipeline.export(tree(random_state=0).fit(X, y), X, path)
    X.assign(u=y["a"], v=y["b"]).to_csv(table, index=False)
    asked = ["report", str(path), "--data", str(table), "--json", "--target", "u"]
    told = json.loads(CliRunner().invoke(cli, [*asked, "--target", "v"]).stdout)
    assert (told["source"]["target"], told["source"]["rows_test"]) == ("u, v", 80)
    assert told["scores"][0]["value"] > 0.9
    assert "scores" not in told["left_out"]
    alone = CliRunner().invoke(cli, asked)
    assert alone.exit_code == 1
    assert "gives 2 answers a row, and the target has 1 columns" in alone.stderr
    with pytest.raises(MeasurementError, match="no rows are given"):
        edge_pipeline.report(path, target="u")
