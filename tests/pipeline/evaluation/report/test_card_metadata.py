"""The head of a model card is what the Hugging Face Hub reads, checked by its own library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression

HOSTILE = 'a"\n---\nlicense: mit\nx: &a [*a]'


def card_of(estimator: Any, X: Any, y: Any, folder: Path, name: str = "boats") -> ModelCard:
    path = folder / "m.onnx"
    edge_pipeline.export(estimator.fit(X, y), X, path, name=name, y=y)
    files = edge_pipeline.report(path)
    return ModelCard.load(files.card)


X = pd.DataFrame({"length": np.arange(20.0), HOSTILE: np.arange(20.0) % 3})
LABELS = np.array(["ketch", "sloop"])[(np.arange(20) > 9).astype(int)]


@pytest.mark.slow
def test_the_hub_reads_the_results_of_a_build(recipe_file: Path, tmp_path: Path) -> None:
    result = edge_pipeline.build(recipe_file, tmp_path / "m.onnx", report=True)
    assert result.report_files is not None
    card = ModelCard.load(result.report_files.card)
    assert card.data.library_name == "onnx"
    assert card.data.pipeline_tag == "tabular-classification"
    assert {"onnx", "sklearn", "edge-runtime"} <= set(card.data.tags)
    assert card.data.model_name == "boats"
    assert card.data.eval_results is not None
    by_type = {item.metric_type: item for item in card.data.eval_results}
    assert by_type["accuracy"].metric_value == result.manifest.metrics["accuracy"]
    assert by_type["accuracy"].dataset_name == "boats.csv"
    assert card.text.lstrip().startswith("# boats, version 1")


@pytest.mark.parametrize(
    ("estimator", "y", "tag"),
    [
        (LogisticRegression(), LABELS, "tabular-classification"),
        (LinearRegression(), np.arange(20.0), "tabular-regression"),
        (KMeans(2, n_init=1, random_state=0), None, None),
    ],
)
def test_the_task_is_the_tag_of_the_hub(
    estimator: Any, y: Any, tag: str | None, tmp_path: Path
) -> None:
    card = card_of(estimator, X[["length"]], y, tmp_path)
    assert card.data.pipeline_tag == tag
    assert estimator.__class__.__name__ in card.text.replace("\\", "")


def test_a_hostile_name_stays_a_name(tmp_path: Path) -> None:
    name = 'boats": [] # x'
    card = card_of(LogisticRegression(), X, LABELS, tmp_path, name=name)
    assert card.data.model_name == name
    assert not hasattr(card.data, "license") or card.data.license is None
