"""Tell how an array holds its zeros: XGBoost takes the absent ones for missing values."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["Zeros", "zeros_in"]

Zeros = Literal["stored", "absent", "mixed"]
"""A dense array stores all zeros.  A sparse one stores none ("absent"), or only some ("mixed")."""

_BOOSTERS = ("lightgbm", "xgboost")


def zeros_in(X: Any, estimator: Any) -> Zeros:
    """Return how *X* holds its zeros, where that matters to *estimator*.

    scikit-learn's own estimators predict the same for sparse and for dense rows.
    """
    if not (hasattr(X, "toarray") and hasattr(X, "count_nonzero")) or not _has_booster(estimator):
        return "stored"
    return "absent" if X.nnz == X.count_nonzero() else "mixed"


def _has_booster(estimator: Any) -> bool:
    """Whether it is, or holds as a parameter, an estimator of LightGBM or XGBoost."""
    parts = [estimator]
    if hasattr(estimator, "get_params"):
        parts += estimator.get_params(deep=True).values()
    modules = {base.__module__.partition(".")[0] for part in parts for base in type(part).__mro__}
    return not modules.isdisjoint(_BOOSTERS)
