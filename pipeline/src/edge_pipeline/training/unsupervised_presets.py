"""``estimator = "auto"`` where nothing is to be predicted: clusters, anomalies, fewer columns."""

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
"""Numbers of clusters that are tried."""

ROWS = 5000
"""Rows on which the silhouette is computed: its cost is their square."""

TEXT_COMPONENTS = 50
"""Columns that a text becomes."""

VARIANCE_KEPT = 0.95
"""Share of the variance that the fewer columns keep."""


def make_unsupervised(
    recipe: Recipe, dataset: Dataset, watcher: ProgressListener
) -> tuple[Any, SearchResult | None]:
    """An unfitted pipeline for the task, and the search for the number of clusters.

    Anomalies: an isolation forest.  Fewer columns: principal components.  Clusters: k-means, with
    the number of clusters that has the largest mean silhouette.

    Raises
    ------
    TrainingError
        There are too few rows, or only one that is repeated.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.ensemble import IsolationForest
    from sklearn.pipeline import make_pipeline

    prepare, seed = make_preprocessing(dataset, scaled=recipe.task != "anomaly"), recipe.split.seed
    steps = [] if prepare is None else [prepare]
    if recipe.task == "anomaly":
        return make_pipeline(*steps, IsolationForest(random_state=seed)), None
    if recipe.task == "transform":
        if not hasattr(dataset.X_train, "shape"):  # texts: too wide for the whole decomposition
            return make_pipeline(*steps, TruncatedSVD(TEXT_COMPONENTS, random_state=seed)), None
        return make_pipeline(*steps, PCA(VARIANCE_KEPT, svd_solver="full")), None
    result = _clusters(recipe, dataset, make_pipeline(*steps), watcher)
    number = result.chosen.parameters["n_clusters"]
    return make_pipeline(*steps, KMeans(number, n_init=10, random_state=seed)), result


def _clusters(
    recipe: Recipe, dataset: Dataset, prepare: Any, watcher: ProgressListener
) -> SearchResult:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    X, seed = dataset.X_train, recipe.split.seed
    if len(X) > ROWS:
        X = take_rows(X, np.sort(np.random.default_rng(seed).choice(len(X), ROWS, replace=False)))
    tried: list[Candidate] = []
    with warnings.catch_warnings(), limit_threads(len(X)):
        warnings.simplefilter("ignore")  # fewer distinct rows than clusters
        ready = prepare.fit_transform(X)
        for number in CLUSTERS:
            if number >= len(X):
                break
            started = time.perf_counter()
            labels = KMeans(number, n_init=10, random_state=seed).fit_predict(ready)
            seconds = time.perf_counter() - started
            if not 1 < len(set(labels)) < len(X):
                break
            score = float(silhouette_score(ready, labels))
            one = Candidate(len(tried), "clusters", {"n_clusters": number}, score, 0.0, seconds)
            tried.append(one)
            watcher.candidate(len(tried), len(CLUSTERS), score, max(c.score for c in tried))
    if not tried:
        raise TrainingError(f"{len(X)} rows do not fall into clusters: they are too few or alike")
    ranked = sorted(tried, key=lambda one: (-float(f"{one.score:.10g}"), one.number))
    return SearchResult("silhouette", tuple(ranked), ranked[0], (), None, 1, len(X))
