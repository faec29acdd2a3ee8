"""Neighbours predict as scikit-learn does, with every metric, weight and kind of target."""

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import (
    CLASSES,
    assert_zero_rows_are_accepted,
    fitted,
    labels,
    rows,
    signal,
)
from sklearn import neighbors as nb
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_iris
from sklearn.manifold import Isomap
from sklearn.metrics import DistanceMetric
from sklearn.pipeline import make_pipeline

import edge_runtime

X = rows(90)
UNSEEN = np.vstack([rows(15, seed=1), X[:3], rows(2, seed=3) * 1e4])
Y = signal(X)
SPREAD = np.linspace(0.5, 2.0, 4)
INVERSE = np.diag(SPREAD) + 0.1

METRICS = [
    ("euclidean", {}),
    ("manhattan", {}),
    ("chebyshev", {}),
    ("minkowski", {"p": 3}),
    ("minkowski", {"p": 1.5, "metric_params": {"w": SPREAD}}),
    ("minkowski", {"p": 2, "metric_params": {"w": SPREAD}}),
    ("seuclidean", {"metric_params": {"V": SPREAD}}),
    ("mahalanobis", {"metric_params": {"VI": INVERSE}}),
    ("canberra", {}),
    ("l1", {}),
    ("l2", {}),
]


@pytest.mark.parametrize("algorithm", ["brute", "ball_tree"])
@pytest.mark.parametrize(("metric", "params"), METRICS)
def test_inverse_distances_of_every_metric_weigh_alike(metric, params, algorithm):
    model = nb.KNeighborsRegressor(
        4, weights="distance", metric=metric, algorithm=algorithm, **params
    )
    assert_same(fitted(model, X, Y), X, UNSEEN)


@pytest.mark.parametrize("metric", ["cosine", "correlation", "sqeuclidean", "braycurtis"])
def test_metrics_without_a_tree_weigh_alike(metric):
    model = nb.KNeighborsRegressor(4, weights="distance", metric=metric, algorithm="brute")
    assert_same(fitted(model, X, Y), X, UNSEEN[:15])


@pytest.mark.parametrize(
    "metric",
    ["hamming", "jaccard", "rogerstanimoto", "russellrao", "dice", "sokalsneath", "yule"],
)
def test_distances_between_sets_are_equal(metric):
    members = (rows(60, 12) > 0).astype(float)
    model = nb.RadiusNeighborsTransformer(mode="distance", radius=0.6, metric=metric)
    model.set_params(algorithm="brute")
    assert_same(fitted(model, members), members, (rows(20, 12, seed=1) > 0).astype(float))


def test_angles_on_a_sphere_are_equal():
    places = np.radians(rows(60, 2) * [40.0, 20.0])
    model = nb.KNeighborsTransformer(n_neighbors=3, mode="distance", metric="haversine")
    assert_same(fitted(model, places), places, np.radians(rows(20, 2, seed=1) * [40.0, 20.0]))


def test_missing_values_are_left_out_of_the_distance():
    with_gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model = nb.KNeighborsRegressor(3, weights="distance", metric="nan_euclidean")
    unseen = np.where(np.random.default_rng(1).random((15, 4)) < 0.2, np.nan, UNSEEN[:15])
    assert_same(fitted(model, with_gaps, Y), with_gaps, unseen)


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric",
    [lambda x, y: np.sum(np.abs(x - y)), DistanceMetric.get_metric("minkowski", p=3)],
    ids=["function", "DistanceMetric"],
)
def test_a_metric_may_be_a_function_or_an_object(metric):
    model = nb.KNeighborsClassifier(3, metric=metric, algorithm="ball_tree")
    assert_same(fitted(model, X, labels(X, CLASSES["strings"])), X, UNSEEN)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["uniform", "distance", lambda d: 1.0 / (1.0 + d) ** 2])
@pytest.mark.parametrize("kind", [*CLASSES, "two outputs"])
def test_votes_are_counted_alike(kind, weights):
    algorithm = "brute" if kind in ("strings", "two outputs") else "kd_tree"
    if kind == "two outputs":
        y = np.column_stack([labels(X, CLASSES["strings"]), labels(X, ["u", "v"], seed=5)])
    else:
        y = labels(X, CLASSES[kind])
    model = nb.KNeighborsClassifier(4, weights=weights, algorithm=algorithm)
    assert_same(fitted(model, X, y), X, UNSEEN)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("y", [np.rint(Y).astype(int), np.column_stack([Y, -Y])])
def test_means_of_neighbours_are_equal(y, weights):
    assert_same(fitted(nb.KNeighborsRegressor(weights=weights), X, y), X, UNSEEN)


@pytest.mark.parametrize("columns", [16, 20, 32, 45])
def test_a_training_row_keeps_its_inverse_distance(columns):
    wide = rows(80, columns)
    model = nb.KNeighborsRegressor(3, weights="distance").fit(wide, wide[:, 0])
    assert model._fit_method == "brute"
    graph = edge_pipeline.convert(model, wide).graph
    predictions = _run(graph, wide[:40])
    np.testing.assert_allclose(predictions, model.predict(wide[:40]), rtol=0, atol=1e-12)


def test_a_model_with_ties_between_neighbours_is_sealed():
    flowers, species = load_iris(return_X_y=True)
    model = nb.KNeighborsClassifier().fit(flowers, species)
    assert_same(model, flowers, rows(20, seed=1) * 0.1 + flowers.mean(axis=0))


def test_many_training_rows_are_searched_as_exactly_as_few():
    many = rows(3000, 6)
    model = nb.KNeighborsTransformer(n_neighbors=3, mode="distance", algorithm="kd_tree")
    assert_same(fitted(model, many), many[:200], rows(30, 6, seed=1))
    slow = nb.KNeighborsTransformer(n_neighbors=3, mode="distance", metric="manhattan")
    assert_same(fitted(slow, many), many[:50], rows(30, 6, seed=1))


def test_rows_far_from_zero_find_the_same_neighbours():
    far = rows(400, 12) + 1e7
    model = nb.KNeighborsTransformer(n_neighbors=3, algorithm="kd_tree", mode="connectivity")
    assert_same(fitted(model, far), far[:100], rows(30, 12, seed=1) + 1e7)


@pytest.mark.parametrize("metric", ["braycurtis", "russellrao", "dice"])
def test_a_tree_that_misses_neighbours_is_refused(metric):
    model = nb.KNeighborsClassifier(metric=metric, algorithm="ball_tree", leaf_size=5)
    model = fitted(model, np.abs(X), labels(X, CLASSES["bools"]))
    with pytest.raises(UnsupportedEstimatorError, match="algorithm='brute'"):
        edge_pipeline.convert(model, np.abs(X))


@pytest.mark.parametrize("outlier", ["most_frequent", 7])
@pytest.mark.parametrize(
    ("weights", "algorithm"), [("uniform", "brute"), ("uniform", "kd_tree"), ("distance", "brute")]
)
def test_rows_without_neighbours_have_the_outlier_label(outlier, weights, algorithm):
    y = labels(X, CLASSES["ints"])
    model = nb.RadiusNeighborsClassifier(
        2.0, weights=weights, outlier_label=outlier, algorithm=algorithm
    )
    assert_same(fitted(model, X, y), X, UNSEEN)


def test_of_two_outputs_each_has_its_outlier_label():
    y = np.column_stack([labels(X, ["a", "b"]), labels(X, ["u", "v"], seed=5)])
    model = nb.RadiusNeighborsClassifier(2.0, outlier_label=["a", "z"])
    assert_same(fitted(model, X, y), X, UNSEEN)


def test_a_row_without_neighbours_or_outlier_label_is_an_error():
    import onnxruntime

    model = fitted(nb.RadiusNeighborsClassifier(2.0), X, labels(X, CLASSES["ints"]))
    graph = edge_pipeline.convert(model, X).graph
    assert set(_run(graph, X[:5], "predict")) <= {10, 20, 35}
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        _run(graph, X[:1] + 1e6, "predict")


@pytest.mark.parametrize(
    ("algorithm", "metric", "n_rows"),
    [
        ("kd_tree", "euclidean", 60),
        ("ball_tree", "manhattan", 60),
        ("brute", "euclidean", 60),
        ("brute", "chebyshev", 60),
        ("kd_tree", "euclidean", 1200),  # the neighbours are preselected by dot products
    ],
)
def test_distances_that_overflow_find_the_rows_that_scikit_learn_finds(algorithm, metric, n_rows):
    """Its searches begin with row 0 in every place, which an infinite distance never replaces."""
    train = rows(n_rows, seed=6)
    model = nb.KNeighborsRegressor(5, algorithm=algorithm, metric=metric)
    model.fit(train, train.sum(axis=1))
    far = np.array([[1e200, 0.0, 0.0, 0.0], [-1e200, 1e200, 3.0, 2.0], [1e160, 1.0, 1.0, 1.0]])
    assert_same(model, train, np.vstack([far, rows(5, seed=7)]))


def test_a_neighbour_graph_with_distances_that_overflow_is_answered():
    """By brute force they are the root of the largest float64; a tree's infinity is refused."""
    train = rows(60, seed=6)
    graph = nb.KNeighborsTransformer(n_neighbors=9, algorithm="brute")
    model = make_pipeline(graph, nb.KNeighborsRegressor(5, metric="precomputed"))
    model.fit(train, train.sum(axis=1))
    far = np.array([[1e200, 0.0, 0.0, 0.0], [-1e200, 1e200, 3.0, 2.0]])
    assert_same(model, train, np.vstack([far, rows(5, seed=7)]))


@pytest.mark.parametrize("weights", ["uniform", "distance", lambda d: 1.0 / (1.0 + d)])
@pytest.mark.parametrize("y", [Y, np.rint(Y).astype(int), np.column_stack([Y, -Y])])
def test_means_within_a_radius_are_equal(y, weights):
    unseen = UNSEEN if y.dtype.kind == "f" else X[:20] + 0.01
    assert_same(fitted(nb.RadiusNeighborsRegressor(2.0, weights=weights), X, y), X, unseen)


@pytest.mark.parametrize("kernel", ["gaussian", "tophat", "epanechnikov", "linear", "cosine"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_densities_are_equal(kernel, metric):
    model = nb.KernelDensity(kernel=kernel, metric=metric, bandwidth=4.0)
    model.fit(X, sample_weight=np.linspace(0.0, 1.0, len(X)))
    assert_same(model, X, rows(20, seed=1))


@pytest.mark.parametrize(("n_columns", "bandwidth", "leaf_size"), [(15, 2.0, 40), (2, 0.05, 5)])
def test_densities_are_compared_where_the_tree_keeps_their_digits(n_columns, bandwidth, leaf_size):
    """Each node that scikit-learn opens leaves rounding of the size of the whole sum."""
    train = np.random.default_rng(3).normal(size=(1500, n_columns))
    model = nb.KernelDensity(bandwidth=bandwidth, leaf_size=leaf_size).fit(train)
    assert_same(model, train, train[:40])


@pytest.mark.parametrize("bandwidth", ["scott", "silverman", 1.5])
def test_an_exponential_density_is_equal_whatever_the_bandwidth(bandwidth):
    model = nb.KernelDensity(kernel="exponential", bandwidth=bandwidth, algorithm="ball_tree")
    assert_same(model.fit(X), X, rows(20, seed=1))


@pytest.mark.parametrize("params", [{}, {"algorithm": "brute"}, {"contamination": 0.2}])
def test_local_outliers_are_equal(params):
    assert_same(nb.LocalOutlierFactor(7, novelty=True, **params).fit(X), X, UNSEEN)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("shrink", [None, 0.3])
@pytest.mark.parametrize("priors", ["uniform", "empirical", [0.2, 0.3, 0.5]])
def test_nearest_centroids_are_equal(metric, shrink, priors):
    y = np.append(labels(X, CLASSES["strings"])[:-20], ["gentoo"] * 20)
    model = nb.NearestCentroid(metric=metric, shrink_threshold=shrink, priors=priors)
    assert_same(fitted(model, X, y), X, UNSEEN)


def test_a_nearest_centroid_of_two_classes_decides_by_one_column():
    model = fitted(nb.NearestCentroid(priors=[0.3, 0.7]), X, labels(X, CLASSES["bools"]))
    assert_same(model, X, UNSEEN)


@pytest.mark.parametrize(
    "model",
    [
        nb.KNeighborsClassifier(),
        nb.RadiusNeighborsClassifier(5.0, outlier_label="most_frequent"),
        nb.NearestCentroid(),
    ],
)
def test_zero_rows_are_accepted(model):
    assert_zero_rows_are_accepted(fitted(model, X, labels(X, CLASSES["ints"])), X)


def _run(graph, numbers, output=None):
    import onnxruntime

    session = onnxruntime.InferenceSession(graph)
    return session.run([output] if output else None, {"numbers": numbers})[0]


@pytest.mark.parametrize("near", [{"atol": 0.01}, {"rtol": 0.01}])
def test_a_density_that_stops_summing_is_refused(near, tmp_path) -> None:
    model = nb.KernelDensity(**near).fit(rows(60))
    with pytest.raises(UnsupportedEstimatorError, match=r"set_params\(atol=0, rtol=0\)"):
        edge_pipeline.export(model, rows(60), tmp_path / "m.onnx")


def blocks(a, b):
    return np.abs(a - b).sum()


def largest(a, b):
    return (a - b).__abs__().max()


@pytest.mark.parametrize("metric", [blocks, largest, lambda a, b: np.sqrt(((a - b) ** 2).mean())])
def test_a_metric_may_use_the_methods_of_arrays(metric) -> None:
    model = nb.KNeighborsRegressor(3, metric=metric, algorithm="brute").fit(rows(20), np.arange(20))
    assert_same(model, rows(20), UNSEEN[:4])


GRAPH_READERS = {
    "votes": (nb.KNeighborsTransformer(n_neighbors=8), nb.KNeighborsClassifier(5)),
    "weighted votes": (
        nb.KNeighborsTransformer(n_neighbors=8),
        nb.KNeighborsClassifier(5, weights="distance"),
    ),
    "means in a radius graph": (
        nb.RadiusNeighborsTransformer(radius=30.0),
        nb.KNeighborsRegressor(2, weights="distance"),
    ),
    "radius in a graph of k": (
        nb.KNeighborsTransformer(n_neighbors=9),
        nb.RadiusNeighborsClassifier(radius=2.0, outlier_label=0),
    ),
    "radius in a radius": (
        nb.RadiusNeighborsTransformer(radius=4.0),
        nb.RadiusNeighborsRegressor(radius=3.0),
    ),
    "densities": (
        nb.KNeighborsTransformer(n_neighbors=12),
        nb.LocalOutlierFactor(8, novelty=True),
    ),
    "paths": (nb.KNeighborsTransformer(n_neighbors=12), Isomap(n_neighbors=8)),
    "a smaller graph": (
        nb.KNeighborsTransformer(n_neighbors=9),
        nb.KNeighborsTransformer(n_neighbors=4),
    ),
    "a graph of a graph": (
        nb.KNeighborsTransformer(n_neighbors=9),
        nb.RadiusNeighborsTransformer(radius=1.5),
    ),
}


@pytest.mark.parametrize("name", GRAPH_READERS)
@pytest.mark.filterwarnings("ignore")
def test_what_a_sparse_graph_does_not_hold_is_no_neighbour(name):
    """Training rows among the unseen ones have a distance of zero that the graph does hold."""
    graph, reader = GRAPH_READERS[name]
    pipeline = make_pipeline(clone(graph), clone(reader).set_params(metric="precomputed"))
    targets = (Y > 0).astype(int) if is_classifier(reader) else Y
    assert_same(pipeline.fit(X, targets), X, UNSEEN[:18])


def test_a_row_with_too_few_neighbours_in_the_graph_is_refused_as_by_scikit_learn(tmp_path):
    pipeline = make_pipeline(
        nb.RadiusNeighborsTransformer(radius=5.0), nb.KNeighborsRegressor(2, metric="precomputed")
    ).fit(X, Y)
    far = np.full((1, X.shape[1]), 1e3)
    with pytest.raises(ValueError, match="neighbors per samples are required"):
        pipeline.predict(far)
    edge_pipeline.export(pipeline, X, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        np.testing.assert_allclose(model.predict(X[:5]), pipeline.predict(X[:5]), rtol=1e-12)
        with pytest.raises(edge_runtime.InferenceError):
            model.predict(far)
