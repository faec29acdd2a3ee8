"""Call the user's function that returns a fitted estimator, and read a sample of its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edge_runtime.bundle.reading import Reading

from edge_pipeline.data.csv import Layout, layout_of_reading
from edge_pipeline.data.estimator_file import ESTIMATOR_SUFFIXES, load_estimator
from edge_pipeline.data.imports import ImportingError, did_you_mean, find_function, modules_from
from edge_pipeline.data.tables import plain_columns, read_table
from edge_pipeline.errors import DatasetError, TrainingError

__all__ = ["FunctionResult", "estimator_and_sample", "is_estimator_file"]


class FunctionResult(NamedTuple):
    """The results of a function of the user's.

    Attributes
    ----------
    estimator, sample
        A fitted estimator, and a sample of its input.
    notes
        Notes about the file of the estimator.
    stream
        The argument ``stream`` of :func:`~edge_pipeline.export_estimator.export`, or None.
    """

    estimator: Any
    sample: Any
    notes: tuple[str, ...] = ()
    stream: Mapping[str, Any] | None = None


def estimator_and_sample(
    reference: str,
    table: Path | str | None,
    *,
    trusted_types: Sequence[str] = (),
    trust_pickle: bool = False,
    reading: Reading | None = None,
) -> FunctionResult:
    """Call the function, or load the file, *reference*.

    The format of *table* is *reading*, or is detected.

    Raises
    ------
    TrainingError, DatasetError, OSError
        As :func:`export_function`.
    """
    notes: tuple[str, ...] = ()
    if is_estimator_file(reference):
        result, notes = load_estimator(
            Path(reference), trusted_types=trusted_types, trust_pickle=trust_pickle
        )
    else:
        result = _call(reference)
    stream: Mapping[str, Any] | None = None
    if isinstance(result, tuple) and len(result) == 3:
        estimator, X, settings = result
        if isinstance(settings, Mapping):
            result, stream = (estimator, X), settings
    is_pair = isinstance(result, tuple) and len(result) == 2
    estimator, X = result if is_pair else (result, None)
    if not (hasattr(estimator, "predict") or hasattr(estimator, "transform")):
        raise TrainingError(
            f"{reference} returned a {type(estimator).__name__}; expected a fitted estimator, "
            "or (estimator, X), or (estimator, X, stream settings)"
        )
    if table is not None:
        X = _read_sample(estimator, Path(table), reading)
    if X is None:
        raise DatasetError(
            f"{reference} returned no sample of the training input; return (estimator, X), "
            "or name a table"
        )
    return FunctionResult(estimator, X, notes, stream)


def is_estimator_file(reference: str) -> bool:
    """Return whether *reference* is the name of a file that holds an estimator."""
    return Path(reference).suffix in ESTIMATOR_SUFFIXES


def _call(reference: str) -> Any:
    location, _, function = reference.rpartition(":")
    folder, module = Path(), location
    if location.endswith(".py"):
        folder, module = Path(location).parent, Path(location).stem
        if not Path(location).is_file():
            raise FileNotFoundError(2, "No such file", location)
    with modules_from(folder):
        try:
            return find_function(f"{module}:{function}")()
        except ImportingError as error:
            raise TrainingError(str(error)) from error
        except Exception as error:
            # The function is the user's own code, and may raise anything.
            raise TrainingError(f"{reference} failed: {type(error).__name__}: {error}") from error


def _read_sample(estimator: Any, file: Path, reading: Reading | None) -> Any:
    """Read the columns on which *estimator* was fitted, in its training container."""
    layout = Layout(row_index=None) if reading is None else layout_of_reading(reading)
    frame = plain_columns(read_table(file, layout), {}, str(file))
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        for name in names:
            if name not in frame.columns:
                raise DatasetError(
                    f"{file}: column {name!r} is missing; the estimator was fitted on it"
                    f"{did_you_mean(str(name), frame.columns)}"
                )
        return frame[list(names)]
    count = getattr(estimator, "n_features_in_", frame.shape[1])
    if count != frame.shape[1]:
        raise DatasetError(
            f"{file}: {frame.shape[1]} columns, the estimator was fitted on {count} without "
            "names; remove the other columns from the table"
        )
    return frame.to_numpy()
