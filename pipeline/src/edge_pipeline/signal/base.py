"""Share what all signal transformers do: check the shape, compute, and name the features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

__all__ = ["NO_SIGNAL", "SignalTransformer", "positive", "ratio", "window_of"]

NO_SIGNAL = 1e-12
"""A deviation below this share of the peak is rounding: the signal is constant."""


class SignalTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base class: the last axis is time, and the axes before it stay.

    Attributes
    ----------
    shape_in_
        Shape of one row at fit; every later row must have it.
    n_features_in_
        Length of the last axis at fit.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the shape of a row; *y* is ignored.

        Raises
        ------
        ValueError
            A parameter does not suit the length of the signals.
        """
        X = _as_signals(X)
        self.shape_in_ = X.shape[1:]
        self.n_features_in_ = X.shape[-1]
        self._prepare()
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Compute the features of every row; float64 whatever the dtype of *X*.

        Raises
        ------
        ValueError
            A row has another shape than at fit, or holds a missing value.
        """
        check_is_fitted(self)
        X = _as_signals(X)
        if X.shape[1:] != self.shape_in_:
            raise ValueError(
                f"expected rows of the shape {self.shape_in_}, as at fit, found {X.shape[1:]}"
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.compute(X))

    def compute(self, X: Any) -> Any:
        """Compute the features of float64 signals; export traces this method."""
        raise NotImplementedError

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Name the features, flattened: positions on the axes before the last, then the feature."""
        check_is_fitted(self)
        *leading, last = self.compute(np.zeros((1, *self.shape_in_))).shape[1:]
        labels = list(self._labels(last))
        names = [
            "_".join([*map(str, at), label]) for at in np.ndindex(*leading) for label in labels
        ]
        return np.array(names, dtype=object)

    def _prepare(self) -> None:
        """Check the parameters, and compute what depends on the length of the signals."""

    def _labels(self, count: int) -> Sequence[str]:
        """Name the features of the last axis."""
        name = type(self).__name__.lower()
        return [f"{name}{i}" for i in range(count)]


def ratio(a: Any, b: Any, where: Any) -> Any:
    """Return a / b, and 0 where *where* is false: a silent signal has no shape."""
    return np.where(where, a / np.where(where, b, 1.0), 0.0)


def positive(name: str, value: Any, *, at_most: int | None = None) -> int:
    """Check a parameter that is a whole number above 0.

    Raises
    ------
    ValueError
        It is something else, or exceeds *at_most*, the length of the signals.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < 1 or (at_most is not None and value > at_most):
        limit = "" if at_most is None else f" and at most {at_most}, the length of the signals"
        raise ValueError(f"{name} must be a whole number above 0{limit}, found {value!r}")
    return int(value)


def window_of(window: Any, length: int) -> NDArray[np.float64]:
    """Return a window of ``scipy.signal.get_window``, periodic as for spectra.

    Raises
    ------
    ValueError
        scipy knows no such window.
    """
    from scipy.signal import get_window  # here, as it takes a fifth of a second

    return np.asarray(get_window(window, length), dtype=np.float64)


def _as_signals(X: Any) -> NDArray[np.float64]:
    X = check_array(X, dtype=np.float64, allow_nd=True, input_name="X")
    return np.asarray(X)
