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


def test_a_report_on_the_training_table_says_so(tmp_path: Path) -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 2)), columns=["a", "b"])
    table["y"] = np.where(table["a"] > 0, "up", "down")
    table.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "recipe.toml").write_text(
        "name = 'm'\ntask = 'classification'\n[data]\nfile = 't.csv'\ntarget = 'y'\n"
        "[estimator]\nclass = 'sklearn.tree.DecisionTreeClassifier'\n",
        encoding="utf-8",
    )
    path = edge_pipeline.build(tmp_path, tmp_path / "m.onnx", report=True).path
    table.iloc[::-1].to_csv(tmp_path / "other.csv", index=False)
    for rows, is_training_table in (("t.csv", True), ("other.csv", False)):
        result = edge_pipeline.report(path, rows=tmp_path / rows, target="y")
        text = result.page.read_text("utf-8")
        assert result.evaluation.source is not None
        assert result.evaluation.source.tests_training_rows == is_training_table
        assert ("table that trained the model" in text) == is_training_table
        assert ("which training did not see" in text) != is_training_table
        assert ">baseline<" not in text  # a report on rows knows none


def test_a_report_on_the_frame_that_was_exported_says_so(tmp_path: Path) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    y = pd.Series(np.where(X["a"] > 0, "up", "down"), name="y")
    path = tmp_path / "m.onnx"
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    edge_pipeline.export(tree, X, path, y=y, report=True)
    evaluation = edge_pipeline.report(path, rows=X.assign(y=y), target="y").evaluation
    assert evaluation.source is not None
    assert evaluation.source.tests_training_rows
