"""Read the ids of the training rows, by which the device names the neighbours of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import MAX_MANIFEST_BYTES

from edge_pipeline.conversion.estimator_methods import has_method, last_step
from edge_pipeline.errors import ConversionError
from edge_pipeline.verification.verify import VerifiedModel

__all__ = ["check_neighbors_are_sealed", "read_neighbors_ids"]

MAX_ID_CHARACTERS = MAX_MANIFEST_BYTES // 8
"""Characters of all ids together: JSON may write six bytes for one, and the manifest holds more."""


def read_neighbors_ids(ids: Any, estimator: Any) -> Sequence[str | int] | None:
    """Return *ids* as a list of str and int; None where there are none.

    Raises
    ------
    ConversionError
        The estimator has no neighbours, or *ids* is not a text or whole number for each of its
        training rows.
    """
    if ids is None:
        return None
    if not has_method(estimator, "kneighbors"):
        raise ConversionError(
            f"ids name training rows, and {type(last_step(estimator)).__name__} has no kneighbors; "
            "leave ids out, or end with NearestNeighbors"
        )
    if isinstance(ids, str | bytes | dict | set) or not hasattr(ids, "__len__"):
        raise ConversionError(
            f"ids must be a list with a text or whole number for each training row, found "
            f"{type(ids).__name__}"
        )
    values = [value.item() if isinstance(value, np.generic) else value for value in ids]
    n_rows = getattr(last_step(estimator), "n_samples_fit_", len(values))
    if len(values) != n_rows:
        raise ConversionError(
            f"ids has {len(values)} entries, and the estimator was fitted on {n_rows} rows; pass "
            "one id for each of them, in their order"
        )
    for position, value in enumerate(values):
        if type(value) not in (str, int):
            raise ConversionError(
                f"ids[{position}] is {value!r:.80}, a {type(value).__name__}; pass a str or an int"
            )
    if sum(len(str(value)) for value in values) > MAX_ID_CHARACTERS:
        raise ConversionError(
            f"ids have more than {MAX_ID_CHARACTERS:,} characters together; pass short ids, and "
            "keep the texts in a file beside the model"
        )
    return values


def check_neighbors_are_sealed(ids: Sequence[str | int] | None, verified: VerifiedModel) -> None:
    """Raise ConversionError where there are ids, and kneighbors could not be verified."""
    if ids is None or any(output.method == "kneighbors" for output in verified.model.outputs):
        return
    reasons = "; ".join(note for note in verified.notes if note.startswith("kneighbors"))
    raise ConversionError(
        "ids name the neighbours, and kneighbors is not in the file"
        f"{': ' if reasons else ''}{reasons}; leave ids out"
    )
