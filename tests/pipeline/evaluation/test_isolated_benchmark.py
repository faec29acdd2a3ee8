"""Measure a sealed file in a process that loads only the runtime."""

from pathlib import Path

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline import MeasurementError, bench
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from edge_runtime import EdgeRuntimeError

QUICK = {"seconds": 0.02, "largest_batch": 10}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame({"width": random.normal(size=80), "height": random.normal(size=80)})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, rows: pd.DataFrame) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.onnx"
    edge_pipeline.export(LogisticRegression().fit(rows, rows["width"] > 0), rows, path)
    return path


def test_size_speed_and_memory_are_measured(small: Path, rows: pd.DataFrame) -> None:
    for X in (None, rows):
        result = bench(small, X, **QUICK)
        assert result.model_bytes == small.stat().st_size
        assert 0 < result.latency_us_p50 <= result.latency_us_p99
        assert list(result.batches) == [0, 1, 10]
        assert result.batches[0]["p99"] == result.latency_us_p99
        assert result.load_ms > 0


def test_memory_is_that_of_the_separate_process(small: Path) -> None:
    # scikit-learn, pandas and onnx take more than 150 MiB; numpy and onnxruntime less than 100.
    assert 20 < bench(small, **QUICK).peak_memory_mb < 110


@pytest.mark.slow
def test_a_forest_is_larger_and_slower_than_a_linear_model(
    small: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    forest = RandomForestClassifier(200, random_state=0).fit(rows, rows["width"] > rows["height"])
    edge_pipeline.export(forest, rows, tmp_path / "forest.onnx")
    line, trees = bench(small, **QUICK), bench(tmp_path / "forest.onnx", **QUICK)
    assert trees.model_bytes > 2 * line.model_bytes
    assert trees.latency_us_p50 > line.latency_us_p50


def test_bytes_are_measured_like_the_file_that_holds_them(small: Path) -> None:
    result = bench(small.read_bytes(), **QUICK)
    assert result.model_bytes == small.stat().st_size


def test_texts_are_measured_as_rows(tmp_path: Path) -> None:
    texts = ["red apple", "green pear", "red pear", "green apple"] * 10
    labels = [text.startswith("red") for text in texts]
    estimator = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, labels)
    edge_pipeline.export(estimator, texts, tmp_path / "text.onnx")
    assert bench(tmp_path / "text.onnx", texts, **QUICK).latency_us_p50 > 0


def test_a_missing_column_is_named(small: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(MeasurementError, match="'height'"):
        bench(small, rows[["width"]])


def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no bundle")
    with pytest.raises((MeasurementError, EdgeRuntimeError), match=r"bundle|seal"):
        bench(tmp_path / "no.onnx")
    with pytest.raises(FileNotFoundError):
        bench(tmp_path / "absent.onnx")


def test_a_row_that_the_model_refuses_is_an_error(small: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(MeasurementError, match=r"cannot be measured: .*width"):
        bench(small, rows.assign(width=np.nan))
