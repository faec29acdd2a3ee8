"""A traced function is a copy: numpy, pandas and the user's own objects stay as they are."""

import functools
import gc
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from types import FunctionType, ModuleType

import numpy as np
import onnx.checker
import pandas as pd
import pytest
from edge_pipeline import convert
from edge_pipeline.conversion.tracing.rebind import Rebinding
from edge_pipeline.errors import UnsupportedEstimatorError
from numpy import asarray
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import rows
from scipy.special import softmax
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import FunctionTransformer

X, UNSEEN = rows(), rows(30, seed=1)
FRAME = pd.DataFrame(X, columns=list("abcd"))
CONSTRUCTORS = (np.array, np.asarray, np.asanyarray, np.c_, pd.DataFrame, pd.Series, pd.concat)


def is_traced(value):
    return type(value).__name__.startswith("Traced")


def constructors():
    return np.array, np.asarray, np.asanyarray, np.c_, pd.DataFrame, pd.Series, pd.concat


def as_array(x):
    return np.asarray(x)


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs) * 2

    return wrapper


@doubled
def decorated(x):
    return np.asarray(x)


@functools.lru_cache
def cached(columns):
    return np.asarray(columns)


def recursive(x, depth=2):
    return np.asarray(x) if depth == 0 else recursive(x, depth - 1) * 2


def imports_inside(x):
    import numpy as numeric
    from numpy import asarray as convert_to_array

    return convert_to_array(numeric.asarray(x))


def default_argument(x, numeric=np, *, convert_to_array=as_array):
    return convert_to_array(numeric.asarray(x))


class Feature(ABC):
    scale = 2.0

    def __init__(self, shift=1.0):
        self.shift = shift

    @abstractmethod
    def compute(self, x):
        return np.asarray(x) * self.scale

    def __call__(self, x):
        return np.c_[self.compute(x), x]

    @staticmethod
    def as_array(x):
        return np.asarray(x)

    @classmethod
    def scaled(cls, x):
        return np.asarray(x) * cls.scale

    @property
    def numeric(self):
        return np


class Shifted(Feature):
    def compute(self, x):
        return super().compute(x) + self.numeric.asarray(x) * self.shift


STEPS = [as_array, np.asarray]
TABLE = {"array": np.asarray, "step": as_array}
MODULE = ModuleType("features")
MODULE.as_array = FunctionType(as_array.__code__, MODULE.__dict__)
MODULE.np = np

REACHED = {
    "numpy's function": np.asarray,
    "imported name": lambda x: asarray(x),
    "helper": lambda x: as_array(x),
    "module": lambda x: MODULE.as_array(x),
    "decorator": decorated,
    "cache": lambda x: x + cached((1, 2, 3, 4)),
    "recursion": recursive,
    "partial": functools.partial(recursive, depth=1),
    "import inside": imports_inside,
    "default": default_argument,
    "list": lambda x: functools.reduce(lambda value, step: step(value), STEPS, x),
    "dict": lambda x: TABLE["step"](TABLE["array"](x)),
    "comprehension": lambda x: np.column_stack([np.asarray(c) for c in (x[:, 0], x[:, 1])]),
    "eval": lambda x: eval("np.asarray(x)"),
    "instance": Shifted(),
    "method": Shifted().compute,
    "static method": Feature.as_array,
    "class method": Shifted.scaled,
    "class": lambda x: Shifted(shift=3.0)(x),
    "softmax": lambda x: softmax(x, axis=1),
    "piecewise": lambda x: np.piecewise(x, [x > 0], [lambda v: np.asarray(np.log1p(v)), 0.5]),
}  # fmt: skip


@pytest.mark.parametrize("name", REACHED)
def test_constructors_are_traced_wherever_called(name):
    assert_same(FunctionTransformer(REACHED[name]).fit(X), X, UNSEEN)


def test_other_threads_see_numpy_and_pandas_during_a_trace():
    """While a function is traced, another thread gets the real np.array and pd.DataFrame."""
    is_tracing, may_finish = threading.Event(), threading.Event()

    def function(df):
        if is_traced(df):  # convert calls the function with real rows too
            is_tracing.set()
            assert may_finish.wait(60)
        return pd.DataFrame({"a": np.asarray(df["a"]) * 2})

    transformer = FunctionTransformer(function).fit(FRAME)
    with ThreadPoolExecutor(1) as pool:
        conversion = pool.submit(convert, transformer, FRAME)
        assert is_tracing.wait(60)
        try:
            during_trace = constructors()
            array, frame = np.array([1.0]), pd.DataFrame({"a": [1.0]})
        finally:
            may_finish.set()
        assert conversion.result().graph
    assert all(a is b for a, b in zip(during_trace, CONSTRUCTORS, strict=True))
    assert (type(array), type(frame)) == (np.ndarray, pd.DataFrame)


def test_two_threads_trace_at_once():
    """No lock: both functions are half traced at the same time, and give the same bytes."""
    barrier = threading.Barrier(2)

    def function(x):
        if is_traced(x):
            barrier.wait(60)
        return np.c_[np.asarray(x), as_array(x)]

    transformer = FunctionTransformer(function).fit(X)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(convert, [transformer] * 2, [X] * 2)
    assert first.graph == second.graph


def test_a_traced_function_may_convert_another():
    """A trace inside a trace leaves the outer one as it was."""
    inner = FunctionTransformer(lambda x: np.asarray(x) * 2).fit(X)

    def function(x):
        before = np.asarray(x)
        assert convert(inner, X).graph
        return np.c_[before, np.asarray(x)]

    assert_same(FunctionTransformer(function).fit(X), X, UNSEEN)


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind(fails):
    """After a trace, and after an exception in one, every object is as it was."""
    calls = 0

    def function(x, numeric=np):
        nonlocal calls
        calls += 1
        TABLE["step"](x)
        result = Shifted()(numeric.asarray(x))
        return np.unique(result) if fails else result

    transformer = FunctionTransformer(function).fit(X)
    namespaces = globals(), vars(Shifted), TABLE, vars(MODULE), vars(np), vars(pd)
    before = [{name: id(value) for name, value in space.items()} for space in namespaces]
    before_function = function.__defaults__, function.__code__, function.__closure__
    if fails:
        with pytest.raises(UnsupportedEstimatorError, match=r"numpy\.unique has no form"):
            convert(transformer, X, missing="as-trained")
    else:
        convert(transformer, X, missing="as-trained")
    after = [{name: id(value) for name, value in space.items()} for space in namespaces]
    assert after == before
    assert (function.__defaults__, function.__code__, function.__closure__) == before_function
    assert calls == 1, "convert runs the original on rows of the sample; the copy counts for itself"
    assert all(a is b for a, b in zip(constructors(), CONSTRUCTORS, strict=True))
    gc.collect()
    assert Shifted.__subclasses__() == []


def test_objects_that_a_copy_could_harm_are_not_copied():
    """Not copied: classes that free something, register subclasses or are no plain classes."""
    subclasses = []

    class Registered:
        def __init_subclass__(cls):
            subclasses.append(cls)  # pragma: no cover

        def compute(self, x):
            return np.asarray(x)

    class Resource:
        def __del__(self):
            raise AssertionError("freed twice")

    class Pair(tuple):
        def total(self):
            return np.asarray(self)

    marker = object()
    rebind = Rebinding([(np.asarray, marker)])
    resource = Resource.__new__(Resource)
    assert rebind(resource) is resource
    assert rebind(Pair) is Pair
    assert rebind(Registered) is Registered
    assert subclasses == []
    del Resource.__del__


def test_values_are_shared_as_in_the_original():
    """A list that holds itself, and two functions with one variable, stay so in the copies."""
    cyclic = [np.asarray]
    cyclic.append(cyclic)

    def counter():
        count = 0

        def increase():
            nonlocal count
            count += 1

        return increase, lambda: count

    rebind = Rebinding([(np.asarray, "replacement")])
    increase, current = rebind(list(counter()))
    increase()
    assert current() == 1
    assert rebind(cyclic)[0] == "replacement"
    assert rebind(cyclic) is rebind(cyclic)


class WithCompiledAttribute(TransformerMixin, BaseEstimator):
    """A transformer with an object whose class, of an extension module, has no subclasses."""

    pattern = onnx.checker.C.check_model

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X * 2.0


def test_an_object_of_a_class_without_subclasses_stays_as_it_is():
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (type(WithCompiledAttribute.pattern),), {})
    assert_same(WithCompiledAttribute().fit(X), X, UNSEEN)
