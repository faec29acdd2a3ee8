"""Make the candidates of ``estimator = "auto"``: unfitted estimators with their preprocessing.

They are few and common: the ones that win on most tables of this size.  Among equal scores the
earlier candidate is preferred, so families of small models come first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.date_features import DateFeatures
from edge_pipeline.data.recipe import Recipe

__all__ = ["Preset", "make_preprocessing", "make_presets"]

MAX_CATEGORIES = 50
"""Most one-hot columns of a string column; rarer categories share one."""

SMALL_LEAVES_BELOW = 500
"""Below so many rows, a leaf of boosted trees may have 5 rows instead of 20."""

STOP_EARLY_ABOVE = 5000
"""Above so many rows, a network uses early stopping, on a tenth of the rows."""


@dataclass(frozen=True)
class Preset:
    """One candidate of ``estimator = "auto"``.

    Attributes
    ----------
    family
        linear, forest, boosting or network.
    parameters
        The parameters in which it differs from its family.
    preprocessing
        The transformer before the estimator, or None.
    estimator
        The unfitted estimator; every random_state is the recipe's seed.
    """

    family: str
    parameters: Mapping[str, Any]
    preprocessing: Any
    estimator: Any

    def pipeline(self) -> Any:
        """Make the unfitted pipeline."""
        from sklearn.pipeline import Pipeline

        if self.preprocessing is None:
            return self.estimator
        return Pipeline([("preprocess", self.preprocessing), ("estimator", self.estimator)])


def make_presets(recipe: Recipe, dataset: Dataset, scoring: str) -> list[Preset]:
    """Make the candidates for a task with a target: family by family, the likeliest first.

    Parameters
    ----------
    scoring
        Name of the scorer; a scorer that weights classes equally gets balanced class weights.
    """
    families = _CLASSIFIERS if recipe.task == "classification" else _REGRESSORS
    candidates = []
    is_text = not isinstance(dataset.X_train, pd.DataFrame | np.ndarray)
    for family in ("linear", "forest", "boosting", "network"):
        # TF-IDF gives a sparse matrix of many columns, which only linear models take.
        if family not in recipe.estimator.families or (is_text and family != "linear"):
            continue
        context = _Context(recipe, dataset, _balanced(scoring))
        scaled = family in ("linear", "network")
        for parameters, estimator in families[family](context):
            preprocessing = make_preprocessing(dataset, scaled=scaled)
            candidates.append(Preset(family, parameters, preprocessing, estimator))
    return candidates


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
    def has_several_targets(self) -> bool:
        y = self.dataset.y_train
        return y is not None and y.ndim > 1

    @property
    def weights(self) -> dict[str, str]:
        return {"class_weight": "balanced"} if self.balanced else {}


_Variants = list[tuple[dict[str, Any], Any]]


def _logistic(context: _Context) -> _Variants:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    variants: _Variants = []
    for C in (1.0, 0.1, 10.0, 0.01, 100.0):
        classifier = LogisticRegression(
            C=C, max_iter=2000, random_state=context.seed, **context.weights
        )
        if context.has_several_targets:
            classifier = OneVsRestClassifier(classifier)
        variants.append(({"C": C}, classifier))
    return variants


def _ridge(context: _Context) -> _Variants:
    from sklearn.linear_model import Ridge

    return [({"alpha": alpha}, Ridge(alpha=alpha)) for alpha in (1.0, 10.0, 100.0, 0.1, 1000.0)]


def _forests(context: _Context, forest: Any, extra_trees: Any, max_features: Any) -> _Variants:
    """Make random forests and extra trees with different leaves and features."""
    variants: _Variants = []
    for cls, leaf, features in (
        (forest, 1, max_features),
        (extra_trees, 1, max_features),
        (forest, 4, max_features),
        (forest, 1, 1.0 if max_features == "sqrt" else "sqrt"),
    ):
        options = {"min_samples_leaf": leaf, "max_features": features}
        weights = {} if context.has_several_targets else context.weights
        estimator = cls(n_estimators=100, random_state=context.seed, **options, **weights)
        variants.append(({"kind": cls.__name__, **options}, estimator))
    return variants


def _classifying_forests(context: _Context) -> _Variants:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    return _forests(context, RandomForestClassifier, ExtraTreesClassifier, "sqrt")


def _regressing_forests(context: _Context) -> _Variants:
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

    unweighted = _Context(context.recipe, context.dataset, balanced=False)
    return _forests(unweighted, RandomForestRegressor, ExtraTreesRegressor, 0.33)


def _boosting(context: _Context, cls: Any, multi_output: Any, weights: dict[str, str]) -> _Variants:
    leaf = 5 if context.rows < SMALL_LEAVES_BELOW else 20
    variants: _Variants = []
    for parameters in (
        {"learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 31, "l2_regularization": 0.0},
        {"learning_rate": 0.05, "max_iter": 150, "max_leaf_nodes": 8, "l2_regularization": 1.0},
        {"learning_rate": 0.1, "max_iter": 50, "max_leaf_nodes": 4, "l2_regularization": 1.0},
        {"learning_rate": 0.1, "max_iter": 200, "max_leaf_nodes": 15, "l2_regularization": 5.0},
    ):
        estimator = cls(**parameters, min_samples_leaf=leaf, random_state=context.seed, **weights)
        if context.has_several_targets:
            estimator = multi_output(estimator)
        variants.append((parameters, estimator))
    return variants


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


def _networks(context: _Context, cls: Any) -> _Variants:
    early_stopping = context.rows > STOP_EARLY_ABOVE
    variants: _Variants = []
    for layers, alpha in (((64,), 1e-4), ((64,), 1.0), ((128,), 1e-2), ((32, 32), 1e-2)):
        network = cls(
            hidden_layer_sizes=layers,
            alpha=alpha,
            learning_rate_init=0.003,
            max_iter=300,
            early_stopping=early_stopping,
            random_state=context.seed,
        )
        variants.append(({"hidden_layer_sizes": layers, "alpha": alpha}, network))
    return variants


def _classifying_networks(context: _Context) -> _Variants:
    from sklearn.neural_network import MLPClassifier

    return _networks(context, MLPClassifier)


def _regressing_networks(context: _Context) -> _Variants:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import StandardScaler

    # The learning rate and the penalty suit targets of about unit variance.
    return [
        (parameters, TransformedTargetRegressor(network, transformer=StandardScaler()))
        for parameters, network in _networks(context, MLPRegressor)
    ]


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
    """Make the preprocessing of a family: encode strings; scale and impute numbers if *scaled*."""
    X = dataset.X_train
    if isinstance(X, pd.DataFrame):
        return _table_preprocessing(dataset, scaled)
    if isinstance(X, np.ndarray):
        return _number_preprocessing(_has_missing_numbers(dataset, None)) if scaled else None
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, max_features=20_000)


def _table_preprocessing(dataset: Dataset, scaled: bool) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if not scaled and not dataset.strings and not dataset.dates:
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
    has_missing = scaled and _has_missing_numbers(dataset, dataset.numbers)
    numbers = _number_preprocessing(has_missing) if scaled else "passthrough"
    transformers = [
        ("numbers", numbers, list(dataset.numbers)),
        ("strings", strings, list(dataset.strings)),
        ("dates", _date_preprocessing(dataset, scaled), list(dataset.dates)),
    ]
    return ColumnTransformer([item for item in transformers if item[2]])


def _date_preprocessing(dataset: Dataset, scaled: bool) -> Any:
    from sklearn.pipeline import make_pipeline

    if not scaled:
        return DateFeatures()
    has_missing = _has_missing_numbers(dataset, dataset.dates)
    return make_pipeline(DateFeatures(), _number_preprocessing(has_missing))


def _number_preprocessing(has_missing: bool) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    if not has_missing:
        return StandardScaler()
    return Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])


def _has_missing_numbers(dataset: Dataset, names: tuple[str, ...] | None) -> bool:
    """Return whether a number is missing in the training or the test rows."""
    for X in (dataset.X_train, dataset.X_test):
        if X is None:
            continue
        numbers = X if names is None else X[list(names)]
        if np.asarray(pd.isna(numbers)).any():
            return True
    return False
