"""A recipe and its rows in, a fitted estimator and what it learnt out; no file is touched."""

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
from edge_pipeline.training.engines import LOCAL, Engine, limit_threads
from edge_pipeline.training.epochs import report_epochs
from edge_pipeline.training.estimator_factory import last_step, make_estimator
from edge_pipeline.training.partial_fit import fit_chunks
from edge_pipeline.training.search_results import SearchResult

__all__ = ["FittedModel", "LinearTerms", "make_estimator", "train"]


@dataclass(frozen=True)
class LinearTerms:
    """What a linear model of one output learnt.

    Attributes
    ----------
    coefficients
        Name of the model's input, after any preprocessing, to its coefficient.
    intercept
        The answer when every input is 0.
    """

    coefficients: Mapping[str, float]
    intercept: float


@dataclass(frozen=True)
class FittedModel:
    """A fitted estimator, the oracle of everything that follows, and its rows.

    Attributes
    ----------
    estimator
        Fitted; its ``random_state`` was the recipe's seed wherever none was given.
    X_train, X_test, y_train, y_test
        As in the :class:`~edge_pipeline.data.dataset.Dataset`.
    metrics
        Scorer name to its value on the test rows.
    loss_curve
        Loss after each epoch, when the estimator keeps it.
    linear
        Coefficients and intercept, when the estimator is linear with one output.
    warnings
        What scikit-learn warned about, each text once.
    seconds
        Spent searching and fitting.
    search
        What was tried, when the recipe leaves something open.
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
    """Fit the estimator of *recipe* on the training rows and measure it on the others.

    Where the recipe leaves parameters or the estimator open, they are searched for first.  A
    KeyboardInterrupt while it searches ends the search, and the best so far is taken.

    Parameters
    ----------
    engine
        Where the search runs.

    Raises
    ------
    TrainingError
        The estimator, or a scorer, refused the rows.
    RecipeError
        A parameter has a value that the estimator does not take.
    """
    started = time.perf_counter()
    unlearnt = _labels_missing_in_training(recipe, dataset)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        learnt, found = None, None
        if dataset.parts is not None:
            learnt = fit_chunks(recipe, dataset, watcher)
            estimator = learnt.estimator
        else:
            estimator, found = _search_and_fit(recipe, dataset, watcher, engine)
        seconds = time.perf_counter() - started
        metrics = _measure(recipe, dataset, estimator)
    fitted = FittedModel(
        estimator,
        dataset.X_train,
        dataset.X_test,
        dataset.y_train,
        dataset.y_test,
        metrics=metrics,
        loss_curve=_losses(estimator) if learnt is None else learnt.losses,
        linear=_linear_terms(estimator, dataset),
        warnings=(
            *unlearnt,
            *(learnt.notes if learnt else ()),
            *dict.fromkeys(" ".join(str(w.message).split()) for w in heard),
        ),
        seconds=seconds,
        search=found,
    )
    watcher.fitted(fitted)
    return fitted


def _labels_missing_in_training(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    """Notes of labels that the test rows alone have; one label everywhere is refused."""
    y = dataset.y_train
    if recipe.task != "classification" or y is None or y.ndim > 1 or dataset.parts is not None:
        return ()
    labels = set(y.tolist())
    if len(labels) == 1:
        raise TrainingError(
            f"every training row has the label {labels.pop()!r}; expected two labels or more; add "
            'rows of another one, or use task = "anomaly" to tell rows unlike these'
        )
    alone = {} if dataset.y_test is None else Counter(dataset.y_test.tolist())
    return tuple(
        f"label {label!r} is in {count} of the test rows and in no training row; the model never "
        "answers it; add rows of it, or change split.seed"
        for label, count in alone.items()
        if label not in labels
    )


def _search_and_fit(
    recipe: Recipe, dataset: Dataset, watcher: ProgressListener, engine: Engine
) -> tuple[Any, SearchResult | None]:
    """The fitted estimator, and the search that found it, if there was one."""
    from edge_pipeline.training import search
    from edge_pipeline.training.model_selection import select_candidate
    from edge_pipeline.training.unsupervised_presets import make_unsupervised

    auto = recipe.estimator.preset is not None
    if auto and dataset.y_train is None:
        estimator, result = make_unsupervised(recipe, dataset, watcher)
        _fit(recipe, dataset, estimator, watcher)
        return estimator, result
    if auto:
        found = search.search_presets(recipe, dataset, watcher, engine)
    else:
        estimator = make_estimator(recipe, dataset)
        if recipe.search is None:
            _fit(recipe, dataset, estimator, watcher)
            return estimator, None
        found = search.search_parameters(recipe, dataset, estimator, watcher, engine)

    def fit(estimator: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only the chosen one's count
            _fit(recipe, dataset, estimator, SILENT)
        return estimator

    result, chosen = select_candidate(recipe, dataset, found, fit, watcher.weighed)
    if chosen is None:
        chosen = found.estimators[result.chosen.number]
        _fit(recipe, dataset, chosen, watcher)
    return chosen, result


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
        # An estimator of any library may raise anything; none of it is about our code.
        reason = " ".join(str(error).split())
        name = type(last_step(estimator)).__name__
        at_fault = re.match(rf"The '(\w+)' parameter of {name} must", reason)
        if at_fault and at_fault[1] in recipe.estimator.parameters:
            raise recipe.error(f"estimator.parameters.{at_fault[1]}", reason) from error
        raise TrainingError(
            f"{name} refused the training rows: {reason}{_hint(recipe, dataset, reason)}"
        ) from error


def _hint(recipe: Recipe, dataset: Dataset, reason: str) -> str:
    """The preprocessing that would have helped, for an estimator that the recipe names."""
    table = recipe.preprocessing
    if recipe.estimator.class_path is None:
        return ""
    if dataset.strings and table is None:
        return (
            f"; columns that hold strings: {join_names(dataset.strings)}; "
            'give [preprocessing] strings = ["impute", "one-hot"]'
        )
    if "NaN" in reason and dataset.numbers and (table is None or "impute" not in table.numbers):
        return '; give [preprocessing] numbers = ["impute"]'
    return ""


def _measure(recipe: Recipe, dataset: Dataset, estimator: Any) -> dict[str, float]:
    if dataset.X_test is None or (dataset.y_test is None and not recipe.metrics):
        return {}
    from sklearn.metrics import get_scorer

    values = {}
    for name in recipe.metrics:
        try:
            values[name] = float(get_scorer(name)(estimator, dataset.X_test, dataset.y_test))
        except Exception as error:
            raise recipe.error("export.metrics", f"{name} cannot be measured: {error}") from error
        if not np.isfinite(values[name]):
            raise recipe.error(
                "export.metrics",
                f"{name} is {values[name]} on {len(dataset.X_test)} test rows; "
                "choose another, or a larger split.test_share",
            )
    return values


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
    """Names of what the last step sees."""
    names: Any = getattr(dataset.X_train, "columns", None)
    if last_step(estimator) is not estimator:
        try:
            names = estimator[:-1].get_feature_names_out()
        except (AttributeError, ValueError):  # a transformer that names nothing
            names = None
    if names is None or len(names) != count:
        return [f"x{i}" for i in range(count)]
    return [str(name) for name in names]
