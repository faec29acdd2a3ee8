"""LightGBM, XGBoost and CatBoost against their own predict, each where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import convert, export
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from edge_runtime import load

N = 240


def matrix(seed: int) -> Any:
    """Gaps, exact zeros, ties; the last column holds whole numbers, for categories."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 5))
    X[:, 2] = np.rint(X[:, 2])
    X[rng.random(X.shape) < 0.1] = 0.0
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:, 4] = rng.integers(0, 60, N)
    return X


X, UNSEEN = matrix(0), matrix(1)
FULL = np.nan_to_num(X)
Y = 2 * FULL[:, 0] + FULL[:, 1] ** 2 + np.sin(3 * FULL[:, 2]) + X[:, 4] % 3
CODES = np.digitize(Y, [1.0, 3.0])
LABELS = np.array(["adelie", "chinstrap", "gentoo"])[CODES]
TWO = np.array(["no", "yes"])[(Y > 2).astype(int)]

COLORS = ["red", "green", "blue", "white", "black"]


def table(seed: int, *, missing: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    colors = rng.choice([*COLORS, None] if missing else COLORS, size=N)
    return pd.DataFrame(
        {
            "length": rng.normal(size=N),
            "color": pd.Categorical(colors, categories=COLORS),
            "grade": pd.Categorical(rng.choice([1, 3, 7], size=N), categories=[1, 3, 7]),
        }
    )


TABLE, UNSEEN_TABLE = table(0), table(1)
TABLE_Y = TABLE.length + 2.0 * (TABLE.color == "red") + (TABLE.grade.astype(int) == 3)

# Whether two sides round exp alike is the only doubt.
SUMS = 1e-14
FLOAT32 = 1e-9


def light(kind: str, **settings: Any) -> Any:
    lightgbm = pytest.importorskip("lightgbm")
    return getattr(lightgbm, kind)(n_estimators=9, verbose=-1, n_jobs=1, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        {"boosting_type": "dart"},
        {"reg_sqrt": True},
        {"min_child_samples": N + 1},
    ],
    ids=str,
)
def test_lightgbm_regresses_alike(settings: dict[str, Any]) -> None:
    fitted = light("LGBMRegressor", **settings).fit(X, Y)
    assert_same(fitted, X, UNSEEN, tolerance=SUMS)


@pytest.mark.parametrize(
    "objective", ["poisson", "gamma", "tweedie", "huber", "quantile", "cross_entropy_lambda"]
)
def test_lightgbm_objectives_answer_alike(objective: str) -> None:
    y = (Y > 2) * 0.9 if "entropy" in objective else np.abs(Y) + 0.1
    fitted = light("LGBMRegressor", objective=objective).fit(X, y)
    assert_same(fitted, X, UNSEEN, tolerance=SUMS)


@pytest.mark.parametrize("y", [TWO, LABELS, Y > 2], ids=["two", "three", "bools"])
@pytest.mark.parametrize("settings", [{}, {"sigmoid": 2.0}, {"objective": "multiclassova"}])
def test_lightgbm_classifies_alike(y: Any, settings: dict[str, Any]) -> None:
    if "objective" in settings and y is not LABELS:
        pytest.skip("one against all is for more than two classes")
    fitted = light("LGBMClassifier", **settings).fit(X, y)
    assert_same(fitted, X, UNSEEN, tolerance=SUMS)


def test_lightgbm_sets_of_categories_answer_alike() -> None:
    fitted = light("LGBMRegressor").fit(X, Y, categorical_feature=[4])
    assert_same(fitted, X, UNSEEN, tolerance=SUMS)
    fitted = light("LGBMClassifier").fit(TABLE, TABLE_Y > 1)
    assert_same(fitted, TABLE, UNSEEN_TABLE, tolerance=SUMS)


def test_lightgbm_with_linear_leaves_is_refused() -> None:
    fitted = light("LGBMRegressor", linear_tree=True).fit(FULL, Y)
    with pytest.raises(UnsupportedEstimatorError, match="linear_tree"):
        convert(fitted, FULL)


def extreme(kind: str, **settings: Any) -> Any:
    xgboost = pytest.importorskip("xgboost")
    return getattr(xgboost, kind)(**{"n_estimators": 9, "n_jobs": 1, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"booster": "dart", "rate_drop": 0.3},
        {"objective": "reg:absoluteerror"},
        {"objective": "count:poisson"},
        {"objective": "reg:gamma"},
        {"objective": "reg:tweedie", "base_score": 2.0},
        {"objective": "reg:quantileerror", "quantile_alpha": [0.2, 0.7]},
        {"max_depth": 0, "max_leaves": 7, "tree_method": "hist", "grow_policy": "lossguide"},
    ],
    ids=str,
)
def test_xgboost_regresses_alike(settings: dict[str, Any]) -> None:
    fitted = extreme("XGBRegressor", **settings).fit(X, np.abs(Y) + 0.1)
    assert_same(fitted, X, UNSEEN, tolerance=FLOAT32)


def test_xgboost_sums_are_equal_to_the_last_bit_of_float32(tmp_path: Path) -> None:
    fitted = extreme("XGBRegressor", n_estimators=200).fit(X, Y + 1e4)
    export(fitted, X, tmp_path / "model.onnx")
    with load(tmp_path / "model.onnx") as model:
        np.testing.assert_array_equal(model.predict(UNSEEN), fitted.predict(UNSEEN))


def test_xgboost_takes_another_mark_for_missing() -> None:
    fitted = extreme("XGBRegressor", missing=0.0).fit(FULL, Y)
    assert_same(fitted, FULL, np.nan_to_num(UNSEEN), tolerance=FLOAT32)


@pytest.mark.parametrize("y", [CODES % 2, CODES], ids=["two", "three"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"base_score": 0.3}, {"num_parallel_tree": 2}, {"objective": "multi:softmax"}],
    ids=str,
)
def test_xgboost_classifies_alike(y: Any, settings: dict[str, Any]) -> None:
    if "objective" in settings and y is not CODES:
        pytest.skip("softmax is for more than two classes")
    # For multi:softmax the probabilities are scipy's, by numpy's float32 exp.
    tolerance = 1e-6 if "objective" in settings else FLOAT32
    assert_same(extreme("XGBClassifier", **settings).fit(X, y), X, UNSEEN, tolerance=tolerance)


@pytest.mark.parametrize("objective", ["binary:hinge", "binary:logitraw"])
def test_xgboost_without_probabilities_classifies_alike(objective: str) -> None:
    fitted = extreme("XGBClassifier", objective=objective).fit(X, CODES % 2)
    assert_same(fitted, X, UNSEEN, tolerance=FLOAT32)


def test_xgboost_several_targets_and_forests_answer_alike() -> None:
    targets = np.column_stack([CODES % 2, FULL[:, 0] > 0]).astype(int)
    assert_same(extreme("XGBClassifier").fit(X, targets), X, UNSEEN, tolerance=FLOAT32)
    two = np.column_stack([Y, -Y])
    assert_same(extreme("XGBRegressor").fit(X, two), X, UNSEEN, tolerance=FLOAT32)
    assert_same(extreme("XGBRFClassifier").fit(X, CODES), X, UNSEEN, tolerance=FLOAT32)


def test_xgboost_uses_the_best_iteration_after_stopping_early() -> None:
    estimator = extreme("XGBClassifier", n_estimators=50, early_stopping_rounds=2)
    fitted = estimator.fit(X, CODES, eval_set=[(UNSEEN, CODES[::-1])], verbose=False)
    assert fitted.best_iteration < 48
    assert_same(fitted, X, UNSEEN, tolerance=FLOAT32)


@pytest.mark.parametrize("max_cat_to_onehot", [1, 100])
def test_xgboost_sets_of_categories_answer_alike(max_cat_to_onehot: int) -> None:
    estimator = extreme(
        "XGBClassifier", enable_categorical=True, max_cat_to_onehot=max_cat_to_onehot
    )
    fitted = estimator.fit(TABLE, (TABLE_Y > 1).astype(int))
    assert_same(fitted, TABLE, UNSEEN_TABLE, tolerance=FLOAT32)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"booster": "gblinear", "updater": "coord_descent"}, "gblinear"),
        ({"multi_strategy": "multi_output_tree", "tree_method": "hist"}, "multi_output_tree"),
    ],
)
def test_xgboost_without_plain_trees_is_refused(settings: dict[str, Any], reason: str) -> None:
    y = np.column_stack([Y, -Y]) if "multi" in reason else Y
    with pytest.raises(UnsupportedEstimatorError, match=reason):
        convert(extreme("XGBRegressor", **settings).fit(FULL, y), FULL)


def cat(kind: str, **settings: Any) -> Any:
    catboost = pytest.importorskip("catboost")
    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1}
    return getattr(catboost, kind)(**{"iterations": 8, "depth": 4, **quiet, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss_function": "Poisson"},
        {"loss_function": "Quantile:alpha=0.3"},
        {"grow_policy": "Lossguide"},
        {"nan_mode": "Max"},
        {"iterations": 1, "depth": 1},
    ],
    ids=str,
)
def test_catboost_regresses_alike(settings: dict[str, Any]) -> None:
    fitted = cat("CatBoostRegressor", **settings).fit(X, np.abs(Y))
    assert_same(fitted, X, UNSEEN, tolerance=SUMS)


@pytest.mark.parametrize("y", [TWO, LABELS, CODES * 5 - 3, Y > 2], ids=["2", "3", "ints", "bools"])
@pytest.mark.parametrize("settings", [{}, {"grow_policy": "Depthwise"}], ids=str)
def test_catboost_classifies_alike(y: Any, settings: dict[str, Any]) -> None:
    assert_same(cat("CatBoostClassifier", **settings).fit(X, y), X, UNSEEN, tolerance=SUMS)


def test_catboost_one_vs_all_and_several_targets_agree() -> None:
    fitted = cat("CatBoostClassifier", loss_function="MultiClassOneVsAll").fit(X, LABELS)
    assert_same(fitted, X, UNSEEN, tolerance=SUMS)
    fitted = cat("CatBoostRegressor", loss_function="MultiRMSE").fit(X, np.column_stack([Y, -Y]))
    assert_same(fitted, X, UNSEEN, tolerance=SUMS)


def test_catboost_with_categorical_columns_is_refused() -> None:
    text = table(0, missing=False)[["length", "color"]].astype({"color": object})
    fitted = cat("CatBoostRegressor", cat_features=["color"]).fit(text, Y)
    with pytest.raises(UnsupportedEstimatorError, match="cat_features"):
        convert(fitted, text)


BOOSTERS: dict[str, Callable[[], Any]] = {
    "lightgbm": lambda: light("LGBMClassifier"),
    "xgboost": lambda: extreme("XGBClassifier"),
    "catboost": lambda: cat("CatBoostClassifier"),
}


@pytest.mark.parametrize("library", BOOSTERS)
def test_a_booster_answers_alike_at_the_end_of_a_pipeline(library: str) -> None:
    rows, unseen = (
        part.assign(color=part.color.astype(object), grade=part.grade.astype(float))
        for part in (TABLE, UNSEEN_TABLE)
    )
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["length", "grade"]),
            (
                "words",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="?"),
                    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                ),
                ["color"],
            ),
        ]
    )
    fitted = make_pipeline(columns, BOOSTERS[library]()).fit(rows, (TABLE_Y > 1).astype(int))
    assert_same(fitted, rows, unseen, tolerance=FLOAT32)


@pytest.mark.slow
def test_converting_imports_no_booster_that_the_program_did_not(
    in_new_process: Callable[..., str],
) -> None:
    source = """
import sys, numpy as np
from edge_pipeline import convert
from sklearn.tree import DecisionTreeRegressor
X = np.arange(6.0)[:, None]
convert(DecisionTreeRegressor().fit(X, X[:, 0]), X)
print(sorted({"catboost", "lightgbm", "xgboost"} & sys.modules.keys()))
"""
    assert in_new_process(source).strip() == "[]"


@pytest.mark.slow
def test_a_booster_imported_after_the_first_conversion_is_found(
    in_new_process: Callable[..., str],
) -> None:
    pytest.importorskip("lightgbm")
    source = """
import numpy as np
from edge_pipeline import convert
from sklearn.tree import DecisionTreeRegressor
X = np.arange(60.0)[:, None]
convert(DecisionTreeRegressor().fit(X, X[:, 0]), X)
from lightgbm import LGBMRegressor
model = convert(LGBMRegressor(n_estimators=2, verbose=-1, n_jobs=1).fit(X, X[:, 0]), X)
print(b"TreeEnsemble" in model.graph)
"""
    assert in_new_process(source).strip() == "True"
