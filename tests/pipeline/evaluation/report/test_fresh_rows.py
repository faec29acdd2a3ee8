"""Report on rows passed by the user, for models with several targets."""

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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_rows_with_several_targets_give_the_figures(kind: str, tmp_path: Path) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 2)), columns=["a", "b"])
    tree = DecisionTreeClassifier if kind == "labels" else DecisionTreeRegressor
    y = (X > 0).astype(int) if kind == "labels" else X * 2
    path, table = tmp_path / "both.onnx", tmp_path / "t.csv"
    edge_pipeline.export(tree(random_state=0).fit(X, y), X, path)
    X.assign(u=y["a"], v=y["b"]).to_csv(table, index=False)
    arguments = ["report", str(path), "--data", str(table), "--json", "--target", "u"]
    evaluation = json.loads(CliRunner().invoke(cli, [*arguments, "--target", "v"]).stdout)
    assert (evaluation["source"]["target"], evaluation["source"]["rows_test"]) == ("u, v", 80)
    assert evaluation["scores"][0]["value"] > 0.9
    assert "scores" not in evaluation["left_out"]
    one_target = CliRunner().invoke(cli, arguments)
    assert one_target.exit_code == 1
    assert "predicts 2 values a row, but the target names 1 column" in one_target.stderr
    with pytest.raises(MeasurementError, match="there are no rows"):
        edge_pipeline.report(path, target="u")
