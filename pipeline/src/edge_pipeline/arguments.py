"""Check the arguments of ``export`` first: a slip must not cost an hour of training."""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_pipeline.errors import ConversionError

__all__ = [
    "check_description",
    "check_probe_seconds",
    "check_tolerance",
    "check_writable",
    "score_on_sample",
    "target_names",
]

LONGEST_NAME = 200
"""Characters of a model's name: enough for a table, a title and a file name."""


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return *path* as a Path, after a trial that a file can be written beside it.

    Raises
    ------
    ConversionError
        It is not a path.
    OSError
        Its folder is missing or cannot be written to, or *path* is a folder itself.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConversionError(
            f"path must name the file to write, found {path!r:.80}; pass a str or a Path"
        )
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(21, "a folder, not a file to write; add a name", str(file))
    if not file.parent.is_dir():
        raise FileNotFoundError(2, "its folder does not exist; make it first", str(file))
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        # The message names the user's file, not the trial.
        raise type(error)(error.errno, f"cannot be written: {error.strerror}", str(file)) from error
    return file


def check_tolerance(tolerance: Any) -> None:
    """Raise ConversionError unless *tolerance* is a number between 0 and 1."""
    is_number = isinstance(tolerance, int | float | np.number) and not isinstance(tolerance, bool)
    if not (is_number and 0 < tolerance < 1):
        raise ConversionError(
            f"tolerance must be a number between 0 and 1, found {tolerance!r:.80}"
        )


def check_probe_seconds(seconds: Any) -> None:
    """Raise ConversionError unless *seconds* is a positive finite number."""
    is_number = isinstance(seconds, int | float | np.number) and not isinstance(seconds, bool)
    if not (is_number and 0 < seconds < np.inf):
        raise ConversionError(
            f"probe_seconds must be a number of seconds above 0, found {seconds!r:.80}"
        )


def check_description(
    name: Any, task: Any, version: Any, metrics: Mapping[str, Any] | None
) -> None:
    """Refuse a name, task, version or metric that the manifest cannot hold.

    Raises
    ------
    ConversionError
        *name* or *task* is not one short line of text, or *name* is no file name.  *version* is not
        an integer of at least 1, or a metric is not a finite number.
    """
    for argument, text in (("name", name), ("task", task)):
        if text is None:
            continue
        if not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= LONGEST_NAME:
            raise ConversionError(
                f"{argument} must be one line of 1 to {LONGEST_NAME} characters, found {text!r:.80}"
            )
    if name is not None and (name in (".", "..") or "/" in name or "\\" in name):
        raise ConversionError(
            f"name must not be a path, found {name!r:.80}; the file to write is path"
        )
    if not isinstance(version, int | np.integer) or isinstance(version, bool) or version < 1:
        raise ConversionError(
            f"version must be a whole number of at least 1, found {version!r:.80}"
        )
    for metric, value in (metrics or {}).items():
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not (is_number and math.isfinite(value)):
            raise ConversionError(
                f"metrics[{metric!r}] must be a finite number, found {value!r:.80}"
            )


def score_on_sample(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    """Return the estimator's own score on its sample; empty without *y* or a finite score.

    Raises
    ------
    ConversionError
        scikit-learn cannot score *y*: its length differs, values are missing, or labels are new.
    """
    if y is None or not hasattr(estimator, "score"):
        return {}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # scikit-learn warns that the score of a single class is undefined; it is left out.
            warnings.simplefilter("ignore")
            score = float(estimator.score(X, y))
    except (ValueError, TypeError, ArithmeticError) as error:
        if np.ndim(y) > 1 and "multiclass-multioutput is not supported" in str(error):
            return {}  # scikit-learn has no score for several targets of several classes
        raise ConversionError(
            f"{type(estimator).__name__}.score refuses X with y: {error}; pass the targets of "
            "exactly these rows, or leave y out"
        ) from error
    return {"score_on_sample": score} if math.isfinite(score) else {}


def target_names(y: Any) -> tuple[str, ...]:
    """Return the names of the targets, where *y* has names."""
    names = getattr(y, "columns", None)
    names = [getattr(y, "name", None)] if names is None else list(names)
    return tuple(str(name) for name in names if isinstance(name, str))
