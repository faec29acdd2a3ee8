"""Estimators of many classes or targets predict as scikit-learn does."""

import numpy as np
import pytest
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    CLASSES,
    assert_zero_rows_are_accepted,
    fitted,
    labels,
    rows,
    signal,
    unseen,
)
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

X, UNSEEN = rows(), unseen()
BINARY = np.column_stack([signal(X) > 0, signal(X, seed=3) > 1]).astype(int)
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)

PARTS = {
    "linear": LogisticRegression(),
    "sparse linear": LogisticRegression(C=0.05, l1_ratio=1, solver="liblinear"),
    "no probabilities": LinearSVC(random_state=0),
    "kernel": SVC(gamma=0.1),
    "only probabilities": TREE,
    "bayes": GaussianNB(),
    "regressor": Ridge(),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize(
    "meta",
    [OneVsRestClassifier, OneVsOneClassifier, OutputCodeClassifier],
    ids=lambda m: m.__name__,
)
def test_every_kind_of_estimator_runs_scikit_learns_method(meta, part):
    extra = {"random_state": 0, "code_size": 2.5} if meta is OutputCodeClassifier else {}
    if meta is OutputCodeClassifier and isinstance(part, Ridge):
        pytest.skip("scikit-learn takes no regressor here")
    y = labels(X, CLASSES["strings"])
    assert_same(fitted(meta(part, **extra), X, y), X, UNSEEN)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    ("meta", "n_classes"),
    [(OneVsRestClassifier, 2), (OneVsOneClassifier, 3), (OutputCodeClassifier, 3)],
)
def test_classes_keep_their_dtype(meta, n_classes, kind):
    extra = {"random_state": 0} if meta is OutputCodeClassifier else {}
    y = labels(X, CLASSES[kind][:n_classes])
    assert_same(fitted(meta(LogisticRegression(), **extra), X, y), X, UNSEEN)


@pytest.mark.parametrize("part", [LogisticRegression(), TREE, LinearSVC(random_state=0)])
def test_one_against_the_rest_answers_several_labels_at_once(part):
    assert_same(fitted(OneVsRestClassifier(part), X, BINARY), X, UNSEEN)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_label_that_training_never_or_always_saw_stays_so(constant):
    y = np.column_stack([BINARY, np.full(len(X), constant)])
    assert_same(fitted(OneVsRestClassifier(LogisticRegression()), X, y), X, UNSEEN)


def test_one_class_alone_is_the_answer():
    meta = fitted(OneVsRestClassifier(LogisticRegression()), X, np.repeat("only", len(X)))
    assert_same(meta, X, UNSEEN)


def test_probabilities_that_are_all_zero_are_not_divided():
    # Leaves of one class: a row can belong to none of the three.
    y = labels(X, CLASSES["ints"])
    assert_same(
        fitted(OneVsRestClassifier(DecisionTreeClassifier(random_state=0)), X, y), X, UNSEEN
    )


def test_pairs_of_a_precomputed_kernel_see_their_own_columns():
    y = labels(X, CLASSES["strings"])
    meta = fitted(OneVsOneClassifier(SVC(kernel="precomputed")), rbf_kernel(X, gamma=0.05), y)
    assert_same(meta, rbf_kernel(X, gamma=0.05), rbf_kernel(UNSEEN, X, gamma=0.05))


def test_binary_linear_parts_are_one_product():
    from edge_pipeline.conversion.convert import convert
    from onnx import load_from_string

    y = labels(X, np.arange(6))
    graph = load_from_string(convert(fitted(OneVsRestClassifier(LinearSVC()), X, y), X).graph).graph
    assert [node.op_type for node in graph.node if node.op_type in ("MatMul", "Gemm")] == ["Gemm"]


@pytest.mark.parametrize("part", [Ridge(), DecisionTreeRegressor(max_depth=3)])
def test_regressors_of_several_targets(part):
    Y = np.column_stack([signal(X), signal(X, seed=5), -signal(X)])
    assert_same(fitted(MultiOutputRegressor(part), X, Y), X, UNSEEN)
    assert_same(fitted(RegressorChain(part, order=[2, 0, 1]), X, Y), X, UNSEEN)


@pytest.mark.parametrize("part", [LogisticRegression(), TREE])
def test_several_targets_have_a_list_of_probabilities(part):
    Y = np.column_stack([labels(X, CLASSES["strings"]), labels(X, ["no", "yes"], seed=7)])
    assert_same(fitted(MultiOutputClassifier(part), X, Y), X, UNSEEN)
    assert_same(fitted(MultiOutputClassifier(RidgeClassifier()), X, BINARY), X, UNSEEN)


@pytest.mark.parametrize("chain_method", ["predict", "predict_proba", "decision_function"])
@pytest.mark.parametrize("cv", [None, 3])
def test_a_chain_passes_on_what_it_was_trained_on(chain_method, cv):
    chain = ClassifierChain(
        LogisticRegression(), chain_method=chain_method, cv=cv, order="random", random_state=1
    )
    assert_same(fitted(chain, X, BINARY), X, UNSEEN)


def test_a_chain_of_numeric_labels_passes_labels_on():
    Y = np.column_stack([np.where(BINARY[:, 0], 7, -2), BINARY[:, 1]])
    assert_same(fitted(ClassifierChain(TREE), X, Y), X, UNSEEN)


@pytest.mark.parametrize(
    "meta",
    [OneVsRestClassifier(LogisticRegression()), OneVsOneClassifier(LinearSVC())],
    ids=lambda m: type(m).__name__,
)
def test_no_rows_give_no_answers(meta):
    assert_zero_rows_are_accepted(fitted(meta, X, labels(X, CLASSES["ints"])), X)


def test_one_feature_is_enough():
    y = labels(X, CLASSES["strings"])
    assert_same(
        fitted(OneVsRestClassifier(LogisticRegression()), X[:, :1], y), X[:, :1], UNSEEN[:, :1]
    )


@pytest.mark.parametrize("meta", [OneVsRestClassifier, OneVsOneClassifier])
def test_the_larger_of_two_tiny_probabilities_wins(meta) -> None:
    net = MLPClassifier((4,), max_iter=300, random_state=0, learning_rate_init=0.05)
    y = labels(X, ["a", "b", "c"])
    assert_same(fitted(meta(net), X, y), X, UNSEEN * 30.0)
