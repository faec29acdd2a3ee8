"""LightGBM and XGBoost inside pipelines and meta-estimators: sparse input, codes, float32."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from edge_pipeline import convert, export
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.float32_math import (
    SMALLEST_POSITIVE,
    exp_float32,
    sigmoid_float32,
)
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_close, assert_same
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from edge_runtime import InputError, load

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

N = 240
RNG = np.random.default_rng(8)
NUMBERS, UNSEEN = RNG.normal(size=(2, N, 3))
TWO = (NUMBERS[:, 0] + NUMBERS[:, 1] > 0).astype(int)
THREE = np.digitize(NUMBERS[:, 0] + NUMBERS[:, 1], [-0.5, 0.5])
BOTH = np.column_stack([TWO, NUMBERS[:, 2] > 0]).astype(int)
SIZES = np.abs(NUMBERS[:, 0]) + 0.1


def extreme(kind: str = "XGBClassifier", **settings: Any) -> Any:
    return getattr(xgboost, kind)(**{"n_estimators": 5, "n_jobs": 1, **settings})


def light(kind: str = "LGBMClassifier", **settings: Any) -> Any:
    quiet = {"n_estimators": 5, "verbose": -1, "n_jobs": 1, "min_child_samples": 5}
    return getattr(lightgbm, kind)(**{**quiet, **settings})


# The C library's exponential


@pytest.fixture(scope="module")
def expf() -> Callable[[float], float]:
    try:
        function = ctypes.CDLL("libm.so.6").expf
    except OSError:
        pytest.skip("needs glibc's libm")
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return function  # type: ignore[no-any-return]


def run(function: Callable[..., Any], x: np.ndarray, bound: float) -> np.ndarray:
    graph = Graph()
    graph.output("y", function(graph.input("x", np.float32, (None,)), bound))
    model = graph.to_model("test").SerializeToString()
    return onnxruntime.InferenceSession(model).run(None, {"x": x})[0]


@pytest.mark.parametrize("bound", [0.01, 3.0, 80.0, 200.0])
def test_float32_exp_is_that_of_the_c_library(expf: Any, bound: float) -> None:
    x = np.random.default_rng(1).uniform(-bound, bound, 20_000).astype(np.float32)
    expected = np.array([expf(float(value)) for value in x], dtype=np.float32)
    np.testing.assert_array_equal(run(exp_float32, x, bound), expected)


def test_labels_change_at_the_smallest_positive_sigmoid() -> None:
    x = SMALLEST_POSITIVE
    beside = np.array([np.nextafter(x, np.float32(0)), x], dtype=np.float32)
    assert (run(sigmoid_float32, beside, 1.0) > np.float32(0.5)).tolist() == [False, True]


# Meta-estimators around XGBoost

CLASSIFIERS: dict[str, tuple[Callable[[], Any], Any]] = {
    "sigmoid": (lambda: CalibratedClassifierCV(extreme(), cv=3), TWO),
    "isotonic": (lambda: CalibratedClassifierCV(extreme(), cv=3, method="isotonic"), TWO),
    "isotonic of three": (lambda: CalibratedClassifierCV(extreme(), method="isotonic"), THREE),
    "soft voting": (
        lambda: VotingClassifier(
            [("x", extreme()), ("l", LogisticRegression())], voting="soft", weights=[1, 2]
        ),
        THREE,
    ),
    "soft voting in float32": (
        lambda: VotingClassifier([("x", extreme()), ("y", extreme(max_depth=2))], voting="soft"),
        THREE,
    ),
    "stacking": (lambda: StackingClassifier([("x", extreme()), ("l", LogisticRegression())]), TWO),
    "stacking in float32": (
        lambda: StackingClassifier([("x", extreme())], final_estimator=extreme(max_depth=2)),
        THREE,
    ),
    "bagging": (lambda: BaggingClassifier(extreme(), 4, max_features=2, random_state=0), THREE),
    "chain": (lambda: ClassifierChain(extreme(), chain_method="predict_proba"), BOTH),
    "one against one": (lambda: OneVsOneClassifier(extreme()), THREE),
    "one against all": (lambda: OneVsRestClassifier(extreme()), THREE),
    "alone": (lambda: extreme(n_estimators=40), THREE),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_meta_classifiers_of_xgboost_are_exact(name: str) -> None:
    make, y = CLASSIFIERS[name]
    assert_same(make().fit(NUMBERS, y), NUMBERS, UNSEEN)


@pytest.mark.parametrize("objective", ["count:poisson", "reg:gamma", "reg:tweedie", "reg:logistic"])
@pytest.mark.parametrize(
    "make",
    [
        lambda part: part,
        lambda part: StackingRegressor([("x", part)], final_estimator=extreme("XGBRegressor")),
        lambda part: VotingRegressor([("x", part), ("y", extreme("XGBRegressor", max_depth=2))]),
        lambda part: BaggingRegressor(part, 3, random_state=0),
    ],
    ids=["alone", "stacking", "voting", "bagging"],
)
def test_links_of_xgboost_are_exact(objective: str, make: Callable[[Any], Any]) -> None:
    fitted = make(extreme("XGBRegressor", objective=objective)).fit(NUMBERS, SIZES / SIZES.max())
    assert_same(fitted, NUMBERS, UNSEEN)


def test_a_tolerance_of_float32_is_not_needed(tmp_path: Path) -> None:
    """XGBoost's predictions are float32, and equal to the last bit."""
    export(extreme().fit(NUMBERS, TWO), NUMBERS, tmp_path / "model.onnx")
    with load(tmp_path / "model.onnx") as model:
        assert model.manifest.parity.tolerance == 1e-9


def test_temperature_scaling_of_float32_has_a_wider_tolerance() -> None:
    fitted = CalibratedClassifierCV(extreme(), cv=3, method="temperature").fit(NUMBERS, TWO)
    assert_same(fitted, NUMBERS, UNSEEN, tolerance=1e-6)


# Sparse input


def words(seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    vocabulary = ["red", "blue", "cat", "dog", "sun"]
    return [" ".join(rng.choice(vocabulary, rng.integers(1, 6))) for _ in range(N)]


def table(seed: int) -> pd.DataFrame:
    """Categories, numbers with zeros, and texts."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "c": rng.choice(list("abcdef"), N),
            "f": np.where(rng.random(N) < 0.4, 0.0, rng.normal(size=N)),
            "g": rng.integers(0, 4, N).astype(float),
            "t": words(seed),
        }
    )


TABLE, UNSEEN_TABLE = table(0), table(1)
TABLE_Y = (TABLE.c.isin(["a", "d"]) | (TABLE.f > 0.5)).astype(int)


def columns(**settings: Any) -> ColumnTransformer:
    parts = [("c", OneHotEncoder(), ["c"]), ("n", "passthrough", ["f", "g"])]
    return ColumnTransformer(parts, **settings)


SPARSE_STEPS: dict[str, Callable[[], Any]] = {
    "dense by threshold": lambda: columns(sparse_threshold=0),
    "sparse by threshold": lambda: columns(sparse_threshold=1.0),
    "sparse as it is": columns,
    "scaled": lambda: make_pipeline(columns(sparse_threshold=1.0), StandardScaler(with_mean=False)),
    "products": lambda: make_pipeline(columns(sparse_threshold=1.0), PolynomialFeatures(2)),
    "bins": lambda: ColumnTransformer([("b", KBinsDiscretizer(3), ["f", "g"])]),
    "text": lambda: ColumnTransformer([("t", TfidfVectorizer(), "t"), ("n", "passthrough", ["f"])]),
    "union": lambda: FeatureUnion([("a", columns()), ("b", columns(sparse_threshold=0))]),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", [extreme, light])
@pytest.mark.parametrize("name", SPARSE_STEPS)
def test_sparse_steps_before_boosters_are_exact(name: str, make: Callable[[], Any]) -> None:
    fitted = make_pipeline(SPARSE_STEPS[name](), make()).fit(TABLE, TABLE_Y)
    assert_same(fitted, TABLE, UNSEEN_TABLE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CalibratedClassifierCV(extreme(), cv=3),
        lambda: BaggingClassifier(extreme(), 3, max_features=3, random_state=0),
        lambda: StackingClassifier(
            [("l", LogisticRegression())], final_estimator=extreme(), passthrough=True
        ),
    ],
    ids=["calibrated", "bagging", "stacking"],
)
def test_meta_estimators_pass_sparse_rows_on(make: Callable[[], Any]) -> None:
    fitted = make_pipeline(columns(sparse_threshold=1.0), make()).fit(TABLE, TABLE_Y)
    assert_same(fitted, TABLE, UNSEEN_TABLE)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("make", [extreme, light, lambda: make_pipeline(MaxAbsScaler(), extreme())])
def test_boosters_of_sparse_matrices_are_exact(
    make: Callable[[], Any], form: Any, tmp_path: Path
) -> None:
    """The device gets dense rows, in which zeros stand for absent cells."""
    rows, unseen = (np.where(part > 0.3, part, 0.0) for part in (NUMBERS, UNSEEN))
    fitted = make().fit(form(rows), TWO)
    export(fitted, form(rows), tmp_path / "model.onnx")
    with load(tmp_path / "model.onnx") as model:
        predictions = model.predict_proba(unseen)
    assert_close(fitted.predict_proba(form(unseen)), predictions, 1e-9, "predict_proba")


def test_sparse_rows_that_store_some_zeros_are_refused() -> None:
    fitted = make_pipeline(HashingVectorizer(n_features=16), extreme()).fit(words(0), TWO)
    with pytest.raises(UnsupportedEstimatorError, match="alternate_sign=False"):
        convert(fitted, words(0))
    rows = sparse.csr_matrix(NUMBERS)
    rows.data[:5] = 0.0
    with pytest.raises(UnsupportedEstimatorError, match="sparse_output=False"):
        convert(extreme().fit(rows, TWO), rows)


# Categories

CODES = np.tile(np.arange(4.0), 60)[:, np.newaxis]
ODD_CODES = np.array([[2.7], [2.0], [-0.5], [-0.0], [0.99], [-1.0], [3.999999999999], [77.0]])


@pytest.mark.parametrize("category", range(4))
@pytest.mark.parametrize("as_table", [True, False])
def test_fractions_of_codes_are_rounded_as_the_boosters_do(category: int, as_table: bool) -> None:
    """LightGBM rounds towards zero; XGBoost has no category below zero."""
    y = (CODES[:, 0] == category) * 10.0
    X = pd.DataFrame({"k": CODES[:, 0].astype(int)}) if as_table else CODES
    unseen = pd.DataFrame(ODD_CODES, columns=["k"]) if as_table else ODD_CODES
    settings = {"learning_rate": 1.0, "min_data_per_group": 1, "cat_smooth": 0}
    fitted = light("LGBMRegressor", **settings).fit(X, y, categorical_feature=[0])
    assert_same(fitted, X, unseen)
    settings = {"learning_rate": 1.0, "feature_types": ["c"], "enable_categorical": True}
    assert_same(extreme("XGBRegressor", **settings).fit(X, y), X, unseen)


def test_codes_beside_numbers_are_rounded_alone() -> None:
    X = np.column_stack([NUMBERS[:, :2], CODES[:, 0]])
    unseen = np.column_stack([UNSEEN[:, :2], CODES[:, 0] + 0.3])
    fitted = light("LGBMRegressor").fit(X, X[:, 0] + (X[:, 2] == 1), categorical_feature=[2])
    assert_same(fitted, X, unseen)


def test_lightgbm_takes_pandas_categories_and_codes_together() -> None:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "c": pd.Categorical(rng.choice(list("abc"), N)),
            "grade": pd.Categorical(rng.choice([1, 3, 7], N)),
            "ordered": pd.Categorical(rng.choice(list("xyz"), N), ordered=True),
            "z": rng.integers(0, 5, N),
        }
    )
    y = rows.z * 1.0 + (rows.c == "a") + (rows.grade == 3) + (rows.ordered == "y")
    for features in ("auto", ["c", "z"], ["z"]):
        fitted = light("LGBMRegressor").fit(rows, y, categorical_feature=features)
        assert_same(fitted, rows, rows.iloc[::-1].reset_index(drop=True))


def test_lightgbm_predicts_unseen_categories() -> None:
    rows = pd.DataFrame({"c": pd.Categorical(["a", "b", "c"] * 80), "g": [1, 2] * 120})
    rows = rows.astype({"g": "category"})
    unseen = pd.DataFrame({"c": pd.Categorical(["a", "new", None]), "g": pd.Categorical([1, 5, 2])})
    fitted = light("LGBMRegressor").fit(rows, (rows.c == "a") + (rows.g == 1) * 2.0)
    assert_same(fitted, rows, unseen)


def test_xgboost_refuses_unseen_categories(tmp_path: Path) -> None:
    """XGBoost refuses a table with two unseen categories, and takes a single one for the first."""
    rows = pd.DataFrame({"c": pd.Categorical(["a", "b", "c"] * 80)})
    fitted = extreme(enable_categorical=True).fit(rows, (rows.c == "a").astype(int))
    unseen = pd.DataFrame({"c": pd.Categorical(["new", "newer"])})
    with pytest.raises(xgboost.core.XGBoostError, match="not in the training set"):
        fitted.predict(unseen)
    export(fitted, rows, tmp_path / "model.onnx")
    with load(tmp_path / "model.onnx") as model, pytest.raises(InputError, match="new"):
        model.predict(unseen)
