"""Kernel PCA, and feature maps whose products approximate a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import kernel_approximation as ka
from sklearn.decomposition import KernelPCA
from sklearn.metrics.pairwise import KERNEL_PARAMS
from sklearn.preprocessing import KernelCenterer

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.row_norms import euclidean_squares, numpy_lengths
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.kernels import EXACT, ROUNDING, kernel

__all__ = ["CONVERTERS"]


def _centred(_: Context, centerer: Any, K: Tensor) -> Tensor:
    """KernelCenterer.transform."""
    means = ops.sum_(K, 1, True) / float(len(centerer.K_fit_rows_))
    answer: Tensor = K - centerer.K_fit_rows_ - means + float(centerer.K_fit_all_)
    return answer


def _kernel_components(context: Context, model: Any, X: Tensor) -> Tensor:
    """KernelPCA.transform: components of eigenvalue zero answer zero."""
    params = {"gamma": model.gamma_, "degree": model.degree, "coef0": model.coef0}
    if callable(model.kernel):
        params = model.kernel_params or {}
    raw = _similar(context, model.kernel, X, model.X_fit_, **params)
    K = _centred(context, model._centerer, raw)
    kept = np.flatnonzero(model.eigenvalues_)
    scaled = np.zeros_like(model.eigenvectors_)
    scaled[:, kept] = model.eigenvectors_[:, kept] / np.sqrt(model.eigenvalues_[kept])
    answer: Tensor = K @ scaled
    _doubt_cancelled(context, abs(raw) + np.abs(model._centerer.K_fit_rows_), scaled, answer)
    return answer


def _nystroem(context: Context, model: Any, X: Tensor) -> Tensor:
    """Nystroem.transform."""
    params = dict(model.kernel_params or {})
    if isinstance(model.kernel, str) and model.kernel != "precomputed":
        own = {name: getattr(model, name, None) for name in KERNEL_PARAMS[model.kernel]}
        params.update({name: value for name, value in own.items() if value is not None})
    similar = _similar(context, model.kernel, X, model.components_, **params)
    answer: Tensor = similar @ model.normalization_.T
    _doubt_cancelled(context, abs(similar), model.normalization_.T, answer)
    return answer


def _similar(context: Context, metric: Any, X: Tensor, Y: Any, **params: Any) -> Tensor:
    """The kernel; of huge rows even the rounding of a squared distance is seen by ``rbf``."""
    Y = Y.toarray() if hasattr(Y, "toarray") else Y
    if not isinstance(metric, str) or metric != "rbf":
        return kernel(context, metric, X, Y, **params)
    gamma = params.get("gamma")
    gamma = 1.0 / X.width if gamma is None else float(gamma)
    return ops.exp(euclidean_squares(X, Y, numpy_lengths) * -gamma)


def _doubt_cancelled(context: Context, terms: Tensor, weights: Any, answer: Tensor) -> None:
    """Rows of which nine digits are not left when terms of this size are weighed and added."""
    rounding = ops.max_(terms @ np.abs(weights), 1) * ROUNDING
    context.mark_ambiguous(rounding > EXACT * ops.max_(abs(answer), 1))


def _fourier(context: Context, sampler: Any, X: Tensor) -> Tensor:
    """RBFSampler.transform.

    Of an angle of millions, nine digits after the point are not left: then it matters that BLAS
    adds the products of a single row in another order than those of several.
    """
    angles = abs(X) @ np.abs(sampler.random_weights_)
    context.mark_ambiguous((ops.max_(angles, 1) * ROUNDING > EXACT) & (ops.rows(X) == np.int64(1)))
    waves = ops.cos(X @ sampler.random_weights_ + sampler.random_offset_)
    answer: Tensor = waves * (2.0 / sampler.n_components) ** 0.5
    return answer


def _skewed_chi2(_: Context, sampler: Any, X: Tensor) -> Tensor:
    """SkewedChi2Sampler.transform; where scikit-learn refuses a value, the logarithm is NaN."""
    shifted = X + float(sampler.skewedness)
    usable = ops.where(shifted > 0.0, shifted, np.nan)
    waves = ops.cos(ops.log(usable) @ sampler.random_weights_ + sampler.random_offset_)
    return waves * float(np.sqrt(2.0) / np.sqrt(sampler.n_components))


_INTERVALS = {1: 0.8, 2: 0.5, 3: 0.4}


def _additive_chi2(_: Context, sampler: Any, X: Tensor) -> Tensor:
    """AdditiveChi2Sampler.transform; zeros stay zero, negative values are NaN, not refused."""
    interval = sampler.sample_interval
    interval = float(_INTERVALS[sampler.sample_steps] if interval is None else interval)
    zero = X == 0.0
    log_step = interval * ops.log(ops.where(zero, 1.0, X))
    step = 2.0 * X * interval
    parts = [ops.sqrt(X * interval)]
    for j in range(1, sampler.sample_steps):
        factor = ops.sqrt(step / float(np.cosh(np.pi * j * interval)))
        angle = float(j) * log_step
        parts += [ops.where(zero, 0.0, factor * wave(angle)) for wave in (ops.cos, ops.sin)]
    return ops.concatenate(parts, 1)


MAX_SPECTRUM_ELEMENTS = 1 << 23
"""Numbers in the two matrices of a Fourier transform (64 MiB)."""


def _count_sketch(context: Context, sampler: Any, X: Tensor) -> Tensor:
    """PolynomialCountSketch.transform: sketches multiplied as polynomials.

    The sketch and its Fourier transform are both linear, so one matrix does both; half the spectrum
    is enough for real sketches.
    """
    n, degree = sampler.n_components, sampler.degree
    half = n // 2 + 1
    if 2 * n * half > MAX_SPECTRUM_ELEMENTS:
        raise context.refuse(
            f"n_components={n}: its Fourier matrix is too large; use at most 2,800"
        )
    rows = np.sqrt(sampler.gamma) * X
    if sampler.coef0 != 0:
        rows = ops.concatenate([rows, ops.full_rows(X, np.array([np.sqrt(sampler.coef0)]))], 1)
    sketches = np.zeros((degree, rows.width, n))
    for d in range(degree):
        sketches[d, np.arange(rows.width), sampler.indexHash_[d]] = sampler.bitHash_[d]
    spectra = np.fft.rfft(sketches, axis=2)
    real, imaginary = (rows @ part for part in _parts(spectra[0]))
    for spectrum in spectra[1:]:
        re, im = (rows @ part for part in _parts(spectrum))
        real, imaginary = real * re - imaginary * im, real * im + imaginary * re
    back = np.fft.irfft(np.eye(half), n=n, axis=1)
    turned = np.fft.irfft(1j * np.eye(half), n=n, axis=1)
    answer: Tensor = real @ back + imaginary @ turned
    return answer


def _parts(spectrum: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.ascontiguousarray(spectrum.real), np.ascontiguousarray(spectrum.imag)


CONVERTERS: dict[type, Methods] = {
    KernelCenterer: {"transform": _centred},
    KernelPCA: {"transform": _kernel_components},
    ka.Nystroem: {"transform": _nystroem},
    ka.RBFSampler: {"transform": _fourier},
    ka.SkewedChi2Sampler: {"transform": _skewed_chi2},
    ka.AdditiveChi2Sampler: {"transform": _additive_chi2},
    ka.PolynomialCountSketch: {"transform": _count_sketch},
}
