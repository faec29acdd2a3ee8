"""Promise 1: the device loads numpy, onnxruntime and what they load themselves; nothing else."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("promises")

LOADED = """
import json, sys
third_party = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(json.dumps(sorted(name for name in third_party if name != "__main__")))
"""

ALONE = """
import sys
import numpy, onnxruntime
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""

PREDICT = """
import sys
import edge_runtime
from edge_runtime.bundle.manifest import cell_from_json
with edge_runtime.load(sys.argv[1]) as model:
    rows = [
        dict(zip(model.schema.names, map(cell_from_json, row)))
        for row in model.manifest.golden.rows
    ]
    model.predict(rows[:2])
    model.predict_proba(rows[:2])
    model.predict_one(rows[0])
"""

COMMAND_LINE = """
import sys
from edge_runtime.cli.main import main
try:
    main(["info", sys.argv[1]])
except SystemExit as end:
    assert not end.code, end.code
print()
"""


def third_party(run: Callable[..., str], source: str, bundle: Path) -> set[str]:
    return set(json.loads(run(source + LOADED, bundle).splitlines()[-1]))


def test_predicting_loads_only_numpy_and_onnxruntime(
    in_new_process: Callable[..., str], bundle_path: Path
) -> None:
    alone = third_party(in_new_process, ALONE, bundle_path)
    assert {"numpy", "onnxruntime"} <= alone
    assert third_party(in_new_process, PREDICT, bundle_path) - alone == {"edge_runtime"}


def test_the_device_command_loads_only_them_too(
    in_new_process: Callable[..., str], bundle_path: Path
) -> None:
    alone = third_party(in_new_process, ALONE, bundle_path)
    assert third_party(in_new_process, COMMAND_LINE, bundle_path) - alone == {"edge_runtime"}


def test_one_module_of_the_device_imports_onnxruntime(root: Path) -> None:
    folder = root / "edge_runtime/src/edge_runtime"
    importers = []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    imported = [alias.name for alias in names]
                case ast.ImportFrom(module=str(module)):
                    imported = [module]
                case _:
                    continue
            if any(name.partition(".")[0] == "onnxruntime" for name in imported):
                importers.append(str(path.relative_to(folder)))
    assert importers == ["engine/session.py"]


@pytest.mark.slow
def test_another_module_is_detected(in_new_process: Callable[..., str], bundle_path: Path) -> None:
    alone = third_party(in_new_process, ALONE, bundle_path)
    source = "import sklearn.pipeline\n" + PREDICT
    assert "sklearn" in third_party(in_new_process, source, bundle_path) - alone
