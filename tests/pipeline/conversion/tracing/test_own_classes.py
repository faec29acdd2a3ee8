"""A user's own class is traced: exact, or refused with the line of its source."""

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.tracing import own_classes as own
from pipeline.conversion.tracing import own_predictors as predictors
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

NAMES = ["Braund, Mr. Owen Harris", "Cumings, Mrs. John", "Heikkinen, Miss. Laina", "Rice, Rev. X"]


def table(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n) * 3,
            "b": rng.normal(size=n) + 5,
            "c": rng.exponential(size=n) + 0.5,
            "count": rng.integers(0, 9, n),
            "gap": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "city": pd.Series(rng.choice(["oslo", " Rome", "bonn"], n), dtype=object),
            "name": pd.Series(rng.choice(NAMES, n), dtype=object),
        }
    )


X, UNSEEN = table(120, 0), table(40, 1)
UNSEEN.loc[0, "city"] = "Lyon"
Y = X["a"] + X["b"].to_numpy() ** 2
LABELS = (X["a"] > 0).astype(int)

NUMBERS = ["a", "b", "c"]
MIXED = ["a", "b", "gap", "city"]


def hot():
    return OneHotEncoder(handle_unknown="ignore")


CASES = {
    "winsorizer": (NUMBERS, make_pipeline(own.Winsorizer(), Ridge())),
    "winsorizer of an array": (None, make_pipeline(own.Winsorizer(), Ridge())),
    "winsorizer alone": (NUMBERS, own.Winsorizer()),
    "iqr capper": (NUMBERS, make_pipeline(own.IqrCapper(), Ridge())),
    "series of bounds": (NUMBERS, make_pipeline(own.SeriesBounds(), Ridge())),
    "column selector": (MIXED, make_pipeline(own.ColumnSelector(["b", "a"]), Ridge())),
    "column dropper": (MIXED, make_pipeline(own.ColumnDropper(["gap", "city"]), Ridge())),
    "type selector": (["a", "city", "b"], make_pipeline(own.TypeSelector(), Ridge())),
    "ratios": (NUMBERS, make_pipeline(own.CombinedAttributesAdder(), Ridge())),
    "group median": (MIXED, make_pipeline(own.GroupMedian(), Ridge())),
    "mean target": (MIXED, make_pipeline(own.MeanTargetEncoder(), Ridge())),
    "frequency": (["a", "city"], make_pipeline(own.FrequencyEncoder(), Ridge())),
    "get_dummies, reindex": (["a", "city"], make_pipeline(own.Dummies(), Ridge())),
    "get_dummies of columns": (
        ["a", "count", "city"],
        make_pipeline(own.DummiesOfColumns(), Ridge()),
    ),
    "pd.cut": (NUMBERS, make_pipeline(own.Binner(), Ridge())),
    "pd.cut with names": (["a", "city"], make_pipeline(own.AgeBands(), hot(), Ridge())),
    "replace, fillna, where": (MIXED, make_pipeline(own.Cleaner(), Ridge())),
    "title of a name": (["name"], make_pipeline(own.TitleExtractor(), hot(), Ridge())),
    "text cleaner": (["city", "name"], make_pipeline(own.TextCleaner(), hot(), Ridge())),
    "text cleaner, capitals": (
        ["city", "name"],
        make_pipeline(own.TextCleaner(case="upper"), hot(), Ridge()),
    ),
    "text length": (["name"], make_pipeline(own.TextLength(), Ridge())),
    "scaler inside": (NUMBERS, make_pipeline(predictors.Scaled(), Ridge())),
    "pipeline inside": (NUMBERS, make_pipeline(predictors.InnerPipeline(), Ridge())),
    "encoder inside": (["a", "b", "city"], make_pipeline(predictors.OneHotOfCity(), Ridge())),
    "subclass of a scaler": (None, make_pipeline(predictors.ReversedScaler(), Ridge())),
    "subclass, logarithm first": (NUMBERS, make_pipeline(predictors.LogScaler(), Ridge())),
    "own threshold": (NUMBERS, make_pipeline(StandardScaler(), predictors.ThresholdClassifier())),
    "own threshold alone": (NUMBERS, predictors.ThresholdClassifier()),
    "nearest mean": (NUMBERS, predictors.NearestMean()),
    "log regressor": (NUMBERS, predictors.LogRegressor()),
    "log regressor of a tree": (
        NUMBERS,
        predictors.LogRegressor(DecisionTreeRegressor(max_depth=3)),
    ),
    "averaged": (NUMBERS, predictors.Averaged([Ridge(), DecisionTreeRegressor(max_depth=4)])),
    "cyclic": (["count", "a"], make_pipeline(own.Cyclic(), Ridge())),
    "z-scores": (NUMBERS, make_pipeline(own.ZScoreFlags(), Ridge())),
    "skewed columns": (NUMBERS, make_pipeline(own.SkewFixer(), Ridge())),
    "plain class": (
        ["a", "city"],
        make_pipeline(own.PlainClass({"oslo": 1, " Rome": 2}), LinearRegression()),
    ),
    "template method": (NUMBERS, make_pipeline(own.RankLike(), Ridge())),
    "after a scaler": (NUMBERS, make_pipeline(StandardScaler(), own.Winsorizer(), Ridge())),
    "after set_output": (
        NUMBERS,
        make_pipeline(StandardScaler().set_output(transform="pandas"), own.IqrCapper(), Ridge()),
    ),
    "in a column transformer": (
        MIXED,
        make_pipeline(
            ColumnTransformer([("cap", own.IqrCapper(), ["b", "a"]), ("hot", hot(), ["city"])]),
            Ridge(),
        ),
    ),
    "in a feature union": (
        NUMBERS,
        make_pipeline(FeatureUnion([("w", own.Winsorizer()), ("s", predictors.Scaled())]), Ridge()),
    ),
    "two in a row": (
        MIXED,
        make_pipeline(own.ColumnSelector(["a", "b"]), own.IqrCapper(), own.ZScoreFlags(), Ridge()),
    ),
}


def fitted(name):
    columns, estimator = CASES[name]
    sample = X[columns or NUMBERS]
    unseen = UNSEEN[columns or NUMBERS]
    if columns is None:
        sample, unseen = sample.to_numpy(), unseen.to_numpy()
    classifies = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    return estimator.fit(sample, LABELS if classifies else Y - Y.min()), sample, unseen


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_an_own_class_predicts_the_same(name):
    estimator, sample, unseen = fitted(name)
    assert_same(estimator, sample, unseen)


class BatchMean(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        X = np.asarray(X)
        return X - X.mean(axis=0)


class LoopOverRows(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([[row[0] * 2] for row in np.asarray(X)])


class PlainDummies(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return pd.get_dummies(X[["city"]])


class Rolling(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[["a"]].assign(smooth=X["a"].rolling(3).mean())


REFUSED = {
    "mean of the batch": (BatchMean(), NUMBERS, r"return X - X.mean\(axis=0\)", "StandardScaler"),
    "loop over rows": (LoopOverRows(), NUMBERS, r"for row in np.asarray\(X\)", "whole columns"),
    "get_dummies alone": (PlainDummies(), ["city"], "get_dummies makes a column", "OneHotEncoder"),
    "rolling": (Rolling(), ["a"], r"rolling\(3\)", "pandas.Series.rolling"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_line_and_the_remedy(name):
    transformer, columns, line, remedy = REFUSED[name]
    with pytest.raises(UnsupportedEstimatorError, match=line) as refusal:
        convert(transformer.fit(X[columns]), X[columns])
    assert "test_own_classes.py, line " in str(refusal.value)
    assert remedy in str(refusal.value)


def test_a_function_calls_a_fitted_estimator():
    scaler = StandardScaler().fit(X[NUMBERS])
    model = LogisticRegression().fit(scaler.transform(X[NUMBERS]), LABELS)

    def scores(df):
        return model.predict_proba(scaler.transform(df))

    pipeline = make_pipeline(FunctionTransformer(scores), Ridge()).fit(X[NUMBERS], Y)
    assert_same(pipeline, X[NUMBERS], UNSEEN[NUMBERS])
