"""A program as a user writes it: `make check` holds it to mypy --strict, and pyright finds nothing.

``pyright tests/promises/user_program.py`` checks it with the other type checker.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import pandas as pd
from edge_pipeline import ExportResult, ParityError
from sklearn.linear_model import LogisticRegression

import edge_runtime
from edge_runtime import InputError, Model, Schema


def seal(table: pd.DataFrame, labels: list[str], path: Path) -> ExportResult:
    estimator = LogisticRegression().fit(table, labels)
    try:
        result = edge_pipeline.export(
            estimator, table, path, y=labels, limits={"max_model_bytes": 1e5}
        )
    except ParityError as error:
        raise SystemExit(f"{error.output}: {error}") from error
    size: int = result.bundle_bytes
    print(result.name, size, *result.notes)
    return result


def predict(path: Path, rows: list[dict[str, Any]]) -> list[str]:
    with edge_runtime.load(path, extra_columns="ignore", threads=2) as model:
        schema: Schema = model.schema
        names: tuple[str, ...] = schema.names
        predictions: list[str] = [model.predict_one(row) for row in rows]
        label, probabilities = model.predict_proba_one(rows[0])
        best: float = max(probabilities.values())
        print(names, label, best, model.methods, model.classes_, model.n_features_in_)
        print(model.predict(pd.DataFrame(rows), extra_columns="refuse"), model.version)
        print(model.decision_function_one(rows[0]), model.predict_log_proba(rows))
        return predictions


def checked(model: Model, row: dict[str, Any]) -> str | None:
    try:
        prediction, flags = model.predict_one_with_flags(row)
    except InputError as error:
        print(error.row, error.column)
        return None
    return None if flags else str(prediction)


def build(folder: str) -> float:
    result = edge_pipeline.build(folder, report=True)
    figures = edge_pipeline.bench(result.path)
    edge_pipeline.compare(result.path, "dist/before.onnx", "rows.csv")
    return figures.latency_us_p50
