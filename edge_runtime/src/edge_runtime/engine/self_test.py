"""Golden rows in, proof that this machine answers as the build machine did, or SelfTestError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.manifest import Cell, Manifest, Output
from edge_runtime.errors import InferenceError, InputError, SelfTestError
from edge_runtime.inputs.tables import InputReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["golden_feeds", "golden_row", "golden_rows", "replay"]

OTHER_CPU = 1e-12
"""Least tolerance between two kinds of CPU, relative to an output's largest magnitude.

Their math libraries differ by a few units in the last place (2.2e-16 relative each); an error of
the graph is larger by orders of magnitude.
"""


def replay(manifest: Manifest, answer: Callable[[Any, int], Mapping[str, NDArray[Any]]]) -> None:
    """Ask the golden rows again.

    Parameters
    ----------
    manifest
        Holds the rows, scikit-learn's answers and the tolerance.
    answer
        From the graph's inputs and the number of rows to every output, by name.

    Raises
    ------
    SelfTestError
        An answer differs, cannot be had, or the golden rows contradict the schema.
    """
    golden = manifest.golden
    if not golden.rows:
        return
    try:
        feeds, n_rows = golden_feeds(manifest)
        found = answer(feeds, n_rows)
    except (InputError, InferenceError, ValueError) as error:
        raise SelfTestError(f"the golden rows cannot be asked: {error}; {_REMEDY}") from error
    for output in manifest.outputs:
        if output.name not in golden.answers:
            raise SelfTestError(f"no golden answers for {output.name}; build the model again")
        _compare(output, golden.answers[output.name], found[output.name], manifest)


def golden_feeds(manifest: Manifest) -> tuple[dict[str, NDArray[Any]], int]:
    """The golden rows as the border hands them on, and their number.

    Raises
    ------
    InputError, ValueError
        They contradict the schema.
    """
    columns, rows = manifest.schema.columns, golden_rows(manifest)
    border, width = InputReader(manifest.schema), len(columns)
    cells = chain.from_iterable(rows)
    if (
        border.takes_any_number
        and set(map(type, cells)) == {float}
        and set(map(len, rows)) == {width}
    ):
        # At once: 64 columns one by one take a start 0.5 ms.
        return border.feeds(np.array(rows))
    # By column: a row of one list could be taken for a list of one row.
    by_name = {column.name: [row[i] for row in rows] for i, column in enumerate(columns)}
    return border.feeds(by_name)


def golden_rows(manifest: Manifest) -> list[list[Any]]:
    """The golden rows as lists of cells, in the order of the schema."""
    numeric = [column.is_number for column in manifest.schema.columns]
    return [
        [_number(cell) if n else cell for cell, n in zip(row, numeric, strict=True)]
        for row in manifest.golden.rows
    ]


def golden_row(manifest: Manifest) -> Any:
    """A row that ``predict_one`` answers; None when there are no golden rows."""
    rows = golden_rows(manifest)[:1]
    if not rows:
        return None
    # A row of dicts or lists is its only cell.
    return rows[0][0] if manifest.schema.kind in ("dicts", "lists") else rows[0]


_REMEDY = "do not use this model here; build it again with the newest edge-pipeline, and report it"


def _compare(output: Output, golden: Any, found: NDArray[Any], manifest: Manifest) -> None:
    numeric = found.dtype.kind == "f"
    try:
        expected = np.array(_floats(golden), dtype=np.float64) if numeric else golden
    except (TypeError, ValueError) as error:
        raise SelfTestError(f"{output.name}: the golden answers are damaged: {error}") from error
    if numeric:
        if expected.shape != found.shape:
            raise SelfTestError(
                f"{output.name}: expected the shape {expected.shape}, found {found.shape}; "
                f"{_REMEDY}"
            )
        row = _row_apart(expected, found, max(manifest.parity.tolerance, OTHER_CPU))
    else:
        answers = found.tolist()
        row = next(
            (i for i, a in enumerate(answers) if i >= len(expected) or not _equal(a, expected[i])),
            None,
        )
        if row is None and len(expected) != len(answers):
            row = len(answers)
    if row is not None:
        raise SelfTestError(
            f"golden row {row}: {output.name} is {_shown(found, row)}, scikit-learn answered "
            f"{_shown(expected, row)}; {_REMEDY}"
        )


def _row_apart(expected: NDArray[Any], found: NDArray[Any], tolerance: float) -> int | None:
    """The first row that is further away than *tolerance*, relative to the largest magnitude."""
    finite = np.isfinite(expected) & np.isfinite(found)
    same = ~finite & ((expected == found) | (np.isnan(expected) & np.isnan(found)))
    scale = float(np.abs(expected[finite]).max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        close = np.abs(expected - found) <= tolerance * scale
    apart = ~(same | (finite & close))
    return int(np.argwhere(apart)[0][0]) if apart.any() else None


def _number(cell: Cell) -> Any:
    return float(cell) if cell in ("nan", "inf", "-inf") else cell


def _floats(value: Any) -> Any:
    return [_floats(item) for item in value] if isinstance(value, list) else float(value)


def _equal(found: Any, expected: Any) -> Any:
    if isinstance(found, list):
        return (
            isinstance(expected, list)
            and len(found) == len(expected)
            and all(map(_equal, found, expected))
        )
    if isinstance(found, float) and not isinstance(expected, list | bool | None):
        # Labels in an object array may be floats; the manifest writes NaN as text.
        return found == expected or str(found) == expected
    return type(found) is type(expected) and found == expected


def _shown(answers: Any, row: int) -> str:
    if row >= len(answers):
        return "absent"
    answer = answers[row]
    return str(answer.tolist() if isinstance(answer, np.ndarray | np.generic) else answer)[:200]
