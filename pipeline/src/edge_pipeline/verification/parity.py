"""Two answers in, their largest difference out, or ParityError with the row and both answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import Output
from numpy.typing import NDArray

from edge_pipeline.errors import ParityError
from edge_pipeline.verification.probes.groups import ProbeGroup

__all__ = ["gap_between"]


def gap_between(
    expected: NDArray[Any],
    found: NDArray[Any],
    output: Output,
    group: ProbeGroup,
    tolerance: float,
    least_scale: float = 0.0,
) -> float:
    """Largest relative difference; ParityError when it is not within *tolerance*.

    Parameters
    ----------
    least_scale
        The output's largest magnitude on ordinary rows: differences are relative to it where the
        rows of *group* have none as large.  Of one row alone, whose terms cancel, scikit-learn
        itself has fewer digits.
    """
    if expected.shape != found.shape or expected.dtype.kind != found.dtype.kind:
        raise ParityError(
            f"{output.name}, {group.name}: scikit-learn answers with shape {expected.shape} of "
            f"{expected.dtype}, "
            f"the graph with {found.shape} of {found.dtype}",
            output=output.name,
        )
    if expected.dtype.kind != "f":
        different = expected != found
        if different.any():
            _fail(expected, found, np.asarray(different), output, group)
        return 0.0
    finite = np.isfinite(expected) & np.isfinite(found)
    same = finite | (expected == found) | (np.isnan(expected) & np.isnan(found))
    if not same.all():
        _fail(expected, found, ~same, output, group)
    if not finite.any():
        return 0.0
    a, b = np.where(finite, expected, 0.0), np.where(finite, found, 0.0)
    scale = max(float(np.abs(a).max()), least_scale) or 1.0
    gaps = np.abs(a - b) / scale
    worst = float(gaps.max())
    if not worst <= tolerance:
        _fail(
            expected,
            found,
            gaps == worst,
            output,
            group,
            f"; difference {worst:.3g}, allowed {tolerance:.3g}",
        )
    return worst


def _fail(
    expected: NDArray[Any],
    found: NDArray[Any],
    different: NDArray[np.bool_],
    output: Output,
    group: ProbeGroup,
    more: str = "",
) -> None:
    row = int(np.argwhere(different)[0][0])
    count = int(different.reshape(len(different), -1).any(axis=1).sum())
    values = {name: _plain(group.table[name].iloc[row]) for name in list(group.table.columns)[:8]}
    raise ParityError(
        f"{output.name} differs on {count} of {len(expected)} rows ({group.name}); first at row "
        f"{row} {values}: scikit-learn answers {_plain(expected[row])!r}, the graph "
        f"{_plain(found[row])!r}{more}; "
        "report it with the estimator's parameters: nothing was sealed",
        output=output.name,
        row=row,
    )


def _plain(value: Any) -> Any:
    """*value* as Python prints it, without the names of numpy's types."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
