"""A product with weights takes up the scalers and categories before it, and answers the same."""

import numpy as np
import onnx
import pandas as pd
import pytest
from edge_pipeline.conversion.convert import convert
from edge_pipeline.conversion.passes import gemm_fusion
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)
from sklearn.svm import LinearSVC

WORDS = ["a", "b", "c", "rare"]


def table(n=80, *, seed=0, words=WORDS):
    """Two columns of numbers with gaps, two that share words, one of years."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"x": rng.normal(size=n) * 7 + 3, "y": rng.normal(size=n)})
    X.loc[rng.random(n) < 0.1, "x"] = np.nan
    for name, some in (("one", words[1:]), ("two", words)):
        chances = [0.5, *[0.5 / (len(some) - 1)] * (len(some) - 1)]
        X[name] = pd.Series(rng.choice(some, n, p=chances), dtype=object)
    X["year"] = rng.choice([1999.0, 2004.0, 2011.0], n)
    return X


def classes(X, n=2):
    score = X["y"] + (X["two"] == "a") - (X["one"] == "b") + (X["year"] == 2004.0)
    return np.digitize(score, np.quantile(score, np.linspace(0, 1, n + 1)[1:-1]))


def columns(encoder, scaler=None):
    numbers = make_pipeline(SimpleImputer(), scaler or StandardScaler())
    return ColumnTransformer(
        [("numbers", numbers, ["x", "y"]), ("words", encoder, ["one", "two", "year"])]
    )


def operators(estimator, X):
    model = onnx.load_from_string(convert(estimator, X).graph)
    return [node.op_type for node in model.graph.node]


def strange():
    """Rows with words that training did not see."""
    return table(30, seed=5, words=["a", "b", "c", "rare", "new", "other"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "encoder"),
    [
        (LogisticRegression(), OneHotEncoder(handle_unknown="ignore")),
        (LinearSVC(), OneHotEncoder(handle_unknown="ignore", drop="first")),
        (LinearRegression(), OneHotEncoder(handle_unknown="ignore", drop="if_binary")),
        (Ridge(), OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.2)),
    ],
    ids=["all", "first", "binary", "infrequent"],
)
@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_categories_become_the_weights_that_they_select(model, encoder):
    X = table()
    pipeline = fitted(make_pipeline(columns(encoder), model), X, classes(X))
    op_types = operators(pipeline, X)
    assert not {"Equal", "Sub", "Div"} & set(op_types)
    assert op_types.count("Concat") == 2  # words with years, then numbers with weights
    assert_same(pipeline, X, strange(), tolerance=1e-13)


def test_a_word_counts_in_its_own_column_alone():
    X = table()
    model = LinearRegression()
    pipeline = fitted(
        make_pipeline(columns(OneHotEncoder(handle_unknown="ignore")), model), X, X["y"]
    )
    model.coef_ = np.arange(1.0, len(model.coef_) + 1.0) * 1000.0
    unseen = X.iloc[:2].copy()
    unseen["one"], unseen["two"] = ["a", "rare"], ["rare", "a"]  # "a" is no word of the first
    assert "GatherElements" in operators(pipeline, X)
    assert_same(pipeline, X, unseen, tolerance=1e-14)


@pytest.mark.parametrize(
    "model", [LogisticRegression(), MLPClassifier((8,), max_iter=50, random_state=0)], ids=repr
)
def test_several_weight_columns_keep_one_hot_and_fold_the_scaler(model):
    X = table()
    encoder = OneHotEncoder(handle_unknown="ignore")
    pipeline = fitted(make_pipeline(columns(encoder, MinMaxScaler()), model), X, classes(X, 3))
    op_types = operators(pipeline, X)
    assert "Equal" in op_types
    assert "Mul" not in op_types
    assert_same(pipeline, X, strange(), tolerance=1e-12)


def test_a_table_of_more_cells_than_the_limit_is_not_made(monkeypatch):
    X = table()
    encoder = OneHotEncoder(handle_unknown="ignore")
    pipeline = fitted(make_pipeline(columns(encoder), LogisticRegression()), X, classes(X))
    monkeypatch.setattr(gemm_fusion, "MOST_CELLS", 10)
    assert "Equal" in operators(pipeline, X)


def test_columns_that_another_node_reads_are_not_folded():
    X = table()
    doubled = FunctionTransformer(lambda Z: np.hstack([Z, Z * Z]), check_inverse=False)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    pipeline = fitted(make_pipeline(columns(encoder), doubled, LogisticRegression()), X, classes(X))
    assert {"Equal", "Div"} <= set(operators(pipeline, X))
    assert_same(pipeline, X, strange(), tolerance=1e-12)


def test_a_shift_that_would_cancel_stays_with_its_own_columns():
    X = table()
    X["x"] += 1e8
    encoder = OneHotEncoder(handle_unknown="ignore")
    pipeline = fitted(make_pipeline(columns(encoder), LogisticRegression()), X, classes(X))
    op_types = operators(pipeline, X)
    assert "Sub" in op_types
    assert "Equal" not in op_types
    unseen = strange()
    unseen["x"] += 1e8
    assert_same(pipeline, X, unseen)
