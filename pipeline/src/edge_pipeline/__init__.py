"""From a scikit-learn estimator to one sealed ONNX file, proven to answer the same.

What a name needs, scikit-learn and onnx before all, is imported when the name is first asked for:
``edge-pipeline --help`` must not wait for it.
"""

import os
import sys
import types
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
    MeasuringError,
    ParityError,
    RecipeError,
    SealError,
    SigningError,
    TrainingError,
    UnsupportedEstimatorError,
)

if TYPE_CHECKING:
    from edge_pipeline.building import build, export_function
    from edge_pipeline.convert.converting import OnnxModel, convert
    from edge_pipeline.data.dataset import Dataset, load_dataset
    from edge_pipeline.data.describing import ColumnDescription, TableDescription, describe_table
    from edge_pipeline.data.recipe import Recipe, read_recipe
    from edge_pipeline.data.starting import Start, init
    from edge_pipeline.deploy.deploying import Deployed, deploy, roll_back
    from edge_pipeline.exporting import Report, export
    from edge_pipeline.kit.making import Kit, KitPackage, make_kit
    from edge_pipeline.measuring.bare import Measured, measure_file
    from edge_pipeline.measuring.benching import Versus, bench_files
    from edge_pipeline.measuring.comparing import Comparison, compare_files
    from edge_pipeline.progress import Watcher
    from edge_pipeline.reporting.drawing import GraphDrawing, draw_graph
    from edge_pipeline.reporting.evaluation import Evaluation
    from edge_pipeline.reporting.writing import WrittenReport, write_report
    from edge_pipeline.sealing.signing import Signed, SigningKey, make_signing_key, sign
    from edge_pipeline.training.engines import Engine
    from edge_pipeline.training.fitting import FittedModel, train
    from edge_pipeline.training.results import Candidate, SearchResult
    from edge_pipeline.verifying.reverifying import Reverified, verify_file

__all__ = [
    "Candidate",
    "ColumnDescription",
    "Comparison",
    "ConversionError",
    "Dataset",
    "DatasetError",
    "DeployError",
    "Deployed",
    "EdgePipelineError",
    "Engine",
    "Evaluation",
    "FittedModel",
    "GraphDrawing",
    "Kit",
    "KitError",
    "KitPackage",
    "LimitError",
    "Measured",
    "MeasuringError",
    "OnnxModel",
    "ParityError",
    "Recipe",
    "RecipeError",
    "Report",
    "Reverified",
    "SealError",
    "SearchResult",
    "Signed",
    "SigningError",
    "SigningKey",
    "Start",
    "TableDescription",
    "TrainingError",
    "UnsupportedEstimatorError",
    "Versus",
    "Watcher",
    "WrittenReport",
    "bench_files",
    "build",
    "compare_files",
    "convert",
    "deploy",
    "describe_table",
    "draw_graph",
    "export",
    "export_function",
    "init",
    "load_dataset",
    "make_kit",
    "make_signing_key",
    "measure_file",
    "read_recipe",
    "roll_back",
    "sign",
    "train",
    "verify_file",
    "write_report",
]

_LATER = {
    "Candidate": "edge_pipeline.training.results",
    "ColumnDescription": "edge_pipeline.data.describing",
    "Comparison": "edge_pipeline.measuring.comparing",
    "Dataset": "edge_pipeline.data.dataset",
    "Deployed": "edge_pipeline.deploy.deploying",
    "Engine": "edge_pipeline.training.engines",
    "Evaluation": "edge_pipeline.reporting.evaluation",
    "FittedModel": "edge_pipeline.training.fitting",
    "GraphDrawing": "edge_pipeline.reporting.drawing",
    "Kit": "edge_pipeline.kit.making",
    "KitPackage": "edge_pipeline.kit.making",
    "Measured": "edge_pipeline.measuring.bare",
    "OnnxModel": "edge_pipeline.convert.converting",
    "Recipe": "edge_pipeline.data.recipe",
    "Report": "edge_pipeline.exporting",
    "Reverified": "edge_pipeline.verifying.reverifying",
    "SearchResult": "edge_pipeline.training.results",
    "Signed": "edge_pipeline.sealing.signing",
    "SigningKey": "edge_pipeline.sealing.signing",
    "Start": "edge_pipeline.data.starting",
    "TableDescription": "edge_pipeline.data.describing",
    "Versus": "edge_pipeline.measuring.benching",
    "Watcher": "edge_pipeline.progress",
    "WrittenReport": "edge_pipeline.reporting.writing",
    "bench_files": "edge_pipeline.measuring.benching",
    "build": "edge_pipeline.building",
    "compare_files": "edge_pipeline.measuring.comparing",
    "convert": "edge_pipeline.convert.converting",
    "deploy": "edge_pipeline.deploy.deploying",
    "describe_table": "edge_pipeline.data.describing",
    "draw_graph": "edge_pipeline.reporting.drawing",
    "export": "edge_pipeline.exporting",
    "export_function": "edge_pipeline.building",
    "init": "edge_pipeline.data.starting",
    "load_dataset": "edge_pipeline.data.dataset",
    "make_kit": "edge_pipeline.kit.making",
    "make_signing_key": "edge_pipeline.sealing.signing",
    "measure_file": "edge_pipeline.measuring.bare",
    "read_recipe": "edge_pipeline.data.recipe",
    "roll_back": "edge_pipeline.deploy.deploying",
    "sign": "edge_pipeline.sealing.signing",
    "train": "edge_pipeline.training.fitting",
    "verify_file": "edge_pipeline.verifying.reverifying",
    "write_report": "edge_pipeline.reporting.writing",
}
"""Public name to the module that it comes from; the imports above tell type checkers the same."""


class _Package(types.ModuleType):
    """Keeps ``edge_pipeline.convert`` the function.

    Whoever first imports something of the folder ``convert`` has Python bind the folder to that
    name.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _LATER and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
