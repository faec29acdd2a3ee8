"""Convert kernel PCA, and feature maps whose products approximate a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import kernel_approximation as ka
from sklearn.decomposition import KernelPCA
from sklearn.metrics.pairwise import KERNEL_PARAMS
from sklearn.preprocessing import KernelCenterer

from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.fitted_arrays import dense_array
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.row_norms import euclidean_squares, numpy_lengths
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.kernels import EXACT, ROUNDING, kernel
from edge_pipeline.conversion.numeric.sparse_rows import stays_sparse

__all__ = ["CONVERTERS"]


def _centred(_: Context, centerer: Any, K: Tensor) -> Tensor:
    """KernelCenterer.transform."""
    means = ops.sum_(K, 1, True) / float(len(centerer.K_fit_rows_))
    centred: Tensor = K - centerer.K_fit_rows_ - means + float(centerer.K_fit_all_)
    return centred


def _kernel_components(context: Context, model: Any, X: Tensor) -> Tensor:
    """KernelPCA.transform: components of eigenvalue zero are zero."""
    params = {"gamma": model.gamma_, "degree": model.degree, "coef0": model.coef0}
    if callable(model.kernel):
        params = model.kernel_params or {}
    similarities = _similarities(context, model.kernel, X, model.X_fit_, **params)
    K = _centred(context, model._centerer, similarities)
    nonzero = np.flatnonzero(model.eigenvalues_)
    scaled = np.zeros_like(model.eigenvectors_)
    scaled[:, nonzero] = model.eigenvectors_[:, nonzero] / np.sqrt(model.eigenvalues_[nonzero])
    components: Tensor = K @ scaled
    sizes = abs(similarities) + np.abs(model._centerer.K_fit_rows_)
    _mark_cancelled(context, sizes, scaled, components)
    return components


def _nystroem(context: Context, model: Any, X: Tensor) -> Tensor:
    """Nystroem.transform."""
    params = dict(model.kernel_params or {})
    if isinstance(model.kernel, str) and model.kernel != "precomputed":
        own = {name: getattr(model, name, None) for name in KERNEL_PARAMS[model.kernel]}
        params.update({name: value for name, value in own.items() if value is not None})
    similarities = _similarities(context, model.kernel, X, model.components_, **params)
    features: Tensor = similarities @ model.normalization_.T
    _mark_cancelled(context, abs(similarities), model.normalization_.T, features)
    return features


def _similarities(context: Context, metric: Any, X: Tensor, Y: Any, **params: Any) -> Tensor:
    """Compute the kernel; ``rbf`` with the rounding of ``euclidean_distances``.

    For huge rows, the rounding of a squared distance changes ``rbf``.
    """
    if not isinstance(metric, str) or metric != "rbf" or stays_sparse(Y):
        return kernel(context, metric, X, Y, **params)
    Y = dense_array(Y)
    gamma = params.get("gamma")
    gamma = 1.0 / X.width if gamma is None else float(gamma)
    return ops.exp(euclidean_squares(X, Y, numpy_lengths) * -gamma)


def _mark_cancelled(context: Context, sizes: Tensor, weights: Any, output: Tensor) -> None:
    """Mark rows whose *output* has lost nine digits to cancellation of terms of these *sizes*."""
    rounding = ops.max_(sizes @ np.abs(weights), 1) * ROUNDING
    context.mark_ambiguous(rounding > EXACT * ops.max_(abs(output), 1))


def _fourier(context: Context, sampler: Any, X: Tensor) -> Tensor:
    """RBFSampler.transform.

    An angle of millions has fewer than nine digits after the point.  Then the order of additions
    matters, and BLAS adds the products of a single row in another order than those of several.
    """
    angles = abs(X) @ np.abs(sampler.random_weights_)
    context.mark_ambiguous((ops.max_(angles, 1) * ROUNDING > EXACT) & (ops.rows(X) == np.int64(1)))
    waves = ops.cos(X @ sampler.random_weights_ + sampler.random_offset_)
    features: Tensor = waves * (2.0 / sampler.n_components) ** 0.5
    return features


def _skewed_chi2(_: Context, sampler: Any, X: Tensor) -> Tensor:
    """SkewedChi2Sampler.transform; NaN where scikit-learn refuses the value."""
    shifted = X + float(sampler.skewedness)
    valid = ops.where(shifted > 0.0, shifted, np.nan)
    waves = ops.cos(ops.log(valid) @ sampler.random_weights_ + sampler.random_offset_)
    return waves * float(np.sqrt(2.0) / np.sqrt(sampler.n_components))


_INTERVALS = {1: 0.8, 2: 0.5, 3: 0.4}
"""The default ``sample_interval`` of AdditiveChi2Sampler by ``sample_steps``."""


def _additive_chi2(_: Context, sampler: Any, X: Tensor) -> Tensor:
    """AdditiveChi2Sampler.transform; zeros stay zero, and negative values become NaN."""
    interval = sampler.sample_interval
    interval = float(_INTERVALS[sampler.sample_steps] if interval is None else interval)
    is_zero = X == 0.0
    log_step = interval * ops.log(ops.where(is_zero, 1.0, X))
    step = 2.0 * X * interval
    parts = [ops.sqrt(X * interval)]
    for j in range(1, sampler.sample_steps):
        factor = ops.sqrt(step / float(np.cosh(np.pi * j * interval)))
        angle = float(j) * log_step
        parts += [ops.where(is_zero, 0.0, factor * wave(angle)) for wave in (ops.cos, ops.sin)]
    return ops.concatenate(parts, 1)


MAX_SPECTRUM_ELEMENTS = 1 << 23
"""Largest number of elements in the two matrices of a Fourier transform (64 MiB)."""


def _count_sketch(context: Context, sampler: Any, X: Tensor) -> Tensor:
    """PolynomialCountSketch.transform: multiply sketches as polynomials (Pham and Pagh 2013).

    Sketch and Fourier transform are both linear, so one matrix does both.  Half of the spectrum
    determines a real sketch.
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
        # Multiply complex numbers.
        real, imaginary = real * re - imaginary * im, real * im + imaginary * re
    inverse_real = np.fft.irfft(np.eye(half), n=n, axis=1)
    inverse_imaginary = np.fft.irfft(1j * np.eye(half), n=n, axis=1)
    features: Tensor = real @ inverse_real + imaginary @ inverse_imaginary
    return features


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
