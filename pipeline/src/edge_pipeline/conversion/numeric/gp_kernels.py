"""Kernels of Gaussian processes: composed as in scikit-learn, of nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, kve
from sklearn.gaussian_process import kernels as gp

from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops, special_functions
from edge_pipeline.conversion.graph.loops import map_rows
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.pairwise import dot, squared_differences
from edge_pipeline.conversion.numeric.user_kernels import pairwise_kernel

__all__ = ["covariance", "variance"]


def covariance(context: Context, k: Any, X: Tensor, Y: Any) -> Tensor:
    """``k(X, Y)``, shape (n_samples, len(Y)).

    Raises
    ------
    UnsupportedEstimatorError
        The kernel is of a class that scikit-learn does not have, or takes no vectors.
    """
    return _formula(context, k, _COVARIANCES)(context, k, X, np.asarray(Y, dtype=np.float64))


def variance(context: Context, k: Any, X: Tensor) -> Tensor:
    """``k.diag(X)``: the covariance of each row with itself, shape (n_samples,)."""
    return _formula(context, k, _VARIANCES)(context, k, X)


def _formula(
    context: Context, k: Any, table: Mapping[type, Callable[..., Tensor]]
) -> Callable[..., Tensor]:
    # By the exact class: one that a user derives, from RBF say, may have another formula.
    if type(k) not in table:
        raise context.refuse(
            f"kernel {type(k).__name__}: only scikit-learn's own kernels of vectors, and sums, "
            "products and powers of them, have a formula here; compose the kernel of those"
        )
    return table[type(k)]


def _scaled(k: Any, X: Tensor, Y: NDArray[np.float64]) -> tuple[Tensor, NDArray[np.float64]]:
    scale = np.squeeze(np.asarray(k.length_scale, dtype=np.float64))
    return X / scale, Y / scale


def _rbf(_: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    return ops.exp(-0.5 * squared_differences(*_scaled(k, X, Y)))


def _matern(context: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    """Rasmussen and Williams (2006), eq. 4.14: closed where nu is 1/2, 3/2, 5/2 or infinite."""
    squared = squared_differences(*_scaled(k, X, Y))
    if k.nu == np.inf:
        return ops.exp(squared / -2.0)
    distance = ops.sqrt(squared)
    if k.nu == 0.5:
        return ops.exp(-distance)
    if k.nu == 1.5:
        t = distance * math.sqrt(3)
        return (1.0 + t) * ops.exp(-t)
    if k.nu == 2.5:
        t = distance * math.sqrt(5)
        return (1.0 + t + t * t / 3.0) * ops.exp(-t)
    return _matern_of_any_order(context, float(k.nu), distance)


def _matern_of_any_order(context: Context, nu: float, distance: Tensor) -> Tensor:
    """The modified Bessel function has no node: it is tabulated over log(distance), times exp(t).

    Without its decay it is smooth and never small, so that the product keeps its relative precision
    however far a row is.  A distance of zero counts as 2.2e-16, as in scikit-learn; beyond t = 750
    the decay is zero.
    """
    nearest = float(np.finfo(np.float64).eps)
    scale = math.sqrt(2 * nu)

    def without_decay(log_distance: NDArray[np.float64]) -> NDArray[np.float64]:
        t = scale * np.exp(log_distance)
        with np.errstate(all="ignore"):
            return np.asarray(2 ** (1.0 - nu) / gamma(nu) * t**nu * kve(nu, t))

    distance = ops.maximum(distance, nearest)
    low, high = math.log(nearest), math.log(750.0 / scale)
    try:
        smooth = special_functions.tabulated(
            without_decay, ops.log(distance), low, high, _MATERN_PIECES, noise=_BESSEL_NOISE
        )
    except ValueError as error:
        raise context.refuse(
            f"kernel Matern(nu={nu}): scikit-learn's own formula is not finite near zero; use "
            "nu=inf, or a smaller one"
        ) from error
    return smooth * ops.exp(-scale * distance)


_MATERN_PIECES = 400
"""0.1 in log(distance) each: polynomials of degree 10 then end in rounding."""

_BESSEL_NOISE = 1e-12
"""Relative error of scipy's own kve, by which neighbouring values may differ."""


def _rational_quadratic(_: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    base: Tensor = 1.0 + squared_differences(X, Y) / float(2 * k.alpha * k.length_scale**2)
    return base ** -float(k.alpha)


def _sine(_: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    wave = ops.sin(math.pi / k.periodicity * ops.sqrt(squared_differences(X, Y)))
    return ops.exp(-2.0 * ops.square(wave / float(k.length_scale)))


def _dot(_: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    return dot(X, Y) + float(k.sigma_0) ** 2


def _pairwise(context: Context, k: Any, X: Tensor, Y: Any) -> Tensor:
    if isinstance(k.metric, gp.Kernel):
        return covariance(context, k.metric, X, Y)
    params = k.pairwise_kernels_kwargs or {}
    return pairwise_kernel(context, k.metric, X, Y, gamma=k.gamma, **params)


def _constant(_: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    return ops.full_rows(X, np.full(len(Y), float(k.constant_value)))


def _no_noise(_: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    """White noise is between a row and itself: no row of *X* is a row of *Y*, equal as they be."""
    return ops.full_rows(X, np.zeros(len(Y)))


def _sum(context: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    return covariance(context, k.k1, X, Y) + covariance(context, k.k2, X, Y)


def _product(context: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    return covariance(context, k.k1, X, Y) * covariance(context, k.k2, X, Y)


def _power(context: Context, k: Any, X: Tensor, Y: NDArray[np.float64]) -> Tensor:
    powered: Tensor = covariance(context, k.kernel, X, Y) ** float(k.exponent)
    return powered


_COVARIANCES: Mapping[type, Callable[[Context, Any, Tensor, NDArray[np.float64]], Tensor]] = {
    gp.ConstantKernel: _constant,
    gp.DotProduct: _dot,
    gp.ExpSineSquared: _sine,
    gp.Exponentiation: _power,
    gp.Matern: _matern,
    gp.PairwiseKernel: _pairwise,
    gp.Product: _product,
    gp.RBF: _rbf,
    gp.RationalQuadratic: _rational_quadratic,
    gp.Sum: _sum,
    gp.WhiteKernel: _no_noise,
}


def _same_everywhere(value: Callable[[Any], float]) -> Callable[[Context, Any, Tensor], Tensor]:
    return lambda context, k, X: ops.full_rows(X, float(value(k)))


def _one_by_one(context: Context, k: Any, X: Tensor) -> Tensor:
    """Each row against itself, through the formula for pairs."""

    def against_itself(_: Any, x: Tensor) -> Tensor:
        row = ops.expand_dims(x, 0)
        return ops.reshape(_pairwise(context, k, row, row), ())

    return map_rows(X, against_itself)


def _variance_of_power(context: Context, k: Any, X: Tensor) -> Tensor:
    powered: Tensor = variance(context, k.kernel, X) ** float(k.exponent)
    return powered


_VARIANCES: Mapping[type, Callable[[Context, Any, Tensor], Tensor]] = {
    **dict.fromkeys(
        (gp.ExpSineSquared, gp.Matern, gp.RBF, gp.RationalQuadratic),
        _same_everywhere(lambda k: 1.0),
    ),
    gp.ConstantKernel: _same_everywhere(lambda k: k.constant_value),
    gp.DotProduct: lambda _, k, X: ops.sum_(X * X, 1) + float(k.sigma_0) ** 2,
    gp.Exponentiation: _variance_of_power,
    gp.PairwiseKernel: _one_by_one,
    gp.Product: lambda c, k, X: variance(c, k.k1, X) * variance(c, k.k2, X),
    gp.Sum: lambda c, k, X: variance(c, k.k1, X) + variance(c, k.k2, X),
    gp.WhiteKernel: _same_everywhere(lambda k: k.noise_level),
}
