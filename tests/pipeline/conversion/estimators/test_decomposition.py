"""Projections, kernel maps and embeddings transform as scikit-learn does."""

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    assert_zero_rows_are_accepted,
    fitted,
    labels,
    rows,
    signal,
    unseen,
)
from sklearn import cross_decomposition as cd
from sklearn import decomposition as dc
from sklearn import kernel_approximation as ka
from sklearn import manifold as mf
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.preprocessing import KernelCenterer
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

X, UNSEEN = rows(), unseen()
POSITIVE, POSITIVE_UNSEEN = np.abs(X), np.abs(UNSEEN[:12])


@pytest.mark.parametrize(
    "model",
    [
        dc.PCA(),
        dc.PCA(2, whiten=True),
        dc.PCA(0.9, svd_solver="full"),
        dc.PCA("mle"),
        dc.PCA(2, svd_solver="covariance_eigh"),
        dc.IncrementalPCA(2, batch_size=20),
        dc.IncrementalPCA(3, whiten=True),
        dc.TruncatedSVD(2, random_state=0),
        dc.FastICA(3, random_state=0, whiten="unit-variance"),
        dc.FastICA(3, random_state=0, whiten="arbitrary-variance"),
        dc.FastICA(random_state=0, whiten=False),
        dc.FactorAnalysis(2),
        dc.FactorAnalysis(2, rotation="varimax"),
        dc.FactorAnalysis(4),
        dc.SparsePCA(2, alpha=0.1, random_state=0),
        dc.SparsePCA(3, ridge_alpha=0.5, random_state=0),
        dc.MiniBatchSparsePCA(2, alpha=0.1, random_state=0),
        GaussianRandomProjection(3, random_state=0),
        SparseRandomProjection(3, random_state=0),
        SparseRandomProjection(3, random_state=0, dense_output=True),
    ],
)
def test_projections_are_equal(model):
    assert_same(fitted(model, X), X, UNSEEN)


@pytest.mark.parametrize(
    "model",
    [dc.PCA(3), dc.PCA(3, whiten=True), dc.FactorAnalysis(3, max_iter=20)],
    ids=["PCA", "whitened", "FactorAnalysis"],
)
def test_a_wide_density_is_stored_as_its_components(model):
    """Not as a precision matrix of 600 by 600: PCA of 4,096 columns made a file of 137 MB."""
    wide = np.random.default_rng(0).normal(size=(70, 600)) + 1.0
    assert_same(model.fit(wide[:50]), wide[:50], wide[50:])
    assert len(edge_pipeline.convert(model, wide[:50]).graph) < 10 * model.components_.nbytes


def test_whitening_does_not_divide_by_a_variance_of_zero():
    flat = np.column_stack([X, np.ones(len(X))])
    assert_same(fitted(dc.PCA(3, whiten=True), flat), flat, np.column_stack([UNSEEN, UNSEEN[:, 0]]))


@pytest.mark.parametrize("kind", [cd.PLSRegression, cd.PLSCanonical, cd.CCA, cd.PLSSVD])
@pytest.mark.parametrize("scale", [True, False])
def test_cross_decompositions_are_equal(kind, scale):
    Y = np.column_stack([signal(X), signal(X, seed=3)])
    assert_same(fitted(kind(2, scale=scale), X, Y), X, UNSEEN)


def test_a_regression_on_one_target_has_one_dimension():
    assert_same(fitted(cd.PLSRegression(2), X, signal(X)), X, UNSEEN)


def test_learnt_neighbourhoods_are_equal():
    model = NeighborhoodComponentsAnalysis(2, max_iter=5, random_state=0)
    assert_same(fitted(model, X, labels(X, ["a", "b"])), X, UNSEEN)


@pytest.mark.parametrize(
    "params",
    [
        {"kernel": "linear"},
        {"kernel": "rbf", "gamma": 0.05},
        {"kernel": "poly", "degree": 2, "coef0": 0.5, "gamma": 0.01},
        {"kernel": "sigmoid", "gamma": 0.01},
        {"kernel": "cosine"},
        {"kernel": "rbf", "n_components": None, "remove_zero_eig": True},
    ],
)
def test_kernel_components_are_equal(params):
    model = dc.KernelPCA(**{"n_components": 3, **params})
    assert_same(fitted(model, X), X, UNSEEN[:12], tolerance=1e-8)


def test_kernels_computed_before_are_centred_and_decomposed():
    K, unseen_K = X @ X.T, UNSEEN[:12] @ X.T
    assert_same(fitted(KernelCenterer(), K), K, unseen_K)
    assert_same(fitted(dc.KernelPCA(2, kernel="precomputed"), K), K, unseen_K)


@pytest.mark.parametrize(
    "model",
    [
        ka.Nystroem(n_components=20, random_state=0, gamma=0.05),
        ka.Nystroem(kernel="poly", degree=2, coef0=1, gamma=0.1, n_components=5, random_state=0),
        ka.Nystroem(kernel=lambda x, y: np.exp(-np.sum(np.abs(x - y))), n_components=5),
        ka.RBFSampler(n_components=9, random_state=0, gamma=0.1),
        ka.PolynomialCountSketch(n_components=10, random_state=0),
        ka.PolynomialCountSketch(n_components=7, degree=3, coef0=1, gamma=0.5, random_state=0),
        ka.PolynomialCountSketch(n_components=1, degree=1, random_state=0),
    ],
)
def test_feature_maps_are_equal(model):
    assert_same(fitted(model, X), X, UNSEEN[:12])


@pytest.mark.parametrize(
    "model",
    [
        ka.AdditiveChi2Sampler(),
        ka.AdditiveChi2Sampler(sample_steps=1),
        ka.AdditiveChi2Sampler(sample_steps=4, sample_interval=0.3),
        ka.SkewedChi2Sampler(skewedness=0.5, n_components=6, random_state=0),
    ],
)
def test_feature_maps_of_positive_rows_are_equal(model):
    positive = np.where(X > 2, 0.0, POSITIVE)
    assert_same(fitted(model, positive), positive, POSITIVE_UNSEEN)


@pytest.mark.parametrize(
    "model",
    [
        mf.Isomap(n_neighbors=6),
        mf.Isomap(n_neighbors=None, radius=8.0),
        mf.Isomap(n_neighbors=6, metric="manhattan", path_method="D"),
        mf.LocallyLinearEmbedding(n_neighbors=5, random_state=0),
        mf.LocallyLinearEmbedding(n_neighbors=12, n_components=3, random_state=0, reg=0.1),
        mf.LocallyLinearEmbedding(n_neighbors=8, method="modified", random_state=0),
        mf.LocallyLinearEmbedding(n_neighbors=8, method="ltsa", random_state=0),
    ],
)
def test_embeddings_of_new_rows_are_equal(model):
    assert_same(fitted(model, X), X, UNSEEN[:12])


def test_isomap_of_many_rows_goes_row_by_row():
    many = rows(900)
    model = mf.Isomap(n_neighbors=6).fit(many)
    assert_same(model, many[:40], UNSEEN[:12])


POSITIVE_ITERATED = [
    dc.NMF(3, init="nndsvda", random_state=0),
    dc.NMF(3, init="nndsvda", random_state=0, alpha_W=0.01, l1_ratio=0.5),
    dc.NMF(2, solver="mu", beta_loss="frobenius", init="random", random_state=0),
    dc.NMF(2, solver="mu", beta_loss="kullback-leibler", init="random", random_state=0),
    dc.NMF(2, solver="mu", beta_loss="itakura-saito", init="random", random_state=0),
    dc.NMF(2, solver="mu", beta_loss=0.5, init="random", random_state=0),
    dc.NMF(2, solver="mu", beta_loss=1.5, init="random", random_state=0, max_iter=35),
    dc.NMF(2, solver="mu", beta_loss=2.5, init="random", random_state=0, alpha_W=0.001),
    dc.NMF(2, solver="mu", init="random", random_state=0, tol=0, max_iter=23),
    *(
        dc.NMF(
            2,
            solver="mu",
            beta_loss="kullback-leibler",
            init="random",
            random_state=0,
            alpha_W=0.01,
            l1_ratio=l1_ratio,
            tol=tol,
            max_iter=37,
        )
        for l1_ratio in (1.0, 0.5)
        for tol in (1e-4, 0)
    ),
    dc.MiniBatchNMF(2, random_state=0, batch_size=20),
    dc.MiniBatchNMF(2, random_state=0, beta_loss="kullback-leibler", tol=0, max_iter=20),
    dc.MiniBatchNMF(2, random_state=0, beta_loss="itakura-saito", alpha_W=0.001),
    dc.LatentDirichletAllocation(3, random_state=0),
    dc.LatentDirichletAllocation(
        4, random_state=0, max_doc_update_iter=7, mean_change_tol=1e-9, doc_topic_prior=0.01
    ),
]


@pytest.mark.parametrize("model", POSITIVE_ITERATED)
def test_factors_found_by_iterating_are_equal(model):
    positive = POSITIVE + 0.1
    assert_same(fitted(model, positive), positive, POSITIVE_UNSEEN + 0.1)


def test_documents_without_words_have_topics():
    counts = np.random.default_rng(0).poisson(0.5, size=(40, 8)).astype(float)
    unseen_counts = np.vstack([counts[:5] * 3, np.zeros((2, 8))])
    model = dc.LatentDirichletAllocation(3, random_state=0)
    assert_same(fitted(model, counts), counts, unseen_counts)


def test_a_random_order_of_coordinates_is_refused():
    model = fitted(dc.NMF(2, shuffle=True, random_state=0), POSITIVE)
    with pytest.raises(UnsupportedEstimatorError, match="shuffle"):
        edge_pipeline.convert(model, POSITIVE)


@pytest.mark.parametrize(
    "model",
    [dc.PCA(2), dc.NMF(2, init="random"), dc.LatentDirichletAllocation(2), mf.Isomap()],
)
def test_zero_rows_are_accepted(model):
    assert_zero_rows_are_accepted(fitted(model, POSITIVE), POSITIVE)
