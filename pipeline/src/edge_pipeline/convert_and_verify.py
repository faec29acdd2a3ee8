"""Convert an estimator and verify the graph, a second time where the first graph is not exact."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from edge_runtime.bundle.schema import Schema
from edge_runtime.errors import (
    EdgeRuntimeError,
    InferenceError,
    InputError,
    UnsafeGraphError,
    UnsupportedRuntimeError,
)

from edge_pipeline.arguments import check_probe_seconds
from edge_pipeline.conversion.convert import OnnxModel, convert_sample
from edge_pipeline.conversion.estimator_methods import OPTIONAL_METHODS
from edge_pipeline.data.missing_policy import MissingPolicy
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import ConversionError, ParityError
from edge_pipeline.verification.float32_inputs import (
    check_input_dtype,
    has_float32,
    needs_float32,
    widened_to_float64,
)
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.predict_probes import PROBE_SECONDS
from edge_pipeline.verification.verify import VerifiedModel, verify_model

__all__ = ["Conversion", "StageTimer", "complete_rows"]

MISSING_NOTE = (
    "the device refuses missing values where X has none, although scikit-learn accepts them there: "
    "{difference}"
)

METHOD_NOTE = "{method} was left out, because it cannot be verified: {difference}"


class StageTimer:
    """Announce each stage, and measure its duration."""

    def __init__(self, on_stage: Callable[[str], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._on_stage = on_stage or (lambda _: None)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce the stage *name* when it first begins; add its duration when it ends."""
        if name not in self.seconds:
            self._on_stage(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class Conversion:
    """A fitted estimator with the rows to convert and verify it on.

    Attributes
    ----------
    estimator
        The fitted estimator.
    X
        Rows of the training input in the user's own container.
    sample
        The same rows, described.
    unseen
        Rows that training did not see, or None.
    policy
        Where a value may be missing.
    tolerance
        Largest relative difference allowed.
    timer
        Measures the stages ``convert`` and ``verify``.
    probe_seconds
        Seconds that scikit-learn may take for the rows that are compared.
    """

    estimator: Any
    X: Any
    sample: Sample
    unseen: pd.DataFrame | None
    policy: MissingPolicy
    tolerance: float
    timer: StageTimer
    probe_seconds: float = PROBE_SECONDS

    def __post_init__(self) -> None:
        check_probe_seconds(self.probe_seconds)

    def verified(self) -> tuple[VerifiedModel, tuple[str, ...]]:
        """Convert and verify; also return notes for the user.

        The graph may differ on missing values that the training sample did not have.  Then the
        device refuses them, and a note says so.

        Raises
        ------
        ConversionError, ParityError
            As :func:`edge_pipeline.export`.
        """
        try:
            return self._in_float64(self.policy)
        except ParityError as error:
            if not error.allows_new_missing_values:
                raise
            verified, notes = self._in_float64(self.policy.as_trained())
            return verified, (*notes, MISSING_NOTE.format(difference=error.difference))

    def _in_float64(self, policy: MissingPolicy) -> tuple[VerifiedModel, tuple[str, ...]]:
        """Convert and verify in float64 throughout.

        An estimator that was fitted on float32 may predict in float32.  Then a copy of it with
        float64 arrays is converted, verified, and compared with the original.
        """
        must_widen = needs_float32(self.estimator, self.X, self.sample)
        oracle = widened_to_float64(self.estimator) if must_widen else self.estimator
        try:
            verified = self._attempt(oracle, policy)
        except ParityError:
            if must_widen or not has_float32(self.sample):
                raise
            # Its float32 arrays make it compute in float32, even for rows of float64.
            oracle = widened_to_float64(oracle)
            verified = self._attempt(oracle, policy)
        with self.timer.stage("verify"):
            notes = check_input_dtype(
                self.estimator,
                Oracle(oracle, self.sample),
                self.X,
                verified,
                self.tolerance,
            )
        return verified, notes

    def _attempt(self, oracle: Any, policy: MissingPolicy) -> VerifiedModel:
        """Convert and verify *oracle*; leave out optional methods that cannot be verified."""
        without: tuple[str, ...] = ()
        left_out: tuple[str, ...] = ()
        while True:
            with self.timer.stage("convert"):
                model = convert_sample(oracle, self.sample, policy, without)
            try:
                verified = self._verified(model, oracle)
            except ParityError as error:
                method = _optional_method(error, model)
                if method is None:
                    raise
                without = (*without, method)
                left_out += (METHOD_NOTE.format(method=method, difference=error.difference),)
            else:
                return replace(verified, notes=(*left_out, *verified.notes))

    def _verified(self, model: OnnxModel, oracle: Any) -> VerifiedModel:
        """Verify *model*; an error names its known cause."""
        with self.timer.stage("verify"):
            table, notes = _rows_to_compare(self.sample.table, model.schema, "X")
            unseen = self.unseen
            if unseen is not None:
                unseen, unseen_notes = _rows_to_compare(unseen, model.schema, "X_test")
                notes += unseen_notes
            sample = replace(self.sample, table=table)
            try:
                verified = verify_model(
                    model,
                    oracle,
                    sample,
                    unseen=unseen,
                    tolerance=self.tolerance,
                    probe_seconds=self.probe_seconds,
                )
            except ParityError as error:
                raise _explained(error, model, sample) from error
            except (InferenceError, UnsafeGraphError, UnsupportedRuntimeError) as error:
                raise _graph_fails(error, oracle) from error
            except InputError as error:
                raise ConversionError(
                    f"{type(oracle).__name__}: scikit-learn predicts a row of X that the device "
                    f"refuses: {error}"
                ) from error
        return replace(verified, notes=(*notes, *verified.notes))


def _optional_method(error: ParityError, model: OnnxModel) -> str | None:
    """Return the optional method that *error* is about, where the model also has another one."""
    method = error.output.partition(".")[0]
    has_other = any(output.method != method for output in model.outputs)
    return method if method in OPTIONAL_METHODS and has_other else None


def _graph_fails(error: EdgeRuntimeError, oracle: Any) -> ConversionError:
    """Say that the graph cannot run, and who may have written the nodes at fault."""
    return ConversionError(
        f"{type(oracle).__name__}: the graph that was converted cannot run: "
        f"{error.__cause__ or error}; a converter that you registered with skl2onnx must write "
        "float64 where its input is float64, in operators that the device has; without one, "
        "report it with the estimator's parameters: nothing was sealed"
    )


def _explained(error: ParityError, model: OnnxModel, sample: Sample) -> ParityError:
    """Name the known cause of *error*, and say whether fewer missing values could avoid it."""
    cause = _narrow_dtypes(model, sample)
    return ParityError(
        error.difference,
        output=error.output,
        row=error.row,
        remedy=error.remedy if cause is None else f"{cause}: nothing was sealed",
        allows_new_missing_values=_allows_new_missing_values(model.schema),
    )


def _rows_to_compare(
    table: pd.DataFrame, schema: Schema, name: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leave out the rows that the device refuses for a missing value; note their number.

    Raises
    ------
    ConversionError
        No row is left of *X*.
    """
    rows = complete_rows(table, schema)
    if len(rows) == len(table):
        return table, ()
    if name == "X" and not len(rows):
        raise ConversionError(
            "every row of X lacks a value in a column where the device refuses that; pass complete "
            'rows, or missing="as-estimator"'
        )
    n_refused = len(table) - len(rows)
    verb = "lacks" if n_refused == 1 else "lack"
    return rows, (
        f"{n_refused} of {len(table)} rows of {name} {verb} a value where the device refuses that, "
        "and could not be compared",
    )


def complete_rows(table: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the rows that have every value which the device requires."""
    required = [c.name for c in schema.columns if not c.missing and (c.is_number or c.is_string)]
    is_complete = table[required].notna().all(axis="columns")
    return table if is_complete.all() else table[is_complete].reset_index(drop=True)


def _narrow_dtypes(model: OnnxModel, sample: Sample) -> str | None:
    """Name the dtypes in which scikit-learn may have computed, other than the graph's float64."""
    for place, dtype in model.promoted.items():
        return (
            f"{place} gets {dtype} from the step before it, and scikit-learn computes in that "
            "dtype where the graph computes in float64; let that step return float64, e.g. by "
            "astype(float)"
        )
    narrow = sorted({str(dtype) for dtype in sample.dtypes if _is_narrow_integer(dtype)})
    if not narrow:
        return None
    return (
        f"X has columns of {' and '.join(narrow)}, in which numpy's arithmetic wraps around; train "
        "and predict in int64 or float64, e.g. fit(X.astype('int64'), y)"
    )


def _is_narrow_integer(dtype: Any) -> bool:
    subtype = getattr(dtype, "subtype", dtype)  # of a sparse column
    return pd.api.types.is_integer_dtype(subtype) and getattr(subtype, "itemsize", 8) < 8


def _allows_new_missing_values(schema: Schema) -> bool:
    """Whether a column may lack a value although the training sample never did."""
    return any(column.missing and not column.missing_in_training for column in schema.columns)
