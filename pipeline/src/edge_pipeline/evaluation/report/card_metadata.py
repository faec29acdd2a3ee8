"""Write the head of a model card in the metadata format of the Hugging Face Hub.

The format is YAML between two lines of ``---``
(https://huggingface.co/docs/hub/model-cards#model-card-metadata).  Every value is written as JSON,
which is YAML too, so that no name can break out of its place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.manifest import Manifest

if TYPE_CHECKING:
    from edge_pipeline.evaluation.report.measurements import Evaluation

__all__ = ["card_metadata"]

_TASKS = {
    "classification": "tabular-classification",
    "regression": "tabular-regression",
}
"""Task to the Hub's pipeline tag; the Hub has none for the other tasks."""


def card_metadata(manifest: Manifest, evaluation: Evaluation) -> str:
    """Return the lines of metadata, with the line ends of ``---`` before and after."""
    fields = {
        "library_name": "onnx",
        **({"pipeline_tag": tag} if (tag := _pipeline_tag(manifest)) else {}),
        "tags": ["onnx", "sklearn", "edge-runtime", manifest.task],
        **_results(manifest, evaluation, tag),
    }
    lines = [f"{name}: {json.dumps(value, allow_nan=False)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def _pipeline_tag(manifest: Manifest) -> str | None:
    if manifest.schema.kind == "text" and manifest.task == "classification":
        return "text-classification"
    return _TASKS.get(manifest.task)


def _results(manifest: Manifest, evaluation: Evaluation, tag: str | None) -> dict[str, Any]:
    """Return the metrics and the index of results, where test rows gave any."""
    scores = {score.name: score.value for score in evaluation.scores} or dict(manifest.metrics)
    if not scores or tag is None:
        return {}
    source = evaluation.source.name if evaluation.source else "unknown"
    result = {
        "task": {"type": tag},
        "dataset": {"name": source, "type": source},
        "metrics": [
            {"type": name, "name": name, "value": float(value)} for name, value in scores.items()
        ],
    }
    return {
        "metrics": list(scores),
        "model-index": [{"name": manifest.name, "results": [result]}],
    }
