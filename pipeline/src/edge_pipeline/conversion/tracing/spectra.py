"""Trace numpy.fft, and the complex arrays that it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.fourier import (
    ComplexTensor,
    inverse_real_transform,
    real_transform,
    whole_transform,
)
from edge_pipeline.conversion.graph.shape_ops import full_rows
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.indexing import indexed
from edge_pipeline.conversion.tracing.numpy_functions import FUNCTIONS, reshape, transpose
from edge_pipeline.conversion.tracing.ufuncs import UFUNCS

__all__ = ["FOURIER", "TracedComplex"]


def _forward(transform: Callable[[Tensor], ComplexTensor]) -> Callable[..., ComplexTensor]:
    """Give *transform* the signature of numpy.fft.rfft."""

    def traced(
        a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None
    ) -> ComplexTensor:
        if not isinstance(a, Tensor):
            raise TypeError("a Fourier transform of complex numbers has no form here")
        x = _with_length(_axis_last(a, axis), n)
        scale = {None: 1.0, "backward": 1.0, "forward": 1.0 / x.width, "ortho": x.width**-0.5}
        spectrum = transform(x)
        factor = scale[norm]
        parts = (spectrum.real, spectrum.imag)
        real, imag = (_axis_back(p if factor == 1.0 else p * factor, axis) for p in parts)
        return ComplexTensor(real, imag)

    return traced


def _inverse(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Tensor:
    if not isinstance(a, ComplexTensor):
        a = ComplexTensor(a, a * 0.0)
    if norm not in (None, "backward"):
        raise TypeError(f"numpy.fft.irfft with norm={norm!r} has no form here")
    real, imag = (_axis_last(part, axis) for part in (a.real, a.imag))
    n = 2 * (real.width - 1) if n is None else int(n)
    bins = n // 2 + 1
    real, imag = (_with_length(part, bins) for part in (real, imag))
    return _axis_back(inverse_real_transform(ComplexTensor(real, imag), n), axis)


def _with_length(x: Tensor, n: Any) -> Tensor:
    """Cut the last axis to *n*, or fill it up with zeros."""
    if n is None or n == x.width:
        return x
    if n < x.width:
        return x[..., : int(n)]
    zeros = full_rows(x, np.zeros((*x.shape[1:-1], int(n) - x.width)))
    return ops.concatenate([x.astype(np.float64), zeros], x.ndim - 1)


def _axis_last(x: Tensor, axis: int) -> Tensor:
    at = axis % x.ndim
    if x.shape[at] is None:
        raise ValueError("a Fourier transform along the rows of the batch: an answer is a function "
                         "of one row; give axis=1")  # fmt: skip
    return transpose(x, [*(i for i in range(x.ndim) if i != at), at])


def _axis_back(x: Tensor, axis: int) -> Tensor:
    at = axis % x.ndim
    order = list(range(x.ndim - 1))
    return transpose(x, [*order[:at], x.ndim - 1, *order[at:]])


FOURIER: Mapping[Any, Callable[..., Any]] = {
    np.fft.rfft: _forward(real_transform),
    np.fft.fft: _forward(whole_transform),
    np.fft.irfft: _inverse,
}


class TracedComplex:
    """A symbolic complex array: a real and an imaginary tensor, with what users do to spectra."""

    __array_priority__ = 1001
    is_traced_frame = True  # as beside a frame, a traced array leaves the operation to this class

    def __init__(self, tracer: Any, value: ComplexTensor) -> None:
        self._tracer = tracer
        self._value = value

    def to_tensor(self) -> Any:
        """Return the two tensors of the graph."""
        return self._value

    @property
    def real(self) -> Any:
        """The real part."""
        return self._tracer.wrap(self._value.real)

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return self._tracer.wrap(self._value.imag)

    @property
    def shape(self) -> Any:
        """Return numpy's shape."""
        return self.real.shape

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""
        return self._value.real.ndim

    @property
    def dtype(self) -> Any:
        """Return complex128."""
        return np.dtype(np.complex128)

    def __len__(self) -> int:
        return len(self.real)

    def conj(self) -> Any:
        """Return the complex conjugate."""
        return self._wrap(_conjugate(self._value))

    conjugate = conj

    def __getitem__(self, key: Any) -> Any:
        keys = self._tracer.unwrap(key if type(key) is tuple else (key,))
        return self._wrap(_on_parts(self._value, lambda part: indexed(part, keys)))

    def reshape(self, *shape: Any) -> Any:
        """Reshape as numpy does."""
        parts = (self.real.reshape(*shape), self.imag.reshape(*shape))
        return self._wrap(ComplexTensor(*(part.to_tensor() for part in parts)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or ufunc not in _UFUNCS or kwargs:
            raise TypeError(f"numpy.{ufunc.__name__} of complex numbers has no form in a graph")
        return self._tracer.wrap(_UFUNCS[ufunc](*self._tracer.unwrap(inputs)))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func not in _FUNCTIONS:
            raise TypeError(f"numpy.{func.__name__} of complex numbers has no form in a graph")
        unwrap = self._tracer.unwrap
        return self._tracer.wrap(_FUNCTIONS[func](*unwrap(args), **unwrap(kwargs)))

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a traced spectrum has no values yet; use np.abs, .real and .imag")

    def __abs__(self) -> Any:
        return np.absolute(self)

    def __neg__(self) -> Any:
        return np.negative(self)

    def __mul__(self, other: Any) -> Any:
        return np.multiply(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return np.divide(self, other)

    def __add__(self, other: Any) -> Any:
        return np.add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return np.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return np.subtract(other, self)

    def __pow__(self, power: Any) -> Any:
        if power != 2:
            raise TypeError(f"a complex number to the power {power!r} has no form in a graph")
        return np.multiply(self, self)

    def _wrap(self, value: ComplexTensor) -> TracedComplex:
        return TracedComplex(self._tracer, value)


def _on_parts(x: ComplexTensor, function: Callable[[Tensor], Tensor]) -> ComplexTensor:
    return ComplexTensor(function(x.real), function(x.imag))


def _parts(value: Any) -> tuple[Any, Any]:
    """Return the real and the imaginary part of any operand."""
    if isinstance(value, ComplexTensor):
        return value.real, value.imag
    if isinstance(value, Tensor):
        return value, 0.0
    array = np.asarray(value)
    return (array.real, array.imag) if array.dtype.kind == "c" else (array, 0.0)


def _is_zero(part: Any) -> bool:
    return not isinstance(part, Tensor) and not np.any(part)


def _multiply(x: Any, y: Any) -> ComplexTensor:
    (a, b), (c, d) = _parts(x), _parts(y)
    if _is_zero(d):
        return ComplexTensor(a * c, b * c)
    if _is_zero(b):
        return ComplexTensor(a * c, a * d)
    return ComplexTensor(a * c - b * d, a * d + b * c)


def _divide(x: Any, y: Any) -> ComplexTensor:
    if isinstance(y, ComplexTensor) or np.iscomplexobj(y):
        raise TypeError("a division by complex numbers has no form in a graph")
    return _on_parts(x, lambda part: part / y)


def _add(x: Any, y: Any) -> ComplexTensor:
    (a, b), (c, d) = _parts(x), _parts(y)
    imag = b if _is_zero(d) else d if _is_zero(b) else b + d
    return ComplexTensor(a + c, imag)


def _negative(x: ComplexTensor) -> ComplexTensor:
    return _on_parts(x, lambda part: -part)


def _conjugate(x: ComplexTensor) -> ComplexTensor:
    return ComplexTensor(x.real, -x.imag)


def _subtract(x: Any, y: Any) -> ComplexTensor:
    minus = _negative(y) if isinstance(y, ComplexTensor) else -y
    return _add(x, minus)


def _absolute(x: ComplexTensor) -> Tensor:
    return ops.sqrt(x.real * x.real + x.imag * x.imag)


def _where(condition: Any, x: Any, y: Any) -> ComplexTensor:
    (a, b), (c, d) = _parts(x), _parts(y)
    where = FUNCTIONS[np.where]
    return ComplexTensor(where(condition, a, c), where(condition, b, d))


def _angle(x: ComplexTensor, deg: bool = False) -> Tensor:
    radians: Tensor = UFUNCS[np.arctan2](x.imag, x.real)
    return radians * (180.0 / np.pi) if deg else radians


_UFUNCS: Mapping[Any, Callable[..., Any]] = {
    np.absolute: _absolute,
    np.multiply: _multiply,
    np.divide: _divide,
    np.add: _add,
    np.subtract: _subtract,
    np.negative: _negative,
    np.conjugate: _conjugate,
    np.square: lambda x: _multiply(x, x),
}

_FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    np.real: lambda x: x.real,
    np.imag: lambda x: x.imag,
    np.angle: _angle,
    np.where: _where,
    np.fft.irfft: _inverse,
    np.reshape: lambda x, shape: _on_parts(x, lambda part: reshape(part, shape)),
    np.shape: lambda x: x.real.shape,
    np.ndim: lambda x: x.real.ndim,
}
