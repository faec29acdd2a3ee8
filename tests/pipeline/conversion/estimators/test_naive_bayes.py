"""Naive Bayes predicts as scikit-learn does, and refuses the same categories."""

import edge_pipeline
import numpy as np
import pytest
from edge_runtime.errors import InferenceError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    CLASSES,
    assert_zero_rows_are_accepted,
    fitted,
    labels,
    rows,
    unseen,
)
from sklearn import naive_bayes as nb

import edge_runtime

X = rows()
COUNTS = np.random.default_rng(0).poisson(2.0, size=(60, 5)).astype(float)
NEW_COUNTS = np.vstack([np.random.default_rng(1).poisson(3.0, size=(20, 5)), np.zeros((1, 5))])


@pytest.mark.parametrize("n_classes", [1, 2, 3])
@pytest.mark.parametrize(
    "estimator",
    [
        nb.MultinomialNB(),
        nb.MultinomialNB(alpha=0.01, fit_prior=False),
        nb.ComplementNB(),
        nb.ComplementNB(norm=True, alpha=0.5),
        nb.BernoulliNB(),
        nb.BernoulliNB(binarize=2.0, alpha=3.0),
        nb.BernoulliNB(binarize=None),
        nb.GaussianNB(),
        nb.GaussianNB(var_smoothing=0.1),
    ],
    ids=repr,
)
def test_counts_are_classified_the_same(estimator, n_classes):
    table, new = COUNTS, NEW_COUNTS
    if getattr(estimator, "binarize", 0) is None:
        table, new = (table > 1).astype(float), (new > 1).astype(float)
    y = labels(table, CLASSES["strings"][:n_classes])
    assert_same(fitted(estimator, table, y), table, new)
    assert_zero_rows_are_accepted(estimator, table)


@pytest.mark.parametrize("kind", CLASSES)
def test_labels_of_every_kind_come_back(kind):
    assert_same(fitted(nb.GaussianNB(), X, labels(X, CLASSES[kind])), X, unseen())


def test_priors_that_are_given_are_used():
    y = labels(X, [0, 1, 2])
    assert_same(fitted(nb.GaussianNB(priors=[0.7, 0.2, 0.1]), X, y), X, unseen()[:15])


def test_a_constant_feature_and_a_single_one_are_enough():
    table = rows(40, 2)
    table[:, 1] = 7.0
    for features in (table, table[:, :1]):
        y = labels(features, ["a", "b"])
        assert_same(fitted(nb.GaussianNB(), features, y), features, features[:9] * 1.1)


CATEGORIES = np.random.default_rng(2).integers(0, 4, size=(60, 3)).astype(float)


@pytest.mark.parametrize("parameters", [{}, {"alpha": 0.1}, {"min_categories": [4, 6, 9]}], ids=str)
def test_categories_are_truncated_to_whole_numbers(parameters):
    estimator = nb.CategoricalNB(**parameters)
    fitted(estimator, CATEGORIES, labels(CATEGORIES, [5, -2, 3]))
    assert_same(estimator, CATEGORIES, CATEGORIES[::-1] * 0.9)
    assert_zero_rows_are_accepted(estimator, CATEGORIES)


@pytest.mark.parametrize("category", [4.0, -1.0, 1e12])
def test_a_category_beyond_the_table_is_an_error(category, tmp_path):
    estimator = fitted(nb.CategoricalNB(), CATEGORIES, labels(CATEGORIES, [0, 1]))
    edge_pipeline.export(estimator, CATEGORIES, tmp_path / "model.onnx")
    row = CATEGORIES[:1].copy()
    row[0, 1] = category
    with pytest.raises((IndexError, ValueError)):
        estimator.predict(row)
    with edge_runtime.load(tmp_path / "model.onnx") as model, pytest.raises(InferenceError):
        model.predict(row)
