"""Make the estimator of ``estimator = "auto"`` for clustering, anomaly and transform."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from edge_pipeline.data.dataset import Dataset
from edge_pipeline.data.recipe import Recipe
from edge_pipeline.data.splits import take_rows
from edge_pipeline.errors import TrainingError
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.engines import limit_threads
from edge_pipeline.training.presets import make_preprocessing
from edge_pipeline.training.search_results import Candidate, SearchResult

__all__ = ["make_unsupervised"]

CLUSTERS = range(2, 11)
"""Numbers of clusters to try."""

ROWS = 5000
"""Most rows for the silhouette, whose cost grows with their square."""

TEXT_COMPONENTS = 50
"""Number of components for texts."""

VARIANCE_KEPT = 0.95
"""Share of the variance that the principal components keep."""


def make_unsupervised(
    recipe: Recipe, dataset: Dataset, watcher: ProgressListener
) -> tuple[Any, SearchResult | None]:
    """Make an unfitted pipeline for the task, and search for the number of clusters.

    ``anomaly`` takes an isolation forest, ``transform`` principal components, and ``clustering``
    k-means with the number of clusters of the largest mean silhouette.

    Raises
    ------
    TrainingError
        There are too few rows, or too few different ones.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.ensemble import IsolationForest
    from sklearn.pipeline import make_pipeline

    seed = recipe.split.seed
    preprocessing = make_preprocessing(dataset, scaled=recipe.task != "anomaly")
    steps = [] if preprocessing is None else [preprocessing]
    if recipe.task == "anomaly":
        return make_pipeline(*steps, IsolationForest(random_state=seed)), None
    if recipe.task == "transform":
        if not hasattr(dataset.X_train, "shape"):  # a list of texts gives a wide sparse matrix
            return make_pipeline(*steps, TruncatedSVD(TEXT_COMPONENTS, random_state=seed)), None
        return make_pipeline(*steps, PCA(VARIANCE_KEPT, svd_solver="full")), None
    result = _search_clusters(recipe, dataset, make_pipeline(*steps), watcher)
    n_clusters = result.chosen.parameters["n_clusters"]
    return make_pipeline(*steps, KMeans(n_clusters, n_init=10, random_state=seed)), result


def _search_clusters(
    recipe: Recipe, dataset: Dataset, preprocessing: Any, watcher: ProgressListener
) -> SearchResult:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    X, seed = dataset.X_train, recipe.split.seed
    if len(X) > ROWS:
        X = take_rows(X, np.sort(np.random.default_rng(seed).choice(len(X), ROWS, replace=False)))
    candidates: list[Candidate] = []
    with warnings.catch_warnings(), limit_threads(len(X)):
        warnings.simplefilter("ignore")  # fewer distinct rows than clusters
        features = preprocessing.fit_transform(X)
        for n_clusters in CLUSTERS:
            if n_clusters >= len(X):
                break
            started = time.perf_counter()
            labels = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(features)
            seconds = time.perf_counter() - started
            if not 1 < len(set(labels)) < len(X):
                break
            score = float(silhouette_score(features, labels))
            parameters = {"n_clusters": n_clusters}
            number = len(candidates)
            candidates.append(Candidate(number, "clusters", parameters, score, 0.0, seconds))
            best = max(candidate.score for candidate in candidates)
            watcher.candidate(len(candidates), len(CLUSTERS), score, best)
    if not candidates:
        raise TrainingError(f"{len(X)} rows do not fall into clusters: they are too few or alike")
    ranked = sorted(candidates, key=lambda c: (-float(f"{c.score:.10g}"), c.number))
    return SearchResult("silhouette", tuple(ranked), ranked[0], (), None, 1, len(X))
