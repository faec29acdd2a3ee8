"""The device's table of operators has what the converters write, and nothing that none writes."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import onnx
import pandas as pd
import pytest
from conformance.cases import fitted
from edge_runtime.graph_safety.operators import FOREIGN, FOREIGN_ATTRIBUTES, TYPE_CLASSES, WRITTEN
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer

CONVERSION = Path(edge_pipeline.__file__).parent / "conversion"

CASES = (
    "AdaBoostRegressor-1",
    "AdditiveChi2Sampler-1",
    "BernoulliRBM-1",
    "DictionaryLearning-1",
    "GaussianNB-1",
    "GaussianProcessClassifier-1",
    "IsotonicRegression-1",
    "KNeighborsTransformer-1",
    "LocallyLinearEmbedding-1",
    "NearestCentroid-1",
    "StackingClassifier-1",
    "TargetEncoder-1",
)
"""Estimators of the conformance suite that together write most operators and attributes."""

NOT_WRITTEN = {"Scan", "SequenceMap", "TreeEnsembleClassifier", "TreeEnsembleRegressor"}
"""Operators that the conversion names because converters of skl2onnx write them."""


def _numpy_features(X: Any) -> Any:
    whole = X.astype(np.int64)
    columns = [
        np.ceil(X),
        np.tanh(X),
        np.fmod(X, 2.5),
        np.logical_xor(X > 0.0, X > 1.0),
        np.bitwise_and(whole, 6),
        np.bitwise_or(whole, 6),
        np.bitwise_xor(whole, 6),
        np.bitwise_not(whole),
        np.einsum("ij,kj->ik", X, np.eye(2)),
        np.prod(X, axis=1, keepdims=True),
    ]
    return np.concatenate(columns, axis=1)


def _text_features(table: Any) -> Any:
    s, t = table["s"], table["t"]
    return pd.DataFrame(
        {
            "joined": (s + t == "ab cd").astype(float),
            "lower": (s.str.lower() == "ab c").astype(float),
            "length": s.str.len().astype(float),
            "match": s.str.contains("b").astype(float),
            "starts": s.str.startswith("A").astype(float),
            "part": (s.str.split(" ").str[0] == "ab").astype(float),
            "slice": (s.str[:2] == "ab").astype(float),
            "stripped": (s.str.strip() == "ab").astype(float),
        }
    )


def _more_estimators(rng: np.random.Generator) -> Iterator[tuple[Any, Any]]:
    """Yield fitted estimators for the operators that no class of the conformance suite writes."""
    X = rng.uniform(-1.0, 1.0, size=(40, 2))
    yield FunctionTransformer(_numpy_features).fit(X), X
    yield KNeighborsRegressor(metric="haversine", weights="distance").fit(X, X[:, 0]), X
    wide = rng.uniform(-1.0, 1.0, size=(400, 2))  # so many classes that votes are scattered
    yield KNeighborsClassifier(3).fit(wide, np.arange(400) % 100), wide
    table = pd.DataFrame({"s": ["ab c", "Ab c", " b d"] * 4, "t": ["d", "e", "f"] * 4})
    yield FunctionTransformer(_text_features).fit(table), table
    categories = rng.integers(0, 5, size=(200, 1)).astype(float)
    forest = HistGradientBoostingRegressor(categorical_features=[0], max_iter=3, random_state=0)
    yield forest.fit(categories, categories[:, 0] % 2), categories


def _operators(graph: onnx.GraphProto) -> Iterator[tuple[str, str, str | None]]:
    """Yield every operator of *graph*, alone and with each of its attributes."""
    for node in graph.node:
        yield node.domain, node.op_type, None
        for attribute in node.attribute:
            yield node.domain, node.op_type, attribute.name
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _operators(attribute.g)


@pytest.mark.slow
def test_the_table_is_what_converters_write() -> None:
    """Every entry and attribute is written by some converter, and no other one is."""
    rng = np.random.default_rng(0)
    fitted_cases = [(case.estimator, case.X) for case in map(fitted, CASES)]
    entries = set()
    for estimator, X in [*fitted_cases, *_more_estimators(rng)]:
        graph = onnx.load_from_string(edge_pipeline.convert(estimator, X).graph)
        entries.update(_operators(graph.graph))
    listed = {
        (domain, name, attribute)
        for domain, table in WRITTEN.items()
        for name, (_, _, attributes) in table.items()
        for attribute in (None, *attributes)
    }
    assert entries == listed


def test_the_table_has_every_operator_that_the_conversion_names() -> None:
    texts = {
        node.value
        for path in CONVERSION.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    table_names = {name for table in WRITTEN.values() for name in table}
    operators = {schema.name for schema in onnx.defs.get_all_schemas()}
    assert (texts & operators) - table_names <= NOT_WRITTEN
    assert len(texts & table_names) == len(table_names)


def test_an_operator_is_written_or_foreign() -> None:
    for domain, table in FOREIGN.items():
        assert not table.keys() & WRITTEN.get(domain, {}).keys()
    for domain, extra in FOREIGN_ATTRIBUTES.items():
        for name, attributes in extra.items():
            assert not attributes & WRITTEN[domain][name][2]


@pytest.mark.parametrize("domain", ["", "ai.onnx.ml"])
def test_the_table_agrees_with_onnx(domain: str) -> None:
    """Each entry has attributes, inputs and outputs of the operator's schema in ONNX."""
    versions = {"": 21, "ai.onnx.ml": 5}
    for name, (inputs, outputs, attributes) in (WRITTEN[domain] | FOREIGN[domain]).items():
        old_trees = name in ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
        schema = onnx.defs.get_schema(name, 4 if old_trees else versions[domain], domain)
        extra = FOREIGN_ATTRIBUTES[domain].get(name, frozenset())
        assert attributes | extra <= schema.attributes.keys(), name
        required = {key for key, value in schema.attributes.items() if value.required}
        assert required <= attributes | extra, name
        letters = inputs.removesuffix("*")
        assert set(letters) <= TYPE_CLASSES.keys(), name
        assert schema.min_input <= len(letters) <= schema.max_input, name
        assert len(outputs) <= schema.max_output, name
        assert inputs.endswith("*") == (schema.max_input > 100), name
