"""Make the unfitted estimator that a recipe describes, with its preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.date_features import DateFeatures
from edge_pipeline.data.imports import modules_from
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.errors import TrainingError

__all__ = ["last_step", "make_estimator"]


def make_estimator(recipe: Recipe, dataset: Dataset) -> Any:
    """Make the estimator of *recipe*, unfitted, with its preprocessing for *dataset*.

    Raises
    ------
    TrainingError
        The class or the factory raised an error.
    """
    table = recipe.estimator
    with modules_from(recipe.file.parent):
        make = table.find()
        try:
            estimator = make(**table.parameters)
        except Exception as error:
            # The factory is the user's own code, and may raise anything.
            raise TrainingError(
                f"{table.class_path or table.factory} failed: {type(error).__name__}: {error}"
            ) from error
    if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        raise recipe.error(
            "estimator.factory",
            f"{table.factory} returned a {type(estimator).__name__}, not an estimator",
        )
    if recipe.preprocessing is not None:
        from sklearn.pipeline import Pipeline

        preprocess = _make_preprocessing(recipe, dataset)
        estimator = Pipeline([("preprocess", preprocess), ("estimator", estimator)])
    # Without a seed, the same recipe would not give the same bytes.
    unseeded = [
        name
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]
    return estimator.set_params(**dict.fromkeys(unseeded, recipe.split.seed))


def _make_preprocessing(recipe: Recipe, dataset: Dataset) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = recipe.preprocessing
    if table is None or not (dataset.numbers or dataset.strings or dataset.dates):
        raise recipe.error("preprocessing", "the rows are no table with named columns; remove it")
    if dataset.strings and "one-hot" not in table.strings:
        raise recipe.error(
            "preprocessing.strings",
            f"column {dataset.strings[0]!r} holds strings and must become numbers; "
            'say strings = ["impute", "one-hot"], or leave the column out',
        )
    steps: Mapping[str, Mapping[str, Callable[[], Any]]] = {
        "numbers": {"impute": lambda: SimpleImputer(strategy="median"), "scale": StandardScaler},
        "strings": {
            "impute": lambda: SimpleImputer(strategy="most_frequent"),
            "one-hot": lambda: OneHotEncoder(handle_unknown="ignore"),
        },
    }
    transformers = []
    for kind, names in (("numbers", dataset.numbers), ("strings", dataset.strings)):
        kind_steps = [(step, steps[kind][step]()) for step in getattr(table, kind)]
        if names:
            transformer = Pipeline(kind_steps) if kind_steps else "passthrough"
            transformers.append((kind, transformer, list(names)))
    if dataset.dates:  # their features are numbers, and treated like them
        kind_steps = [(step, steps["numbers"][step]()) for step in table.numbers]
        dates = Pipeline([("features", DateFeatures()), *kind_steps])
        transformers.append(("dates", dates, list(dataset.dates)))
    return ColumnTransformer(transformers)


def last_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, or the estimator itself."""
    from sklearn.pipeline import Pipeline

    return estimator[-1] if isinstance(estimator, Pipeline) else estimator
