"""Recognise the slips in a first call of ``export``, and say what to type instead."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from edge_pipeline.errors import ConversionError, RecipeError

__all__ = ["check_estimator_and_sample", "explain_arguments", "recipe_path"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_PATHS = (str, os.PathLike)
_TABLES = (".csv", ".csv.gz", ".tsv", ".parquet", ".arrow", ".feather", ".xlsx", ".npz")
_PICKLES = (".pkl", ".pickle", ".joblib", ".sav", ".skops")


def explain_arguments(export: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let *export* explain a missing, swapped or superfluous argument; ConversionError."""
    signature = inspect.signature(export)

    @functools.wraps(export)
    def call(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        if len(arguments) > 3:
            raise ConversionError(
                "export takes three arguments without a name, found "
                f'{len(arguments)}; name the others: export(estimator, X, "model.onnx", y=y)'
            )
        try:
            bound = signature.bind_partial(*arguments, **keywords).arguments
        except TypeError:
            return export(*arguments, **keywords)  # Python's own message names the argument
        _check_all_three(bound)
        return export(*arguments, **keywords)

    return call


def check_estimator_and_sample(estimator: Any, X: Any) -> None:
    """Refuse a path, a class or rows in place of the estimator, and a path in place of X.

    Raises
    ------
    ConversionError
        With the call that was meant.
    """
    if isinstance(estimator, _PATHS):
        raise ConversionError(_path_for_estimator(os.fspath(estimator)))
    if _is_estimator(X) and not _is_estimator(estimator):
        raise ConversionError(
            f"expected the estimator and then X, found {type(estimator).__name__} and then "
            f"{type(X).__name__}; swap them: export(estimator, X, path)"
        )
    if isinstance(X, _PATHS) or X is None:
        subject = "nothing" if X is None else f"the text {os.fspath(X)!r:.80}"
        remedy = "pass the table that you trained on, or some hundred rows of it"
        if X is not None and os.fspath(X).endswith(_TABLES):
            read = "read_parquet" if os.fspath(X).endswith(".parquet") else "read_csv"
            remedy = f"read it first: pandas.{read}({os.fspath(X)!r:.80}), without the target"
        raise ConversionError(
            f"expected rows of the training input as X, found {subject}; {remedy}"
        )


def recipe_path(recipe: Any) -> Path:
    """Return the path of a recipe; refuse an estimator or a table in place of it.

    Raises
    ------
    RecipeError
        With the call that was meant.
    """
    if isinstance(recipe, _PATHS):
        path = os.fspath(recipe)
        if path.endswith(_TABLES):
            raise RecipeError(
                f"expected a recipe.toml or its folder, found a table; "
                f"edge_pipeline.init({path!r:.80}, target=COLUMN) writes a recipe for it",
                file=path,
            )
        return Path(path)
    kind, remedy = type(recipe).__name__, ""
    if _is_estimator(recipe):
        remedy = "; a fitted estimator is sealed by edge_pipeline.export(estimator, X, path)"
    elif hasattr(recipe, "columns"):
        remedy = "; edge_pipeline.init(table, target=COLUMN) writes a recipe for a table"
    raise RecipeError(f"expected a recipe.toml or its folder, found {kind}{remedy}", file="recipe")


def _check_all_three(bound: dict[str, Any]) -> None:
    """Refuse a call without X or path, and one in which they are swapped."""
    X, path = bound.get("X"), bound.get("path")
    if "estimator" in bound and isinstance(bound["estimator"], _PATHS):
        raise ConversionError(_path_for_estimator(os.fspath(bound["estimator"])))
    if "X" not in bound or ("path" not in bound and isinstance(X, _PATHS)):
        file = os.fspath(X) if isinstance(X, _PATHS) else "model.onnx"
        raise ConversionError(
            "export needs X, rows of the training input: they give the columns and types, and are "
            f"predicted by both sides to compare them; export(estimator, X, {file!r:.80})"
        )
    if "path" not in bound:
        raise ConversionError('export needs the file to write: export(estimator, X, "model.onnx")')
    if isinstance(X, _PATHS) and not isinstance(path, _PATHS):
        raise ConversionError(
            f"expected X and then the path, found the text {os.fspath(X)!r:.80} and then "
            f"{type(path).__name__}; swap them: export(estimator, X, {os.fspath(X)!r:.80})"
        )
    if not isinstance(path, _PATHS) and hasattr(path, "__len__"):
        raise ConversionError(
            f"path must name the file to write, found {type(path).__name__}; targets are y: "
            'export(estimator, X, "model.onnx", y=y)'
        )


def _path_for_estimator(path: str) -> str:
    message = f"expected a fitted estimator, found the path {path!r:.80}; "
    if path.endswith(".toml") or os.path.isdir(path):
        return message + f"a recipe is built: edge_pipeline.build({path!r:.80})"
    if path.endswith(_PICKLES):
        load = "skops.io.load" if path.endswith(".skops") else "joblib.load"
        return message + (
            f"load it first, estimator = {load}({path!r:.80}), if you made that file yourself: "
            "loading runs the code in it"
        )
    return message + "pass the object that you fitted: export(estimator, X, path)"


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and hasattr(value, "fit")
