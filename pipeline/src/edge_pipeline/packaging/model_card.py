"""Describe a sealed model in the components of a CycloneDX document (ML-BOM, CycloneDX 1.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.manifest import Manifest

if TYPE_CHECKING:
    from edge_pipeline.evaluation.report.measurements import Evaluation, Score, Source

__all__ = ["cyclonedx", "model_components", "model_document", "model_reference"]


def model_document(manifest: Manifest, sha256: str, evaluation: Evaluation | None) -> bytes:
    """Return the CycloneDX document of a sealed file, as JSON.

    Parameters
    ----------
    sha256
        Digest of the whole file.
    evaluation
        Measurements of its build, which have the digest of the training data; None without them.
    """
    model, *data = model_components(manifest, sha256, evaluation)
    reference = model["bom-ref"]
    dependencies = [{"ref": reference, "dependsOn": [item["bom-ref"] for item in data]}]
    return cyclonedx(model, data, dependencies)


def cyclonedx(
    subject: Mapping[str, Any],
    components: Sequence[Mapping[str, Any]],
    dependencies: Sequence[Mapping[str, Any]],
) -> bytes:
    """Return a document about *subject*, without date and serial number."""
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": list(components),
        "dependencies": list(dependencies),
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def model_reference(manifest: Manifest) -> str:
    """Return the reference of the model's component."""
    return f"model:{manifest.name}"


def model_components(
    manifest: Manifest, sha256: str, evaluation: Evaluation | None
) -> list[dict[str, Any]]:
    """Return the component of the model, and the one of its training data if it is known."""
    source = None if evaluation is None else evaluation.source
    scores = () if evaluation is None else evaluation.scores
    parameters: dict[str, Any] = {
        "task": manifest.task,
        "architectureFamily": " ".join(manifest.estimator.split()),
        "inputs": [{"format": f"{c.name}: {c.type}"} for c in manifest.schema.columns],
        "outputs": [{"format": f"{o.name}: {o.method}, {o.dtype}"} for o in manifest.outputs],
    }
    card: dict[str, Any] = {"modelParameters": parameters}
    if source is not None:
        parameters["datasets"] = [{"ref": _data_reference(manifest)}]
    metrics = _metrics(manifest, scores)
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    model = {
        "type": "machine-learning-model",
        "bom-ref": model_reference(manifest),
        "name": manifest.name,
        "version": str(manifest.version),
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "modelCard": card,
        "properties": [
            {"name": f"edge:created-by:{name}", "value": version}
            for name, version in manifest.created_by.items()
        ],
    }
    return [model] if source is None else [model, _training_data(manifest, source)]


def _training_data(manifest: Manifest, source: Source) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": _data_reference(manifest),
        "name": source.name,
        "description": f"The digest is that of {source.what}.",
        "hashes": [{"alg": "SHA-256", "content": source.sha256}],
        "data": [{"type": "dataset", "name": source.name}],
        "properties": [
            {"name": "edge:rows-train", "value": str(source.rows_train)},
            {"name": "edge:rows-test", "value": str(source.rows_test)},
        ],
    }


def _metrics(manifest: Manifest, scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return the metrics of the manifest, with the intervals of the evaluation."""
    by_name = {score.name: score for score in scores}
    values = {**{name: score.value for name, score in by_name.items()}, **manifest.metrics}
    metrics = []
    for name, value in values.items():
        metric: dict[str, Any] = {"type": name, "value": repr(float(value))}
        score = by_name.get(name)
        if score is not None and score.low is not None and score.high is not None:
            bounds = {"lowerBound": repr(score.low), "upperBound": repr(score.high)}
            metric["confidenceInterval"] = bounds
        metrics.append(metric)
    return metrics


def _data_reference(manifest: Manifest) -> str:
    return f"data:{manifest.name}"
