"""Expressions that are equal are the same function, and proofs hold for the estimator's results."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.conversion.convert import OnnxModel, convert_sample, sample_for
from edge_pipeline.conversion.trees.ensemble import float32_splits
from edge_pipeline.proof.canonical_trees import Splits, canonical_trees, largest_float64
from edge_pipeline.proof.expressions import apply, lookup, take, tree_sum, where
from edge_pipeline.proof.prove import Proof, prove
from edge_pipeline.proof.scalars import SELF, constant, make, variable
from edge_runtime.model import Model
from hypothesis import given
from hypothesis import strategies as st
from sklearn import ensemble, tree
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

x, word = variable("numbers", 0), variable("strings", 0, textual=True)


def table(rows: int = 150, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3)) * [1, 100, 0.01]
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"])
    frame.loc[::9, "a"] = np.nan
    frame["kind"] = rng.choice(["oak", "ash", "élm"], rows)
    return frame


def numbers(rows: int = 150, seed: int = 0) -> Any:
    return table(rows, seed)[["b", "c"]].to_numpy()


def classes(rows: int = 150) -> Any:
    return np.array(["low", "mid", "high"])[np.digitize(numbers(rows)[:, 0], [-50, 50])]


def two(rows: int = 150) -> Any:
    return classes(rows) == "mid"


def target(rows: int = 150) -> Any:
    return numbers(rows) @ [1.0, 30.0]


def columns() -> Any:
    return make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["a", "b", "c"]),
        (OneHotEncoder(handle_unknown="ignore"), ["kind"]),
    )


def converted(estimator: Any, X: Any, y: Any) -> tuple[OnnxModel, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    sample = sample_for(estimator, X)
    return convert_sample(estimator, sample), sample


def proofs(estimator: Any, X: Any, y: Any) -> dict[str, Proof]:
    model, _ = converted(estimator, X, y)
    return dict(prove(model.graph, estimator, model.schema, model.outputs))


def two_targets(rows: int = 150) -> Any:
    return np.stack([classes(rows), two(rows).astype(str)], axis=1)


def targets(rows: int = 150) -> Any:
    return np.stack([target(rows), numbers(rows)[:, 1]], axis=1)


few: Any = {"n_estimators": 5, "random_state": 0}

TREES = {
    "tree": (tree.DecisionTreeClassifier(), classes),
    "tree of numbers": (tree.DecisionTreeRegressor(), target),
    "random split": (tree.ExtraTreeClassifier(random_state=0), classes),
    "random split of numbers": (tree.ExtraTreeRegressor(random_state=0), target),
    "forest": (ensemble.RandomForestClassifier(**few), classes),
    "forest of two": (ensemble.RandomForestClassifier(**few), two),
    "forest of two, cut": (ensemble.RandomForestClassifier(max_depth=3, **few), two),
    "forest of numbers": (ensemble.RandomForestRegressor(**few), target),
    "extra forest": (ensemble.ExtraTreesClassifier(**few), classes),
    "extra forest of numbers": (ensemble.ExtraTreesRegressor(**few), target),
    "boosting": (ensemble.GradientBoostingClassifier(**few), classes),
    "boosting of two": (ensemble.GradientBoostingClassifier(loss="exponential", **few), two),
    "boosting of numbers": (ensemble.GradientBoostingRegressor(**few), target),
    "histogram": (ensemble.HistGradientBoostingClassifier(max_iter=5), classes),
    "histogram of two": (ensemble.HistGradientBoostingClassifier(max_iter=5), two),
    "histogram of numbers": (ensemble.HistGradientBoostingRegressor(max_iter=5), target),
    "ada": (ensemble.AdaBoostClassifier(**few), classes),
    "ada of two": (ensemble.AdaBoostClassifier(**few), two),
    "ada of numbers": (ensemble.AdaBoostRegressor(**few), target),
    "bagging": (ensemble.BaggingClassifier(max_features=0.5, **few), classes),
    "bagging of numbers": (ensemble.BaggingRegressor(**few), target),
    "tree of two targets": (tree.DecisionTreeClassifier(), two_targets),
    "forest of two targets": (ensemble.RandomForestClassifier(**few), two_targets),
    "extra forest of two targets": (ensemble.ExtraTreesRegressor(**few), targets),
    "bagging of two targets": (ensemble.BaggingRegressor(**few), targets),
    "boosting by the absolute error": (
        ensemble.GradientBoostingRegressor(loss="absolute_error", **few),
        target,
    ),
    "isolation": (ensemble.IsolationForest(contamination=0.1, **few), classes),
    "embedding": (ensemble.RandomTreesEmbedding(**few), classes),
}


@pytest.mark.parametrize("name", TREES)
def test_trees_of_every_kind_are_proven(name: str) -> None:
    estimator, y = TREES[name]
    results = proofs(estimator, numbers(), y())
    assert {proof.level for proof in results.values()} == {"proven"}, results
    assert results.get("predict", Proof("proven", 0.0)).bound == 0.0
    assert all(proof.bound is not None and proof.bound < 1e-14 for proof in results.values())


def test_trees_behind_encoders_and_imputers_are_proven() -> None:
    forest = make_pipeline(columns(), ensemble.RandomForestClassifier(**few))
    assert {p.level for p in proofs(forest, table(), classes()).values()} == {"proven"}


def test_columns_that_nobody_reads_weaken_no_proof() -> None:
    X = table().assign(note="unread", when=pd.Timestamp("2020-01-01"))
    forest = make_pipeline(columns(), ensemble.RandomForestClassifier(**few))
    assert {p.level for p in proofs(forest, X, classes()).values()} == {"proven"}


def test_trees_behind_a_binarizer_are_proven() -> None:
    X = numbers()
    model = make_pipeline(Binarizer(threshold=0.3), tree.ExtraTreeClassifier(random_state=0))
    """The branch that training gave to NaN does not matter, since a Binarizer gives none."""
    proofs_by_output = proofs(model, X, two())
    nodes = model[-1].tree_
    assert (nodes.missing_go_to_left[nodes.children_left >= 0] == 1).any()
    assert {p.level for p in proofs_by_output.values()} == {"proven"}, proofs_by_output


def test_categories_of_a_histogram_booster_are_proven() -> None:
    X = table()
    X["kind"] = X["kind"].astype("category")
    booster = ensemble.HistGradientBoostingClassifier(max_iter=8, min_samples_leaf=3)
    y = np.char.add(X["kind"].astype(str).to_numpy(dtype=str), two().astype(str))
    model, _ = converted(booster, X, y)
    assert b"membership_values" in model.graph
    results = prove(model.graph, booster, model.schema, model.outputs)
    assert {proof.level for proof in results.values()} == {"proven"}


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        make_pipeline(StandardScaler(), LinearRegression()),
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        MLPClassifier((5,), max_iter=20, random_state=0),
    ],
)
def test_a_bound_holds_for_rows_within_the_ranges(estimator: Any) -> None:
    X = numbers()
    y = target() if isinstance(last(estimator), LinearRegression) else classes()
    model, _ = converted(estimator, X, y)
    results = prove(model.graph, estimator, model.schema, model.outputs)
    assert {proof.level for proof in results.values()} == {"bounded"}
    rng = np.random.default_rng(7)
    rows = rng.uniform(X.min(axis=0), X.max(axis=0), size=(2000, 2))
    rows[:4] = [X.min(axis=0), X.max(axis=0), [X[:, 0].min(), X[:, 1].max()], X[0]]
    from edge_pipeline.verification.verify import unverified_manifest

    with Model.from_parts(model.graph, unverified_manifest(model, 1e-9)) as device:
        for output in model.outputs:
            expected = getattr(estimator, output.method)(rows)
            if expected.dtype.kind == "f":
                gap = np.abs(expected - getattr(device, output.method)(rows)).max()
                assert gap <= results[output.name].bound


def last(estimator: Any) -> Any:
    return estimator[-1] if hasattr(estimator, "steps") else estimator


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(),
        make_pipeline(PCA(1), tree.DecisionTreeClassifier()),
        make_pipeline(columns(), PCA(2), LogisticRegression()),
    ],
)
def test_an_estimator_without_formula_is_probed_with_a_reason(estimator: Any) -> None:
    mixed = hasattr(estimator, "steps") and len(estimator) == 3
    X = table() if mixed else numbers()
    results = proofs(estimator, X, classes())
    assert {proof.level for proof in results.values()} == {"probed"}
    assert all(proof.reason and not proof.contradicted for proof in results.values())


def test_float32_columns_are_proven_for_trees_alone() -> None:
    X = pd.DataFrame(numbers().astype(np.float32), columns=["b", "c"])
    for estimator, level in (
        (tree.DecisionTreeClassifier(), "proven"),
        (StandardScaler(), "probed"),
    ):
        model, sample = converted(estimator, X, classes())
        results = prove(model.graph, estimator, model.schema, model.outputs, dtypes=sample.dtypes)
        assert {proof.level for proof in results.values()} == {level}


@given(st.floats(allow_nan=False))
def test_the_last_float64_before_a_float32_threshold_is_the_last(threshold: float) -> None:
    last = largest_float64(np.array([threshold]))[0]
    with np.errstate(over="ignore"):
        assert np.float64(np.float32(last)) <= threshold
        if last < np.inf:
            assert not np.float64(np.float32(np.nextafter(last, np.inf))) <= threshold


def test_prover_and_converter_find_the_same_float64_threshold() -> None:
    bits = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, size=20_000)
    largest = float(np.finfo(np.float32).max)
    ends = [0.0, 1e-45, 5e-324, largest, np.nextafter(largest, np.inf), 1e39, np.inf]
    thresholds = np.concatenate([bits.view(np.float64), ends, np.negative(ends)])
    thresholds = thresholds[~np.isnan(thresholds)]
    actual, expected = largest_float64(thresholds), float32_splits(thresholds)
    np.testing.assert_array_equal(actual, expected)


def test_a_table_of_a_table_is_one_table() -> None:
    imputed = lookup(word, {"": "oak"}, SELF)
    hot = lookup(imputed, {"oak": 1.0}, 0.0)
    assert hot.key == lookup(word, {"": 1.0, "oak": 1.0}, 0.0).key
    code = lookup(imputed, {"ash": 0, "oak": 1}, -1)
    assert apply("to float", apply("equal", code, constant(1))).key == hot.key
    assert lookup(word, {"oak": 1.0}, 0.0).key != hot.key


def test_a_text_that_spells_nan_is_no_missing_number() -> None:
    assert lookup(word, {"nan": "oak"}, SELF).value.at(("text", "nan")) == "oak"
    filled = lookup(x, {float("nan"): 5.0}, SELF)
    assert filled.key == where(apply("isnan", x), constant(5.0), x).key
    assert filled.key != lookup(x, {0.0: 5.0}, SELF).key


def stump(threshold: float = 0.0, *, negated: bool = False) -> Any:
    ways = (np.array([-1]), np.array([-2]))
    yes, no = ways[::-1] if negated else ways
    splits = Splits(np.array([0]), np.array([threshold]), np.array([False]), yes, no)
    return canonical_trees(splits, np.array([0]), [x])[0][0]


def test_votes_are_counted_by_ones_or_by_zeros() -> None:
    trees = [stump(float(i)) for i in range(3)]
    second = [np.array([0.0, 1.0])] * 3
    ones = tree_sum(zip(trees, second, strict=True))
    zeros = tree_sum((t, 1.0 - v) for t, v in zip(trees, second, strict=True))
    looked_up = take([1.0, 2 / 3, 1 / 3, 0.0], apply("to int", ones))
    assert apply("div", zeros, constant(3.0)).key == looked_up.key
    assert apply("div", ones, constant(3.0)).key != looked_up.key


def test_a_tree_with_equal_leaves_is_a_constant() -> None:
    first, second = stump(1.0), stump(2.0)
    a, b = np.array([0.5, 1.5]), np.array([2.5, 3.5])
    assert tree_sum([(first, np.array([2.0, 2.0]))]).value == 2.0
    assert tree_sum([(first, a), (second, b)]).key != tree_sum([(second, b), (first, a)]).key


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300).filter(bool))
def test_the_rewritten_spellings_are_the_same_float64(value: float, c: float) -> None:
    with np.errstate(all="ignore"):
        assert -(np.float64(value) / c) == (-np.float64(value)) / c
        assert -(np.float64(value) * c) == (-np.float64(value)) * c
        assert np.float64(value) / 8.0 == np.float64(value) * 0.125
        assert -(np.float64(value) + c) == (-np.float64(value)) + (-c)
    y = make("sum", [x, x])
    for op in ("div", "mul"):
        negated = apply("neg", apply(op, y, constant(abs(c))))
        assert negated.key == apply(op, apply("neg", y), constant(abs(c))).key
