"""Damage a correct graph of each family, and record which check detects the damage.

``python -m pipeline.proof.mutations``, in ``tests/``, writes the table into docs/proof.md.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from edge_pipeline.conversion.convert import OnnxModel, convert_sample, sample_for
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import EdgePipelineError, ParityError
from edge_pipeline.proof.prove import prove
from edge_pipeline.verification.probes.groups import probe_groups
from edge_pipeline.verification.verify import EXACT, verify_model
from edge_runtime.engine.session import Session
from edge_runtime.errors import EdgeRuntimeError
from pipeline.proof.damages import DAMAGES
from sklearn import ensemble, tree
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

PAGE = Path("docs/proof.md")


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(120, 3)) * [1.0, 10.0, 100.0] + [5.0, 0.0, 0.0]
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"])
    frame.loc[::7, "b"] = np.nan
    frame["kind"] = rng.choice(["oak", "ash", "elm", "yew"], 120)
    return frame


def numbers() -> Any:
    return table()[["a", "c"]].to_numpy()


def with_missing() -> Any:
    return table()[["a", "b", "c"]].to_numpy()


def three_classes() -> Any:
    X = table()
    return np.array(["low", "mid", "top"])[np.digitize(X["a"] * 30 + X["c"], [120, 190])]


def two_classes() -> Any:
    return np.where(three_classes() == "mid", "in", "out")


def by_kind() -> Any:
    high = (table()["a"] > 5).to_numpy()
    return np.where(high ^ table()["kind"].isin(["oak", "yew"]).to_numpy(), two_classes(), "none")


def target() -> Any:
    return table()["a"].to_numpy() ** 2 + table()["c"].to_numpy()


def mixed(last: Any) -> Any:
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), ["a", "b", "c"]),
            (OneHotEncoder(handle_unknown="ignore"), ["kind"]),
        ),
        last,
    )


def categorical() -> Any:
    X = table()
    X["kind"] = X["kind"].astype("category")
    return X


FAMILIES: Mapping[str, tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any]]] = {
    "tree": (
        lambda: tree.DecisionTreeClassifier(max_depth=4, random_state=0),
        with_missing,
        three_classes,
    ),
    "forest": (
        lambda: ensemble.RandomForestClassifier(6, max_depth=4, random_state=0),
        with_missing,
        three_classes,
    ),
    "votes": (
        lambda: ensemble.RandomForestClassifier(6, random_state=0),
        with_missing,
        two_classes,
    ),
    "boosting": (lambda: ensemble.GradientBoostingRegressor(n_estimators=6), numbers, target),
    "histogram": (
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=5),
        categorical,
        by_kind,
    ),
    "linear": (LinearRegression, numbers, target),
    "logistic": (LogisticRegression, numbers, three_classes),
    "logistic of two": (LogisticRegression, numbers, two_classes),
    "scaler": (StandardScaler, numbers, three_classes),
    "range scaler": (lambda: MinMaxScaler(clip=True), numbers, three_classes),
    "one-hot, logistic": (lambda: mixed(LogisticRegression()), table, three_classes),
    "one-hot, forest": (
        lambda: mixed(ensemble.RandomForestClassifier(6, random_state=0)),
        table,
        two_classes,
    ),
    "network": (lambda: MLPClassifier((5,), max_iter=200, random_state=0), numbers, three_classes),
    "neighbours": (KNeighborsClassifier, numbers, three_classes),
    "support vectors": (SVC, numbers, three_classes),
}


@functools.cache
def healthy(family: str) -> tuple[Any, OnnxModel, Sample]:
    make, rows, labels = FAMILIES[family]
    estimator, X = make(), rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, labels())
    sample = sample_for(estimator, X)
    model = convert_sample(estimator, sample)
    return estimator, model, replace(sample, schema=model.schema)


def detection(family: str, damage: str) -> str:
    """Return the marks of docs/proof.md: the checks that detect *damage* to the graph of *family*.

    ``-`` where the graph has nothing of the kind.
    """
    estimator, model, sample = healthy(family)
    proto = onnx.load_model_from_string(model.graph)
    if not DAMAGES[damage](proto.graph):
        return "-"
    damaged = replace(model, graph=proto.SerializeToString())
    before = prove(model.graph, estimator, model.schema, model.outputs)
    after = prove(damaged.graph, estimator, model.schema, model.outputs)
    marks = ""
    if any(proof.contradicted for proof in after.values()):
        marks += "P"
    elif any(after[name].level != proof.level for name, proof in before.items()):
        marks += "L"
    try:
        # At this tolerance a contradiction passes, and only the rows decide.
        verify_model(damaged, estimator, sample, tolerance=2 * EXACT)
    except ParityError:
        marks += "R"
    except (EdgePipelineError, EdgeRuntimeError):
        marks += "S"
    if marks or not _predictions_change(model, damaged, sample):
        return marks or "="
    return "!" if any(proof.level == "proven" for proof in after.values()) else "w"


def _predictions_change(model: OnnxModel, damaged: OnnxModel, sample: Sample) -> bool:
    names = [output.name for output in model.outputs]
    before, after = Session(model.graph), Session(damaged.graph)
    for group in probe_groups(sample, None, model.graph):
        blocks = sample.blocks(group.table)
        for x, y in zip(before.run(names, blocks), after.run(names, blocks), strict=True):
            if not (x.shape == y.shape and _equal(x, y)):
                return True
    return False


def _equal(x: Any, y: Any) -> bool:
    return np.array_equal(x, y, equal_nan=True) if x.dtype.kind == "f" else bool((x == y).all())


_KEY = """
Each row is a damage, each column a family of estimators. The marks say which check detects it:

- **P**: the proof contradicts the graph, and the build stops.
- **R**: the prediction of a row differs, and the build stops.
- **L**: the level of evidence falls, and `verify` refuses a file that promises more.
- **S**: onnxruntime or the device's scan refuses the graph.
- **=**: no prediction of any row changes.
- **w**: a prediction changes by less than the bound or tolerance in the file, which stays true.
- empty: the graph has nothing of the kind.

A change beyond what the file promises would be **!**, and is a failed test.
"""


def rendered() -> str:
    """The table, in Markdown, below what its marks mean."""
    lines = ["| damage | " + " | ".join(FAMILIES) + " |", "|---|" + "---|" * len(FAMILIES)]
    for damage in DAMAGES:
        cells = [detection(family, damage) for family in FAMILIES]
        lines.append(f"| {damage} | " + " | ".join("" if c == "-" else c for c in cells) + " |")
    return "## The verifier is tested by damage\n" + _KEY + "\n" + "\n".join(lines)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    page = Path(__file__).resolve().parents[2] / PAGE
    text = page.read_text(encoding="utf-8")
    before, _, after = text.partition("<!-- mutations -->\n")
    _, _, after = after.partition("<!-- /mutations -->")
    section = rendered()
    page.write_text(f"{before}<!-- mutations -->\n{section}\n<!-- /mutations -->{after}", "utf-8")
    print(section)
