"""The verdict and the tables by which a stranger judges a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.evaluation.report.class_scores import class_scores, threshold_counts
from edge_pipeline.evaluation.report.column_histograms import column_histograms
from edge_pipeline.evaluation.report.estimator_steps import estimator_steps
from edge_pipeline.evaluation.report.measurements import (
    CandidateRow,
    ClassScore,
    Evaluation,
    Score,
    sidecar_of,
)
from edge_pipeline.evaluation.report.number_text import number_text
from edge_pipeline.evaluation.report.page import (
    NO_FORM,
    SealedFile,
    render_card,
    render_page,
)
from edge_pipeline.evaluation.report.verdict import judge, search_noise
from edge_pipeline.evaluation.report.worst_rows import far_rows, wrong_rows
from edge_runtime.bundle.layout import unpack
from pipeline.evaluation.report.test_write_report import Elements, page_of
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import confusion_matrix, f1_score, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "size": RANDOM.normal(size=300),
        "age": RANDOM.integers(0, 90, 300),
        "kind": RANDOM.choice(["a", "b"], 300),
    }
)
Y = pd.Series(np.where(X["size"] + 0.7 * RANDOM.normal(size=300) > 0, "big", "small"), name="bulk")


def fitted() -> Any:
    encode = make_column_transformer(
        (StandardScaler(), ["size", "age"]), (OneHotEncoder(), ["kind"]), ("drop", [])
    )
    return make_pipeline(encode, LogisticRegression(C=0.5)).fit(X[:200], Y[:200])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> edge_pipeline.ExportResult:
    path = tmp_path_factory.mktemp("exported") / "bulk.onnx"
    return edge_pipeline.export(
        fitted(), X[:200], path, y=Y[:200], X_test=X[200:], y_test=Y[200:], report=True
    )


def test_an_export_writes_a_report(exported: edge_pipeline.ExportResult) -> None:
    text = " ".join(Elements(page_of(exported)).text.split())
    evaluation = exported.report_files.evaluation  # type: ignore[union-attr]
    accuracy = float((fitted().predict(X[200:]) == Y[200:]).mean())
    assert "Predicts bulk (big, small) from 3 columns." in text
    assert evaluation.scores[0].value == accuracy
    assert f"Clearly better than guessing: accuracy {accuracy:.3f}" in text
    assert "report" in exported.seconds
    assert sidecar_of(exported.path).is_file()


def test_the_partial_dependence_is_that_of_scikit_learn(
    exported: edge_pipeline.ExportResult,
) -> None:
    evaluation = exported.report_files.evaluation  # type: ignore[union-attr]
    by_column = {item.column: item for item in evaluation.dependence}
    for name in ("size", "kind"):
        item = by_column[name]
        expected = partial_dependence(
            fitted(),
            X[200:].assign(age=X["age"][200:].astype(float)),
            [name],
            categorical_features=["kind"],
            custom_values={name: np.array(item.values)},
            method="brute",
            response_method="predict_proba",
        )
        np.testing.assert_allclose(item.curves[0].y, expected["average"][0], rtol=1e-9)
        assert item.curves[0].name == "small"


def test_wrong_rows_come_with_their_place_in_the_table(
    exported: edge_pipeline.ExportResult,
) -> None:
    table = exported.report_files.evaluation.rows  # type: ignore[union-attr]
    predicted = fitted().predict(X)
    wrong = {i + 1 for i in range(200, 300) if predicted[i] != Y[i]}
    assert table is not None
    assert {row.row for row in table.rows} <= {i + 1 for i in range(100)} | wrong
    assert table.total == len(wrong)
    assert [row.badness for row in table.rows] == sorted(
        (row.badness for row in table.rows), reverse=True
    )


@pytest.mark.slow
def test_no_row_is_shown_where_rows_are_private(tmp_path: Path) -> None:
    secret = X.assign(name=[f"secret{i}" for i in range(300)])
    estimator = make_pipeline(
        make_column_transformer(
            (StandardScaler(), ["size", "age"]), (OneHotEncoder(handle_unknown="ignore"), ["name"])
        ),
        LogisticRegression(),
    ).fit(secret[:200], Y[:200])
    test = secret[200:].assign(name=[f"private{i}" for i in range(100)])
    arguments: dict[str, Any] = {"y": Y[:200], "X_test": test, "y_test": Y[200:], "report": True}
    open_result = edge_pipeline.export(estimator, secret[:200], tmp_path / "o.onnx", **arguments)
    assert "private" in page_of(open_result)
    result = edge_pipeline.export(
        estimator, secret[:200], tmp_path / "s.onnx", show_rows=False, **arguments
    )
    page = page_of(result)
    assert "private0" not in page
    assert f"{X['size'][205]:.6g}" not in page
    assert "single rows are private" in page
    sidecar = sidecar_of(result.path).read_text("utf-8")
    assert json.loads(sidecar)["rows"] is None
    # Once private, always private: the page can be written again, and still shows no row.
    assert "private0" not in edge_pipeline.report(result.path).page.read_text("utf-8")
    closed = edge_pipeline.report(open_result.path, show_rows=False)
    assert f"{X['size'][205]:.6g}" not in closed.page.read_text("utf-8")


def test_class_scores_and_thresholds_are_those_of_scikit_learn() -> None:
    model = fitted()
    predicted, proba = model.predict(X), model.predict_proba(X)[:, 1]
    y = Y.to_numpy()
    scores = class_scores(y, predicted, y[:200], [""])
    for score in scores:
        assert score.f1 == f1_score(y, predicted, pos_label=score.label)
        assert score.recall == recall_score(y, predicted, pos_label=score.label)
        assert score.rows == (y == score.label).sum()
        assert score.rows_train == (y[:200] == score.label).sum()
    counts = threshold_counts(y, proba, ["big", "small"], score_name="probability")
    assert 2 <= len(counts.lowest) <= 200
    for lowest, hits, alarms in zip(
        counts.lowest, counts.true_positives, counts.false_positives, strict=True
    ):
        matrix = confusion_matrix(y == "small", proba >= lowest)
        assert (hits, alarms) == (matrix[1, 1], matrix[0, 1])
    assert (counts.true_positives[-1], counts.false_positives[-1]) == (
        counts.positives,
        counts.negatives,
    )


def test_equal_scores_share_one_threshold() -> None:
    y = np.array([0, 1, 1, 0, 1])
    counts = threshold_counts(y, np.array([0.5, 0.5, 0.9, 0.5, 0.1]), [0, 1], score_name="p")
    assert counts.lowest == (0.9, 0.5, 0.1)
    assert counts.true_positives == (1, 2, 3)
    assert counts.false_positives == (0, 2, 2)


def test_a_class_without_rows_has_no_precision() -> None:
    scores = class_scores(np.array(["a", "a"]), np.array(["a", "b"]), None, [""])
    assert [(s.label, s.recall, s.rows_train) for s in scores] == [
        ("a", 0.5, None),
        ("b", None, None),
    ]


def score(value: float, low: float, high: float, dummy: float | None) -> Score:
    return Score(name="accuracy", value=value, low=low, high=high, dummy=dummy)


@pytest.mark.parametrize(
    ("values", "tone", "words"),
    [
        ((0.91, 0.85, 0.95, 0.40), "good", "Clearly better than guessing: accuracy 0.910"),
        ((0.45, 0.35, 0.55, 0.40), "unsure", "Not shown to be better than guessing"),
        ((0.20, 0.10, 0.30, 0.40), "bad", "Worse than guessing"),
        ((0.91, 0.85, 0.95, None), "neutral", "no baseline is known"),
    ],
)
def test_the_verdict_follows_the_interval(
    values: tuple[float, float, float, float | None],
    tone: str,
    words: str,
    exported: edge_pipeline.ExportResult,
) -> None:
    classes = [
        ClassScore(label="pump", rows=9, predicted=8, precision=0.8, recall=0.7, f1=0.75),
        ClassScore(label="ok", rows=9, predicted=8, precision=1, recall=1, f1=1.0),
        ClassScore(label="never", rows=4, predicted=0, precision=None, recall=0, f1=0.0),
    ]
    evaluation = Evaluation(sha256="", scores=(score(*values),), classes=tuple(classes))
    verdict = judge(exported.manifest, evaluation)
    assert verdict.tone == tone
    assert words in verdict.sentence
    assert ("weakest on class never" in verdict.sentence) == (tone == "good")
    assert any("No test row is predicted as never" in remark for remark in verdict.remarks)


def test_a_loss_is_shown_as_a_loss(exported: edge_pipeline.ExportResult) -> None:
    loss = Score(name="neg_mean_absolute_error", value=-2.0, low=-2.5, high=-1.5, dummy=-9.0)
    verdict = judge(exported.manifest, Evaluation(sha256="", scores=(loss,)))
    assert verdict.tone == "good"
    assert "mean absolute error 2.000 (95 %: 1.500 to 2.500) against 9.000" in verdict.sentence


def test_histograms_count_every_row() -> None:
    train = X.assign(flag=X["size"] > 0, gap=np.where(X["age"] > 45, np.nan, X["size"]))
    many = train.assign(code=[f"c{i % 40}" for i in range(300)])
    for item in column_histograms(many[:200], many[200:]):
        cells, test_cells = many[item.column][:200], many[item.column][200:]
        assert sum(item.train) + item.missing_train == 200
        assert sum(item.test) + item.missing_test == 100
        assert item.missing_train == cells.isna().sum()
        if item.edges:
            counts = np.histogram(cells.dropna().astype(float), item.edges)[0]
            assert item.train == tuple(counts)
        elif item.column == "kind":
            assert item.train == tuple((cells == label).sum() for label in item.labels)
            assert item.test == tuple((test_cells == label).sum() for label in item.labels)


@pytest.mark.parametrize(
    "values", [[1.0] * 9, [np.nan] * 9, [1e308, -1e308] * 4, [5e-324, 0.0] * 4, [2.0**60] * 3]
)
def test_histograms_of_extreme_columns_exist(values: list[float]) -> None:
    (item,) = column_histograms(pd.DataFrame({"a": values}))
    assert sum(item.train) + item.missing_train == len(values)


def test_the_diagram_has_every_step() -> None:
    step = estimator_steps(fitted())
    columns, last = step.steps
    assert (step.estimator, step.kind, columns.kind) == ("Pipeline", "serial", "parallel")
    assert [(s.name, s.columns) for s in columns.steps][:2] == [
        ("standardscaler", "size, age"),
        ("onehotencoder", "kind"),
    ]
    assert (last.estimator, last.parameters) == ("LogisticRegression", "C=0.5")
    voting = VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(7))])
    inner = estimator_steps(voting)
    assert [s.parameters for s in inner.steps] == ["", "n_estimators=7"]
    assert "LogisticRegression" not in inner.parameters


def test_far_and_wrong_rows_come_in_order() -> None:
    y, predicted = np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 0.0])
    table = far_rows(np.zeros((3, 1)), ["a"], y, predicted)
    assert table is not None
    assert [(row.row, row.badness) for row in table.rows] == [(3, 3.0), (1, 0.5), (2, 0.0)]
    proba = np.array([[0.6, 0.4], [0.1, 0.9], [0.8, 0.2]])
    labels = np.array(["a", "b", "a"])
    wrong = wrong_rows(
        ["x", "y", "z"], ["t"], labels[::-1], np.array(["b", "b", "b"]), {"predict_proba": proba}
    )
    assert wrong is not None
    assert [(row.row, row.true, row.cells) for row in wrong.rows] == [
        (3, "a", ("z",)),
        (1, "a", ("x",)),
    ]
    assert wrong_rows(["x"], ["t"], labels[:1], labels[:1], {}) is None


@pytest.mark.parametrize(
    ("fast", "slow", "is_shown"),
    [((0.90, 10.0), (0.95, 30.0), True), ((0.949, 10.0), (0.95, 30.0), False),
     ((0.90, 29.0), (0.95, 30.0), False)],
)  # fmt: skip
def test_a_front_needs_a_choice_beyond_the_noise(
    fast: tuple[float, float], slow: tuple[float, float], is_shown: bool
) -> None:
    candidates = tuple(
        CandidateRow(
            family="f", parameters="", score=value, spread=0.02, latency_us=time, front=True
        )
        for value, time in (fast, slow)
    )
    assert search_noise(candidates, folds=5, noise=0.1) is is_shown


@pytest.mark.slow
def test_an_anomaly_detector_is_judged_with_and_without_labels(tmp_path: Path) -> None:
    numbers = X[["size", "age"]]
    detector = IsolationForest(n_estimators=10, random_state=0).fit(numbers[:200])
    path = tmp_path / "a.onnx"
    result = edge_pipeline.export(detector, numbers[:200], path, X_test=numbers[200:], report=True)
    evaluation = result.report_files.evaluation  # type: ignore[union-attr]
    flagged = int((detector.predict(numbers[200:]) == -1).sum())
    assert f"Flags {flagged} of 100 rows" in Elements(page_of(result)).text
    assert evaluation.rows is not None
    assert evaluation.rows.total == flagged
    scores = detector.decision_function(numbers[200:])
    assert evaluation.rows.rows[0].badness == pytest.approx(scores.min(), rel=1e-9)
    labelled = numbers[200:].assign(truth=np.where(scores < 0, -1, 1))
    judged = edge_pipeline.report(path, rows=labelled, target="truth").evaluation
    assert judged.scores[0].value == 1.0
    assert {item.column for item in judged.importance} == {"size", "age"}
    assert [(c.name, c.area) for c in judged.roc] == [("anomaly", 1.0)]
    assert judged.thresholds is None
    assert judged.left_out == {}
    with pytest.raises(edge_pipeline.MeasurementError, match="must be -1 for an anomaly"):
        edge_pipeline.report(path, rows=labelled.assign(truth=5), target="truth")


@pytest.mark.parametrize(
    ("value", "text"),
    [(71878.4, "71,878"), (-0.0742512, "-0.07425"), (1234567.0, "1,234,567"), (2.5e9, "2.5e+09"),
     (3.0, "3"), (float("-inf"), "-inf")],
)  # fmt: skip
def test_numbers_are_written_without_needless_powers_of_ten(value: float, text: str) -> None:
    assert number_text(value) == text


def test_a_page_shows_the_numerical_notes_and_why_it_has_no_form(
    exported: edge_pipeline.ExportResult,
) -> None:
    sealed_file = SealedFile(unpack(exported.path.read_bytes()), exported.path.name, 1)
    reason = "the model needs the operator Loop, which the page lacks"
    evaluation = Evaluation(sha256="", notes=("far <outside>",), left_out={NO_FORM: reason})
    elements = Elements(render_page(sealed_file, evaluation))
    assert "Numerical notes far <outside>" in " ".join(elements.text.split())
    assert f"This page has no form: {reason}." in elements.text
    assert "Missing sections" not in elements.text
    assert "far &lt;outside&gt;" in render_card(sealed_file, evaluation)


def test_several_targets_of_several_classes_have_their_accuracy(tmp_path: Path) -> None:
    numbers = X[["size", "age"]]
    y = np.c_[Y, np.where(X["age"] > 60, "old", np.where(X["age"] > 20, "adult", "young"))]
    forest = RandomForestClassifier(5, max_depth=4, random_state=0).fit(numbers[:200], y[:200])
    result = edge_pipeline.export(
        forest,
        numbers[:200],
        tmp_path / "m.onnx",
        y=pd.DataFrame(y[:200], columns=["bulk_of", "age group"]),
        X_test=numbers[200:],
        y_test=y[200:],
        report=True,
    )
    evaluation = result.report_files.evaluation  # type: ignore[union-attr]
    predicted = forest.predict(numbers[200:])
    assert [s.value for s in evaluation.scores] == (predicted == y[200:]).mean(axis=0).tolist()
    assert evaluation.scores[0].name == "accuracy of bulk_of"
    assert {c.target for c in evaluation.classes} == {"bulk_of", "age group"}
    assert evaluation.importance[0].column in ("size", "age")


def test_an_export_without_test_rows_says_so(tmp_path: Path) -> None:
    numbers = X[["size", "age"]].to_numpy()
    result = edge_pipeline.export(
        Ridge().fit(numbers, X["size"]), numbers, tmp_path / "r.onnx", report=True
    )
    text = Elements(page_of(result)).text
    assert "Not judged: there are no test rows with a known target." in text
    assert "pass X_test and y_test to export" in text


def test_the_verdict_is_about_the_metric_of_the_search(
    exported: edge_pipeline.ExportResult,
) -> None:
    """Unbalanced classes: a model that seeks balanced accuracy may have less accuracy."""
    scores = (
        Score(name="accuracy", value=0.46, low=0.41, high=0.51, dummy=0.49),
        Score(name="balanced_accuracy", value=0.51, low=0.4, high=0.6, dummy=0.2),
    )
    assert judge(exported.manifest, Evaluation(sha256="", scores=scores)).tone == "unsure"
    searched = Evaluation(sha256="", scores=scores, tried_of="balanced_accuracy")
    verdict = judge(exported.manifest, searched)
    assert verdict.tone == "good"
    assert verdict.sentence.startswith("Clearly better than guessing: balanced accuracy 0.510")
