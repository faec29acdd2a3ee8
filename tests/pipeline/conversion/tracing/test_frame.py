"""Functions written with pandas become nodes of the graph, or are refused by name."""

import os

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import convert, export
from edge_pipeline.errors import ParityError, UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler


def table(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n) * 3,
            "b": rng.normal(size=n) + 5,
            "city": pd.Series(rng.choice(["oslo", "rome"], n), dtype=object),
            "flag": rng.random(n) > 0.5,
            "count": rng.integers(0, 9, n),
            "gap": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        }
    )


X, UNSEEN = table(80, 0), table(30, 1)


def columns_added(df):
    df = df.copy()
    df["ratio"] = df["a"] / df["b"]
    df.loc[df["a"] < 0, "a"] = 0
    df[["a", "b"]] = df[["a", "b"]] * 2
    df["sign"] = np.where(df.a > 0, 1, 0)
    return df


def changed_in_place(df):
    df = df.copy()
    df.insert(0, "first", df["b"] - 1)
    df.drop(columns=["b"], inplace=True)
    df["one"] = 1.0
    return df


def squares(df):
    out = df.copy()
    for name in df.columns:
        out[name + "_squared"] = df[name] ** 2
    return out


FUNCTIONS = {
    "ratio": ("ab", lambda d: pd.DataFrame({"r": d["a"] / d["b"]})),
    "to_frame": ("ab", lambda d: (d["a"] / d["b"]).to_frame("r")),
    "assign": ("ab", lambda d: d.assign(r=lambda q: q.a * q.b, s=3)),
    "select": ("ab", lambda d: d[["b"]]),
    "to_numpy": ("ab", lambda d: d.to_numpy() ** 2),
    "values": ("ab", lambda d: d.values[:, [0]]),
    "added": ("ab", columns_added),
    "in place": ("ab", changed_in_place),
    "squares": ("ab", squares),
    "log": ("ab", lambda d: np.log1p(d.abs())),
    "exp": ("ab", np.exp),
    "arithmetic": ("ab", lambda d: (1 - d) / 2 + d**2 - d.mean(axis=1).to_numpy()[:, None]),
    "div": ("ab", lambda d: d.div(d.sum(axis=1), axis=0)),
    "flags": (["flag", "a"], lambda d: pd.DataFrame(
        {"n": ~d["flag"], "m": d["flag"] & (d["a"] > 0)}).astype(int)),
    "bits": (["count"], lambda d: (d["count"] & 1).to_frame()),
    "modulo": (["count"], lambda d: (d["count"] % 2 == 0).to_frame()),
    "text equal": (["city"], lambda d: (d["city"] == "oslo").astype(int).to_frame()),
    "text map": (["city"], lambda d: d["city"].map({"oslo": 1.0, "rome": 2.0}).to_frame()),
    "text isin": (["city"], lambda d: d["city"].isin(["rome"]).to_frame()),
    "fillna": (["gap"], lambda d: d.fillna(0)),
    "fillna by column": (["gap", "a"], lambda d: d.fillna({"gap": -1.0})),
    "isna": (["gap"], lambda d: d.isna().astype(float)),
    "concat": (["gap", "a"], lambda d: pd.concat(
        [d.fillna(0), d[["gap"]].isna().astype(float).add_suffix("_missing")], axis=1)),
    "apply a row": ("ab", lambda d: d.apply(lambda r: r["a"] * r["b"], axis=1).to_frame()),
    "apply a column": ("ab", lambda d: d.apply(np.square)),
    "map": ("ab", lambda d: d["a"].map(lambda v: v * 2).to_frame()),
    "loc": ("ab", lambda d: d.loc[:, ["b", "a"]]),
    "iloc": ("ab", lambda d: d.iloc[:, 0:1]),
    "clip": ("ab", lambda d: d.clip(lower=0)),
    "rename": ("ab", lambda d: d.rename(columns={"a": "x"})[["x"]]),
    "round": ("ab", lambda d: d.round(1)),
    "reductions": (["gap", "a"], lambda d: pd.DataFrame(
        {"m": d.mean(axis=1), "s": d.sum(axis=1), "x": d.max(axis=1), "d": d.std(axis=1)})),
    "where": ("ab", lambda d: np.where(d["a"] > 0, d["a"], 0).reshape(-1, 1)),
    "column_stack": ("ab", lambda d: np.column_stack([d["a"], d["b"]])),
    "c_": ("ab", lambda d: np.c_[d, d["a"]]),
    "hstack": ("ab", lambda d: np.hstack([d, d])),
    "select_dtypes": (["a", "b"], lambda d: d.select_dtypes("number")),
    "back to a frame": ("ab", lambda d: pd.DataFrame(
        np.log1p(d.to_numpy() ** 2), columns=d.columns, index=d.index)),
    "compare": ("ab", lambda d: (d > 0).astype(int)),
    "between": ("ab", lambda d: d["a"].between(-1, 1).astype(float).to_frame()),
    "replace": (["count"], lambda d: d["count"].replace(0, -1).to_frame()),
    "isinstance": ("ab", lambda d: d if isinstance(d, pd.DataFrame) else None),
    "asarray": ("ab", lambda d: np.asarray(d)[:, :1]),
    "reshape": ("ab", lambda d: d["a"].values.reshape(-1, 1)),
    "filter": ("ab", lambda d: d.filter(like="b")),
    "pd.isna": (["gap"], lambda d: pd.isna(d["gap"]).astype(int).to_frame()),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_pandas_functions_are_traced(name):
    columns, function = FUNCTIONS[name]
    names = list(columns)
    assert_same(FunctionTransformer(function).fit(X[names]), X[names], UNSEEN[names])


def test_a_later_column_transformer_selects_new_columns():
    y = np.where(X["a"] > 0, "yes", "no")
    model = make_pipeline(
        FunctionTransformer(lambda d: d.assign(ratio=d["a"] / d["b"])),
        ColumnTransformer(
            [("s", StandardScaler(), ["ratio", "b"]), ("o", OneHotEncoder(), ["city"])]
        ),
        LogisticRegression(),
    )
    assert_same(model.fit(X, y), X, UNSEEN)


def test_a_function_gets_the_columns_of_its_transformer():
    union = ColumnTransformer(
        [
            ("f", FunctionTransformer(columns_added), ["a", "b"]),
            ("c", FunctionTransformer(lambda d: (d == "oslo").astype(float)), ["city"]),
            ("v", FunctionTransformer(lambda s: np.log1p(s.abs()).to_frame()), "a"),
        ]
    )
    assert_same(union.fit(X), X, UNSEEN)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda d: d["city"].str.extract("(o)"), "pandas.Series.str.extract has no form"),
        (lambda d: pd.get_dummies(d["city"]), "use OneHotEncoder(handle_unknown='ignore')"),
        (lambda d: d[["a"]] - d[["a"]].mean(), "numpy.nanmean computes over the rows"),
        (lambda d: d[["a"]].rank(), "pandas.DataFrame.rank has no form"),
        (lambda d: d[["a"]].drop(index=[0]) if len(d) > 9 else d[["a"]], "dropping rows"),
        (lambda d: d[["a"]] if d["a"].sum() > 0 else d[["b"]], "numpy.sum computes over the rows"),
        (lambda d: d.loc[d["a"] > -99, ["a"]], "selecting rows changes the batch"),
    ],
)  # fmt: skip
def test_untraceable_functions_are_refused_by_name(function, reason):
    with pytest.raises(UnsupportedEstimatorError, match=r"parameter func=<lambda>: ") as caught:
        convert(FunctionTransformer(function).fit(X), X)
    assert reason in str(caught.value)


def test_a_selected_column_may_be_text():
    documents = X.assign(text=np.where(X["a"] > 0, "red green", "blue Öl red"))
    union = FeatureUnion(
        [
            ("t", make_pipeline(FunctionTransformer(lambda d: d["text"]), CountVectorizer())),
            ("n", make_pipeline(FunctionTransformer(lambda d: d[["a"]]), StandardScaler())),
        ]
    )
    assert_same(union.fit(documents), documents, documents[::-1])
    vector = ColumnTransformer(
        [("c", FunctionTransformer(lambda s: (s == "oslo").astype(int).to_frame()), "city")]
    )
    assert_same(vector.fit(X), X, UNSEEN)


def test_integers_that_wrap_around_are_refused_with_the_cause():
    frame = pd.DataFrame({"a": np.arange(40, dtype=np.int8)})
    model = make_pipeline(FunctionTransformer(lambda d: d**4), LinearRegression())
    model.fit(frame, np.arange(40.0))
    with pytest.raises(ParityError, match="columns of int8, in which numpy's arithmetic wraps"):
        export(model, frame, os.devnull)


def test_booleans_in_which_an_estimator_computes_are_refused_with_the_cause():
    """GaussianMixture of scikit-learn keeps the logarithms of densities in the dtype of X."""
    model = make_pipeline(
        FunctionTransformer(lambda d: d.to_numpy() > 0.5), GaussianMixture(2, random_state=0)
    )
    with pytest.raises(ParityError, match=r"GaussianMixture gets bool .* astype\(float\)"):
        export(model.fit(X[["a", "gap"]].fillna(0)), X[["a", "gap"]].fillna(0), os.devnull)
