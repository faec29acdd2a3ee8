"""Check a sealed file against the limits of ``[limits]`` before it is written.

The limits bound size, speed, memory, score and label flips of a model on its device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge_pipeline.data.limits_table import LIMIT_NAMES
from edge_pipeline.errors import LimitError, MeasurementError

if TYPE_CHECKING:
    from edge_runtime.bundle.manifest import Manifest

    from edge_pipeline.evaluation.isolated_benchmark import BenchResult

__all__ = ["check_limits"]

MAX_MEASUREMENTS = 3
"""Measurements after which a broken limit on speed or memory counts.  Other programs on the build
machine make a model slower, never faster."""


def check_limits(raw: bytes, manifest: Manifest, rows: Any, estimator: Any) -> BenchResult | None:
    """Check a file that is not yet written against the limits in its manifest.

    Parameters
    ----------
    raw
        The bytes of the file.
    manifest
        Its manifest.
    rows
        Rows to predict while measuring; the golden rows when None.
    estimator
        The fitted estimator, whose parameters the advice names.

    Returns
    -------
    BenchResult or None
        The measurement; None when no limit concerns speed or memory.

    Raises
    ------
    LimitError
        A limit is broken; says which one, by how much, and the remedy.
    MeasurementError
        A limit is unknown, or the file cannot be measured.
    """
    from edge_runtime.benchmark import Timing, compare_with_limits

    from edge_pipeline.evaluation.isolated_benchmark import bench

    _check_names(manifest)
    needs_process = bool({"max_latency_us", "max_peak_memory_mb"} & set(manifest.limits))
    best = None
    for _ in range(MAX_MEASUREMENTS if needs_process else 1):
        if needs_process:
            result = bench(raw, rows)
            if best is None or result.latency_us_p99 < best.latency_us_p99:
                best = result
        timings = [] if best is None else [Timing(0, 0, {"p99": best.latency_us_p99})]
        memory = 0.0 if best is None else best.peak_memory_mb
        limits = compare_with_limits(manifest, timings, file_bytes=len(raw), peak_mb=memory)
        broken_limits = [limit for limit in limits if not limit.is_met]
        if not broken_limits:
            return best
    reasons = [
        _explain(limit.name, limit.limit, float(limit.value or 0.0)) for limit in broken_limits
    ]
    names = {limit.name for limit in broken_limits}
    if best is not None and "max_peak_memory_mb" in names:
        reasons.append(
            f"Python, numpy and onnxruntime alone take {best.empty_memory_mb:.1f} MiB here"
        )
    if names & _SIZE_LIMITS:
        reasons.append(f"{_advice(estimator)} would help")
    raise LimitError(
        f"{'; '.join(reasons)}; nothing was written",
        limit=broken_limits[0].name,
        allowed=broken_limits[0].limit,
        measured_value=float(broken_limits[0].value or 0.0),
    )


def _check_names(manifest: Manifest) -> None:
    from edge_pipeline.data.imports import did_you_mean

    allowed = (*LIMIT_NAMES, *(f"min_{metric}" for metric in manifest.metrics))
    for name in manifest.limits:
        if name not in allowed:
            raise MeasurementError(
                f"there is no limit {name!r}; this model has "
                f"{', '.join(allowed)}{did_you_mean(name, allowed)}"
            )


_PHRASES = {
    "max_model_bytes": ("the file has {:,.0f} bytes", "{:,.0f}"),
    "max_latency_us": ("predict_one takes {:,.1f} us (99th percentile, measured here)", "{:,.10g}"),
    "max_peak_memory_mb": ("predicting takes {:,.1f} MiB of memory, measured here", "{:,.10g}"),
    "max_label_flips": ("{:,.0f} labels differ from scikit-learn's", "{:,.0f}"),
}


_SIZE_LIMITS = {"max_model_bytes", "max_latency_us", "max_peak_memory_mb"}
"""Limits that a smaller model meets."""


def _explain(name: str, allowed: float, measured_value: float) -> str:
    """Say what was expected and found, and how far apart they are."""
    if name.startswith("min_"):
        metric = name.removeprefix("min_")
        return (
            f"limits.min_score: expected {metric} of at least {allowed:g} on the test rows, found "
            f"{measured_value:.4f}, {allowed - measured_value:.4f} too little (more rows, better "
            "columns or another estimator would help)"
        )
    phrase, bound = _PHRASES[name]
    excess = f", {100 * (measured_value / allowed - 1):,.0f} % too much" if allowed else ""
    return (
        f"limits.{name}: expected at most {bound.format(allowed)}, but "
        f"{phrase.format(measured_value)}{excess}"
    )


MANY_CATEGORIES = 50
"""More categories of one column make an encoder large enough for advice about it."""

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
    """Name the parameters that make this estimator smaller and faster."""
    remedies: list[str] = []
    for nested in _nested_estimators(estimator):
        parameters = nested.get_params(deep=False)
        remedies += [
            remedy.format(parameters[name])
            for name, remedy in _ADVICE.items()
            if name in parameters and _is_about_size(name, nested, parameters)
        ]
    remedies = list(dict.fromkeys(remedies))
    return " or ".join(remedies[:3]) or "fewer columns, or a smaller kind of estimator,"


def _is_about_size(name: str, estimator: Any, parameters: Mapping[str, Any]) -> bool:
    """Whether this parameter decides how much *estimator* stores and computes."""
    match name:
        case "max_iter":
            return "max_leaf_nodes" in parameters
        case "C":
            return hasattr(estimator, "support_vectors_")
        case "max_features":
            return hasattr(estimator, "vocabulary_")
        case "min_frequency":
            return max(map(len, getattr(estimator, "categories_", ())), default=0) > MANY_CATEGORIES
    return True


def _nested_estimators(estimator: Any) -> list[Any]:
    """List the estimators within *estimator*, the last step of a pipeline first."""
    last_step = getattr(estimator, "steps", [(None, estimator)])[-1][1]
    values = (last_step, estimator, *estimator.get_params(deep=True).values())
    by_id = {
        id(value): value
        for value in values
        if hasattr(value, "get_params") and not isinstance(value, type)
    }
    return list(by_id.values())
