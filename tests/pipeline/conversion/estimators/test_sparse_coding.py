"""Sparse codes are those of scikit-learn, with every algorithm."""

import edge_pipeline
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import assert_zero_rows_are_accepted, fitted, rows
from sklearn.decomposition import DictionaryLearning, MiniBatchDictionaryLearning, SparseCoder

ALGORITHMS = ["threshold", "omp", "lars", "lasso_lars", "lasso_cd"]


def atoms(count, length, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, length))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("split", [False, True])
def test_codes_of_few_and_of_many_atoms_are_equal(algorithm, split):
    many = 9 if algorithm == "lasso_cd" else 70  # its sweeps visit one atom after the other
    for count, length in ((3, 6), (8, 6), (many, 10)):
        coder = SparseCoder(atoms(count, length), transform_algorithm=algorithm, split_sign=split)
        X = np.vstack([rows(20, length), np.zeros((1, length)), coder.dictionary[:1]])
        assert_same(coder.fit(X), X, rows(10, length, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["threshold", "lasso_lars", "lasso_cd"])
@pytest.mark.parametrize("alpha", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("positive", [False, True])
def test_penalties_and_signs_are_kept(algorithm, alpha, positive):
    if alpha == 0.0 and algorithm == "lasso_cd":
        alpha = 0.001
    coder = SparseCoder(
        atoms(7, 9),
        transform_algorithm=algorithm,
        transform_alpha=alpha,
        positive_code=positive,
    )
    X = rows(30, 9)
    assert_same(coder.fit(X), X, rows(10, 9, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["omp", "lars"])
@pytest.mark.parametrize("n_nonzero", [1, 3, 6])
def test_transform_n_nonzero_coefs_limits_the_atoms(algorithm, n_nonzero):
    coder = SparseCoder(
        atoms(6, 8), transform_algorithm=algorithm, transform_n_nonzero_coefs=n_nonzero
    )
    X = rows(30, 8)
    assert_same(coder.fit(X), X, rows(10, 8, seed=1))


@pytest.mark.parametrize("algorithm", ["lasso_lars", "lasso_cd"])
def test_a_code_that_is_stopped_early_is_equal(algorithm):
    coder = SparseCoder(
        atoms(9, 6),
        transform_algorithm=algorithm,
        transform_alpha=0.01,
        transform_max_iter=3,
    )
    X = rows(30, 6)
    assert_same(coder.fit(X), X, rows(10, 6, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DictionaryLearning, MiniBatchDictionaryLearning])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_learnt_dictionaries_code_alike(kind, algorithm):
    X = rows(60, 6)
    model = kind(5, max_iter=4, random_state=0, alpha=0.3, transform_algorithm=algorithm)
    assert_same(fitted(model, X), X, rows(15, 6, seed=1))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(1, 14),
    length=st.integers(2, 9),
    seed=st.integers(0, 10_000),
    alpha=st.sampled_from([0.01, 0.1, 1.0, 5.0]),
    positive=st.booleans(),
)
def test_the_lasso_along_angles_ends_where_scikit_learn_ends(count, length, seed, alpha, positive):
    import onnxruntime

    coder = SparseCoder(
        atoms(count, length, seed),
        transform_algorithm="lasso_lars",
        transform_alpha=alpha,
        positive_code=positive,
    )
    X = rows(25, length, seed=seed)
    expected = coder.fit(X).transform(X)
    session = onnxruntime.InferenceSession(edge_pipeline.convert(coder, X).graph)
    codes = session.run(None, {"numbers": X})[0]
    np.testing.assert_allclose(codes, expected, rtol=0, atol=1e-9 * max(1.0, abs(expected).max()))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_zero_rows_are_accepted(algorithm):
    coder = SparseCoder(atoms(4, 5), transform_algorithm=algorithm)
    assert_zero_rows_are_accepted(coder.fit(rows(5, 5)), rows(5, 5))
