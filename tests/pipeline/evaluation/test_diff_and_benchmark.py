"""Compare two sealed files: rows with other predictions, and which file is faster."""

import json
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from edge_pipeline import MeasurementError, bench_pair, compare
from edge_pipeline.cli.main import cli
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(3)
    table = pd.DataFrame({"a": random.normal(size=200), "b": random.normal(size=200)})
    return table.assign(y=np.where(table["a"] + 0.3 * table["b"] > 0, "up", "down"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, rows: pd.DataFrame) -> dict[str, Path]:
    """Sealed files by name: two classifiers that differ, two regressions, and others."""
    folder = tmp_path_factory.mktemp("files")
    X = rows[["a", "b"]]
    estimators: dict[str, tuple[Any, Any]] = {
        "sure": (LogisticRegression(C=1e6).fit(X, rows["y"]), X),
        "rough": (DecisionTreeClassifier(max_depth=1).fit(X, rows["y"]), X),
        "line": (LinearRegression().fit(X, X["a"] * 2), X),
        "steeper": (LinearRegression().fit(X, X["a"] * 3), X),
        "one_column": (LogisticRegression().fit(X[["a"]], rows["y"]), X[["a"]]),
        "clusters": (KMeans(3, random_state=0, n_init=1).fit(X), X),
        "missing": (
            DecisionTreeClassifier(max_depth=1).fit(X.mask(X > 2), rows["y"]),
            X.mask(X > 2),
        ),
    }
    for name, (estimator, sample) in estimators.items():
        edge_pipeline.export(estimator, sample, folder / f"{name}.onnx", missing="as-trained")
    return {name: folder / f"{name}.onnx" for name in estimators}


def test_a_file_is_the_same_as_itself(files: dict[str, Path], rows: pd.DataFrame) -> None:
    comparison = compare(files["sure"], files["sure"], rows)
    assert comparison.is_same
    assert (comparison.rows, comparison.changed, comparison.worst) == (200, (), 0.0)
    assert comparison.verdict() == ["no prediction changed on 200 rows"]


def test_changed_rows_are_those_the_estimators_predict_apart(
    files: dict[str, Path], rows: pd.DataFrame
) -> None:
    comparison = compare(files["sure"], files["rough"], rows, target="y")
    X = rows[["a", "b"]]
    sure = LogisticRegression(C=1e6).fit(X, rows["y"]).predict(X)
    rough = DecisionTreeClassifier(max_depth=1).fit(X, rows["y"]).predict(X)
    apart = np.flatnonzero(sure != rough)
    assert len(apart) > 3
    assert sorted(row.row for row in comparison.changed) == (apart + 1).tolist()
    for row in comparison.changed:
        assert (row.before, row.after) == (sure[row.row - 1], rough[row.row - 1])
        assert 0.5 <= row.confidence_before <= 1
        assert row.difference is None
    truth = rows["y"].to_numpy()[apart]
    assert comparison.right_before == (sure[apart] == truth).sum()
    assert comparison.right_after == (rough[apart] == truth).sum()
    assert comparison.worst == pytest.approx(
        np.abs(
            LogisticRegression(C=1e6).fit(X, rows["y"]).predict_proba(X)
            - DecisionTreeClassifier(max_depth=1).fit(X, rows["y"]).predict_proba(X)
        ).max()
    )


def test_most_confident_contradictions_come_first(
    files: dict[str, Path], rows: pd.DataFrame
) -> None:
    comparison = compare(files["sure"], files["rough"], rows)
    weights = [min(r.confidence_before or 0, r.confidence_after or 0) for r in comparison.changed]
    assert weights == sorted(weights, reverse=True)
    assert comparison.changed[0].is_confident
    assert any("look at these first" in sentence for sentence in comparison.verdict())


def test_changed_numbers_have_their_difference(files: dict[str, Path], rows: pd.DataFrame) -> None:
    comparison = compare(files["line"], files["steeper"], rows)
    assert comparison.worst == pytest.approx(np.abs(rows["a"]).max())
    assert comparison.changed[0].difference == comparison.worst
    assert len(compare(files["line"], files["steeper"], rows, tolerance=10).changed) == 0


def test_schema_changes_are_listed(files: dict[str, Path], rows: pd.DataFrame) -> None:
    changes = compare(files["sure"], files["one_column"], rows).schema_changes
    assert "column 'b' is no longer needed" in changes
    assert compare(files["one_column"], files["sure"], rows).schema_changes == (
        "column 'b' is needed now",
    )
    changes = compare(files["missing"], files["rough"], rows).schema_changes
    assert "column 'a' no longer accepts missing values" in changes
    changes = compare(files["sure"], files["rough"], rows).schema_changes
    assert changes == ("method decision_function was removed",)


def test_rows_that_only_one_file_refuses_have_their_reason(
    files: dict[str, Path], rows: pd.DataFrame
) -> None:
    holes = rows.copy()
    holes.loc[[4, 9], "a"] = np.nan
    comparison = compare(files["missing"], files["rough"], holes)
    assert sorted(comparison.refused_after) == [5, 10]
    assert "'a'" in comparison.refused_after[5]
    assert (comparison.rows, comparison.refused_before, comparison.is_same) == (198, {}, False)
    assert comparison.verdict()[0] == "2 rows accepted before, refused now"
    assert sorted(compare(files["rough"], files["missing"], holes).refused_before) == [5, 10]


def test_files_and_rows_that_do_not_fit_are_refused(
    files: dict[str, Path], rows: pd.DataFrame
) -> None:
    with pytest.raises(MeasurementError, match="'b'"):
        compare(files["sure"], files["rough"], rows[["a"]])
    with pytest.raises(MeasurementError, match="no column 'z'"):
        compare(files["sure"], files["rough"], rows, target="z")
    with pytest.raises(MeasurementError, match="refuses all 200 rows"):
        compare(files["sure"], files["sure"], rows.assign(a="words"))


def test_several_targets_say_which_changes_are_improvements(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    X = rows[["a", "b"]]
    true = {
        "labels": pd.DataFrame({"u": (X["a"] > 0).astype(int), "v": (X["b"] > 0).astype(int)}),
        "numbers": pd.DataFrame({"u": X["a"] * 2.0, "v": X["b"]}),
    }
    for kind, tree in (("labels", DecisionTreeClassifier), ("numbers", DecisionTreeRegressor)):
        files = []
        for depth in (1, 8):
            files.append(tmp_path / f"{kind}{depth}.onnx")
            fitted = tree(max_depth=depth, random_state=0).fit(X, true[kind])
            edge_pipeline.export(fitted, X, files[-1])
        table = X.assign(**true[kind])
        comparison = compare(files[0], files[1], table, target=["u", "v"])
        assert comparison.changed
        assert comparison.right_after is not None
        assert comparison.right_before is not None
        assert comparison.right_after > 0.9 * len(comparison.changed)
        assert comparison.right_before < 0.1 * len(comparison.changed)
        with pytest.raises(MeasurementError, match="2 values a row, but the target names 1 column"):
            compare(files[0], files[1], table, target="u")


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_compare_prints_the_rows_and_exits_as_diff_does(
    files: dict[str, Path], rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "rows.csv", index=False)
    unchanged = run("compare", files["sure"], files["sure"], "--data", tmp_path / "rows.csv")
    assert (unchanged.exit_code, unchanged.stderr) == (0, "")
    arguments = ("compare", files["sure"], files["rough"], "--data", tmp_path / "rows.csv")
    result = run(*arguments, "--target", "y")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "method decision_function was removed" in result.stdout
    assert "both sure" in result.stdout
    as_json = run(*arguments, "--json")
    assert as_json.exit_code == 1
    changed = json.loads(as_json.stdout)["changed"]
    assert {row["before"] for row in changed} <= {"up", "down"}
    refused = run(*arguments[:4], tmp_path / "absent.csv")
    assert (refused.exit_code, refused.stdout) == (1, "")


QUICK = {"largest_batch": 1, "seconds": 0.002}


def test_two_files_are_timed_in_turns(files: dict[str, Path], rows: pd.DataFrame) -> None:
    comparison = bench_pair(files["sure"], files["clusters"], rows, **QUICK)
    assert list(comparison.ratios) == [0, 1]
    for ratio in comparison.ratios.values():
        assert 0 < ratio.low <= ratio.median <= ratio.high
    assert comparison.first.model_bytes == files["sure"].stat().st_size
    assert comparison.second.model_bytes == files["clusters"].stat().st_size
    assert json.loads(json.dumps(comparison.to_json()))["turns"] == 15


@pytest.mark.slow
def test_bench_measures_one_file_or_two(files: dict[str, Path]) -> None:
    measurements = json.loads(run("bench", files["line"], "--json").stdout)
    assert measurements["model_bytes"] == files["line"].stat().st_size
    result = run("bench", files["line"], files["steeper"])
    assert result.exit_code == 0, result.stderr
    assert "ratio" in result.stdout.splitlines()[0]
    assert run("bench", "absent.onnx").exit_code == 1
