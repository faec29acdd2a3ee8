"""The table ``[limits]`` of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LIMIT_NAMES", "LimitsTable"]

LIMIT_NAMES = ("max_label_flips", "max_latency_us", "max_model_bytes", "max_peak_memory_mb")
"""Limits that every model may have; ``min_NAME`` bounds its metric NAME."""

_NUMBER = Field(gt=0, allow_inf_nan=False)


class LimitsTable(BaseModel):
    """Hold the recipe's table ``[limits]``, which the build checks and the device checks again.

    Attributes
    ----------
    max_model_bytes
        Size of the sealed file.
    max_latency_us
        The 99th percentile of ``predict_one``, in microseconds.
    max_peak_memory_mb
        Peak memory of a process that only predicts, in MiB.
    min_score
        The first metric, on the test rows.
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
        """Return the limits under their names in the manifest.

        *metric* is the name of the first metric, which ``min_score`` bounds.
        """
        bounds = {
            name: float(value) for name in LIMIT_NAMES if (value := getattr(self, name)) is not None
        }
        if self.min_score is not None and metric is not None:
            bounds[f"min_{metric}"] = self.min_score
        return bounds
