"""``estimator = "auto"``: the rows in, the estimators worth trying out, unfitted.

Few and ordinary: what wins on most tables of this kind, each with the preparation it needs.  Their
order is that of preference among equals, the smallest on a device first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.recipe import Recipe

__all__ = ["Preset", "make_preprocessing", "make_presets"]

MAX_CATEGORIES = 50
"""Categories of a column that become columns of their own; rarer ones share one."""

SMALL = 500
"""Rows below which a leaf of boosted trees may hold five rows instead of twenty."""

STOP_EARLY_ABOVE = 5000
"""Rows above which a network keeps a tenth aside and stops when that no longer gains."""


@dataclass(frozen=True)
class Preset:
    """One estimator worth trying.

    Attributes
    ----------
    family
        linear, forest, boosting or network.
    parameters
        What sets it apart within its family.
    prepare
        The transformer before it, or None.
    estimator
        Unfitted; every random_state is the recipe's seed.
    """

    family: str
    parameters: Mapping[str, Any]
    prepare: Any
    estimator: Any

    def pipeline(self) -> Any:
        """The whole, unfitted."""
        from sklearn.pipeline import Pipeline

        if self.prepare is None:
            return self.estimator
        return Pipeline([("preprocess", self.prepare), ("estimator", self.estimator)])


def make_presets(recipe: Recipe, dataset: Dataset, scoring: str) -> list[Preset]:
    """The candidates for a task with a target, family after family, the likeliest first in each.

    Parameters
    ----------
    scoring
        Name of the scorer: one that counts every class alike asks for weights that do so too.
    """
    families = _CLASSIFIERS if recipe.task == "classification" else _REGRESSORS
    found = []
    text = not isinstance(dataset.X_train, pd.DataFrame | np.ndarray)
    for family in ("linear", "forest", "boosting", "network"):
        # Words of a text are many columns, mostly empty: the other families take no such rows.
        if family not in recipe.estimator.families or (text and family != "linear"):
            continue
        context = _Context(recipe, dataset, _balanced(scoring))
        scaled = family in ("linear", "network")
        for parameters, estimator in families[family](context):
            found.append(
                Preset(family, parameters, make_preprocessing(dataset, scaled=scaled), estimator)
            )
    return found


def _balanced(scoring: str) -> bool:
    return "balanced" in scoring or scoring.startswith(("f1", "recall", "jaccard"))


@dataclass(frozen=True)
class _Context:
    recipe: Recipe
    dataset: Dataset
    balanced: bool

    @property
    def seed(self) -> int:
        return self.recipe.split.seed

    @property
    def rows(self) -> int:
        return len(self.dataset.X_train)

    @property
    def several(self) -> bool:
        y = self.dataset.y_train
        return y is not None and y.ndim > 1

    @property
    def weights(self) -> dict[str, str]:
        return {"class_weight": "balanced"} if self.balanced else {}


_Variants = list[tuple[dict[str, Any], Any]]


def _logistic(context: _Context) -> _Variants:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    made: _Variants = []
    for C in (1.0, 0.1, 10.0, 0.01, 100.0):
        found = LogisticRegression(C=C, max_iter=2000, random_state=context.seed, **context.weights)
        made.append(({"C": C}, OneVsRestClassifier(found) if context.several else found))
    return made


def _ridge(context: _Context) -> _Variants:
    from sklearn.linear_model import Ridge

    return [({"alpha": alpha}, Ridge(alpha=alpha)) for alpha in (1.0, 10.0, 100.0, 0.1, 1000.0)]


def _forests(context: _Context, kinds: tuple[Any, Any], share: Any) -> _Variants:
    """Random forests, and the more random ones, with leaves of one row and of more."""
    usual, extra = kinds
    made: _Variants = []
    for kind, leaf, features in (
        (usual, 1, share),
        (extra, 1, share),
        (usual, 4, share),
        (usual, 1, 1.0 if share == "sqrt" else "sqrt"),
    ):
        parameters = {"kind": kind.__name__, "min_samples_leaf": leaf, "max_features": features}
        weights = {} if context.several else context.weights
        options = {"min_samples_leaf": leaf, "max_features": features, **weights}
        made.append((parameters, kind(n_estimators=100, random_state=context.seed, **options)))
    return made


def _classifying_forests(context: _Context) -> _Variants:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    return _forests(context, (RandomForestClassifier, ExtraTreesClassifier), "sqrt")


def _regressing_forests(context: _Context) -> _Variants:
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

    plain = _Context(context.recipe, context.dataset, balanced=False)
    return _forests(plain, (RandomForestRegressor, ExtraTreesRegressor), 0.33)


def _boosting(context: _Context, kind: Any, wrap: Any, weights: dict[str, str]) -> _Variants:
    leaf = 5 if context.rows < SMALL else 20
    made: _Variants = []
    for parameters in (
        {"learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 31, "l2_regularization": 0.0},
        {"learning_rate": 0.05, "max_iter": 150, "max_leaf_nodes": 8, "l2_regularization": 1.0},
        {"learning_rate": 0.1, "max_iter": 50, "max_leaf_nodes": 4, "l2_regularization": 1.0},
        {"learning_rate": 0.1, "max_iter": 200, "max_leaf_nodes": 15, "l2_regularization": 5.0},
    ):
        found = kind(**parameters, min_samples_leaf=leaf, random_state=context.seed, **weights)
        made.append((parameters, wrap(found) if context.several else found))
    return made


def _classifying_boosting(context: _Context) -> _Variants:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.multioutput import MultiOutputClassifier

    return _boosting(
        context, HistGradientBoostingClassifier, MultiOutputClassifier, context.weights
    )


def _regressing_boosting(context: _Context) -> _Variants:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.multioutput import MultiOutputRegressor

    return _boosting(context, HistGradientBoostingRegressor, MultiOutputRegressor, {})


def _networks(context: _Context, kind: Any, wrap: Callable[[Any], Any]) -> _Variants:
    early = context.rows > STOP_EARLY_ABOVE
    made: _Variants = []
    for layers, alpha in (((64,), 1e-4), ((64,), 1.0), ((128,), 1e-2), ((32, 32), 1e-2)):
        found = kind(
            hidden_layer_sizes=layers,
            alpha=alpha,
            learning_rate_init=0.003,
            max_iter=300,
            early_stopping=early,
            random_state=context.seed,
        )
        made.append(({"hidden_layer_sizes": layers, "alpha": alpha}, wrap(found)))
    return made


def _classifying_networks(context: _Context) -> _Variants:
    from sklearn.neural_network import MLPClassifier

    return _networks(context, MLPClassifier, lambda found: found)


def _regressing_networks(context: _Context) -> _Variants:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import StandardScaler

    # Its step size and penalty suit targets about as large as one.
    return _networks(
        context,
        MLPRegressor,
        lambda found: TransformedTargetRegressor(found, transformer=StandardScaler()),
    )


_CLASSIFIERS: Mapping[str, Callable[[_Context], _Variants]] = {
    "linear": _logistic,
    "forest": _classifying_forests,
    "boosting": _classifying_boosting,
    "network": _classifying_networks,
}
_REGRESSORS: Mapping[str, Callable[[_Context], _Variants]] = {
    "linear": _ridge,
    "forest": _regressing_forests,
    "boosting": _regressing_boosting,
    "network": _regressing_networks,
}


def make_preprocessing(dataset: Dataset, *, scaled: bool) -> Any:
    """What makes the rows numbers, scaled and without gaps where the family needs that."""
    X = dataset.X_train
    if isinstance(X, pd.DataFrame):
        return _prepared_table(dataset, scaled)
    if isinstance(X, np.ndarray):
        return _numbers(_has_missing_numbers(dataset, None)) if scaled else None
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, max_features=20_000)


def _prepared_table(dataset: Dataset, scaled: bool) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if not scaled and not dataset.strings:
        return None
    strings = (
        # A missing string is a category of its own.
        OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=MAX_CATEGORIES,
            sparse_output=False,
        )
        if scaled
        else OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        )
    )
    numbers = _numbers(_has_missing_numbers(dataset, dataset.numbers)) if scaled else "passthrough"
    parts = [
        ("numbers", numbers, list(dataset.numbers)),
        ("strings", strings, list(dataset.strings)),
    ]
    return ColumnTransformer([part for part in parts if part[2]])


def _numbers(gaps: bool) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    if not gaps:
        return StandardScaler()
    return Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])


def _has_missing_numbers(dataset: Dataset, names: tuple[str, ...] | None) -> bool:
    """Whether a number is missing, in the rows to test on too."""
    for X in (dataset.X_train, dataset.X_test):
        if X is None:
            continue
        part = X if names is None else X[list(names)]
        if bool(pd.isna(part).to_numpy().any() if names is not None else pd.isna(part).any()):
            return True
    return False
