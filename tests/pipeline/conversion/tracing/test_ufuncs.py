"""Every ufunc of numpy and scipy.special is exact on ordinary and extreme values, or refused."""

import numpy as np
import onnxruntime
import pytest
import scipy.special as sp
from edge_pipeline import convert
from edge_pipeline.conversion.tracing.ufuncs import UFUNCS
from edge_pipeline.errors import UnsupportedEstimatorError
from sklearn.preprocessing import FunctionTransformer

EXTREME = np.array([
    0, -0.0, 1, -1, 0.5, -0.5, 2, 3, -3, np.nan, np.inf, -np.inf, 5e-324, 1e-310, 1e-300, 1e300,
    -1e300, 1.7e308, -1e-17, 1e-17, 1e-9, 709, -709, 0.3, 0.65, 0.4999999, 1 + 1e-15, 1e16, -1e16,
    8, 27, 1e-200, 1e200, 745, -746, 1023, -1074,
])  # fmt: skip
RANDOM = np.random.default_rng(0)
SINGLE = np.concatenate(
    [EXTREME, *(RANDOM.normal(size=30) * scale for scale in (1, 1e-8, 30)), RANDOM.random(40)]
)[:, np.newaxis]
PAIRS = np.vstack(
    [np.array(np.meshgrid(EXTREME, EXTREME)).reshape(2, -1).T, RANDOM.normal(size=(150, 2)) * 9]
)
TOLERANCE = 3e-14
"""scipy rounds as much where it subtracts (kl_div), or takes a power of a large number (boxcox)."""

UFUNC_NAMES = sorted(
    {
        (module.__name__, name)
        for module in (np, sp)
        for name in dir(module)
        if isinstance(getattr(module, name), np.ufunc)
    }
)
CONSTANT_POWERS = (0.0, 0.4, -2.5, 2.5)


def functions_of(ufunc):
    """Yield a function of a table for the ufunc, for each way in which it is called."""
    if ufunc.__name__.removeprefix("inv_") in ("boxcox", "boxcox1p"):
        yield from (lambda x, p=power: ufunc(x[:, :1], p) for power in CONSTANT_POWERS)
    elif ufunc.nout == 2:
        for i in range(2):
            yield lambda x, i=i: ufunc(*(x[:, [k]] for k in range(ufunc.nin)))[i]
    else:
        yield lambda x: ufunc(*(x[:, [k]] for k in range(ufunc.nin)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "ufunc", [u for u in UFUNCS if u.nin <= 2 and u.signature is None], ids=lambda u: u.__name__
)
def test_a_traced_ufunc_is_exact(ufunc):
    X = SINGLE if ufunc.nin == 1 else PAIRS
    if "dd"[: ufunc.nin] not in [kinds.split("->")[0] for kinds in ufunc.types]:
        X = np.rint(np.clip(np.nan_to_num(X), -1000, 1000)).astype(np.int64)
    for function in functions_of(ufunc):
        expected = function(X)
        model = convert(FunctionTransformer(function).fit(X), X)
        session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
        (result,) = session.run(["transform"], {"numbers": X.astype(np.float64)})
        np.testing.assert_allclose(
            result.astype(np.float64), expected.astype(np.float64), rtol=TOLERANCE, atol=1e-307
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("divisor", [3, -3, 0])
@pytest.mark.parametrize("ufunc", [np.floor_divide, np.remainder, np.fmod])
def test_integers_divide_by_zero_as_in_numpy(ufunc, divisor):
    X = np.arange(-7.0, 7.0)[:, np.newaxis]
    model = convert(FunctionTransformer(lambda x: ufunc(x.astype(int), divisor)).fit(X), X)
    session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
    (result,) = session.run(["transform"], {"numbers": X.astype(np.float64)})
    np.testing.assert_array_equal(result, ufunc(X.astype(int), divisor))


@pytest.mark.filterwarnings("ignore")
def test_every_other_ufunc_is_refused_by_name():
    X = np.abs(RANDOM.normal(size=(20, 1))) + 0.5
    refused = 0
    for module, name in UFUNC_NAMES:
        ufunc = getattr(np if module == "numpy" else sp, name)
        if ufunc in UFUNCS or ufunc.nout > 1 or ufunc.signature is not None:
            continue
        arguments = [2.0] * (ufunc.nin - 1)

        def function(x, ufunc=ufunc, arguments=arguments):
            return ufunc(x, *arguments)

        try:
            function(X)
        except TypeError:
            continue  # not for such numbers: numpy refuses before any export
        with pytest.raises(UnsupportedEstimatorError) as caught:
            convert(FunctionTransformer(function).fit(X), X)
        assert f"{module}.{ufunc.__name__} has no form in a graph" in str(caught.value)
        refused += 1
    assert refused > 100


def test_box_cox_of_a_column_as_power_is_refused_by_name():
    X = np.abs(PAIRS[-20:]) + 1
    with pytest.raises(UnsupportedEstimatorError, match=r"scipy\.special\.boxcox is traced for"):
        convert(FunctionTransformer(lambda x: sp.boxcox(x[:, :1], x[:, 1:])).fit(X), X)


def test_sinc_and_the_built_in_divmod():
    X = SINGLE[np.isfinite(SINGLE[:, 0]) & (np.abs(SINGLE[:, 0]) < 1e3)]

    def function(x):
        whole, remainder = divmod(x, 0.7)
        return np.hstack([np.sinc(x), whole, remainder])

    model = convert(FunctionTransformer(function).fit(X), X)
    session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
    (result,) = session.run(["transform"], {"numbers": X})
    np.testing.assert_allclose(result, function(X), rtol=TOLERANCE, atol=1e-15)
