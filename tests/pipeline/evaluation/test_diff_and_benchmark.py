"""Two sealed files beside each other: which rows they answer apart, and which is faster."""

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
    made: dict[str, tuple[Any, Any]] = {
        "sure": (LogisticRegression(C=1e6).fit(X, rows["y"]), X),
        "rough": (DecisionTreeClassifier(max_depth=1).fit(X, rows["y"]), X),
        "line": (LinearRegression().fit(X, X["a"] * 2), X),
        "steeper": (LinearRegression().fit(X, X["a"] * 3), X),
        "one": (LogisticRegression().fit(X[["a"]], rows["y"]), X[["a"]]),
        "groups": (KMeans(3, random_state=0, n_init=1).fit(X), X),
        "gaps": (DecisionTreeClassifier(max_depth=1).fit(X.mask(X > 2), rows["y"]), X.mask(X > 2)),
    }
    for name, (estimator, sample) in made.items():
        edge_pipeline.export(estimator, sample, folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in made}


def test_a_file_is_the_same_as_itself(files: dict[str, Path], rows: pd.DataFrame) -> None:
    found = compare(files["sure"], files["sure"], rows)
    assert found.is_same
    assert (found.rows, found.changed, found.worst) == (200, (), 0.0)
    assert found.verdict() == ["no answer changed on 200 rows"]


def test_the_rows_that_changed_are_those_that_the_estimators_answer_apart(
    files: dict[str, Path], rows: pd.DataFrame
) -> None:
    found = compare(files["sure"], files["rough"], rows, target="y")
    X = rows[["a", "b"]]
    sure = LogisticRegression(C=1e6).fit(X, rows["y"]).predict(X)
    rough = DecisionTreeClassifier(max_depth=1).fit(X, rows["y"]).predict(X)
    apart = np.flatnonzero(sure != rough)
    assert len(apart) > 3
    assert sorted(row.row for row in found.changed) == (apart + 1).tolist()
    for row in found.changed:
        assert (row.before, row.after) == (sure[row.row - 1], rough[row.row - 1])
        assert 0.5 <= row.confidence_before <= 1
        assert row.difference is None
    truth = rows["y"].to_numpy()[apart]
    assert found.right_before == (sure[apart] == truth).sum()
    assert found.right_after == (rough[apart] == truth).sum()
    assert found.worst == pytest.approx(
        np.abs(
            LogisticRegression(C=1e6).fit(X, rows["y"]).predict_proba(X)
            - DecisionTreeClassifier(max_depth=1).fit(X, rows["y"]).predict_proba(X)
        ).max()
    )


def test_what_matters_most_comes_first(files: dict[str, Path], rows: pd.DataFrame) -> None:
    found = compare(files["sure"], files["rough"], rows)
    weights = [min(r.confidence_before or 0, r.confidence_after or 0) for r in found.changed]
    assert weights == sorted(weights, reverse=True)
    assert found.changed[0].is_confident
    assert any("look at these first" in sentence for sentence in found.verdict())


def test_numbers_that_moved_are_told_by_how_much(
    files: dict[str, Path], rows: pd.DataFrame
) -> None:
    found = compare(files["line"], files["steeper"], rows)
    assert found.worst == pytest.approx(np.abs(rows["a"]).max())
    assert found.changed[0].difference == found.worst
    assert len(compare(files["line"], files["steeper"], rows, tolerance=10).changed) == 0


def test_changes_of_the_schema_are_told(files: dict[str, Path], rows: pd.DataFrame) -> None:
    told = compare(files["sure"], files["one"], rows).schema_changes
    assert "column 'b' is no longer asked for" in told
    assert compare(files["one"], files["sure"], rows).schema_changes == (
        "column 'b' is asked for now",
    )
    told = compare(files["gaps"], files["rough"], rows).schema_changes
    assert "column 'a' may no longer have gaps" in told
    told = compare(files["sure"], files["rough"], rows).schema_changes
    assert told == ("decision_function is gone",)


def test_rows_that_only_one_file_refuses_are_told_with_the_reason(
    files: dict[str, Path], rows: pd.DataFrame
) -> None:
    holes = rows.copy()
    holes.loc[[4, 9], "a"] = np.nan
    found = compare(files["gaps"], files["rough"], holes)
    assert sorted(found.refused_after) == [5, 10]
    assert "'a'" in found.refused_after[5]
    assert (found.rows, found.refused_before, found.is_same) == (198, {}, False)
    assert found.verdict()[0] == "2 rows stored_predictions before are refused now"
    assert sorted(compare(files["rough"], files["gaps"], holes).refused_before) == [5, 10]


def test_files_and_rows_that_do_not_fit_are_refused(
    files: dict[str, Path], rows: pd.DataFrame
) -> None:
    with pytest.raises(MeasurementError, match="'b'"):
        compare(files["sure"], files["rough"], rows[["a"]])
    with pytest.raises(MeasurementError, match="no column 'z'"):
        compare(files["sure"], files["rough"], rows, target="z")
    with pytest.raises(MeasurementError, match="answers none of the 200 rows"):
        compare(files["sure"], files["sure"], rows.assign(a="words"))


def test_several_targets_say_which_changes_are_for_the_better(
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
        found = compare(files[0], files[1], table, target=["u", "v"])
        assert found.changed
        assert found.right_after is not None
        assert found.right_before is not None
        assert found.right_after > 0.9 * len(found.changed)
        assert found.right_before < 0.1 * len(found.changed)
        with pytest.raises(MeasurementError, match="2 answers a row, and 1 columns were named"):
            compare(files[0], files[1], table, target="u")


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_the_command_prints_the_rows_and_exits_as_diff_does(
    files: dict[str, Path], rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "rows.csv", index=False)
    same = run("compare", files["sure"], files["sure"], "--data", tmp_path / "rows.csv")
    assert (same.exit_code, same.stderr) == (0, "")
    asked = ("compare", files["sure"], files["rough"], "--data", tmp_path / "rows.csv")
    found = run(*asked, "--target", "y")
    assert (found.exit_code, found.stderr) == (1, "")
    assert "decision_function is gone" in found.stdout
    assert "both sure" in found.stdout
    told = run(*asked, "--json")
    assert told.exit_code == 1
    changed = json.loads(told.stdout)["changed"]
    assert {row["before"] for row in changed} <= {"up", "down"}
    refused = run(*asked[:4], tmp_path / "absent.csv")
    assert (refused.exit_code, refused.stdout) == (1, "")


QUICK = {"largest_batch": 1, "seconds": 0.002}


def test_two_files_are_timed_in_turns(files: dict[str, Path], rows: pd.DataFrame) -> None:
    found = bench_pair(files["sure"], files["groups"], rows, **QUICK)
    assert list(found.ratios) == [0, 1]
    for ratio in found.ratios.values():
        assert 0 < ratio.low <= ratio.median <= ratio.high
    assert found.first.model_bytes == files["sure"].stat().st_size
    assert found.second.model_bytes == files["groups"].stat().st_size
    assert json.loads(json.dumps(found.to_json()))["turns"] == 15


def test_the_command_measures_one_file_or_two(files: dict[str, Path]) -> None:
    told = json.loads(run("bench", files["line"], "--json").stdout)
    assert told["model_bytes"] == files["line"].stat().st_size
    both = run("bench", files["line"], files["steeper"])
    assert both.exit_code == 0, both.stderr
    assert "ratio" in both.stdout.splitlines()[0]
    assert run("bench", "absent.onnx").exit_code == 1
