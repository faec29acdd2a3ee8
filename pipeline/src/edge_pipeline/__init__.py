"""From a scikit-learn estimator to one sealed ONNX file, proven to answer the same."""

import os

# Newer onnxruntime wheels send telemetry unless this is set before they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from edge_pipeline.convert.converting import OnnxModel, convert  # noqa: E402
from edge_pipeline.exporting import Report, export  # noqa: E402

__all__ = ["OnnxModel", "Report", "convert", "export"]
