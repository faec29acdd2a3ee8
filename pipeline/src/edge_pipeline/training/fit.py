"""Fit the estimator of a recipe on the training rows, and score it on the test rows."""

from __future__ import annotations

import re
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.imports import join_names
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.errors import TrainingError
from edge_pipeline.progress import SILENT, ProgressListener
from edge_pipeline.short_repr import short_repr
from edge_pipeline.training.engines import LOCAL, Engine, limit_threads
from edge_pipeline.training.epochs import report_epochs
from edge_pipeline.training.estimator_factory import last_step, make_estimator
from edge_pipeline.training.partial_fit import fit_chunks
from edge_pipeline.training.search_results import SearchResult

__all__ = ["FittedModel", "LinearTerms", "make_estimator", "train"]


@dataclass(frozen=True)
class LinearTerms:
    """Coefficients and intercept of a linear model with one output.

    Attributes
    ----------
    coefficients
        Feature name, after any preprocessing, to its coefficient.
    intercept
        The prediction when every feature is 0.
    """

    coefficients: Mapping[str, float]
    intercept: float


@short_repr
@dataclass(frozen=True)
class FittedModel:
    """A fitted estimator, with which every later stage compares, and its rows.

    Attributes
    ----------
    estimator
        The fitted estimator; a ``random_state`` of None was set to the recipe's seed.
    X_train, X_test, y_train, y_test
        As in the :class:`~edge_pipeline.data.dataset.Dataset`.
    metrics
        Scorer name to its value on the test rows.
    loss_curve
        Loss after each epoch, when the estimator records it.
    linear
        Coefficients and intercept, when the estimator is linear with one output.
    warnings
        The warnings of scikit-learn, each text once.
    seconds
        Time for searching and fitting.
    search
        The result of the search, when the recipe has one.
    """

    estimator: Any
    X_train: Any
    X_test: Any
    y_train: NDArray[Any] | None
    y_test: NDArray[Any] | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    loss_curve: tuple[float, ...] = ()
    linear: LinearTerms | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    search: SearchResult | None = None


def train(
    recipe: Recipe, dataset: Dataset, *, watcher: ProgressListener = SILENT, engine: Engine = LOCAL
) -> FittedModel:
    """Fit the estimator of *recipe* on the training rows, and score it on the test rows.

    A search for the estimator or its parameters comes first, when the recipe has one.  A
    KeyboardInterrupt ends the search, and the best candidate so far is fitted.

    Parameters
    ----------
    engine
        Where the search runs.

    Raises
    ------
    TrainingError
        The estimator or a scorer raised an error.
    RecipeError
        A parameter has a value that the estimator refuses.
    """
    started = time.perf_counter()
    notes = _labels_missing_in_training(recipe, dataset)
    search_result = None
    with warnings.catch_warnings(record=True) as caught_warnings:
        warnings.simplefilter("always")
        if dataset.parts is not None:
            partial = fit_chunks(recipe, dataset, watcher)
            estimator, losses, notes = partial.estimator, partial.losses, (*notes, *partial.notes)
        else:
            estimator, search_result = _search_and_fit(recipe, dataset, watcher, engine)
            losses = _losses(estimator)
        seconds = time.perf_counter() - started
        metrics = _scores(recipe, dataset, estimator)
    fitted = FittedModel(
        estimator,
        dataset.X_train,
        dataset.X_test,
        dataset.y_train,
        dataset.y_test,
        metrics=metrics,
        loss_curve=losses,
        linear=_linear_terms(estimator, dataset),
        warnings=(
            *notes,
            *dict.fromkeys(" ".join(str(w.message).split()) for w in caught_warnings),
        ),
        seconds=seconds,
        search=search_result,
    )
    watcher.fitted(fitted)
    return fitted


def _labels_missing_in_training(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    """Note labels that only test rows have; refuse training rows with a single label."""
    y = dataset.y_train
    if recipe.task != "classification" or y is None or y.ndim > 1 or dataset.parts is not None:
        return ()
    labels = set(y.tolist())
    if len(labels) == 1:
        raise TrainingError(
            f"every training row has the label {labels.pop()!r}; expected two labels or more; add "
            'rows of another one, or use task = "anomaly" to tell rows unlike these'
        )
    test_counts = {} if dataset.y_test is None else Counter(dataset.y_test.tolist())
    return tuple(
        f"label {label!r} is in {count} of the test rows and in no training row; the model never "
        "answers it; add rows of it, or change split.seed"
        for label, count in test_counts.items()
        if label not in labels
    )


def _search_and_fit(
    recipe: Recipe, dataset: Dataset, watcher: ProgressListener, engine: Engine
) -> tuple[Any, SearchResult | None]:
    """Fit the estimator, after a search for it when the recipe has one."""
    from edge_pipeline.training import search
    from edge_pipeline.training.device_selection import select_candidate
    from edge_pipeline.training.unsupervised_presets import make_unsupervised

    is_auto = recipe.estimator.preset is not None
    if is_auto and dataset.y_train is None:
        estimator, result = make_unsupervised(recipe, dataset, watcher)
        _fit(recipe, dataset, estimator, watcher)
        return estimator, result
    if is_auto:
        scores = search.search_presets(recipe, dataset, watcher, engine)
    else:
        estimator = make_estimator(recipe, dataset)
        if recipe.search is None:
            _fit(recipe, dataset, estimator, watcher)
            return estimator, None
        scores = search.search_parameters(recipe, dataset, estimator, watcher, engine)

    def fit(estimator: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only the selected candidate's warnings count
            _fit(recipe, dataset, estimator, SILENT)
        return estimator

    result, fitted = select_candidate(recipe, dataset, scores, fit, watcher.candidate_measured)
    if fitted is None:
        fitted = scores.estimators[result.chosen.number]
        _fit(recipe, dataset, fitted, watcher)
    return fitted, result


def _losses(estimator: Any) -> tuple[float, ...]:
    last = last_step(estimator)
    last = getattr(last, "regressor_", last)
    return tuple(float(loss) for loss in getattr(last, "loss_curve_", ()))


def _fit(recipe: Recipe, dataset: Dataset, estimator: Any, watcher: ProgressListener) -> None:
    try:
        with report_epochs(estimator, watcher), limit_threads(len(dataset.X_train)):
            if dataset.y_train is None:
                estimator.fit(dataset.X_train)
            else:
                estimator.fit(dataset.X_train, dataset.y_train)
    except Exception as error:
        # An estimator of any library may raise anything.
        reason = " ".join(str(error).split())
        name = type(last_step(estimator)).__name__
        match = re.match(rf"The '(\w+)' parameter of {name} must", reason)
        if match and match[1] in recipe.estimator.parameters:
            raise recipe.error(f"estimator.parameters.{match[1]}", reason) from error
        hint = _preprocessing_hint(recipe, dataset, reason)
        raise TrainingError(f"{name} refused the training rows: {reason}{hint}") from error


def _preprocessing_hint(recipe: Recipe, dataset: Dataset, reason: str) -> str:
    """Suggest the preprocessing that a class named by the recipe needs."""
    table = recipe.preprocessing
    if recipe.estimator.class_path is None:
        return ""
    if dataset.strings and table is None:
        return (
            f"; columns that hold strings: {join_names(dataset.strings)}; "
            'give [preprocessing] strings = ["impute", "one-hot"]'
        )
    if dataset.dates and table is None:
        return (
            f"; columns that hold dates: {join_names(dataset.dates)}; give [preprocessing], or "
            "leave them out"
        )
    if "NaN" in reason and dataset.numbers and (table is None or "impute" not in table.numbers):
        return '; give [preprocessing] numbers = ["impute"]'
    return ""


def _scores(recipe: Recipe, dataset: Dataset, estimator: Any) -> dict[str, float]:
    if dataset.X_test is None or (dataset.y_test is None and not recipe.metrics):
        return {}
    from sklearn.metrics import get_scorer

    scores = {}
    for name in recipe.metrics:
        try:
            scores[name] = float(get_scorer(name)(estimator, dataset.X_test, dataset.y_test))
        except Exception as error:
            raise recipe.error("export.metrics", f"{name} cannot be measured: {error}") from error
        if not np.isfinite(scores[name]):
            raise recipe.error(
                "export.metrics",
                f"{name} is {scores[name]} on {len(dataset.X_test)} test rows; "
                "choose another, or a larger split.test_share",
            )
    return scores


def _linear_terms(estimator: Any, dataset: Dataset) -> LinearTerms | None:
    last = last_step(estimator)
    coefficients = getattr(last, "coef_", None)
    intercept = getattr(last, "intercept_", None)
    if not isinstance(coefficients, np.ndarray) or intercept is None:
        return None
    if coefficients.ndim > 2 or (coefficients.ndim == 2 and len(coefficients) > 1):
        return None
    values = coefficients.ravel()
    names = _input_names(estimator, dataset, len(values))
    return LinearTerms(
        {name: float(value) for name, value in zip(names, values, strict=True)},
        float(np.ravel(intercept)[0]),
    )


def _input_names(estimator: Any, dataset: Dataset, count: int) -> list[str]:
    """Return the feature names of the last step."""
    names: Any = getattr(dataset.X_train, "columns", None)
    if last_step(estimator) is not estimator:
        try:
            names = estimator[:-1].get_feature_names_out()
        except (AttributeError, ValueError):  # a transformer without feature names
            names = None
    if names is None or len(names) != count:
        return [f"x{i}" for i in range(count)]
    return [str(name) for name in names]
