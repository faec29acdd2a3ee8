"""``[limits]``: what a model must keep to on the device, and whether a file does.

In: the bytes that are about to be sealed, and what they are allowed.  Out: what was measured, or
LimitError before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from edge_pipeline.errors import LimitError, MeasurementError

if TYPE_CHECKING:
    from edge_runtime.bundle.manifest import Manifest

    from edge_pipeline.evaluation.isolated_benchmark import BenchResult

__all__ = ["KNOWN", "LimitsTable", "check_limits"]

KNOWN = ("max_label_flips", "max_latency_us", "max_model_bytes", "max_peak_memory_mb")
"""Limits of every model; ``min_NAME`` bounds its metric NAME too."""

MEASUREMENTS = 3
"""Times that a limit on speed or memory may be missed before it counts: whatever else runs on the
build machine makes a model slower, and nothing makes it faster."""

_NUMBER = Field(gt=0, allow_inf_nan=False)


class LimitsTable(BaseModel):
    """``[limits]``: bounds that the build measures, the file carries, and the device checks.

    Attributes
    ----------
    max_model_bytes
        Of the sealed file.
    max_latency_us
        Of the 99th percentile of ``predict_one``, in microseconds.
    max_peak_memory_mb
        Of a process that does nothing but predict, in MiB.
    min_score
        Of the first metric, on the test rows.
    max_label_flips
        Labels that differ from scikit-learn's on the rows compared.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    max_model_bytes: Annotated[int, Field(ge=1)] | None = None
    max_latency_us: Annotated[float, _NUMBER] | None = None
    max_peak_memory_mb: Annotated[float, _NUMBER] | None = None
    min_score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max_label_flips: Annotated[int, Field(ge=0)] = 0

    def bounds(self, metric: str | None) -> dict[str, float]:
        """The limits by the names that the manifest has for them; *metric* is the first one's."""
        found = {name: float(value) for name in KNOWN if (value := getattr(self, name)) is not None}
        if self.min_score is not None and metric is not None:
            found[f"min_{metric}"] = self.min_score
        return found


def check_limits(raw: bytes, manifest: Manifest, rows: Any, estimator: Any) -> BenchResult | None:
    """Hold a file, not yet written, to the limits in its manifest.

    Parameters
    ----------
    raw
        The bytes of the file.
    rows
        Asked while it is measured; the golden rows when None.
    estimator
        It decides which advice is given.

    Returns
    -------
    Measured or None
        What was measured; None when no limit is about speed or memory.

    Raises
    ------
    LimitError
        A limit is broken: which, by how much, and what would help.
    MeasurementError
        A limit is unknown, or the file cannot be measured.
    """
    from edge_runtime.benchmark import Timing, compare_with_limits

    from edge_pipeline.evaluation.isolated_benchmark import bench

    _check_names(manifest)
    needs_process = bool({"max_latency_us", "max_peak_memory_mb"} & set(manifest.limits))
    best = None
    for _ in range(MEASUREMENTS if needs_process else 1):
        again = bench(raw, rows) if needs_process else None
        best = _faster(best, again)
        timings = [] if best is None else [Timing(0, 0, {"p99": best.latency_us_p99})]
        memory = 0.0 if best is None else best.peak_memory_mb
        limits = compare_with_limits(manifest, timings, file_bytes=len(raw), peak_mb=memory)
        broken = [limit for limit in limits if not limit.is_met]
        if not broken:
            return best
    told = [_explain(b.name, b.limit, float(b.value or 0.0)) for b in broken]
    if best is not None and any(b.name == "max_peak_memory_mb" for b in broken):
        told.append(f"Python, numpy and onnxruntime alone take {best.empty_memory_mb:.1f} MiB here")
    if {b.name for b in broken} & _SIZE_LIMITS:
        told.append(f"{_advice(estimator)} would help")
    raise LimitError(
        f"{'; '.join(told)}; nothing was written",
        limit=broken[0].name,
        allowed=broken[0].limit,
        found=float(broken[0].value or 0.0),
    )


def _faster(one: BenchResult | None, other: BenchResult | None) -> BenchResult | None:
    """The faster measurement."""
    if one is None or other is None:
        return other
    return min(one, other, key=lambda measured: measured.latency_us_p99)


def _check_names(manifest: Manifest) -> None:
    from edge_pipeline.data.imports import did_you_mean

    allowed = (*KNOWN, *(f"min_{metric}" for metric in manifest.metrics))
    for name in manifest.limits:
        if name not in allowed:
            raise MeasurementError(
                f"there is no limit {name!r}{did_you_mean(name, allowed)}; "
                f"this model has {', '.join(allowed)}"
            )


_PHRASES = {
    "max_model_bytes": ("the file has {:,.0f} bytes", "{:,.0f}"),
    "max_latency_us": ("predict_one takes {:,.1f} us (99th percentile, measured here)", "{:,.10g}"),
    "max_peak_memory_mb": ("predicting takes {:,.1f} MiB of memory, measured here", "{:,.10g}"),
    "max_label_flips": ("{:,.0f} labels differ from scikit-learn's", "{:,.0f}"),
}


_SIZE_LIMITS = {"max_model_bytes", "max_latency_us", "max_peak_memory_mb"}


def _explain(name: str, allowed: float, found: float) -> str:
    """Expected, found, and by how much."""
    if name.startswith("min_"):
        metric = name.removeprefix("min_")
        return (
            f"limits.min_score: expected {metric} of at least {allowed:g} on the test rows, found "
            f"{found:.4f}, {allowed - found:.4f} too little (more rows, better columns or another "
            "estimator would help)"
        )
    what, bound = _PHRASES[name]
    share = f", {100 * (found / allowed - 1):,.0f} % too much" if allowed else ""
    return (
        f"limits.{name}: expected at most {bound.format(allowed)}, but {what.format(found)}{share}"
    )


MANY_CATEGORIES = 50
"""Categories of a column from which on an encoder is worth a word."""

_ADVICE: Mapping[str, str] = {
    "n_estimators": "fewer trees (n_estimators, now {})",
    "max_iter": "fewer trees (max_iter, now {})",
    "iterations": "fewer trees (iterations, now {})",
    "max_depth": "shallower trees (max_depth, now {})",
    "max_leaf_nodes": "fewer leaves (max_leaf_nodes, now {})",
    "hidden_layer_sizes": "a smaller network (hidden_layer_sizes, now {})",
    "n_neighbors": "an estimator that does not carry its training rows along, a forest say,",
    "C": "fewer support vectors (a larger C, now {}), or a linear model,",
    "max_features": "fewer words (max_features, now {})",
    "min_frequency": "fewer categories (min_frequency, now {})",
}


def _advice(estimator: Any) -> str:
    """What makes this kind of estimator smaller and faster: its own parameters, by their names."""
    told: list[str] = []
    for part in _nested_estimators(estimator):
        parameters = part.get_params(deep=False)
        told += [
            advice.format(parameters[name])
            for name, advice in _ADVICE.items()
            if name in parameters and _is_about_size(name, part, parameters)
        ]
    told = list(dict.fromkeys(told))
    return " or ".join(told[:3]) if told else "fewer columns, or a smaller kind of estimator,"


def _is_about_size(name: str, part: Any, parameters: Mapping[str, Any]) -> bool:
    """Whether a parameter of this name decides how much *part* has to keep and compute."""
    match name:
        case "max_iter":
            return "max_leaf_nodes" in parameters
        case "C":
            return hasattr(part, "support_vectors_")
        case "max_features":
            return hasattr(part, "vocabulary_")
        case "min_frequency":
            return max(map(len, getattr(part, "categories_", ())), default=0) > MANY_CATEGORIES
    return True


def _nested_estimators(estimator: Any) -> list[Any]:
    """The estimators within *estimator*, the last step of a pipeline first."""
    last = getattr(estimator, "steps", [(None, estimator)])[-1][1]
    values = (last, estimator, *estimator.get_params(deep=True).values())
    found = {
        id(value): value
        for value in values
        if hasattr(value, "get_params") and not isinstance(value, type)
    }
    return list(found.values())
