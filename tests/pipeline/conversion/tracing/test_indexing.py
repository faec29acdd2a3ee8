"""Index arrays, masks and ranges in a traced function give numpy's shapes and values."""

import numpy as np
import onnxruntime
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

X = np.random.default_rng(0).normal(size=(40, 12))
PAIRS = np.array([[0, 3, -1], [4, 2, 11]])
CUBE = np.arange(12).reshape(2, 3, 2)
MASK = np.arange(12).reshape(3, 4) % 5 == 1

INDEXED = {
    "two dimensions": lambda x: x[:, PAIRS],
    "two dimensions and a mean": lambda x: x[:, PAIRS].mean(axis=2),
    "three dimensions": lambda x: x[:, CUBE].max(axis=(2, 3)),
    "windows": lambda x: x[:, np.arange(4)[:, None] + np.arange(5)].std(axis=-1),
    "a nested list": lambda x: x[:, [[0, 1], [2, 3]]].sum(axis=1),
    "a tuple": lambda x: x[:, (1, 2)],
    "one position": lambda x: x[:, np.array(3)][:, None],
    "a mask of columns": lambda x: x[:, np.arange(12) % 2 == 0],
    "a mask of two dimensions": lambda x: x.reshape(-1, 3, 4)[:, MASK],
    "two arrays": lambda x: x.reshape(-1, 3, 4)[:, [0, 1], [2, 3]],
    "two arrays that broadcast": lambda x: x.reshape(-1, 3, 4)[:, [[0], [2]], [1, 3]].sum(axis=2),
    "two arrays apart": lambda x: (
        x.reshape(-1, 2, 3, 2)[:, [0, 1], :, [0, 1]].transpose(1, 0, 2).reshape(-1, 6)
    ),
    "a range and an array": lambda x: x.reshape(-1, 3, 4)[:, 1:, PAIRS[:, :1] % 4].sum(axis=(1, 2)),
    "an ellipsis": lambda x: x[..., PAIRS][:, 0],
    "a new axis": lambda x: x[:, None, PAIRS].sum(axis=(1, 2)),
    "take": lambda x: np.take(x, PAIRS, axis=1).std(axis=2),
    "take outside": lambda x: np.take(x, [3, 99], axis=1, mode="clip"),
    "the method": lambda x: x.take([[1, 2], [3, 4]], axis=1).sum(axis=2),
    "each row's own positions": lambda x: np.take_along_axis(x, np.argsort(x, axis=1)[:, :3], 1),
}


@pytest.mark.parametrize("name", INDEXED)
def test_indexing_gives_what_numpy_gives(name):
    function, unseen = INDEXED[name], X[::-1] * 1.5
    model = convert(FunctionTransformer(function).fit(X), X)
    session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
    (result,) = session.run(["transform"], {"numbers": unseen})
    np.testing.assert_allclose(result, function(unseen), rtol=1e-13, atol=1e-14)


def test_windows_are_a_pipeline_step():
    windows = FunctionTransformer(INDEXED["windows"])
    assert_same(make_pipeline(windows, Ridge()).fit(X, X[:, 0]), X, X[::-1] * 1.5)


def when_traced(function):
    """Make a function that numpy alone would refuse or whose result has other rows."""
    return lambda x: x if len(x) <= len(X) else function(x)


REFUSED = {
    "rows": (lambda x: x[[0, 1], [1, 2]], "an index array for the rows picks rows of the batch"),
    "too far": (lambda x: x[:, [[0, 12]]], "index 12 is out of bounds for axis 1 with size 12"),
    "each row's": (lambda x: x[:, x.argmax(axis=1)], "use np.take_along_axis"),
    "flattened": (lambda x: np.take(x, [1]), "numpy.take without axis= flattens the rows"),
    "rows taken": (lambda x: np.take(x, [1], axis=0), "numpy.take along the rows of the batch"),
    "condition": (lambda x: x[x > 0], "use np.where(condition, a, b)"),
    "along rows": (lambda x: np.take_along_axis(x, x.argsort(axis=1), 0), "along the rows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_depends_on_other_rows_is_refused_at_its_line(name):
    function, reason = REFUSED[name]
    with pytest.raises(UnsupportedEstimatorError) as caught:
        convert(FunctionTransformer(when_traced(function)).fit(X), X)
    assert reason in str(caught.value)
    assert "test_indexing.py, line " in str(caught.value)
