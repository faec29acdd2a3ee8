"""Export an estimator of every family, with unseen rows and scikit-learn's labels for them.

    python tools/pi/families.py FOLDER

Runs on the build machine.  Writes NAME.onnx and NAME.rows.json, which has the rows and the labels.
The data are those of scikit-learn, or random with a fixed seed.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
from sklearn import (
    cluster,
    datasets,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_extraction,
    gaussian_process,
    isotonic,
    kernel_approximation,
    kernel_ridge,
    linear_model,
    mixture,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.compose import make_column_transformer

SEED = 0
N_UNSEEN = 60
WORDS = (
    *("pump", "motor", "valve", "leaks", "hums", "stops", "hot", "cold", "grüße", "wet", "loud"),
    *("silent", "ok", "fine", "idle"),
)


@dataclass(frozen=True)
class Case:
    """An estimator that is not fitted, and its training data."""

    name: str
    family: str
    estimator: Any
    X: Any
    y: Any


def cases() -> Iterator[Case]:
    """Yield every case."""
    classes = datasets.load_breast_cancer(return_X_y=True)
    numbers = datasets.load_diabetes(return_X_y=True)
    images = datasets.load_digits(return_X_y=True)
    for family, (X, y), estimators in (
        *_trees(classes, numbers, images),
        *_linear_and_kernels(classes, numbers, images),
        *_transformers(numbers, images),
    ):
        for estimator in estimators:
            yield Case(_name_of(estimator), family, estimator, X, y)
    yield _encoders()
    yield from _texts()
    for dtype in (np.int64, np.int32, np.uint8):
        yield _casts(dtype)


_Data = tuple[Any, Any]
_Family = tuple[str, _Data, list[Any]]


def _trees(classes: _Data, numbers: _Data, images: _Data) -> list[_Family]:
    return [
        ("trees", numbers, [tree.DecisionTreeRegressor(random_state=SEED)]),
        ("trees", images, [tree.DecisionTreeClassifier(random_state=SEED)]),
        ("forests", numbers, _forests("Regressor")),
        ("forests", images, _forests("Classifier")),
        ("forests", classes, [ensemble.IsolationForest(random_state=SEED)]),
        ("gradient boosting", numbers, [ensemble.GradientBoostingRegressor(random_state=SEED)]),
        ("gradient boosting", classes, [ensemble.GradientBoostingClassifier(random_state=SEED)]),
        ("gradient boosting", classes, [ensemble.AdaBoostClassifier(random_state=SEED)]),
        ("histogram boosting", numbers, [_histogram("Regressor")]),
        ("histogram boosting", classes, [_histogram("Classifier")]),
    ]


def _linear_and_kernels(classes: _Data, numbers: _Data, images: _Data) -> list[_Family]:
    return [
        ("linear", numbers, _linear()),
        ("logistic", classes, _logistic()),
        ("support vectors", numbers, [_scaled(svm.SVR()), _scaled(svm.LinearSVR())]),
        ("support vectors", classes, [_scaled(svm.SVC()), _scaled(svm.NuSVC(nu=0.2))]),
        ("support vectors", classes, [_scaled(svm.OneClassSVM())]),
        ("networks", numbers, [_scaled(_network("Regressor"))]),
        ("networks", images, [_scaled(_network("Classifier"))]),
        ("neighbours", numbers, [_scaled(neighbors.KNeighborsRegressor())]),
        ("neighbours", classes, [_scaled(neighbors.KNeighborsClassifier())]),
        ("neighbours", classes, [_scaled(neighbors.NearestCentroid())]),
        ("gaussian processes", (numbers[0][:150], numbers[1][:150]), [_process("Regressor")]),
        ("gaussian processes", (classes[0][:150], classes[1][:150]), [_process("Classifier")]),
        ("naive bayes", classes, [naive_bayes.GaussianNB()]),
        ("naive bayes", images, [naive_bayes.MultinomialNB(), naive_bayes.BernoulliNB()]),
        ("discriminants", classes, _discriminants()),
        ("kernels", numbers, _kernels()),
        ("mixtures and clusters", classes, _clusters()),
    ]


def _transformers(numbers: _Data, images: _Data) -> list[_Family]:
    return [
        ("projections", images, _projections()),
        ("scalers", numbers, _scalers()),
        ("isotonic", (numbers[0][:, 2], numbers[1]), [_isotonic()]),
    ]


def _linear() -> list[Any]:
    return [
        linear_model.LinearRegression(),
        linear_model.Ridge(),
        linear_model.ElasticNet(alpha=0.01),
        linear_model.HuberRegressor(max_iter=1000),
    ]


def _logistic() -> list[Any]:
    return [
        _scaled(linear_model.LogisticRegression()),
        _scaled(linear_model.RidgeClassifier()),
        _scaled(linear_model.SGDClassifier(random_state=SEED)),
    ]


def _forests(kind: str) -> list[Any]:
    return [
        getattr(ensemble, f"{name}{kind}")(50, random_state=SEED, max_depth=12)
        for name in ("RandomForest", "ExtraTrees")
    ]


def _histogram(kind: str) -> Any:
    return getattr(ensemble, f"HistGradientBoosting{kind}")(max_iter=50, random_state=SEED)


def _network(kind: str) -> Any:
    network = getattr(neural_network, f"MLP{kind}")
    return network(hidden_layer_sizes=(32,), random_state=SEED, max_iter=60)


def _process(kind: str) -> Any:
    return _scaled(getattr(gaussian_process, f"GaussianProcess{kind}")(random_state=SEED))


def _discriminants() -> list[Any]:
    return [
        discriminant_analysis.LinearDiscriminantAnalysis(),
        discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1),
    ]


def _kernels() -> list[Any]:
    return [
        _scaled(kernel_ridge.KernelRidge(kernel="rbf")),
        _scaled(kernel_approximation.Nystroem(n_components=20, random_state=SEED)),
        _scaled(kernel_approximation.RBFSampler(random_state=SEED)),
    ]


def _clusters() -> list[Any]:
    return [
        _scaled(mixture.GaussianMixture(3, random_state=SEED)),
        _scaled(cluster.KMeans(4, random_state=SEED, n_init=3)),
    ]


def _projections() -> list[Any]:
    return [
        decomposition.PCA(10, random_state=SEED),
        decomposition.TruncatedSVD(10, random_state=SEED),
        decomposition.NMF(5, random_state=SEED, max_iter=400, tol=1e-3),
        decomposition.FactorAnalysis(5, random_state=SEED),
    ]


def _isotonic() -> Any:
    return isotonic.IsotonicRegression(out_of_bounds="clip")


def _scalers() -> list[Any]:
    return [
        preprocessing.StandardScaler(),
        preprocessing.QuantileTransformer(n_quantiles=50, output_distribution="normal"),
        preprocessing.PowerTransformer(),
        preprocessing.PolynomialFeatures(2),
        preprocessing.SplineTransformer(),
        preprocessing.Normalizer(),
    ]


def _encoders() -> Case:
    rng = np.random.default_rng(SEED)
    n = 400
    table = pd.DataFrame(
        {
            "room": rng.choice(["kitchen", "hall", "cellar", "attic"], n),
            "floor": rng.choice(["0", "1", "2"], n),
            "celsius": rng.normal(20, 5, n).round(1),
            "humid": rng.uniform(20, 90, n).round(1),
        }
    )
    damp = (table["humid"] > 60) ^ (table["room"] == "attic")
    columns = make_column_transformer(
        (preprocessing.OneHotEncoder(handle_unknown="ignore"), ["room"]),
        (preprocessing.OrdinalEncoder(), ["floor"]),
        (preprocessing.StandardScaler(), ["celsius", "humid"]),
    )
    forest = ensemble.RandomForestClassifier(30, random_state=SEED)
    model = pipeline.make_pipeline(columns, forest)
    return Case("OneHot-Ordinal-forest", "encoders", model, table, np.where(damp, "damp", "dry"))


def _texts() -> Iterator[Case]:
    rng = np.random.default_rng(SEED)
    texts = [" ".join(rng.choice(WORDS, rng.integers(3, 12))) for _ in range(300)]
    labels = np.array(["call" if "leaks" in t or "loud" in t else "wait" for t in texts])
    for vectorizer in (
        feature_extraction.text.TfidfVectorizer(),
        feature_extraction.text.CountVectorizer(ngram_range=(1, 2)),
    ):
        model = pipeline.make_pipeline(vectorizer, linear_model.LogisticRegression())
        yield Case(type(vectorizer).__name__ + "-logistic", "texts", model, texts, labels)


def _casts(dtype: type[np.integer[Any]]) -> Case:
    """Cast numbers out of the range of *dtype*, which ARM and x86 do differently."""
    wild = [1e30, -1e30, 2.0**63, -(2.0**63), 2.0**31, -1.5, 256.0, 255.5, 0.5, 300.7]
    X = np.tile(np.array(wild), 20)[: N_UNSEEN * 3].reshape(N_UNSEEN, 3)
    X = np.vstack([X, np.random.default_rng(SEED).uniform(0, 50, (100, 3))])
    caster = preprocessing.FunctionTransformer(lambda x: x.astype(dtype))
    return Case(f"to-{np.dtype(dtype).name}", "casts to whole numbers", caster, X, None)


def _scaled(estimator: Any) -> Any:
    return pipeline.make_pipeline(preprocessing.StandardScaler(), estimator)


def _name_of(estimator: Any) -> str:
    last = estimator[-1] if isinstance(estimator, pipeline.Pipeline) else estimator
    return type(last).__name__


def write(case: Case, folder: Path) -> None:
    """Fit and export the case; write the rows and scikit-learn's labels."""
    training, unseen = case.X[N_UNSEEN:], case.X[:N_UNSEEN]
    if case.name == "IsotonicRegression":
        training, unseen = training.reshape(-1, 1), unseen.reshape(-1, 1)
    case.estimator.fit(training, None if case.y is None else case.y[N_UNSEEN:])
    edge_pipeline.export(case.estimator, training, folder / f"{case.name}.onnx", name=case.name)
    labels = None
    if hasattr(case.estimator, "predict"):
        predictions = np.asarray(case.estimator.predict(unseen))
        labels = predictions.tolist() if predictions.dtype.kind != "f" else None
    rows: Any = unseen
    if isinstance(unseen, pd.DataFrame):
        rows = unseen.to_dict("list")
    elif isinstance(unseen, np.ndarray):
        rows = unseen.tolist()
    content = {"family": case.family, "rows": rows, "labels": labels}
    (folder / f"{case.name}.rows.json").write_text(json.dumps(content), encoding="utf-8")


def main() -> int:
    """Write all cases to the folder of the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*"):
        old.unlink()
    names = set()
    for case in cases():
        if case.name in names:
            sys.exit(f"pi: two cases have the name {case.name}")
        names.add(case.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # convergence does not matter here
            write(case, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
