"""docs/mlflow.md runs as typed, with MLflow's file store in place of a server."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_block_of_the_mlflow_page_runs(
    root: Path, tmp_path: Path, in_new_process: Callable[..., str]
) -> None:
    page = (root / "docs/mlflow.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    store = (tmp_path / "mlruns").as_uri()
    for block in blocks:  # each in a process of its own, as on two machines
        output = in_new_process(
            f"import warnings\nwarnings.simplefilter('ignore')\n{block}",
            folder=tmp_path,
            MLFLOW_TRACKING_URI=store,
            MLFLOW_ALLOW_FILE_STORE="true",
            MLFLOW_DISABLE_TELEMETRY="true",
        )
    assert output.splitlines()[-1] == "2"
