"""The commands of docs/serve.md, as typed but for the port."""

import re
import shutil
import subprocess
from pathlib import Path

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from .test_serving import Serve

PAGE = Path(__file__).resolve().parents[2] / "docs/serve.md"


@pytest.fixture(scope="module")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "island": rng.choice(["Biscoe", "Dream", "Torgersen"], 60),
            "bill_length_mm": np.where(rng.random(60) < 0.1, np.nan, rng.normal(44, 5, 60)),
        }
    )
    y = np.where(X["bill_length_mm"].fillna(44) > 44, "Gentoo", "Adelie")
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["island"]),
            (SimpleImputer(), ["bill_length_mm"]),
        ),
        LogisticRegression(),
    ).fit(X, y)
    path = tmp_path_factory.mktemp("penguins") / "penguins.onnx"
    edge_pipeline.export(model, X, path, name="penguins")
    return path


def commands(port: int) -> list[str]:
    """List the curl commands of the page, for a service on *port*."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if "curl" in line]
    assert all("localhost:8080" in line for line in lines)
    return [line.replace("localhost:8080", f"localhost:{port}") for line in lines]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_page_work(serve: Serve, penguins: Path, tmp_path: Path) -> None:
    service = serve(penguins)
    (tmp_path / "token").write_text("unused")
    outputs = []
    for line in commands(service.port):
        process = subprocess.run(
            ["sh", "-euc", line.replace("curl ", "curl -sS --fail-with-body ")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, line + process.stdout + process.stderr
        outputs.append(process.stdout)
    assert '"prediction": "Adelie"' in outputs[0]
    assert '"flags": []' in outputs[0]
    assert '"predicted": 2' in outputs[1]
    assert '"ready": true' in outputs[3]
    assert '"bill_length_mm"' in outputs[-4]
    assert '"predict_proba", "datatype": "FP64", "shape": [2, 2]' in outputs[-3]
    assert 'edge_runtime_predictions_total{model="penguins"} 5' in outputs[-2]
