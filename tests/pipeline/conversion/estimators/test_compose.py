"""Pipelines, column transformers and unions: which columns go where, and in which order."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pipeline.conversion.estimators.parity import assert_same
from sklearn import config_context
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelEncoder,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)


def table(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "length (cm)": rng.normal(size=n) * 3,
            "mass": rng.normal(size=n) + 50,
            "island": pd.Series(rng.choice(["Dream", "Biscoe", "Torgersen"], n), dtype=object),
            "tagged": rng.random(n) > 0.5,
            "year": rng.integers(2007, 2010, n),
        }
    )


X, UNSEEN = table(80, 0), table(30, 1)
Y = np.where(X["mass"] + X["length (cm)"] > 50, "gentoo", "adelie")
NUMBERS = ["length (cm)", "mass"]
NUMERIC, NUMERIC_UNSEEN = (t[[*NUMBERS, "year"]].to_numpy() for t in (X, UNSEEN))
ENCODER = OneHotEncoder(handle_unknown="ignore")


@pytest.mark.parametrize(
    "columns",
    [
        NUMBERS,
        [1, 0],
        slice(0, 2),
        slice("length (cm)", "mass"),
        [True, True, False, False, False],
        np.array([False, True, False, False, True]),
        make_column_selector(dtype_include=float),
        make_column_selector(pattern="mass|year"),
        lambda df: [name for name in df.columns if "m" in name],
        pd.Index(["year"]),
        [-1],
    ],
    ids=lambda c: type(c).__name__,
)
def test_columns_may_be_selected_in_every_way(columns):
    union = ColumnTransformer([("s", StandardScaler(), columns), ("o", ENCODER, ["island"])])
    assert_same(union.fit(X), X, UNSEEN)


@pytest.mark.parametrize("columns", [[0, 2], slice(1, None), [True, False, True], [-1, 0], [2, 2]])
def test_columns_of_an_array(columns):
    union = ColumnTransformer([("s", StandardScaler(), columns)], remainder=MinMaxScaler())
    assert_same(union.fit(NUMERIC), NUMERIC, NUMERIC_UNSEEN)


@pytest.mark.parametrize("remainder", ["drop", "passthrough", MinMaxScaler()])
def test_the_remainder(remainder):
    union = ColumnTransformer(
        [("o", ENCODER, ["island"]), ("p", "passthrough", ["year"]), ("d", "drop", ["tagged"])],
        remainder=remainder,
        transformer_weights={"o": 0.5, "remainder": 2.0},
    )
    assert_same(union.fit(X), X, UNSEEN)


@pytest.mark.parametrize("sparse_threshold", [0.0, 0.3, 1.0])
def test_sparse_output_becomes_dense(sparse_threshold):
    union = ColumnTransformer(
        [("o", ENCODER, ["island", "year"]), ("s", StandardScaler(), NUMBERS)],
        sparse_threshold=sparse_threshold,
    )
    assert_same(union.fit(X), X, UNSEEN)


def test_a_column_may_go_to_several_transformers():
    union = ColumnTransformer(
        [("a", StandardScaler(), NUMBERS), ("b", MinMaxScaler(), NUMBERS), ("c", PCA(1), NUMBERS)]
    )
    assert_same(make_pipeline(union, LogisticRegression()).fit(X, Y), X, UNSEEN)


@pytest.mark.parametrize("columns", [[], [False] * 5, make_column_selector("nobody")])
def test_an_empty_choice_adds_nothing(columns):
    union = ColumnTransformer([("e", StandardScaler(), columns), ("s", StandardScaler(), NUMBERS)])
    assert_same(union.fit(X), X, UNSEEN)


def test_dropping_everything_leaves_rows_without_columns():
    assert_same(ColumnTransformer([("d", "drop", NUMBERS)]).fit(X), X, UNSEEN)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_an_inner_transformer_selects_by_names_that_a_step_made(container):
    first = ColumnTransformer(
        [
            ("scaled", StandardScaler(), NUMBERS),
            ("coded", OneHotEncoder(sparse_output=False), ["island"]),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform=container)
    second = ColumnTransformer(
        [
            ("again", MinMaxScaler(), ["island_Dream", "mass"]),
            ("rest", "passthrough", ["length (cm)"]),
        ]
    ).set_output(transform=container)
    assert_same(make_pipeline(first, second, LogisticRegression()).fit(X, Y), X, UNSEEN)


def test_numbers_and_text_may_pass_through_a_step_together():
    steps = [
        ("fill", ColumnTransformer([("m", SimpleImputer(), NUMBERS)], remainder="passthrough")),
        ("split", ColumnTransformer([("s", StandardScaler(), [0, 1]), ("o", ENCODER, [2])])),
        ("model", LogisticRegression()),
    ]
    assert_same(Pipeline(steps).fit(X, Y), X, UNSEEN)


def test_columns_are_found_by_name_in_whatever_order_they_come():
    model = make_pipeline(
        ColumnTransformer([("s", StandardScaler(), NUMBERS), ("o", ENCODER, ["island"])]),
        LogisticRegression(),
    ).fit(X, Y)
    turned = ["year", "island", "mass", "tagged", "length (cm)"]
    assert_same(model, X[turned], UNSEEN[turned])


def test_a_polars_table_is_a_table():
    model = ColumnTransformer([("s", StandardScaler(), NUMBERS), ("o", ENCODER, ["island"])])
    frame = pl.from_pandas(X)
    assert_same(model.fit(frame), frame, UNSEEN)


def test_steps_that_do_nothing_do_nothing():
    steps = [("n", None), ("p", "passthrough"), ("s", StandardScaler()), ("l", "passthrough")]
    assert_same(Pipeline(steps).fit(NUMERIC), NUMERIC, NUMERIC_UNSEEN)


def test_a_union_joins_weighs_drops_and_passes():
    union = FeatureUnion(
        [
            ("pca", PCA(2)),
            ("best", SelectKBest(k=1)),
            ("same", "passthrough"),
            ("none", "drop"),
            ("inner", make_union(MinMaxScaler(), make_pipeline(StandardScaler(), PCA(1)))),
        ],
        transformer_weights={"pca": 2.0, "best": -1.0},
    )
    assert_same(union.fit(NUMERIC, Y), NUMERIC, NUMERIC_UNSEEN)


def test_a_name_not_in_a_list_hands_over_a_vector():
    union = ColumnTransformer(
        [
            ("v", FunctionTransformer(lambda column: np.log1p(column**2).to_frame()), "mass"),
            ("a", FunctionTransformer(lambda column: np.c_[column, column * 2.0]), 4),
        ]
    )
    assert_same(union.fit(X), X, UNSEEN)


def test_a_label_encoder_returns_arrays_whatever_the_container() -> None:
    words = np.array(["b", "a", "c", "a"])
    with config_context(transform_output="pandas"):
        assert_same(LabelEncoder().fit(words), words, words[::-1])
