"""The estimators of other libraries, fitted on one small table, and the outcome of their export."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import edge_runtime

__all__ = ["LIBRARIES", "REASONS", "Case", "cases", "outcome", "table_of"]

LIBRARIES = {
    "imblearn": "imbalanced-learn",
    "category_encoders": "category_encoders",
    "feature_engine": "feature_engine",
    "skrub": "skrub",
    "mapie": "MAPIE",
}
"""Module to distribution."""

METHODS = ("predict", "predict_proba", "decision_function", "transform")

REASONS = {
    "HashingEncoder": "hashes all columns together; use BinaryEncoder",
    "MultiHotEncoder": "splits texts of any content; split them before the pipeline",
    "RandomSampleImputer": "draws at random",
    "DropMissingData": "drops rows; drop them before training",
    "OutlierTrimmer": "drops rows; drop them before training",
    "StringSimilarityEncoder": "compares texts of any content; use OrdinalEncoder",
    "ArbitraryDiscretiser": "looks at the whole batch for missing values; use an impute step "
    "and EqualWidthDiscretiser or KBinsDiscretizer",
    "RelativeFeatures": "picks rows where it divides by zero; use MathFeatures or a function",
    "TextFeatures": "counts by regular expressions; use `.str` in a function",
    "StringEncoder": "multiplies in float32, in its own order; use CatEncoder or TargetEncoder",
    "MinHashEncoder": "hashes texts of any content; use CatEncoder or TargetEncoder",
    "SimilarityEncoder": "compares texts of any content; use CatEncoder or TargetEncoder",
}
"""Why a class is refused, and what to use instead."""


@dataclass(frozen=True)
class Case:
    """One estimator of a library, unfitted, and the rows it is fitted on."""

    library: str
    estimator: Any
    X: Any
    fit: Callable[[Any, Any, Any], Any] = lambda estimator, X, y: estimator.fit(X, y)
    label: str = ""

    @property
    def name(self) -> str:
        """The class, as the table shows it."""
        return self.label or type(self.estimator).__name__


def _table(seed: int, n_rows: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({
        "a": random.normal(5, 2, n_rows).clip(0.5),
        "b": random.uniform(1, 10, n_rows),
        "c": random.exponential(3, n_rows) + 0.1,
        "city": random.choice(["Paris", "Rome", "Oslo", "Bern"], n_rows, p=[0.5, 0.3, 0.15, 0.05]),
        "size": random.choice(["S", "M", "L"], n_rows),
    })  # fmt: skip


def _with_holes(table: pd.DataFrame) -> pd.DataFrame:
    return table.mask(np.random.default_rng(7).random(table.shape) < 0.1)


X = _table(0)
NUMBERS, TEXTS, HOLES = X[["a", "b", "c"]], X[["city", "size"]], _with_holes(X)
DATES = X.assign(
    when=pd.Timestamp("2024-01-01") + pd.to_timedelta(X.a * 10_000, "min").dt.floor("s")
)
y = (X.a + X.b + np.random.default_rng(1).normal(size=len(X)) > 11).astype(int)


def cases(library: str) -> Iterator[Case]:
    """Yield the cases of one library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        makers: dict[str, Callable[[], list[Any]]] = {
            "imblearn": _imblearn,
            "category_encoders": _category_encoders,
            "feature_engine": _feature_engine,
            "skrub": _skrub,
            "mapie": _mapie,
        }
        for entry in makers[library]():
            yield entry if isinstance(entry, Case) else Case(library, *entry)


def _imblearn() -> list[Any]:
    from imblearn import FunctionSampler, combine, ensemble, over_sampling, under_sampling
    from imblearn.pipeline import make_pipeline

    samplers = [FunctionSampler()]
    for module in (over_sampling, under_sampling, combine):
        for name in module.__all__:
            if name not in ("SMOTENC", "SMOTEN", "KMeansSMOTE", "ADASYN"):  # need another table
                samplers.append(getattr(module, name)())
    for sampler in samplers:
        if "random_state" in sampler.get_params():
            sampler.set_params(random_state=0)
    pipelines = [
        Case("imblearn", make_pipeline(StandardScaler(), sampler, LogisticRegression()), NUMBERS,
             label=f"Pipeline with {type(sampler).__name__}")
        for sampler in samplers
    ]  # fmt: skip
    ensembles = [
        ensemble.EasyEnsembleClassifier(3, random_state=0),
        ensemble.BalancedBaggingClassifier(n_estimators=3, random_state=0),
        ensemble.RUSBoostClassifier(n_estimators=4, random_state=0),
        ensemble.BalancedRandomForestClassifier(n_estimators=5, random_state=0),
    ]
    return [*pipelines, *((model, NUMBERS) for model in ensembles)]


def _category_encoders() -> list[Any]:
    import category_encoders

    table = pd.concat([NUMBERS[["a"]], HOLES[["city", "size"]]], axis=1)
    tags = X[["a"]].assign(tags=np.random.default_rng(2).choice(["x|y", "x", "y|z"], len(X)))
    entries = []
    for name in category_encoders.__all__:
        kind = getattr(category_encoders, name)
        entries.append(
            (kind(cols=["tags"]), tags) if name == "MultiHotEncoder" else (kind(), table)
        )
    return entries


def _feature_engine() -> list[Any]:
    from feature_engine import (
        creation,
        discretisation,
        encoding,
        imputation,
        outliers,
        preprocessing,
        scaling,
        selection,
        text,
        transformation,
        wrappers,
    )  # fmt: skip

    model = DecisionTreeClassifier(max_depth=2, random_state=0)
    own_table = {
        "ArcsinTransformer": (
            transformation.ArcsinTransformer(["a"]), NUMBERS.assign(a=NUMBERS.a / 99)),
        "ArbitraryDiscretiser": (
            discretisation.ArbitraryDiscretiser({"a": [0, 3, 6, np.inf]}), NUMBERS),
        "ArbitraryOutlierCapper": (
            outliers.ArbitraryOutlierCapper(max_capping_dict={"a": 7}), NUMBERS),
        "GeoDistanceFeatures": (
            creation.GeoDistanceFeatures("a", "b", "c", "d"), NUMBERS.assign(d=NUMBERS.b / 2)),
        "MathFeatures": (creation.MathFeatures(["a", "b"], ["sum", "mean", "std", "max"]), NUMBERS),
        "RelativeFeatures": (creation.RelativeFeatures(["a"], ["b"], ["div"]), NUMBERS),
        "DropFeatures": (selection.DropFeatures(["a"]), X),
        "DropConstantFeatures": (selection.DropConstantFeatures(), X.assign(k=1)),
        "DropDuplicateFeatures": (selection.DropDuplicateFeatures(), X.assign(k=X.a)),
        "SmartCorrelatedSelection": (
            selection.SmartCorrelatedSelection(), NUMBERS.assign(k=NUMBERS.a * 2)),
        "MatchCategories": (preprocessing.MatchCategories(), TEXTS.astype("category")),
        "SklearnTransformerWrapper": (
            wrappers.SklearnTransformerWrapper(StandardScaler()), NUMBERS),
        "TextFeatures": (text.TextFeatures(["city"]), X),
    }  # fmt: skip
    need_model = ("SelectByShuffling", "SelectBySingleFeaturePerformance", "ProbeFeatureSelection",
                  "RecursiveFeatureAddition", "RecursiveFeatureElimination")  # fmt: skip
    left_out = ("SelectByInformationValue", "SelectByTargetMeanPerformance")  # need many rows
    tables = {imputation: HOLES, encoding: X, preprocessing: X}
    modules = (imputation, encoding, discretisation, transformation, outliers, creation, selection,
               preprocessing, scaling, wrappers, text)  # fmt: skip
    entries: list[Any] = []
    for module in modules:
        for name in getattr(module, "__all__", ["TextFeatures"]):
            kind = getattr(module, name)
            if name in own_table:
                entries.append(own_table[name])
            elif name in need_model:
                entries.append((kind(model, cv=2), NUMBERS))
            elif name not in left_out:
                options = _options(name)
                entries.append((kind(**options), tables.get(module, NUMBERS)))
    return entries


def _options(name: str) -> dict[str, Any]:
    return {
        "DecisionTreeEncoder": {"regression": False, "random_state": 0, "cv": 2},
        "DecisionTreeDiscretiser": {"regression": False, "random_state": 0, "cv": 2},
        "DecisionTreeFeatures": {"regression": False, "random_state": 0, "cv": 2},
        "RareLabelEncoder": {"n_categories": 2},
        "WoEEncoder": {"variables": ["size"]},
    }.get(name, {})


def _skrub() -> list[Any]:
    import skrub

    def each(transformer: Any) -> Any:
        return skrub.ApplyToCols(transformer)

    wide = TEXTS.assign(free=[f"word {i % 97} {i % 13}" for i in range(len(X))])
    trees = HistGradientBoostingRegressor(max_iter=3, categorical_features="from_dtype")
    return [
        (skrub.TableVectorizer(), HOLES),
        Case("skrub", skrub.tabular_pipeline(trees), HOLES, label="tabular_pipeline"),
        Case("skrub", skrub.TableVectorizer(), DATES, label="TableVectorizer of dates"),
        Case("skrub", skrub.tabular_pipeline(trees), DATES, label="tabular_pipeline of dates"),
        Case("skrub", each(skrub.DatetimeEncoder()), DATES[["when"]], label="DatetimeEncoder"),
        (skrub.Cleaner(), TEXTS),
        (skrub.ApplyToCols(StandardScaler(), cols=["a", "b"]), NUMBERS),
        (skrub.SelectCols(["a", "c"]), NUMBERS),
        (skrub.DropCols(["a"]), NUMBERS),
        (skrub.SquashingScaler(), NUMBERS),
        (skrub.DropSimilar(), NUMBERS),
        Case("skrub", each(skrub.CatEncoder()), TEXTS, label="CatEncoder"),
        Case("skrub", each(skrub.StringEncoder()), wide[["free"]], label="StringEncoder"),
        Case("skrub", each(skrub.MinHashEncoder(n_components=2)), TEXTS, label="MinHashEncoder"),
        (skrub.SimilarityEncoder(), TEXTS),
    ]


def _mapie() -> list[Any]:
    from mapie import classification, regression

    def conformalize(model: Any, rows: Any, target: Any) -> Any:
        half = len(rows) // 2
        return model.fit(rows[:half], target[:half]).conformalize(rows[half:], target[half:])

    def cross(model: Any, rows: Any, target: Any) -> Any:
        return model.fit_conformalize(rows, target)

    def split(kind: Any, model: Any) -> Case:
        return Case("mapie", kind(model, prefit=False), NUMBERS.to_numpy(), conformalize)

    return [
        split(regression.SplitConformalRegressor, Ridge()),
        split(classification.SplitConformalClassifier, LogisticRegression()),
        Case("mapie", regression.CrossConformalRegressor(Ridge()), NUMBERS.to_numpy(), cross),
        Case("mapie", regression.JackknifeAfterBootstrapRegressor(Ridge()),
             NUMBERS.to_numpy(), cross),
        Case("mapie", classification.CrossConformalClassifier(LogisticRegression()),
             NUMBERS.to_numpy(), cross),
    ]  # fmt: skip


def outcome(case: Case) -> tuple[str, str]:
    """Return the methods that agree, and "exact" or the reason of the refusal.

    Raises
    ------
    AssertionError
        The device predicts otherwise than the library.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = case.fit(case.estimator, case.X, y.to_numpy())
        estimator = _with_numeric_output(estimator, case.X)
        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / "model.onnx"
        try:
            edge_pipeline.export(estimator, case.X, path)
        except edge_pipeline.ConversionError:
            folder.cleanup()
            return "", REASONS[case.name]
        model = edge_runtime.load(path)
        methods = [method for method in METHODS if hasattr(estimator, method)]
        rows = case.X[::-1]
        for method in methods:
            _check_equal(getattr(model, method)(rows), getattr(estimator, method)(rows))
        folder.cleanup()
        return ", ".join(methods), "exact"


def _with_numeric_output(estimator: Any, rows: Any) -> Any:
    """Append an encoder to a transformer that returns texts, which no graph output can hold."""
    if not hasattr(estimator, "transform"):
        return estimator
    output = estimator.transform(rows)
    texts = [name for name in getattr(output, "columns", ())
             if not pd.api.types.is_numeric_dtype(output[name])]  # fmt: skip
    if not texts:
        return estimator
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("texts", encoder, texts)], remainder="passthrough")
    return Pipeline([("step", estimator), ("columns", columns.fit(output))])


def _check_equal(device: Any, library: Any) -> None:
    expected = np.asarray(library)
    if expected.dtype.kind in "biuf":
        # Relative to the largest, as an export's own tolerance; float32 is the library's own.
        tolerance = 1e-6 if expected.dtype == np.float32 else 1e-9
        largest = float(np.nanmax(np.abs(expected.astype(np.float64)), initial=1.0))
        np.testing.assert_allclose(device, expected, rtol=0, atol=tolerance * largest)
    else:
        np.testing.assert_array_equal(device, expected)


def table_of(library: str) -> str:
    """Run all cases of a library, and return its table for docs/ecosystem.md."""
    distribution = LIBRARIES[library]
    rows = [(case.name, *outcome(case)) for case in cases(library)]
    exact = sum(result == "exact" for *_, result in rows)
    lines = [
        f"## {distribution} {version(distribution)}",
        "",
        f"Exact: {exact} of {len(rows)}.",
        "",
        "| estimator | methods | result |",
        "|---|---|---|",
        *(f"| {name} | {methods or '-'} | {result if result == 'exact' else f'refused: {result}'} |"
          for name, methods, result in rows),
        "",
    ]  # fmt: skip
    return "\n".join(lines)
