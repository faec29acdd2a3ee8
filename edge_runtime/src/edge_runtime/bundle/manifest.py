"""The manifest: what a bundle says of itself, as frozen values and as canonical JSON.

Pure: bytes to checked value and back, no I/O.  ``Manifest.from_bytes(m.to_bytes()) == m``.

Numbers that JSON cannot write travel as the strings ``"nan"``, ``"inf"`` and ``"-inf"``;
a missing string is ``null``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edge_runtime.bundle import manifest_checks
from edge_runtime.bundle.json_reader import read_json
from edge_runtime.bundle.schema import Schema
from edge_runtime.errors import IntegrityError
from edge_runtime.records import field, record

__all__ = [
    "LEVELS",
    "METHODS",
    "GoldenRows",
    "Manifest",
    "Output",
    "OutputEvidence",
    "Parity",
    "Requirements",
    "cell_from_json",
    "cell_to_json",
]

METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")
"""The methods of a scikit-learn estimator that a bundle can serve."""

LEVELS = ("proven", "bounded", "probed")
"""How an answer is known to be scikit-learn's, the strongest first (docs/proof.md)."""

MAX_MANIFEST_BYTES = 16 * 1024 * 1024
"""Largest manifest read: a thousand times what a table of a hundred columns needs."""

_DTYPES = frozenset(
    (
        *("float16", "float32", "float64", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "bool", "object"),
    )
)
_MAX_TEXT_DIGITS = 6
"""Of the length of a text's dtype, ``<U9`` say."""

Cell = str | float | int | bool | None | dict[str, Any] | list[Any]


@record(frozen=True, slots=True)
class Output:
    """One graph output and the method it serves.

    Attributes
    ----------
    name
        Name of the graph output: the method's, with ``.k`` for the k-th array of a list.
    method
        One of :data:`METHODS`.
    dtype
        numpy dtype of scikit-learn's own answer; the runtime casts to it without loss.
    item
        Position in the list that the method returns (``predict_proba`` of several targets),
        or None when it returns one array.
    """

    name: str
    method: str
    dtype: str
    item: int | None = None


@record(frozen=True, slots=True)
class OutputEvidence:
    """How one output is known to be scikit-learn's, and how it compared on the parity rows.

    Attributes
    ----------
    rows
        Rows compared.
    differing
        Rows whose labels, integers or booleans differed (0 in every sealed bundle).
    worst
        Largest difference of two numbers, relative to the largest magnitude of the output.
    level
        One of :data:`LEVELS`.  ``proven``: for every input the same operations on the same float64
        numbers in the same order.  ``bounded``: for every row within the schema's ranges at most
        *bound* apart.  ``probed``: on the rows compared, no more is known.
    undetermined
        Rows asked and not compared, because scikit-learn's own answer to them depends on rounding
        or on the order of its training rows.
    bound
        Of a number: the largest difference, in the output's unit; 0 is bit for bit.  Of a label:
        it is equal wherever the two best scores differ by more than that.  None when probed.
    formula
        Where the bound comes from; of ``probed``, why no more is known, where the build says so.
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
    """What the build measured against scikit-learn, and the tolerance it had to meet."""

    tolerance: float
    outputs: Mapping[str, OutputEvidence]


@record(frozen=True, slots=True)
class GoldenRows:
    """Rows with scikit-learn's answers, replayed on the device at every load.

    Attributes
    ----------
    rows
        Cells in the order of the schema's columns.
    answers
        Output name to scikit-learn's answer as nested lists.
    """

    rows: tuple[tuple[Cell, ...], ...]
    answers: Mapping[str, Any]


@record(frozen=True, slots=True)
class Requirements:
    """What the graph needs: operator sets by domain, and the oldest onnxruntime."""

    opsets: Mapping[str, int]
    onnxruntime: str


@record(frozen=True)
class Manifest:
    """Everything a device needs to know about a model besides its graph.

    Attributes
    ----------
    name, version
        The model's own name, and a number that only grows.
    task
        ``classification``, ``regression``, ``clustering``, ``anomaly`` or ``transform``.
    estimator
        The estimator as scikit-learn prints it, shortened.
    created_by
        Distribution name to version, for everything that took part in the build.
    schema, outputs, classes
        ``classes`` maps ``"predict"`` to its class labels in the order of predict_proba's columns
        (a list of lists for several targets); it is empty where there are none.
    parity, golden, requires
        See their types.
    baseline
        Column name to statistics of the training sample (for drift monitoring).
    metrics
        Metric name to its value on the test rows.
    limits
        Limit name to the bound the build was held to.
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

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        from dataclasses import asdict  # a device reads manifests, and its start has no time for it

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
        }

    def to_bytes(self) -> bytes:
        """Canonical JSON (sorted keys, no spaces, UTF-8): equal manifests are equal bytes."""
        import json  # 1 ms, which no start has to spare: a device only reads

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
            The bytes are not UTF-8, not JSON, repeat a key, or describe something else.
        """
        if len(raw) > MAX_MANIFEST_BYTES:
            raise IntegrityError(
                f"manifest has {len(raw)} bytes, this runtime reads up to {MAX_MANIFEST_BYTES}"
            )
        return cls._from_json(read_json(raw, what="manifest"))

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
                "parity": {"tolerance": float() | int() as tolerance, "outputs": dict(evidence)},
                "golden": {"rows": [*rows], "answers": dict(answers)},
                "requires": {"opsets": dict(opsets), "onnxruntime": str(onnxruntime)},
                "baseline": dict(baseline),
                "metrics": dict(metrics),
                "limits": dict(limits),
            } if len(value) == 14 and outputs:
                return cls(
                    name=name,
                    version=manifest_checks.whole(version, "version", least=1),
                    task=task,
                    estimator=estimator,
                    created_by=manifest_checks.texts(created_by),
                    schema=Schema.from_json(schema),
                    outputs=tuple(_output(item) for item in outputs),
                    classes={key: manifest_checks.labels(item) for key, item in classes.items()},
                    parity=Parity(
                        float(tolerance), {key: _evidence(item) for key, item in evidence.items()}
                    ),
                    golden=GoldenRows(
                        tuple(manifest_checks.row(row) for row in rows),
                        {key: manifest_checks.answers(item) for key, item in answers.items()},
                    ),
                    requires=Requirements(
                        {
                            key: manifest_checks.whole(item, "opset", least=1)
                            for key, item in opsets.items()
                        },
                        onnxruntime,
                    ),
                    baseline={key: manifest_checks.figures(item) for key, item in baseline.items()},
                    metrics=manifest_checks.figures(metrics),
                    limits=manifest_checks.figures(limits),
                )
        keys = sorted(value)[:30] if isinstance(value, dict) else type(value).__name__
        raise IntegrityError(f"manifest: fields are missing, unknown or of a wrong type: {keys}")


def cell_to_json(value: Any) -> Cell:
    """One number, label or missing value as JSON can write it."""
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)
    return number if math.isfinite(number) else str(number)


def cell_from_json(value: Cell) -> str | float | int | bool:
    """The numeric cell that :func:`cell_to_json` wrote (strings are left to the caller)."""
    return float(value) if value in ("nan", "inf", "-inf") else value  # type: ignore[return-value]


def _output(value: Any) -> Output:
    match value:
        case {"name": str(name), "method": str(method), "dtype": str(dtype), "item": item} if (
            len(value) == 4
            and method in METHODS
            and _is_dtype(dtype)
            and (item is None or (type(item) is int and item >= 0))
        ):
            return Output(name, method, dtype, item)
    raise IntegrityError(f"manifest: not an output description: {value!r:.200}")


def _is_dtype(name: str) -> bool:
    digits = name.removeprefix("<U")
    return name in _DTYPES or (
        digits != name
        and len(digits) <= _MAX_TEXT_DIGITS
        and digits.isascii()
        and digits.isdigit()
        and digits[0] != "0"
    )


def _evidence(value: Any) -> OutputEvidence:
    match value:
        case {
            "rows": rows,
            "differing": differing,
            "worst": float() | int() as worst,
            "level": str(level),
            "undetermined": undetermined,
            "bound": bound,
            "formula": formula,
        } if (
            len(value) == 7
            and level in LEVELS
            and (level == "probed") == (bound is None)
            and (bound is None or formula is not None)
            and (bound is None or (type(bound) in (int, float) and bound >= 0))
            and (formula is None or isinstance(formula, str))
        ):
            return OutputEvidence(
                manifest_checks.whole(rows, "rows"),
                manifest_checks.whole(differing, "differing"),
                float(worst),
                level,
                manifest_checks.whole(undetermined, "undetermined"),
                None if bound is None else float(bound),
                formula,
            )
    raise IntegrityError(f"manifest: not parity evidence: {value!r:.200}")
