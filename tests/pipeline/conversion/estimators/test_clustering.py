"""Clusters, mixtures and EllipticEnvelope predict as scikit-learn does."""

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    assert_zero_rows_are_accepted,
    fitted,
    rows,
    unseen,
)
from sklearn import cluster as cl
from sklearn.covariance import EllipticEnvelope
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

X, UNSEEN = rows(), unseen()


@pytest.mark.parametrize(
    "model",
    [
        cl.KMeans(5, n_init=1, random_state=0),
        cl.KMeans(1, n_init=1, random_state=0),
        cl.MiniBatchKMeans(4, n_init=1, random_state=0),
        cl.BisectingKMeans(6, random_state=0),
        cl.BisectingKMeans(7, random_state=0, bisecting_strategy="largest_cluster"),
        cl.BisectingKMeans(1, random_state=0),
        cl.MeanShift(bandwidth=4.0),
        cl.AffinityPropagation(damping=0.7, random_state=0),
        cl.AffinityPropagation(max_iter=1, random_state=0),
        cl.Birch(threshold=0.4, n_clusters=3),
        cl.Birch(n_clusters=None),
        cl.Birch(n_clusters=cl.AgglomerativeClustering(3)),
    ],
)
def test_the_nearest_cluster_and_the_distance_to_each_are_equal(model):
    assert_same(fitted(model, X), X, UNSEEN)


def test_a_cluster_of_one_row_does_not_hinder_the_seal():
    far = np.vstack([X, [[1e3, 0.0, 0.0, 0.0]]])
    assert_same(fitted(cl.KMeans(4, n_init=1, random_state=0), far), far, UNSEEN)


def test_every_leaf_of_a_bisected_tree_is_reached():
    model = fitted(cl.BisectingKMeans(9, random_state=0), X)
    assert len(set(model.predict(X))) == 9
    assert_same(model, X, UNSEEN)


def test_affinities_that_cannot_be_predicted_are_refused():
    model = fitted(cl.AffinityPropagation(affinity="precomputed", random_state=0), -np.abs(X @ X.T))
    with pytest.raises((UnsupportedEstimatorError, edge_pipeline.ConversionError)):
        edge_pipeline.convert(model, -np.abs(X @ X.T))


@pytest.mark.parametrize("pool", [np.mean, np.max, np.min, np.sum])
def test_columns_are_pooled_alike(pool):
    assert_same(fitted(cl.FeatureAgglomeration(2, pooling_func=pool), X), X, UNSEEN)


def test_a_pooling_function_is_traced():
    model = cl.FeatureAgglomeration(2, pooling_func=lambda x, axis: np.sum(np.abs(x), axis=axis))
    assert_same(fitted(model, X), X, UNSEEN)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize(
    "model",
    [
        GaussianMixture(3, random_state=0),
        GaussianMixture(1),
        BayesianGaussianMixture(n_components=3, random_state=0),
        BayesianGaussianMixture(
            n_components=3, random_state=0, weight_concentration_prior_type="dirichlet_distribution"
        ),
    ],
)
def test_mixtures_of_every_covariance_are_equal(model, kind):
    assert_same(fitted(model.set_params(covariance_type=kind), X), X, UNSEEN)


@pytest.mark.parametrize(
    "params", [{}, {"store_precision": False}, {"assume_centered": True, "contamination": 0.3}]
)
def test_the_ellipse_is_equal(params):
    assert_same(fitted(EllipticEnvelope(random_state=0, **params), X), X, UNSEEN)


@pytest.mark.parametrize("model", [cl.KMeans(2, n_init=1), cl.BisectingKMeans(3)])
def test_one_column_makes_clusters(model):
    assert_same(fitted(model.set_params(random_state=0), X[:, :1]), X[:, :1], UNSEEN[:, :1])


@pytest.mark.parametrize(
    "model", [cl.BisectingKMeans(3, random_state=0), GaussianMixture(2, random_state=0)]
)
def test_zero_rows_are_accepted(model):
    assert_zero_rows_are_accepted(fitted(model, X), X)
