"""Turn dates into numbers that a model learns from: the step of recipes with columns of dates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

__all__ = ["DateFeatures", "features_of"]

DAYS_PER_YEAR = 365.25


class DateFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn each column of dates into its year, month, day, weekday, days since 1970, and cycles.

    The hour, and the cycle of the day, are there where a training row has a time of the day.  A
    missing date gives NaN in all of them.

    Attributes
    ----------
    with_time_ : list of bool
        Whether each column has hours.
    feature_names_in_ : ndarray of str
        Names of the columns.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> DateFeatures:
        """Learn which columns have a time of the day."""
        self.feature_names_in_ = np.array([str(name) for name in X.columns], dtype=object)
        self.n_features_in_ = X.shape[1]
        self.with_time_ = [_has_time(X[name]) for name in X.columns]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the features of every row, as float64."""
        check_is_fitted(self)
        columns = {
            f"{name}_{feature}": values
            for name, with_time in zip(X.columns, self.with_time_, strict=True)
            for feature, values in features_of(X[name], with_time).items()
        }
        return pd.DataFrame(columns, index=X.index).astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features."""
        check_is_fitted(self)
        example = pd.Series(pd.to_datetime(["2024-01-01"]))
        names = [
            f"{name}_{feature}"
            for name, with_time in zip(self.feature_names_in_, self.with_time_, strict=True)
            for feature in features_of(example, with_time)
        ]
        return np.array(names, dtype=object)


def features_of(dates: Any, with_time: bool) -> dict[str, Any]:
    """Return the features of a column of dates, of pandas or traced, by their names."""
    parts = dates.dt
    epoch = pd.Timestamp("1970-01-01", tz=None if parts.tz is None else "UTC")
    cycles = [("year", parts.day_of_year, DAYS_PER_YEAR), ("week", parts.day_of_week, 7)]
    features = {
        "year": parts.year,
        "month": parts.month,
        "day": parts.day,
        "weekday": parts.day_of_week,
        "days": (dates - epoch) / pd.Timedelta(days=1),
    }
    if with_time:
        features["hour"] = parts.hour
        cycles.append(("day", parts.hour, 24))
    for name, position, period in cycles:
        # Tables: a sine of another library differs in the last bit, at which a tree may split.
        angles = {i: 2 * np.pi * i / period for i in range(int(period) + 2)}
        features[f"{name}_sin"] = position.map({i: np.sin(a) for i, a in angles.items()})
        features[f"{name}_cos"] = position.map({i: np.cos(a) for i, a in angles.items()})
    return features


def _has_time(dates: pd.Series[Any]) -> bool:
    present = dates.dropna()
    return bool((present != present.dt.normalize()).any())
