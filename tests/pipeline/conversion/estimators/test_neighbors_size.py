"""The graph of a neighbours model takes the bytes of its training rows, however many the labels."""

from __future__ import annotations

from typing import Any

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import rows, signal
from scipy import sparse
from sklearn import neighbors as nb
from sklearn.decomposition import KernelPCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, NuSVC

N_ROWS, N_COLUMNS = 1_200, 8
FEW, SOME, MANY = 4, 40, 500
"""Numbers of classes whose targets are written in three ways: see ``_votes``."""


def targets(n_classes: int, *, seed: int = 0) -> Any:
    """Each class occurs, and most of them several times."""
    rng = np.random.default_rng(seed)
    every_class = np.arange(n_classes)
    codes = rng.permutation(np.append(every_class, rng.integers(0, n_classes, N_ROWS - n_classes)))
    return np.array([f"answer {i:04d}" for i in codes])


@pytest.mark.parametrize("n_classes", [FEW, SOME, MANY])
@pytest.mark.parametrize(("k", "weights"), [(1, "distance"), (5, "uniform"), (5, "distance")])
def test_votes_are_equal_however_many_the_classes(n_classes: int, k: int, weights: str) -> None:
    X = rows(N_ROWS, N_COLUMNS)
    model = nb.KNeighborsClassifier(k, weights=weights).fit(X, targets(n_classes))
    assert_same(model, X, rows(60, N_COLUMNS, seed=1))


def test_the_first_of_equal_votes_wins_among_many_classes() -> None:
    """With so many classes, nearly every vote is a tie."""
    X = rows(N_ROWS, 2)
    model = nb.KNeighborsClassifier(4).fit(X, targets(MANY))
    assert_same(model, X, rows(200, 2, seed=1))


def test_several_targets_of_many_and_few_classes_are_equal() -> None:
    X = rows(N_ROWS, N_COLUMNS)
    y = np.stack([targets(MANY), targets(FEW, seed=1)], axis=1)
    for k in (1, 3):
        assert_same(nb.KNeighborsClassifier(k).fit(X, y), X, rows(40, N_COLUMNS, seed=1))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_votes_within_a_radius_are_equal_among_many_classes(weights: str) -> None:
    X = rows(N_ROWS, 3)
    model = nb.RadiusNeighborsClassifier(3.0, weights=weights, outlier_label="none")
    assert_same(model.fit(X, targets(MANY)), X, rows(60, 3, seed=1))


def documents(n: int, *, seed: int) -> list[str]:
    """Texts of few of many words, so that their rows are nearly empty."""
    words = np.random.default_rng(seed).zipf(1.3, size=(n, 12)) % 3_000
    return [" ".join(f"w{word}" for word in text) for text in words]


@pytest.mark.parametrize(
    "machine",
    [
        SVC(),
        SVC(kernel="poly", degree=2),
        NuSVC(kernel="sigmoid", nu=0.3),
        KernelRidge(kernel="rbf", gamma=0.7),
        KernelRidge(kernel="cosine"),
        make_pipeline(Nystroem(n_components=60, random_state=0), SVC(kernel="linear")),
        KernelPCA(3, kernel="rbf", gamma=0.5),
    ],
    ids=lambda machine: type(machine).__name__,
)
def test_training_texts_stay_sparse_in_a_kernel(machine: Any) -> None:
    """Dense support vectors of 600 texts took 17 MB; their entries take 0.2 MB."""
    texts = documents(300, seed=0)
    y = np.arange(300) % 2
    pipeline = make_pipeline(TfidfVectorizer(), machine).fit(texts, y)
    assert_same(pipeline, texts, documents(20, seed=1))
    n_words = len(pipeline[0].vocabulary_)
    assert len(edge_pipeline.convert(pipeline, texts).graph) < 300 * n_words * 8 / 6


@pytest.mark.parametrize("kind", [nb.KNeighborsClassifier, nb.RadiusNeighborsClassifier])
def test_a_graph_of_many_labels_is_as_large_as_its_training_rows(kind: Any) -> None:
    X = rows(N_ROWS, 40)
    model = kind().fit(X, np.arange(N_ROWS) % MANY)
    assert len(edge_pipeline.convert(model, X).graph) < 1.1 * X.nbytes


def texts(n: int, *, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    words = np.array([f"word{i}" for i in range(3_000)])
    return [" ".join(words[(rng.pareto(0.6, 12) * 5).astype(int) % len(words)]) for _ in range(n)]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbours_of_texts_are_equal_and_stay_sparse(metric: str, weights: str) -> None:
    X = texts(500)
    y = [f"answer {i % 200}" for i in range(500)]
    neighbours = nb.KNeighborsClassifier(3, metric=metric, weights=weights)
    model = make_pipeline(TfidfVectorizer(), neighbours).fit(X, y)
    assert_same(model, X, texts(40, seed=1))
    fit_X = neighbours._fit_X
    n_bytes = fit_X.data.nbytes + fit_X.indices.nbytes + fit_X.indptr.nbytes
    # Four numbers a row (class, length, start, vote), one a word, and the labels.
    more_bytes = 8 * (4 * len(X) + fit_X.shape[1]) + sum(map(len, y))
    assert len(edge_pipeline.convert(model, X).graph) < 1.1 * n_bytes + more_bytes


def test_a_regression_of_texts_is_equal() -> None:
    X = texts(500)
    model = make_pipeline(TfidfVectorizer(), nb.KNeighborsRegressor(4, weights="distance"))
    assert_same(model.fit(X, signal(rows(500))), X, texts(40, seed=1))


def test_a_training_text_without_a_known_word_is_an_empty_row() -> None:
    """Rows without an entry stand at the start, in the middle, at the end.

    They are equally far from every text, so they have one target.
    """
    X = ["a", *texts(250), "b", *texts(250, seed=3), "c"]
    y = signal(rows(len(X)))
    y[[0, 251, 502]] = 1.5
    vectorizer = TfidfVectorizer(token_pattern=r"word\d+")
    model = make_pipeline(vectorizer, nb.KNeighborsRegressor(2)).fit(X, y)
    assert_same(model, X, texts(30, seed=1))


def test_sparse_rows_too_large_for_a_dense_metric_are_refused_with_the_remedy() -> None:
    X = sparse.random(3_000, 3_000, density=0.001, format="csr", random_state=0)
    model = nb.KNeighborsRegressor(2, metric="manhattan", algorithm="brute")
    model.fit(X, signal(rows(3_000)))
    with pytest.raises(UnsupportedEstimatorError, match="TruncatedSVD"):
        edge_pipeline.convert(model, X[:50])
