"""Functions written with numpy become nodes of the graph, or are refused by name."""

import math

import numpy as np
import onnxruntime
import pytest
import scipy.special as sp
from edge_pipeline import convert
from edge_pipeline.conversion.tracing.numpy_functions import FUNCTIONS
from edge_pipeline.conversion.tracing.ufuncs import UFUNCS
from edge_pipeline.errors import UnsupportedEstimatorError
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import rows
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

X, UNSEEN = rows(), rows(30, seed=1) * 1.5
CENTRE = np.array([1.0, 2.0, 3.0, 4.0])


def columns_assigned(X):
    X = X.copy()
    X[:, 0] = np.log1p(np.abs(X[:, 0]))
    X[:, [1, 2]] = X[:, [2, 1]] ** 2
    X[X < 0] = 0
    X[X[:, 3] > 1, 1] = 7
    X[..., 2] += 1
    return X


def changed_in_place(X):
    X = X.copy()
    X += 1
    X *= 2
    return X


def divided_where_positive(X):
    top, bottom = X[:, :1], X[:, 1:2]
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


TRACED = {
    "log1p": lambda x: np.log1p(np.abs(x)),
    "expm1": lambda x: np.expm1(x / 10),
    "clip": lambda x: np.clip(x, -1, 1),
    "clip method": lambda x: x.clip(-1, None),
    "hstack": lambda x: np.hstack([x, x**2]),
    "vstack and T": lambda x: np.vstack([x[:, 0], x[:, 1]]).T,
    "column_stack": lambda x: np.column_stack([x[:, 0], x[:, 1] / x[:, 2]]),
    "c_": lambda x: np.c_[x, x[:, 0] * x[:, 1]],
    "c_ with ones": lambda x: np.c_[x[:, 0], np.ones(len(x))],
    "where": lambda x: np.where(x > 0, x, -2 * x),
    "nan_to_num": np.nan_to_num,
    "power": lambda x: np.power(x, 3),
    "float_power": lambda x: np.float_power(np.abs(x), 0.5),
    "powers": lambda x: np.hstack([x**2, np.abs(x) ** 0.5, 2**x, np.abs(x) ** -1.5]),
    "sum": lambda x: x.sum(axis=1, keepdims=True),
    "mean": lambda x: np.mean(x, axis=1).reshape(-1, 1),
    "statistics": lambda x: np.column_stack(
        [x.max(axis=1), x.min(1), x.std(1), np.var(x, axis=1, ddof=1), np.median(x, axis=1),
         np.ptp(x, axis=1), x.prod(axis=1), np.quantile(x, 0.3, axis=1),
         np.percentile(x, 80, axis=1), np.average(x, axis=1, weights=CENTRE)]
    ),
    "nan statistics": lambda x: np.column_stack(
        [np.nanmean(x, axis=1), np.nansum(x, 1), np.nanmax(x, 1), np.nanmin(x, 1), np.nanstd(x, 1)]
    ),
    "truths": lambda x: np.column_stack(
        [(x > 0).any(axis=1), np.all(x > 0, axis=1), np.sum(x > 0, axis=1),
         np.count_nonzero(x > 1, axis=1)]
    ),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x, axis=1),
    "diff": lambda x: np.diff(x, n=2, axis=1),
    "norm": lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
    "norms": lambda x: np.column_stack([np.linalg.norm(x, o, axis=1) for o in (1, 2, np.inf)]),
    "arctan2": lambda x: np.arctan2(x[:, 0], x[:, 1])[:, None],
    "reshape": lambda x: x.reshape(len(x), -1),
    "reshape to 3-d": lambda x: x.reshape(x.shape[0], 2, 2).sum(axis=2),
    "ravel": lambda x: x[:, :1].ravel()[:, None],
    "squeeze": lambda x: np.squeeze(x[:, :1, None], 2),
    "list of columns": lambda x: x[:, [0, 2]],
    "mask of columns": lambda x: x[:, np.array([True, False, True, False])],
    "slice": lambda x: x[:, 1:3],
    "reversed": lambda x: x[:, ::-1],
    "ellipsis": lambda x: x[:, 0][..., None],
    "array": lambda x: (x - CENTRE) / CENTRE,
    "numpy scalar": lambda x: np.float64(2) * x + 1,
    "maximum": lambda x: np.maximum(x, 0) - np.minimum(x, x[:, :1]),
    "sign": np.sign,
    "hours": lambda x: np.hstack([np.sin(2 * np.pi * x / 24), np.cos(2 * np.pi * x / 24)]),
    "digitize": lambda x: np.digitize(x, [-1, 0, 1, 2]),
    "digitize down": lambda x: np.digitize(x, [2.0, 0.0, -1.0], right=True),
    "searchsorted": lambda x: np.searchsorted([-1.0, 0, 1], x),
    "interp": lambda x: np.interp(x, [-1, 0, 2], [5, 6, 9]),
    "interp with ends": lambda x: np.interp(x, [-1, 0, 2], [5, 6, 9], left=-7, right=np.nan),
    "isnan": np.isnan,
    "comparisons": lambda x: (x > 0) & (x < 2) | ~(x != 0) ^ (x >= 1),
    "logical": lambda x: np.logical_and(x > 0, np.logical_not(x > 1)),
    "astype": lambda x: np.hstack([(x > 0).astype(int), x.astype(np.int64)]),
    "astype bool": lambda x: np.round(x).astype(bool),
    "float32": lambda x: x.astype(np.float32),
    "copy": lambda x: x.copy(),
    "ones": lambda x: np.hstack([np.ones((x.shape[0], 1)), x, np.zeros_like(x)]),
    "full": lambda x: np.concatenate([np.full((len(x), 2), 3.5), x], axis=1),
    "assignment": columns_assigned,
    "in place": changed_in_place,
    "out and where": divided_where_positive,
    "asarray": lambda x: np.asarray(x, dtype=float)[:, :2],
    "array of columns": lambda x: np.array([x[:, 0], x[:, 1] * 2]).T,
    "loop over columns": lambda x: np.column_stack([x[:, i] * i for i in range(x.shape[1])]),
    "loop over T": lambda x: np.column_stack([column * 2 for column in x.T]),
    "remainders": lambda x: np.hstack([x % 2, x // 2, np.fmod(x, 2), x % -3, x // -1.7]),
    "round": lambda x: np.hstack([np.round(x, 2), x.round(1), np.around(x * 100, -1)]),
    "floor": lambda x: np.hstack([np.floor(x), np.ceil(x), np.trunc(x), np.rint(x), np.fix(x)]),
    "logarithms": lambda x: np.hstack([np.log(np.abs(x)), np.log2(np.abs(x)), np.log10(x**2)]),
    "roots": lambda x: np.hstack([np.sqrt(x**2 + 1), np.cbrt(x), np.hypot(x, 2.0)]),
    "exponentials": lambda x: np.hstack([np.exp(x / 9), np.exp2(x / 9), np.logaddexp(x, 1.0)]),
    "angles": lambda x: np.hstack([np.tan(x), np.arctan(x), np.deg2rad(x), np.rad2deg(x)]),
    "hyperbolic": lambda x: np.hstack([np.sinh(x / 9), np.cosh(x / 9), np.tanh(x), np.arcsinh(x)]),
    "arcs": lambda x: np.hstack([np.arcsin(np.sin(x)), np.arccos(np.cos(x)), np.arctanh(x / 99)]),
    "special": lambda x: np.hstack([sp.expit(x), sp.erf(x), sp.ndtr(x), sp.logit(np.abs(x) / 99)]),
    "box-cox": lambda x: sp.inv_boxcox(sp.boxcox(np.abs(x) + 1, 0.5), 0.5),
    "select": lambda x: np.select([x < -1, x < 1], [0.0, x], default=9.0),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: -v, 3.0]),
    "piecewise of numpy": lambda x: np.piecewise(x, [x < 0], [np.abs, lambda v: np.exp(-v)]),
    "isin": lambda x: np.isin(np.round(x), [0, 1, 2]),
    "isclose": lambda x: np.isclose(x, np.round(x), atol=0.1),
    "einsum": lambda x: np.einsum("ij,jk->ik", x, np.ones((4, 2))),
    "matmul": lambda x: x @ np.arange(8.0).reshape(4, 2),
    "dot": lambda x: np.dot(x, CENTRE).reshape(-1, 1),
    "polyval": lambda x: np.polyval([1, 2, 3.0], x),
    "positions": lambda x: np.column_stack([x.argmax(axis=1), np.argmin(x, axis=1)]),
    "sort": lambda x: np.hstack([np.sort(x, axis=1), np.argsort(x, axis=1)]),
    "roll": lambda x: np.hstack([np.roll(x, 1, axis=1), np.flip(x, 1), np.fliplr(x)]),
    "stack": lambda x: np.stack([x[:, 0], x[:, 1]], axis=-1),
    "concatenate": lambda x: np.concatenate([x[:, :1] * 2, x], -1),
    "append": lambda x: np.append(x, x[:, [0]], axis=1),
    "tile": lambda x: np.hstack([np.tile(x, 2), np.repeat(x, 2, axis=1)]),
    "delete": lambda x: np.delete(x, 0, axis=1),
    "split": lambda x: np.hstack(np.split(x, 2, axis=1)[::-1]),
    "take": lambda x: np.take(x, [3, 0], axis=1),
    "transposes": lambda x: np.swapaxes(np.transpose(x), 0, 1),
    "shares": lambda x: np.abs(x) / np.abs(x).sum(axis=1)[:, np.newaxis],
    "reduce": lambda x: np.add.reduce(x, axis=1)[:, None],
    "built-ins": lambda x: np.c_[abs(x), sum([x[:, 0], x[:, 1]])],
    "isinstance": lambda x: x * 2 if isinstance(x, np.ndarray) else None,
    "fmax": lambda x: np.fmax(x, 1.0) - np.fmin(x, 0.5),
    "heaviside": lambda x: np.heaviside(x, 0.5) + np.signbit(x) + np.copysign(1.0, x),
    "identity": None,
}  # fmt: skip


@pytest.mark.parametrize("name", TRACED)
def test_numpy_functions_are_traced(name):
    transformer = FunctionTransformer(TRACED[name])
    assert_same(transformer.fit(X), X, UNSEEN)


@pytest.mark.parametrize(
    "name", ["nan_to_num", "isnan", "nan statistics", "maximum", "fmax", "clip"]
)
def test_missing_values_are_traced_as_numpy_handles_them(name):
    with_nan = X.copy()
    with_nan[::3, 1] = with_nan[::5, 2] = np.nan
    assert_same(FunctionTransformer(TRACED[name]).fit(with_nan), with_nan, with_nan[::-1] * 2)


OUT_OF_RANGE = [
    np.nan,
    np.inf,
    -np.inf,
    1e30,
    -1e30,
    2.0**63,
    -(2.0**63),
    2.0**31,
    -1.5,
    255.5,
    256.0,
]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.int64, [*[-(2**63)] * 7, 2**31, -1, 255, 256]),
        (np.int32, [*[-(2**31)] * 8, -1, 255, 256]),
        (np.uint8, [*[0] * 8, 255, 255, 0]),
    ],
)
def test_casts_out_of_range_are_equal_on_every_cpu(dtype, expected):
    """A number that an integer cannot hold becomes the same on every CPU.

    The expected values are numpy's on x86.  On ARM numpy has others; the graph must not.
    """
    sample = np.array([[1.5], [np.nan]])
    with np.errstate(invalid="ignore"):
        model = convert(FunctionTransformer(lambda x: x.astype(dtype)).fit(sample), sample)
    session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
    (result,) = session.run(["transform"], {"numbers": np.array([OUT_OF_RANGE]).T})
    assert result.ravel().tolist() == expected


def halved_in_place(x):
    x = x.copy()
    x[:, 0] = x[:, 0] / 2
    return x


@pytest.mark.parametrize(
    "function",
    [halved_in_place, lambda x: x / 2, lambda x: x // 2, lambda x: (x & 1) | (x > 2), np.square],
)
def test_integers_stay_integers_as_in_numpy(function):
    integers = np.rint(X * 3).astype(np.int64)
    assert_same(FunctionTransformer(function).fit(integers), integers, integers[::-1] * 3)


@pytest.mark.parametrize(
    "function", [lambda x: ~x, lambda x: x + x, lambda x: x.sum(axis=1, keepdims=True), np.copy]
)
def test_booleans_stay_booleans(function):
    booleans = X > 0
    assert_same(FunctionTransformer(function).fit(booleans), booleans, UNSEEN > 0)


def test_kw_args_are_passed_to_the_function():
    def scaled(x, *, by, shift=0.0):
        return x * by + shift

    transformer = FunctionTransformer(scaled, kw_args={"by": CENTRE, "shift": 2}, validate=True)
    assert_same(transformer.fit(X), X, UNSEEN)


def test_a_function_transformer_is_a_pipeline_step():
    y = np.where(X[:, 0] > 0, "yes", "no")
    steps = [FunctionTransformer(np.sqrt), StandardScaler(), LogisticRegression()]
    assert_same(make_pipeline(*steps).fit(np.abs(X), y), np.abs(X), np.abs(UNSEEN))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(["log1p", "sqrt", "square", "sin", "exp", "tanh", "cbrt"]), min_size=1,
             max_size=4),
    st.floats(-3, 3, allow_nan=False),
)  # fmt: skip
def test_random_chains_of_functions_are_traced(names, shift):
    def chain(x):
        for name in names:
            x = getattr(np, name)(np.minimum(np.abs(x), 5.0)) + shift
        return x

    assert_same(FunctionTransformer(chain).fit(X), X, UNSEEN)


REFUSED = {
    "a branch": (lambda x: x if x[:, 0].max() > 0 else -x, "numpy.max computes over the rows"),
    "axis 0": (lambda x: x - x.mean(axis=0), "numpy.mean computes over the rows of the batch"),
    "no axis": (lambda x: x / np.max(x), "numpy.max computes over the rows of the batch"),
    "histogram": (lambda x: x + np.histogram(x)[0].sum(), "numpy.histogram has no form in a graph"),
    "fft2": (lambda x: np.fft.fft2(x).real, "numpy.fft.fft2 has no form in a graph"),
    "T": (lambda x: x.T, "the first axis should be the rows"),
    "row numbers": (lambda x: x + np.arange(len(x))[:, None], "differs from row to row"),
    "random": (lambda x: x + np.random.normal(size=x.shape), "differs from row to row"),
    "row loop": (lambda x: np.array([row * 2 for row in x]), "a loop over the rows"),
    "rows picked": (lambda x: np.where(x[x[:, 0] > 99].sum() > 0, x, x), "picks rows of the batch"),
    "rows sliced": (lambda x: x - x[:1], "rows of a batch cannot be sliced"),
    "rows sorted": (lambda x: np.sort(x, axis=0), "numpy.sort computes over the rows"),
    "math": (lambda x: x + math.log(abs(x[0, 0])), "one row of a batch cannot be picked"),
    "vectorize": (np.vectorize(lambda v: v if v > 0 else -v), "has no values yet"),
    "a keyword": (lambda x: np.sum(x, axis=1, initial=3)[:, None], "'initial' has no form here"),
    "special": (lambda x: sp.gamma(np.abs(x)), "scipy.special.gamma has no form in a graph"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_untraceable_functions_are_refused_by_name(name):
    function, reason = REFUSED[name]
    with pytest.raises(UnsupportedEstimatorError) as caught:
        convert(FunctionTransformer(function).fit(X), X)
    message = str(caught.value)
    assert message.startswith("FunctionTransformer: parameter func=")
    assert reason in message
    assert "docs/function-transformer.md" in message


def test_every_traced_function_is_in_the_docs(root):
    page = (root / "docs/function-transformer.md").read_text("utf-8")
    missing = [f.__name__ for f in (*UFUNCS, *FUNCTIONS) if f".{f.__name__}`" not in page]
    assert missing == []
