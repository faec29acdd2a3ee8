"""Transformers and predictors as people write them in notebooks."""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_array, check_is_fitted


class Winsorizer(BaseEstimator, TransformerMixin):
    """Clip to quantiles of the training rows."""

    def __init__(self, low=0.05, high=0.95):
        self.low = low
        self.high = high

    def fit(self, X, y=None):
        X = np.asarray(X)
        self.lower_ = np.quantile(X, self.low, axis=0)
        self.upper_ = np.quantile(X, self.high, axis=0)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return np.clip(np.asarray(X), self.lower_, self.upper_)


class IqrCapper(BaseEstimator, TransformerMixin):
    """Cap outliers of each column of a data frame."""

    def fit(self, X, y=None):
        self.bounds_ = {}
        for column in X.columns:
            q1, q3 = X[column].quantile([0.25, 0.75])
            self.bounds_[column] = (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1))
        return self

    def transform(self, X):
        X = X.copy()
        for column, (low, high) in self.bounds_.items():
            X[column] = X[column].clip(lower=low, upper=high)
        return X


class SeriesBounds(BaseEstimator, TransformerMixin):
    """Clip by pandas Series of bounds, aligned by name."""

    def fit(self, X, y=None):
        self.low_, self.high_ = X.quantile(0.1), X.quantile(0.9)[::-1]
        return self

    def transform(self, X):
        return X.clip(self.low_, self.high_, axis=1)


class ColumnSelector(BaseEstimator, TransformerMixin):
    def __init__(self, columns):
        self.columns = columns

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        assert isinstance(X, pd.DataFrame)
        try:
            return X[self.columns]
        except KeyError:
            missing = list(set(self.columns) - set(X.columns))
            raise KeyError(f"the frame does not include the columns {missing}") from None


class ColumnDropper(TransformerMixin, BaseEstimator):
    def __init__(self, columns=None):
        self.columns = columns

    def fit(self, X, y=None):
        return self

    def transform(self, X, y=None):
        return X.drop(self.columns or [], axis=1)


class TypeSelector(BaseEstimator, TransformerMixin):
    def __init__(self, dtype="number"):
        self.dtype = dtype

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.select_dtypes(include=[self.dtype])


ROOMS, PEOPLE = 0, 1


class CombinedAttributesAdder(BaseEstimator, TransformerMixin):
    """Ratios, as in a well-known book."""

    def __init__(self, add_ratio=True):
        self.add_ratio = add_ratio

    def fit(self, X, y=None):
        return self

    def transform(self, X, y=None):
        X = check_array(X)
        per_person = X[:, ROOMS] / X[:, PEOPLE]
        if self.add_ratio:
            return np.c_[X, per_person, X[:, PEOPLE] / X[:, 2]]
        return np.c_[X, per_person]


class GroupMedian(BaseEstimator, TransformerMixin):
    """Fill missing values by the median of the group."""

    def __init__(self, group="city", column="gap"):
        self.group = group
        self.column = column

    def fit(self, X, y=None):
        self.medians_ = X.groupby(self.group)[self.column].median()
        self.overall_ = X[self.column].median()
        return self

    def transform(self, X):
        X = X.copy()
        by_group = X[self.group].map(self.medians_).fillna(self.overall_)
        X[self.column] = X[self.column].fillna(by_group)
        return X.drop(columns=[self.group])


class MeanTargetEncoder(BaseEstimator, TransformerMixin):
    def __init__(self, cols=("city",)):
        self.cols = cols

    def fit(self, X, y):
        self.maps_ = {c: pd.Series(np.asarray(y)).groupby(X[c].to_numpy()).mean().to_dict()
                      for c in self.cols}  # fmt: skip
        self.prior_ = float(np.mean(y))
        return self

    def transform(self, X):
        out = pd.DataFrame(index=X.index)
        for c in self.cols:
            out[c + "_mean"] = X[c].map(self.maps_[c]).fillna(self.prior_)
        return out


class FrequencyEncoder(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.columns_ = X.select_dtypes("object").columns.tolist()
        self.frequency_ = {c: X[c].value_counts(normalize=True) for c in self.columns_}
        return self

    def transform(self, X):
        X = X.copy()
        for c in self.columns_:
            X[c] = X[c].map(self.frequency_[c]).fillna(0).astype(float)
        return X


class Dummies(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.columns_ = pd.get_dummies(X).columns
        return self

    def transform(self, X):
        return pd.get_dummies(X).reindex(columns=self.columns_, fill_value=0)


class DummiesOfColumns(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.columns_ = list(pd.get_dummies(X, columns=["city", "count"], dtype=int).columns)
        return self

    def transform(self, X):
        d = pd.get_dummies(X, columns=["city", "count"], dtype=int)
        for column in self.columns_:
            if column not in d.columns:
                d[column] = 0
        return d[self.columns_]


class Binner(BaseEstimator, TransformerMixin):
    def __init__(self, column="a"):
        self.column = column

    def fit(self, X, y=None):
        _, self.edges_ = pd.cut(X[self.column], 4, retbins=True)
        self.edges_[0], self.edges_[-1] = -np.inf, np.inf
        return self

    def transform(self, X):
        X = X.copy()
        X[self.column] = pd.cut(X[self.column], self.edges_, labels=False)
        return X


class AgeBands(BaseEstimator, TransformerMixin):
    bands = (-100.0, 0.0, 2.0, 100.0)
    names = ("cold", "mild", "warm")

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        bands = pd.cut(X["a"], bins=list(self.bands), labels=list(self.names))
        return pd.DataFrame({"band": bands.astype(object), "city": X["city"]})


class Cleaner(BaseEstimator, TransformerMixin):
    """Replace, fill and mask."""

    def fit(self, X, y=None):
        self.fill_ = X[["a", "b", "gap"]].median()
        return self

    def transform(self, X):
        X = X[["a", "b", "gap"]].replace({0: np.nan})
        X = X.fillna(self.fill_)
        X = X.where(X > -5, -5.0)
        return X.mask(X > 8, 8.0)


class TitleExtractor(BaseEstimator, TransformerMixin):
    common = ("Mr", "Mrs", "Miss")

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        title = X["name"].str.split(", ").str[1].str.split(".").str[0].str.strip()
        title = title.where(title.isin(self.common), "Rare")
        return title.to_frame("title")


class TextCleaner(BaseEstimator, TransformerMixin):
    def __init__(self, case="lower"):
        self.case = case

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        city = getattr(X["city"].str.strip().str, self.case)()
        return (
            pd.DataFrame(
                {
                    "city": city,
                    "short": X["city"].str[:2],
                    "married": X["name"].str.contains("Mrs", na=False).astype(int).astype(str),
                }
            )
            if False
            else pd.DataFrame({"city": city, "short": X["city"].str[:2]})
        )


class TextLength(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return pd.DataFrame(
            {
                "length": X["name"].str.len(),
                "words": X["name"].str.split().str.len(),
                "is_mrs": X["name"].str.contains("Mrs.", regex=False).astype(int),
                "starts": X["name"].str.startswith("B") * 1,
                "code": X["name"].map(lambda v: v.split(",")[0].strip().lower()) == "braund",
            }
        )


class Cyclic(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    def __init__(self, period=24):
        self.period = period

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        angle = 2 * np.pi * X["count"] / self.period
        return pd.concat([np.sin(angle).rename("sin"), np.cos(angle).rename("cos")], axis=1)


class ZScoreFlags(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.mean_, self.std_ = X.mean(), X.std()
        return self

    def transform(self, X):
        z = (X - self.mean_) / self.std_
        X = X.copy()
        X["n_outliers"] = (z.abs() > 2).sum(axis=1)
        X["largest"] = z.max(axis=1)
        return X.astype(float)


class SkewFixer(BaseEstimator, TransformerMixin):
    """Logarithms of the skewed columns alone."""

    def fit(self, X, y=None):
        self.skewed_ = [c for c in X.columns if abs(stats.skew(X[c])) > 0.1]
        return self

    def transform(self, X):
        X = X.copy()
        for c in self.skewed_:
            X[c] = np.sign(X[c]) * np.log1p(X[c].abs())
        return X


class PlainClass:
    """Inherits from nothing."""

    def __init__(self, mapping):
        self.mapping = mapping

    def fit(self, X, y=None):
        return self

    def get_params(self, deep=True):
        return {"mapping": self.mapping}

    def transform(self, X):
        X = X.copy()
        X["city"] = X["city"].map(self.mapping).fillna(-1).astype(int)
        return X.to_numpy()


class Base(BaseEstimator, TransformerMixin):
    """A template method, as in larger projects."""

    def fit(self, X, y=None):
        self._fit(X)
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = X.copy()
        for name in self.features_:
            X[name] = self._apply(X[name], name)
        return X

    def _fit(self, X):
        self.features_ = list(X.columns)


class RankLike(Base):
    def _fit(self, X):
        super()._fit(X)
        self.sorted_ = {c: np.sort(X[c].to_numpy()) for c in X.columns}

    def _apply(self, column, name):
        table = self.sorted_[name]
        return np.searchsorted(table, column, side="right") / len(table)
