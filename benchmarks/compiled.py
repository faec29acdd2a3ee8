"""Run the compilers of estimators that are installed: treelite, tl2cgen and m2cgen.

``pip install treelite tl2cgen m2cgen``, and gcc.  They compute scores, not labels; the argmax of
scikit-learn's predict is not included in their time.
"""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contenders import Subject

__all__ = ["code_generators", "tree_compilers"]

MAX_COMPILED_NODES = 40_000
"""Most nodes of a forest in C; gcc takes minutes for more."""

TREES = ("RandomForestClassifier", "GradientBoostingRegressor")
DEEPEST_EXPRESSION = 20_000
"""Recursion limit: m2cgen walks a tree of expressions recursively."""


def tree_compilers(subject: Subject, n_rows: int) -> dict[str, Callable[[], Any]]:
    """Return calls of treelite's interpreter and tl2cgen's C for trees, if both are installed."""
    if type(subject.estimator).__name__ not in TREES:
        return {}
    try:
        import tl2cgen
        import treelite
    except ImportError:
        return {}
    trees = treelite.sklearn.import_model(subject.estimator)
    rows = subject.rows(n_rows)
    calls = {"treelite": lambda: treelite.gtil.predict(trees, rows, nthread=1)}
    if _nodes(subject.estimator) > MAX_COMPILED_NODES:
        return calls
    library = Path(tempfile.mkdtemp(), "model.so")
    tl2cgen.export_lib(
        trees, toolchain="gcc", libpath=str(library), params={"parallel_comp": 2}, verbose=False
    )
    predictor = tl2cgen.Predictor(str(library), nthread=1)
    batch = tl2cgen.DMatrix(rows.astype(trees.input_type))
    calls["tl2cgen, compiled C"] = lambda: predictor.predict(batch)
    return calls


def code_generators(subject: Subject) -> dict[str, Callable[[], Any]]:
    """Return calls of m2cgen's Python and C for one row, if m2cgen supports the estimator."""
    try:
        import m2cgen
    except ImportError:
        return {}
    if hasattr(subject.X, "columns"):
        return {}
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEPEST_EXPRESSION)
    try:
        python = m2cgen.export_to_python(subject.estimator)
        c = m2cgen.export_to_c(subject.estimator)
    except NotImplementedError as error:
        print(f"{subject.name}: m2cgen refuses: {error}", file=sys.stderr)
        return {}
    finally:
        sys.setrecursionlimit(limit)
    if _nodes(subject.estimator) > MAX_COMPILED_NODES:
        return {}
    folder, row = Path(tempfile.mkdtemp()), subject.rows(1)[0]
    score, cells = _module(folder, python).score, row.tolist()
    in_c, c_row = _library(folder, c).score, np.array(row, dtype=np.float64)
    scores = np.zeros(max(1, len(getattr(subject.estimator, "classes_", ()))))
    if c.lstrip().startswith("double"):  # one number, which it returns
        in_c.restype = ctypes.c_double
        pointers: tuple[Any, ...] = (ctypes.c_void_p(c_row.ctypes.data),)
    else:
        in_c.restype = None
        pointers = (ctypes.c_void_p(c_row.ctypes.data), ctypes.c_void_p(scores.ctypes.data))

    def call_c() -> Any:
        # The returned arrays stay alive: the library gets only their addresses.
        return in_c(*pointers), c_row, scores

    return {"m2cgen, Python": lambda: score(cells), "m2cgen, compiled C": call_c}


def _module(folder: Path, code: str) -> Any:
    path = folder / "generated_by_m2cgen.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _library(folder: Path, code: str) -> Any:
    source, library = folder / "generated.c", folder / "generated.so"
    source.write_text(code, encoding="utf-8")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return ctypes.CDLL(str(library))


def _nodes(estimator: Any) -> int:
    trees = np.ravel(getattr(estimator, "estimators_", ()))
    return sum(tree.tree_.node_count for tree in trees)
