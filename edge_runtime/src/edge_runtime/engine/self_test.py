"""Predict the golden rows again, and compare with scikit-learn's predictions in the manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.manifest import Cell, Manifest, Output
from edge_runtime.errors import InferenceError, InputError, SelfTestError
from edge_runtime.inputs.single_row import row_is_cell
from edge_runtime.inputs.tables import InputReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["golden_feeds", "golden_row", "golden_rows", "replay"]

OTHER_CPU = 1e-12
"""Least tolerance between two kinds of CPU, relative to an output's largest magnitude.

Their math libraries differ by a few units in the last place (2.2e-16 relative each); an error of
the graph is larger by orders of magnitude.
"""


def replay(manifest: Manifest, predict: Callable[[Any, int], Mapping[str, NDArray[Any]]]) -> None:
    """Predict the golden rows again, and compare.

    Parameters
    ----------
    manifest
        Holds the rows, scikit-learn's predictions and the tolerance.
    predict
        Function from the graph's inputs and the number of rows to every output, by name.

    Raises
    ------
    SelfTestError
        A prediction differs or fails, or the golden rows contradict the schema.
    """
    golden = manifest.golden
    if not golden.rows:
        return
    try:
        feeds, n_rows = golden_feeds(manifest)
        arrays = predict(feeds, n_rows)
    except (InputError, InferenceError, ValueError) as error:
        raise SelfTestError(f"the golden rows cannot be predicted: {error}; {_REMEDY}") from error
    for output in manifest.outputs:
        if output.name not in golden.answers:
            raise SelfTestError(f"no golden predictions for {output.name}; build the model again")
        _compare(output, golden.answers[output.name], arrays[output.name], manifest)


def golden_feeds(manifest: Manifest) -> tuple[dict[str, NDArray[Any]], int]:
    """Validate the golden rows as any other input; give the blocks and the number of rows.

    Raises
    ------
    InputError, ValueError
        They contradict the schema.
    """
    columns, rows = manifest.schema.columns, golden_rows(manifest)
    if manifest.schema.kind == "tensor":
        return InputReader(manifest.schema).feeds(np.stack([row[0] for row in rows]))
    input_reader, width = InputReader(manifest.schema), len(columns)
    cells = chain.from_iterable(rows)
    if (
        input_reader.takes_any_number
        and set(map(type, cells)) == {float}
        and set(map(len, rows)) == {width}
    ):
        # As one array: column by column, 64 columns would take 0.5 ms of a start.
        return input_reader.feeds(np.array(rows))
    # By column: a row of one list could be taken for a list of one row.
    by_name = {column.name: [row[i] for row in rows] for i, column in enumerate(columns)}
    return input_reader.feeds(by_name)


def golden_rows(manifest: Manifest) -> list[list[Any]]:
    """Give the golden rows as lists of cells, in the order of the schema."""
    if manifest.schema.kind == "tensor":
        from edge_runtime.bundle.tensor_type import golden_tensors  # which few models need

        cells = [row[0] if row else None for row in manifest.golden.rows]
        return [[tensor] for tensor in golden_tensors(cells, manifest.schema.columns[0])]
    # Dates are texts there, in ISO 8601.
    columns = manifest.schema.columns
    are_numbers = [column.is_number and column.type != "datetime" for column in columns]
    return [
        [
            _to_number(cell) if is_number else cell
            for cell, is_number in zip(row, are_numbers, strict=True)
        ]
        for row in manifest.golden.rows
    ]


def golden_row(manifest: Manifest) -> Any:
    """Give a golden row as ``predict_one`` takes it; None when there are no golden rows."""
    rows = golden_rows(manifest)[:1]
    if not rows:
        return None
    return rows[0][0] if row_is_cell(manifest.schema) else rows[0]


_REMEDY = "do not use this model here; build it again with the newest edge-pipeline, and report it"


def _compare(output: Output, golden: Any, array: NDArray[Any], manifest: Manifest) -> None:
    """Raise SelfTestError when *array* differs from the predictions *golden*."""
    expected: Any = golden
    if array.dtype.kind == "f":
        try:
            expected = np.array(_to_floats(golden), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise SelfTestError(
                f"{output.name}: the golden predictions are damaged: {error}"
            ) from error
        if expected.shape != array.shape:
            raise SelfTestError(
                f"{output.name}: expected the shape {expected.shape}, found {array.shape}; "
                f"{_REMEDY}"
            )
        row = _first_far_row(expected, array, max(manifest.parity.tolerance, OTHER_CPU))
    else:
        row = _first_unequal_row(expected, array.tolist())
    if row is not None:
        raise SelfTestError(
            f"golden row {row}: {output.name} is {_format(array, row)}, scikit-learn predicted "
            f"{_format(expected, row)}; {_REMEDY}"
        )


def _first_far_row(expected: NDArray[Any], array: NDArray[Any], tolerance: float) -> int | None:
    """Find the first row that differs by more than *tolerance*, relative to the largest number."""
    are_finite = np.isfinite(expected) & np.isfinite(array)
    are_equal = ~are_finite & ((expected == array) | (np.isnan(expected) & np.isnan(array)))
    scale = float(np.abs(expected[are_finite]).max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        are_close = np.abs(expected - array) <= tolerance * scale
    are_far = ~(are_equal | (are_finite & are_close))
    return int(np.argwhere(are_far)[0][0]) if are_far.any() else None


def _first_unequal_row(expected: Any, labels: list[Any]) -> int | None:
    """Find the first row whose label differs or is missing."""
    for row, label in enumerate(labels):
        if row >= len(expected) or not _is_equal(label, expected[row]):
            return row
    return None if len(expected) == len(labels) else len(labels)


def _to_number(cell: Cell) -> Any:
    return float(cell) if cell in ("nan", "inf", "-inf") else cell


def _to_floats(value: Any) -> Any:
    return [_to_floats(item) for item in value] if isinstance(value, list) else float(value)


def _is_equal(label: Any, expected: Any) -> Any:
    if isinstance(label, list):
        return (
            isinstance(expected, list)
            and len(label) == len(expected)
            and all(map(_is_equal, label, expected))
        )
    if isinstance(label, float) and not isinstance(expected, list | bool | None):
        # Labels in an object array may be floats; the manifest writes NaN as text.
        return label == expected or str(label) == expected
    return type(label) is type(expected) and label == expected


def _format(predictions: Any, row: int) -> str:
    if row >= len(predictions):
        return "absent"
    value = predictions[row]
    return str(value.tolist() if isinstance(value, np.ndarray | np.generic) else value)[:200]
