"""Convert scikit-learn estimators to sealed ONNX files that predict exactly the same.

::

    import edge_pipeline, edge_runtime

    edge_pipeline.export(estimator, X_train, "wine.onnx")      # an estimator that you fitted
    edge_pipeline.init("wine.csv", target="quality")           # or a table: write a recipe,
    edge_pipeline.build("models/wine")                         # train it, and write the file

    model = edge_runtime.load("wine.onnx")                     # on the device
    model.predict_one({"alcohol": 12.5, "pH": 3.2})

In a shell: ``edge-pipeline --help``.  Every error is an :class:`EdgePipelineError` that says what
was expected, what was found, and what to do.

Names are imported at their first use: ``edge-pipeline --help`` must not wait for scikit-learn.
"""

import os
from typing import TYPE_CHECKING, Any

# Newer onnxruntime wheels send telemetry unless this is set before they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from edge_pipeline.errors import (
    ConversionError,
    DatasetError,
    DeployError,
    EdgePipelineError,
    KitError,
    LimitError,
    MeasurementError,
    ParityError,
    RecipeError,
    SealError,
    SigningError,
    TrainingError,
    UnsupportedEstimatorError,
)

if TYPE_CHECKING:
    from edge_pipeline.build_from_recipe import build, export_function
    from edge_pipeline.conversion.convert import OnnxModel, convert
    from edge_pipeline.data.dataset import Dataset, load_dataset
    from edge_pipeline.data.profile import ColumnDescription, TableDescription, describe_table
    from edge_pipeline.data.recipe import Recipe, read_recipe
    from edge_pipeline.data.template import InitResult, init
    from edge_pipeline.deployment.deploy import DeployResult, deploy, roll_back
    from edge_pipeline.diagnosis import Diagnosis, doctor
    from edge_pipeline.evaluation.benchmark import BenchComparison, bench_pair
    from edge_pipeline.evaluation.comparison import Comparison
    from edge_pipeline.evaluation.diff import compare
    from edge_pipeline.evaluation.isolated_benchmark import BenchResult, bench
    from edge_pipeline.evaluation.report.graph_drawing import GraphDrawing, draw_graph
    from edge_pipeline.evaluation.report.measurements import Evaluation
    from edge_pipeline.evaluation.report.write_report import ReportFiles, report
    from edge_pipeline.export_estimator import ExportResult, export
    from edge_pipeline.inspect_file import Inspection, inspect
    from edge_pipeline.packaging.kit.make_kit import Kit, KitPackage, make_kit
    from edge_pipeline.packaging.signing import SigningKey, SignResult, make_signing_key, sign
    from edge_pipeline.progress import ProgressListener
    from edge_pipeline.training.engines import Engine
    from edge_pipeline.training.fit import FittedModel, train
    from edge_pipeline.training.search_results import Candidate, SearchResult
    from edge_pipeline.verification.reverify import VerificationResult, verify

__version__ = "0.1.0"

__all__ = [
    "BenchComparison",
    "BenchResult",
    "Candidate",
    "ColumnDescription",
    "Comparison",
    "ConversionError",
    "Dataset",
    "DatasetError",
    "DeployError",
    "DeployResult",
    "Diagnosis",
    "EdgePipelineError",
    "Engine",
    "Evaluation",
    "ExportResult",
    "FittedModel",
    "GraphDrawing",
    "InitResult",
    "Inspection",
    "Kit",
    "KitError",
    "KitPackage",
    "LimitError",
    "MeasurementError",
    "OnnxModel",
    "ParityError",
    "ProgressListener",
    "Recipe",
    "RecipeError",
    "ReportFiles",
    "SealError",
    "SearchResult",
    "SignResult",
    "SigningError",
    "SigningKey",
    "TableDescription",
    "TrainingError",
    "UnsupportedEstimatorError",
    "VerificationResult",
    "__version__",
    "bench",
    "bench_pair",
    "build",
    "compare",
    "convert",
    "deploy",
    "describe_table",
    "doctor",
    "draw_graph",
    "export",
    "export_function",
    "init",
    "inspect",
    "load_dataset",
    "make_kit",
    "make_signing_key",
    "read_recipe",
    "report",
    "roll_back",
    "sign",
    "train",
    "verify",
]

_LAZY_EXPORTS = {
    "BenchComparison": "edge_pipeline.evaluation.benchmark",
    "BenchResult": "edge_pipeline.evaluation.isolated_benchmark",
    "Candidate": "edge_pipeline.training.search_results",
    "ColumnDescription": "edge_pipeline.data.profile",
    "Comparison": "edge_pipeline.evaluation.comparison",
    "Dataset": "edge_pipeline.data.dataset",
    "DeployResult": "edge_pipeline.deployment.deploy",
    "Diagnosis": "edge_pipeline.diagnosis",
    "Engine": "edge_pipeline.training.engines",
    "Evaluation": "edge_pipeline.evaluation.report.measurements",
    "ExportResult": "edge_pipeline.export_estimator",
    "FittedModel": "edge_pipeline.training.fit",
    "GraphDrawing": "edge_pipeline.evaluation.report.graph_drawing",
    "InitResult": "edge_pipeline.data.template",
    "Inspection": "edge_pipeline.inspect_file",
    "Kit": "edge_pipeline.packaging.kit.make_kit",
    "KitPackage": "edge_pipeline.packaging.kit.make_kit",
    "OnnxModel": "edge_pipeline.conversion.convert",
    "ProgressListener": "edge_pipeline.progress",
    "Recipe": "edge_pipeline.data.recipe",
    "ReportFiles": "edge_pipeline.evaluation.report.write_report",
    "SearchResult": "edge_pipeline.training.search_results",
    "SignResult": "edge_pipeline.packaging.signing",
    "SigningKey": "edge_pipeline.packaging.signing",
    "TableDescription": "edge_pipeline.data.profile",
    "VerificationResult": "edge_pipeline.verification.reverify",
    "bench": "edge_pipeline.evaluation.isolated_benchmark",
    "bench_pair": "edge_pipeline.evaluation.benchmark",
    "build": "edge_pipeline.build_from_recipe",
    "compare": "edge_pipeline.evaluation.diff",
    "convert": "edge_pipeline.conversion.convert",
    "deploy": "edge_pipeline.deployment.deploy",
    "describe_table": "edge_pipeline.data.profile",
    "doctor": "edge_pipeline.diagnosis",
    "draw_graph": "edge_pipeline.evaluation.report.graph_drawing",
    "export": "edge_pipeline.export_estimator",
    "export_function": "edge_pipeline.build_from_recipe",
    "init": "edge_pipeline.data.template",
    "inspect": "edge_pipeline.inspect_file",
    "load_dataset": "edge_pipeline.data.dataset",
    "make_kit": "edge_pipeline.packaging.kit.make_kit",
    "make_signing_key": "edge_pipeline.packaging.signing",
    "read_recipe": "edge_pipeline.data.recipe",
    "report": "edge_pipeline.evaluation.report.write_report",
    "roll_back": "edge_pipeline.deployment.deploy",
    "sign": "edge_pipeline.packaging.signing",
    "train": "edge_pipeline.training.fit",
    "verify": "edge_pipeline.verification.reverify",
}
"""Public name to its module; type checkers read the same from the imports above."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY_EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LAZY_EXPORTS[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
