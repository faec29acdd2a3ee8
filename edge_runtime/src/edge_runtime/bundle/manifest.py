"""Read and write the manifest: all that a bundle holds besides its graph, as canonical JSON.

Pure: no I/O.  ``Manifest.from_bytes(m.to_bytes()) == m``.

JSON cannot write NaN and infinity: they become the strings ``"nan"``, ``"inf"`` and ``"-inf"``.
A missing string is ``null``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.json_reader import read_json
from edge_runtime.bundle.manifest_values import (
    Cell,
    cell_from_json,
    cell_to_json,
    check_output_names,
    class_labels,
    golden_answers,
    golden_row,
    ids_or_none,
    is_dtype,
    numbers_by_name,
    share_or_none,
    size,
    texts_by_name,
    whole_number,
)
from edge_runtime.bundle.schema import Schema
from edge_runtime.errors import IntegrityError
from edge_runtime.records import field, record

if TYPE_CHECKING:
    from edge_runtime.bundle.reading import Reading

__all__ = [
    "LEVELS",
    "METHODS",
    "Cell",
    "GoldenRows",
    "Manifest",
    "Output",
    "OutputEvidence",
    "Parity",
    "Requirements",
    "cell_from_json",
    "cell_to_json",
]

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "transform",
    "kneighbors",
    "predict_std",
)
"""The methods of a scikit-learn estimator that a bundle can serve.

``predict_std`` is the second array of ``predict(X, return_std=True)``."""

LEVELS = ("proven", "bounded", "probed")
"""Levels of evidence that the graph predicts as scikit-learn does, strongest first (docs/proof.md).
"""

MAX_MANIFEST_BYTES = 16 * 1024 * 1024
"""Largest manifest that is read: a table of a hundred columns needs a thousandth of it."""

_OPTIONAL = {"log_floor", "reading", "neighbors_ids"}


@record(frozen=True, slots=True)
class Output:
    """One graph output and the method that returns it.

    Attributes
    ----------
    name
        Name of the graph output: the method's, with ``.k`` for the k-th array of a list.
    method
        One of :data:`METHODS`.
    dtype
        numpy dtype of scikit-learn's result; the runtime casts to it without loss.
    item
        Position in the list that the method returns (``predict_proba`` of several targets;
        distances and positions of ``kneighbors``), or None when it returns one array.
    """

    name: str
    method: str
    dtype: str
    item: int | None = None


@record(frozen=True, slots=True)
class OutputEvidence:
    """Evidence that one output equals scikit-learn's, and the comparison on the parity rows.

    Attributes
    ----------
    rows
        Rows compared.
    differing
        Rows whose labels, integers or booleans differed: 0 in every sealed bundle.
    worst
        Largest difference between two numbers, relative to the largest magnitude of the output.
    level
        One of :data:`LEVELS`.  ``proven``: the graph does the same float64 operations in the same
        order, for every input.  ``bounded``: the results differ by at most *bound*, for every row
        within the schema's ranges.  ``probed``: only the compared rows are known to agree.
    undetermined
        Rows that were run and not compared: scikit-learn's own result depends on rounding there, or
        on the order of its training rows.
    bound
        Largest difference of a number, in the output's unit; 0 is bit for bit.  A label is equal
        where the two best scores differ by more than the bound.  None when probed.
    formula
        Source of the bound.  When probed, the reason why nothing stronger is known, or None.
    """

    rows: int
    differing: int
    worst: float
    level: str = "probed"
    undetermined: int = 0
    bound: float | None = None
    formula: str | None = None


@record(frozen=True, slots=True)
class Parity:
    """Comparison with scikit-learn at the build, and the tolerance that it had to meet.

    ``left_out``: how many ``rows`` were left out to stay within ``probe_seconds``, if any were.
    """

    tolerance: float
    outputs: Mapping[str, OutputEvidence]
    left_out: Mapping[str, float] | None = None


@record(frozen=True, slots=True)
class GoldenRows:
    """Rows with scikit-learn's results, which the device recomputes at every load.

    Attributes
    ----------
    rows
        Cells in the order of the schema's columns.
    answers
        Output name to scikit-learn's result as nested lists.
    """

    rows: tuple[tuple[Cell, ...], ...]
    answers: Mapping[str, Any]


@record(frozen=True, slots=True)
class Requirements:
    """Operator sets of the graph by domain, and the oldest onnxruntime that runs it."""

    opsets: Mapping[str, int]
    onnxruntime: str


@record(frozen=True)
class Manifest:
    """Everything that a device needs to know about a model besides its graph.

    Attributes
    ----------
    name, version
        Name of the model, and a number that grows with every release of it.
    task
        ``classification``, ``regression``, ``clustering``, ``anomaly`` or ``transform``.
    estimator
        The estimator as scikit-learn prints it, shortened.
    created_by
        Distribution name to version, for every distribution that the build used.
    schema, outputs, parity, golden, requires
        See their types.
    classes
        ``"predict"`` to the class labels in the order of predict_proba's columns, or to a list of
        lists for several targets.  Empty for a model without classes.
    baseline
        Column name to statistics of the training sample, for drift monitoring.
    metrics
        Metric name to its value on the test rows.
    limits
        Limit name to the bound that the build had to meet.
    log_floor
        The estimator's ``predict_log_proba`` is the logarithm of ``predict_proba``, and of this
        number where a probability is 0.  None when it has another formula or no such method.
    reading
        How the training table's text became values; the device reads its files alike.  None for
        comma-separated UTF-8 with a header and decimal points.
    neighbors_ids
        The id of each training row, in the order of the positions that ``kneighbors`` returns.
    """

    name: str
    task: str
    estimator: str
    schema: Schema
    outputs: tuple[Output, ...]
    parity: Parity
    golden: GoldenRows
    requires: Requirements
    version: int = 1
    created_by: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    baseline: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    log_floor: float | None = None
    reading: Reading | None = None
    neighbors_ids: Sequence[str | int] | None = None

    def __repr__(self) -> str:
        n_columns, methods = len(self.schema.columns), ", ".join(o.name for o in self.outputs[:6])
        return f"<Manifest {self.name!r}: {self.task}, {n_columns} columns, {methods}>"

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as plain JSON values."""
        from dataclasses import asdict  # imported here: a device only reads, and starts sooner

        return {
            "name": self.name,
            "version": self.version,
            "task": self.task,
            "estimator": self.estimator,
            "created_by": dict(self.created_by),
            "schema": self.schema.to_json(),
            "outputs": [
                {"name": o.name, "method": o.method, "dtype": o.dtype, "item": o.item}
                for o in self.outputs
            ],
            "classes": {name: list(labels) for name, labels in self.classes.items()},
            "parity": {
                "tolerance": self.parity.tolerance,
                "outputs": {
                    name: asdict(evidence) for name, evidence in self.parity.outputs.items()
                },
                **({"left_out": dict(self.parity.left_out)} if self.parity.left_out else {}),
            },
            "golden": {
                "rows": [list(row) for row in self.golden.rows],
                "answers": dict(self.golden.answers),
            },
            "requires": {
                "opsets": dict(self.requires.opsets),
                "onnxruntime": self.requires.onnxruntime,
            },
            "baseline": {name: dict(values) for name, values in self.baseline.items()},
            "metrics": dict(self.metrics),
            "limits": dict(self.limits),
            **({} if self.log_floor is None else {"log_floor": self.log_floor}),
            **({} if self.reading is None else {"reading": self.reading.to_json()}),
            **({} if self.neighbors_ids is None else {"neighbors_ids": list(self.neighbors_ids)}),
        }

    def to_bytes(self) -> bytes:
        """Write canonical JSON (sorted keys, no spaces, UTF-8): equal manifests, equal bytes."""
        import json  # imported here: a device only reads, and starts 1 ms sooner

        text = json.dumps(
            self.to_json(),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )
        return text.encode("utf-8")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Manifest:
        """Read what :meth:`to_bytes` wrote.

        Raises
        ------
        IntegrityError
            *raw* is not UTF-8, not JSON, repeats a key, or is not a manifest.
        """
        if len(raw) > MAX_MANIFEST_BYTES:
            raise IntegrityError(
                f"manifest has {len(raw)} bytes, this runtime reads up to {MAX_MANIFEST_BYTES}"
            )
        manifest = cls._from_json(read_json(raw, name="manifest"))
        check_output_names(manifest)
        return manifest

    @classmethod
    def _from_json(cls, value: Any) -> Manifest:
        match value:
            case {
                "name": str(name),
                "version": version,
                "task": str(task),
                "estimator": str(estimator),
                "created_by": dict(created_by),
                "schema": schema,
                "outputs": [*outputs],
                "classes": dict(classes),
                "parity": {"tolerance": tolerance, "outputs": dict(evidence)},
                "golden": {"rows": [*rows], "answers": dict(answers)},
                "requires": {"opsets": dict(opsets), "onnxruntime": str(onnxruntime)},
                "baseline": dict(baseline),
                "metrics": dict(metrics),
                "limits": dict(limits),
            } if len(value) == 14 + len(value.keys() & _OPTIONAL) and outputs:
                return cls(
                    name=name,
                    version=whole_number(version, "version", minimum=1),
                    task=task,
                    estimator=estimator,
                    created_by=texts_by_name(created_by),
                    schema=Schema.from_json(schema),
                    outputs=tuple(map(_output, outputs)),
                    classes={key: class_labels(item) for key, item in classes.items()},
                    parity=_parity(tolerance, evidence, value["parity"].get("left_out")),
                    golden=_golden_rows(rows, answers),
                    requires=_requirements(opsets, onnxruntime),
                    baseline={key: numbers_by_name(item) for key, item in baseline.items()},
                    metrics=numbers_by_name(metrics),
                    limits=numbers_by_name(limits),
                    log_floor=share_or_none(value.get("log_floor")),
                    reading=_reading(value["reading"]) if "reading" in value else None,
                    neighbors_ids=ids_or_none(value.get("neighbors_ids")),
                )
        keys = sorted(value)[:30] if isinstance(value, dict) else type(value).__name__
        raise IntegrityError(f"manifest: fields are missing, unknown or of a wrong type: {keys}")


def _reading(value: Any) -> Reading:
    from edge_runtime.bundle.reading import Reading  # which few models need

    return Reading.from_json(value)


def _parity(tolerance: Any, evidence: dict[str, Any], left_out: Any) -> Parity:
    outputs = {key: _evidence(item) for key, item in evidence.items()}
    counts = None if left_out is None else numbers_by_name(left_out)
    return Parity(size(tolerance, "the tolerance"), outputs, counts)


def _golden_rows(rows: list[Any], answers: dict[str, Any]) -> GoldenRows:
    return GoldenRows(
        tuple(golden_row(row) for row in rows),
        {key: golden_answers(item) for key, item in answers.items()},
    )


def _requirements(opsets: dict[str, Any], onnxruntime: str) -> Requirements:
    versions = {key: whole_number(item, "opset", minimum=1) for key, item in opsets.items()}
    return Requirements(versions, onnxruntime)


def _output(value: Any) -> Output:
    match value:
        case {"name": str(name), "method": str(method), "dtype": str(dtype), "item": item} if (
            len(value) == 4
            and method in METHODS
            and is_dtype(dtype)
            and (item is None or (type(item) is int and item >= 0))
        ):
            return Output(name, method, dtype, item)
    raise IntegrityError(f"manifest: not an output description: {value!r:.200}")


def _evidence(value: Any) -> OutputEvidence:
    match value:
        case {
            "rows": rows,
            "differing": differing,
            "worst": worst,
            "level": str(level),
            "undetermined": undetermined,
            "bound": bound,
            "formula": formula,
        } if (
            len(value) == 7
            and level in LEVELS
            and (level == "probed") == (bound is None)
            and (bound is None or formula is not None)
            and (formula is None or isinstance(formula, str))
        ):
            return OutputEvidence(
                whole_number(rows, "rows"),
                whole_number(differing, "differing"),
                size(worst, "worst of the evidence"),
                level,
                whole_number(undetermined, "undetermined"),
                None if bound is None else size(bound, "bound of the evidence"),
                formula,
            )
    raise IntegrityError(f"manifest: not parity evidence: {value!r:.200}")
