"""Load a fitted estimator from a .skops file, or from the user's own pickle when they say so."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning

from edge_pipeline.errors import TrainingError

__all__ = ["ESTIMATOR_SUFFIXES", "load_estimator"]

_PICKLES = (".pkl", ".pickle", ".joblib")

ESTIMATOR_SUFFIXES = (".skops", *_PICKLES)
"""Names of files that hold an estimator."""


def load_estimator(
    path: Path, *, trusted_types: Sequence[str] = (), trust_pickle: bool = False
) -> tuple[Any, tuple[str, ...]]:
    """Return the estimator in *path*, and notes about the versions that wrote it.

    Parameters
    ----------
    trusted_types
        Full names of the types that the file may construct, beside those that skops trusts.
    trust_pickle
        Whether a pickle is loaded.  It can run any code.

    Raises
    ------
    TrainingError
        A type is not trusted, the file is a pickle, or it cannot be read; states the remedy.
    OSError
        There is no such file.
    """
    path.open("rb").close()
    if path.suffix == ".skops":
        return _with_version_notes(path, lambda: _load_skops(path, trusted_types))
    if not trust_pickle:
        raise TrainingError(
            f"{path} is a pickle, and loading it can run any code of whoever wrote it; write a "
            "function that returns the estimator, and export train.py:fitted; or save it with "
            "skops.io.dump(estimator, 'model.skops'); for a file of your own: "
            "--i-trust-this-pickle"
        )
    return _with_version_notes(path, lambda: _load_pickle(path))


def _load_skops(path: Path, trusted_types: Sequence[str]) -> Any:
    try:
        import skops.io
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"reading {path} needs skops: pip install 'edge-pipeline[skops]'"
        ) from error
    try:
        unknown = skops.io.get_untrusted_types(file=path)
    except Exception as error:  # the file is foreign, and skops raises whatever it meets
        raise TrainingError(
            f"{path} is no file of skops: {type(error).__name__}: {error}; write it with "
            "skops.io.dump(estimator, path)"
        ) from error
    refused = sorted(set(unknown) - set(trusted_types))
    if refused:
        switches = " ".join(f"--trust {name}" for name in refused)
        raise TrainingError(
            f"{path} constructs types that are not trusted: {', '.join(refused)}; if you know "
            f"them and trust the file, add {switches}"
        )
    return skops.io.load(path, trusted=[name for name in trusted_types if name in unknown])


def _load_pickle(path: Path) -> Any:
    from joblib import load

    return load(path)


def _with_version_notes(path: Path, load: Callable[[], Any]) -> tuple[Any, tuple[str, ...]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = load()
        except TrainingError:
            raise
        except Exception as error:  # loading runs foreign constructors
            raise TrainingError(
                f"{path} cannot be loaded: {type(error).__name__}: {error}; install the versions "
                "that wrote it, or export train.py:fitted"
            ) from error
    versions = {
        (warning.message.original_sklearn_version, warning.message.current_sklearn_version)
        for warning in caught
        if isinstance(warning.message, InconsistentVersionWarning)
    }
    notes = tuple(
        f"{path} was written with scikit-learn {original}, and {installed} is installed: the "
        "predictions may differ from those in training; fit again, or install the former"
        for original, installed in sorted(versions)
    )
    return estimator, notes
