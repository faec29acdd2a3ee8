"""A recipe and its rows in, a fitted estimator and what it learnt out; no file is touched."""

from __future__ import annotations

import io
import re
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.importing import listed, modules_from
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.errors import TrainingError
from edge_pipeline.progress import SILENT, Watcher

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
        Spent fitting.
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


def train(recipe: Recipe, dataset: Dataset, *, watcher: Watcher = SILENT) -> FittedModel:
    """Fit the estimator of *recipe* on the training rows and measure it on the others.

    Raises
    ------
    TrainingError
        The estimator, or a scorer, refused the rows.
    RecipeError
        A parameter has a value that the estimator does not take.
    """
    estimator = make_estimator(recipe, dataset)
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        _fit(recipe, dataset, estimator, watcher)
        seconds = time.perf_counter() - started
        metrics = _measure(recipe, dataset, estimator)
    fitted = FittedModel(
        estimator,
        dataset.X_train,
        dataset.X_test,
        dataset.y_train,
        dataset.y_test,
        metrics=metrics,
        loss_curve=tuple(float(loss) for loss in getattr(_last(estimator), "loss_curve_", ())),
        linear=_linear_terms(estimator, dataset),
        warnings=tuple(dict.fromkeys(" ".join(str(w.message).split()) for w in heard)),
        seconds=seconds,
    )
    watcher.fitted(fitted)
    return fitted


def make_estimator(recipe: Recipe, dataset: Dataset) -> Any:
    """The estimator of *recipe*, unfitted, with its preprocessing for the columns of *dataset*.

    Raises
    ------
    TrainingError
        The class or the factory refused its parameters.
    """
    table = recipe.estimator
    with modules_from(recipe.file.parent):
        make = table.find()
        try:
            estimator = make(**table.parameters)
        except Exception as error:
            # The factory is the user's own code: whatever it raises is its fault.
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

        preprocess = _preprocess(recipe, dataset)
        estimator = Pipeline([("preprocess", preprocess), ("estimator", estimator)])
    # Otherwise the same recipe would not give the same bytes.
    seeds = [
        name
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]
    return estimator.set_params(**dict.fromkeys(seeds, recipe.split.seed))


def _preprocess(recipe: Recipe, dataset: Dataset) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = recipe.preprocessing
    if table is None or not (dataset.numbers or dataset.strings):
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
    parts = []
    for kind, names in (("numbers", dataset.numbers), ("strings", dataset.strings)):
        chosen = [(step, steps[kind][step]()) for step in getattr(table, kind)]
        if names:
            parts.append((kind, Pipeline(chosen) if chosen else "passthrough", list(names)))
    return ColumnTransformer(parts)


def _fit(recipe: Recipe, dataset: Dataset, estimator: Any, watcher: Watcher) -> None:
    try:
        with _epochs_told(estimator, watcher):
            if dataset.y_train is None:
                estimator.fit(dataset.X_train)
            else:
                estimator.fit(dataset.X_train, dataset.y_train)
    except Exception as error:
        # An estimator of any library may raise anything; none of it is about our code.
        reason = " ".join(str(error).split())
        name = type(_last(estimator)).__name__
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
            f"; columns that hold strings: {listed(dataset.strings)}; "
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


class _EpochLines(io.TextIOBase):
    """Takes what an estimator prints while it trains, and tells the watcher each epoch's loss."""

    # MLPClassifier and MLPRegressor print one such line an epoch (sklearn 1.9,
    # neural_network/_multilayer_perceptron.py, _update_no_improvement_count's caller).
    _LINE = re.compile(r"Iteration (\d+), loss = (\S+)")

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if found := self._LINE.match(line):
                self._watcher.epoch(int(found[1]), float(found[2]))
        return len(text)


def _epochs_told(estimator: Any, watcher: Watcher) -> AbstractContextManager[Any]:
    """Have a neural network's own progress lines told to *watcher* while it trains.

    Reading what it prints is the one way that leaves its arithmetic alone: a loop of
    ``partial_fit`` shuffles, stops and validates otherwise.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if watcher is SILENT or not isinstance(_last(estimator), MLPClassifier | MLPRegressor):
        return nullcontext()
    return _Verbose(_last(estimator), redirect_stdout(_EpochLines(watcher)))


class _Verbose:
    """Sets an estimator's ``verbose`` for the time of a block."""

    def __init__(self, estimator: Any, redirect: AbstractContextManager[Any]) -> None:
        self._estimator = estimator
        self._redirect = redirect

    def __enter__(self) -> None:
        self._before = self._estimator.verbose
        self._estimator.set_params(verbose=True)
        self._redirect.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._redirect.__exit__(*error)
        self._estimator.set_params(verbose=self._before)


def _linear_terms(estimator: Any, dataset: Dataset) -> LinearTerms | None:
    last = _last(estimator)
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
    if _last(estimator) is not estimator:
        try:
            names = estimator[:-1].get_feature_names_out()
        except (AttributeError, ValueError):  # a transformer that names nothing
            names = None
    if names is None or len(names) != count:
        return [f"x{i}" for i in range(count)]
    return [str(name) for name in names]


def _last(estimator: Any) -> Any:
    """The estimator itself, or the last step of a pipeline."""
    from sklearn.pipeline import Pipeline

    return estimator[-1] if isinstance(estimator, Pipeline) else estimator
