"""Build two models with a report: a classifier with hostile names, and a regressor."""

import shutil
from pathlib import Path

import edge_pipeline
import numpy as np
import pandas as pd
import pytest

HOSTILE = "<script>alert(1)</script>"
"""A class, a value and a column name that must not become markup."""

RECIPE = """
name = "hostile"
task = "classification"

[data]
file = "rows.csv"
target = "<b>kind</b>"

[preprocessing]
numbers = ["impute", "scale"]
strings = ["impute", "one-hot"]

[estimator]
class = "sklearn.linear_model.LogisticRegression"

[limits]
max_model_bytes = 100_000
min_score = 0.1

[report]
date = 2026-11-24
description = "For <i>nothing</i> | but tests."
groups = ["$x^2$"]
"""


def rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    x = random.normal(size=240)
    return pd.DataFrame(
        {
            "$x^2$": x,
            '"quoted" & <i>': random.normal(size=240),
            "word": random.choice(["plain", HOSTILE, "a|b", "`code`"], 240),
            "<b>kind</b>": np.where(x + 0.5 * random.normal(size=240) > 0, HOSTILE, "_b"),
        }
    )


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> edge_pipeline.ExportResult:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    rows().to_csv(folder / "rows.csv", index=False)
    return edge_pipeline.build(folder, folder / "hostile.onnx", report=True)


@pytest.fixture(scope="session")
def fuel(tmp_path_factory: pytest.TempPathFactory, root: Path) -> edge_pipeline.ExportResult:
    folder = tmp_path_factory.mktemp("fuel")
    for file in (root / "models/fuel").iterdir():
        shutil.copy(file, folder)
    return edge_pipeline.build(folder, folder / "fuel.onnx", report=True)
