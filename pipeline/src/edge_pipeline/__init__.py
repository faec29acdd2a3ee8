"""From a scikit-learn estimator to one sealed ONNX file, proven to answer the same."""

import os

# Newer onnxruntime wheels send telemetry unless this is set before they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from edge_pipeline.building import build, export_function
from edge_pipeline.convert.converting import OnnxModel, convert
from edge_pipeline.data.dataset import Dataset, load_dataset
from edge_pipeline.data.recipe import Recipe, read_recipe
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
from edge_pipeline.exporting import Report, export
from edge_pipeline.measuring.bare import Measured, measure_file
from edge_pipeline.progress import Watcher
from edge_pipeline.sealing.signing import Signed, SigningKey, make_signing_key, sign
from edge_pipeline.training.fitting import FittedModel, train
from edge_pipeline.verifying.reverifying import Reverified, verify_file

__all__ = [
    "ConversionError",
    "Dataset",
    "DatasetError",
    "DeployError",
    "EdgePipelineError",
    "KitError",
    "FittedModel",
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
    "Signed",
    "SigningError",
    "SigningKey",
    "TrainingError",
    "UnsupportedEstimatorError",
    "Watcher",
    "build",
    "convert",
    "export",
    "export_function",
    "load_dataset",
    "make_signing_key",
    "measure_file",
    "read_recipe",
    "sign",
    "train",
    "verify_file",
]
