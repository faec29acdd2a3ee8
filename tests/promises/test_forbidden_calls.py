"""Promise 5: no pickle, joblib, exec, eval or np.load(allow_pickle=True) in either package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("edge_runtime/src", "pipeline/src")
    for path in (ROOT / folder).rglob("*.py")
)
PICKLE_LOADER = ROOT / "pipeline/src/edge_pipeline/data/estimator_file.py"
FORBIDDEN_MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "joblib",
    "cloudpickle",
    "dill",
    "marshal",
    "shelve",
}
HARMLESS_NAMES = {
    # They choose where scikit-learn's own loops run, and read no file.
    "joblib": {"parallel_config"},
    "joblib.parallel": {"ParallelBackendBase", "SequentialBackend"},
}
FORBIDDEN_CALLS = {"exec", "eval", "compile", "__import__"}


def offences(source: str) -> Iterator[str]:
    """Yield every construct of *source* that can turn bytes into running code."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                roots = {alias.name.partition(".")[0] for alias in names}
                yield from (
                    f"line {node.lineno}: import {name}" for name in roots & FORBIDDEN_MODULES
                )
            case ast.ImportFrom(module=str(module), level=0, names=names):
                imported = {alias.name for alias in names} - HARMLESS_NAMES.get(module, set())
                if (name := module.partition(".")[0]) in FORBIDDEN_MODULES and imported:
                    yield f"line {node.lineno}: from {name} import"
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield f"line {node.lineno}: {name}()"
            case ast.Call(
                func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name))]
            ):
                if name.partition(".")[0] in FORBIDDEN_MODULES:
                    yield f"line {node.lineno}: import_module({name!r})"
            case ast.keyword(arg="allow_pickle", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield f"line {node.value.lineno}: allow_pickle"
            case ast.Attribute(value=ast.Name(id="builtins"), attr=name) if name in FORBIDDEN_CALLS:
                yield f"line {node.lineno}: builtins.{name}"


def test_there_is_source_to_scan() -> None:
    assert len(SOURCES) >= 6


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_can_turn_bytes_into_code(path: Path) -> None:
    """One place loads a pickle, after the switch ``--i-trust-this-pickle``."""
    source = path.read_text(encoding="utf-8")
    if path == PICKLE_LOADER:
        assert source.count("from joblib import load\n") == 1
        assert "if not trust_pickle:\n        raise TrainingError(" in source
        source = source.replace("from joblib import load\n", "\n")
    assert list(offences(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import numpy, joblib.externals",
        "from joblib import load",
        "from joblib import parallel_config, load",
        "import importlib\nimportlib.import_module('pickle')",
        "exec('1')",
        "def f(text):\n    return eval(text)",
        "import numpy as np\nnp.load('a.npy', allow_pickle=True)",
        "import numpy as np\nnp.load('a.npy', allow_pickle=flag)",
        "import builtins\nrun = builtins.exec",
    ],
)
def test_the_scan_finds_each_forbidden_construct(source: str) -> None:
    assert len(list(offences(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile('a')",
        "session.eval()",
        "import numpy as np\nnp.load('a.npy', allow_pickle=False)",
        "from edge_runtime import load",
        "from joblib import parallel_config",
    ],
)
def test_the_scan_leaves_harmless_code_alone(source: str) -> None:
    assert list(offences(source)) == []
