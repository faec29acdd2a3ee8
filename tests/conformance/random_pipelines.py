"""Draw random tables and pipelines from a seed, and compare the device with scikit-learn.

``python -m conformance.random_pipelines FIRST COUNT`` in ``tests/`` prints one line of JSON a seed.
The outcome is ``exact``, ``refused`` (an error of ours at the build, with its text), ``sklearn
refuses``, or a fault: ``wrong``, ``device refuses`` or ``raw error``.  Where the build noted rows
that are ambiguous, a difference is no fault: ``ambiguous``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

N_TRAIN, N_UNSEEN = 160, 60

FAULTS = ("wrong", "device refuses", "raw error")
"""Outcomes that must never happen."""

FLOAT32_ROUNDING = 1e-4
"""Largest difference that float32 columns may cause, as at the export."""

NUMBER_DTYPES = (
    "float64",
    "float32",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "Int64",
    "Int8",
    "UInt8",
    "Float64",
    "bool",
    "boolean",
)
NULLABLE = ("float64", "float32", "Int64", "Int8", "UInt8", "Float64", "boolean")
"""The dtypes among them that can hold a missing value."""

METHODS = ("predict", "predict_proba", "decision_function", "transform")

Draw = np.random.Generator
Maker = Callable[[Draw], Any]


def number_column(rng: Draw, n_rows: int, dtype: str) -> pd.Series:
    """Numbers of one dtype, some of them equal."""
    if dtype.lower() in ("bool", "boolean"):
        return pd.Series(rng.random(n_rows) < 0.5).astype(dtype)
    if "loat" in dtype:
        return pd.Series(rng.normal(scale=10.0, size=n_rows)).astype(dtype)
    return pd.Series(rng.integers(0, 30, size=n_rows)).astype(dtype)


def text_column(rng: Draw, n_rows: int, dtype: str, words: list[str]) -> pd.Series:
    """Categories, as objects, strings or pandas categories."""
    return pd.Series(rng.choice(words, size=n_rows)).astype(dtype)


def with_missing(rng: Draw, column: pd.Series, share: float) -> pd.Series:
    """The column with missing values where its dtype has them."""
    return column.mask(rng.random(len(column)) < share) if share else column


def tables(rng: Draw) -> tuple[pd.DataFrame, pd.DataFrame, list[str], list[str]]:
    """Training rows, unseen rows, and the names of the columns of numbers and of categories.

    Half of the columns are complete in training; the unseen rows miss values in every column whose
    dtype allows it, and hold one category that training did not see.
    """
    train: dict[str, pd.Series] = {}
    unseen: dict[str, pd.Series] = {}
    numbers = [f"n{i}" for i in range(rng.integers(1, 5))]
    categories = [f"c {i}" for i in range(rng.integers(0, 4))]
    for name in numbers:
        dtype = str(rng.choice(NUMBER_DTYPES))
        share = 0.15 * float(dtype in NULLABLE)
        train[name] = number_column(rng, N_TRAIN, dtype)
        if rng.random() < 0.5:
            train[name] = with_missing(rng, train[name], share)
        unseen[name] = with_missing(rng, number_column(rng, N_UNSEEN, dtype), share)
    for name in categories:
        words = [f"w{i}" for i in range(rng.integers(2, 9))]
        dtype = str(rng.choice(["object", "str"]))
        train[name] = text_column(rng, N_TRAIN, dtype, words)
        if rng.random() < 0.5:
            train[name] = with_missing(rng, train[name], 0.15)
        unseen[name] = with_missing(rng, text_column(rng, N_UNSEEN, dtype, [*words, "new"]), 0.15)
    return pd.DataFrame(train), pd.DataFrame(unseen), numbers, categories


def number_steps(rng: Draw, has_ties: bool) -> Any:
    """Random preprocessing of numbers, always with an imputer first.

    KNNImputer's choice among equally near donors depends on numpy's partition of all distances: it
    is drawn only where there are no ties.
    """
    imputers: list[Maker] = [
        lambda _: SimpleImputer(),
        lambda _: SimpleImputer(strategy="median", add_indicator=True),
    ]
    if not has_ties:
        imputers.append(lambda _: KNNImputer(n_neighbors=3))
    first = pick(rng, imputers)
    scalers: list[Maker] = [
        lambda _: StandardScaler(),
        lambda _: MinMaxScaler(),
        lambda _: RobustScaler(),
        lambda _: PowerTransformer(),
        lambda _: QuantileTransformer(n_quantiles=20),
        lambda _: KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"),
    ]
    return make_pipeline(first, pick(rng, scalers)) if rng.random() < 0.8 else first


def category_steps(rng: Draw) -> Any:
    """Random encoding of categories, always for unseen and missing ones too."""
    encoders: list[Maker] = [
        lambda _: OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        lambda _: OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False
        ),
        lambda _: OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        ),
        lambda _: TargetEncoder(cv=3, random_state=0),
    ]
    encoder = pick(rng, encoders)
    if rng.random() < 0.4:
        return make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)
    return encoder


def classifiers() -> list[Maker]:
    """The classifiers to draw from."""
    return [
        lambda _: LogisticRegression(max_iter=2000),
        lambda _: RandomForestClassifier(7, max_depth=5, random_state=0),
        lambda _: ExtraTreesClassifier(5, random_state=0),
        lambda _: HistGradientBoostingClassifier(max_iter=8),
        lambda _: DecisionTreeClassifier(max_depth=4, random_state=0),
        lambda _: GaussianNB(),
        lambda _: SVC(),
        lambda _: LinearSVC(),
        lambda _: KNeighborsClassifier(3),
        *boosters("Classifier"),
    ]


def regressors() -> list[Maker]:
    """The regressors to draw from."""
    return [
        lambda _: Ridge(),
        lambda _: RandomForestRegressor(7, max_depth=5, random_state=0),
        lambda _: GradientBoostingRegressor(n_estimators=8, random_state=0),
        lambda _: HistGradientBoostingRegressor(max_iter=8),
        lambda _: DecisionTreeRegressor(max_depth=4, random_state=0),
        lambda _: KNeighborsRegressor(4, weights="distance"),
        lambda _: MLPRegressor(hidden_layer_sizes=(6,), max_iter=50, random_state=0),
        lambda _: VotingRegressor(
            [("r", Ridge()), ("t", DecisionTreeRegressor(max_depth=3, random_state=0))]
        ),
        *boosters("Regressor"),
    ]


def boosters(kind: str) -> list[Maker]:
    """Estimators of LightGBM and XGBoost, where they are installed."""
    makers: list[Maker] = []
    try:
        import lightgbm

        makers.append(lambda _: getattr(lightgbm, f"LGBM{kind}")(n_estimators=5, verbose=-1))
    except ImportError:
        pass
    try:
        import xgboost

        makers.append(lambda _: getattr(xgboost, f"XGB{kind}")(n_estimators=5, max_depth=3))
    except ImportError:
        pass
    return makers


def pick(rng: Draw, makers: list[Maker]) -> Any:
    """Make one of several estimators."""
    return makers[rng.integers(len(makers))](rng)


def pipeline(
    rng: Draw, train: pd.DataFrame, numbers: list[str], categories: list[str], task: str
) -> Any:
    """A ColumnTransformer, perhaps a reduction of columns, and a predictor."""
    has_ties = any("loat" not in str(train[name].dtype) for name in numbers)
    parts = [("numbers", number_steps(rng, has_ties), numbers)]
    if categories:
        parts.append(("categories", category_steps(rng), categories))
    steps: list[Any] = [ColumnTransformer(parts)]
    if rng.random() < 0.2:
        steps.append(pick(rng, [lambda _: PCA(1), lambda _: SelectKBest(k=1)]))
    steps.append(pick(rng, classifiers() if task == "classification" else regressors()))
    return make_pipeline(*steps)


def measure(seed: int) -> dict[str, Any]:
    """Fit the pipeline of one seed, export it, and compare every method on unseen rows."""
    import edge_pipeline

    rng = np.random.default_rng(seed)
    train, unseen, numbers, categories = tables(rng)
    task = str(rng.choice(["classification", "regression"]))
    signal = train[numbers[0]].astype("float64").fillna(0.0).to_numpy() + rng.normal(size=N_TRAIN)
    bins = np.quantile(signal, [0.3, 0.6])
    y = np.digitize(signal, bins[: rng.integers(1, 3)]) if task == "classification" else signal
    estimator = pipeline(rng, train, numbers, categories, task)
    line: dict[str, Any] = {"seed": seed, "pipeline": " ".join(repr(estimator).split())[:600]}
    try:
        estimator.fit(train, y)
    except Exception as error:
        return {**line, "outcome": "sklearn refuses", "text": str(error)[:200]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            result = edge_pipeline.export(estimator, train, path)
        except edge_pipeline.EdgePipelineError as error:
            return {**line, "outcome": "refused", "text": f"{type(error).__name__}: {error}"[:400]}
        except Exception as error:
            return {
                **line,
                "outcome": "raw error",
                "text": f"{type(error).__name__}: {error}"[:400],
            }
        # From float32 columns scikit-learn computes in float32, the device in float64.
        least = FLOAT32_ROUNDING if "float32" in map(str, train.dtypes) else 0.0
        comparison = compare(estimator, path, unseen, least, "onnxruntime")
        if comparison["outcome"] == "exact":
            comparison = compare(estimator, path, unseen, least, "numpy")
        is_noted = any("NOT compared" in note for note in result.notes)
        if comparison["outcome"] == "wrong" and is_noted:
            comparison["outcome"] = "ambiguous"
        return {**line, **comparison}


def compare(
    estimator: Any, path: Path, unseen: pd.DataFrame, least_tolerance: float, engine: Any
) -> dict[str, Any]:
    """The worst difference over all methods, or what went wrong."""
    import edge_runtime

    worst = 0.0
    with edge_runtime.load(path, engine=engine) as model:
        for method in METHODS:
            if not hasattr(estimator, method):
                continue
            try:
                expected = np.asarray(getattr(estimator, method)(unseen))
            except Exception as error:
                return {"outcome": "sklearn refuses", "text": str(error)[:200]}
            try:
                actual = np.asarray(getattr(model, method)(unseen))
            except edge_runtime.EdgeRuntimeError as error:
                return {"outcome": "device refuses", "text": f"{engine} {method}: {error}"[:300]}
            if expected.dtype.kind != "f":
                if not np.array_equal(expected, actual):
                    differs = int((expected != actual).sum())
                    return {
                        "outcome": "wrong",
                        "text": f"{engine}: {method} differs on {differs} rows",
                    }
                continue
            scale = max(1e-300, float(np.abs(expected).max()))
            worst = max(worst, float(np.abs(expected - actual).max()) / scale)
            tolerance = max(model.manifest.parity.tolerance, least_tolerance)
            if not worst <= tolerance:
                return {"outcome": "wrong", "text": f"{engine}: {method} is off by {worst:.1e}"}
    return {"outcome": "exact", "worst": worst}


def main() -> None:
    """Print the outcome of each seed."""
    warnings.simplefilter("ignore")
    first, count = map(int, sys.argv[1:3])
    for seed in range(first, first + count):
        print(json.dumps(measure(seed)), flush=True)


if __name__ == "__main__":
    main()
