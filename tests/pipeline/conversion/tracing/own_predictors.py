"""Predictors, and transformers with fitted estimators inside, as people write them in notebooks."""

import numpy as np
from pipeline.conversion.tracing.own_classes import Winsorizer
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import validate_data


class Scaled(BaseEstimator, TransformerMixin):
    """A fitted scaler and a PCA inside."""

    def fit(self, X, y=None):
        self.scaler_ = StandardScaler().fit(X)
        self.pca_ = PCA(2, random_state=0).fit(self.scaler_.transform(X))
        return self

    def transform(self, X):
        scaled = self.scaler_.transform(X)
        return np.hstack([scaled, self.pca_.transform(scaled)])


class InnerPipeline(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.pipe_ = Pipeline([("scale", StandardScaler()), ("w", Winsorizer())]).fit(X)
        return self

    def transform(self, X):
        centred = self.pipe_.named_steps["scale"].transform(X)
        return np.column_stack([self.pipe_.transform(X), centred])


class OneHotOfCity(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.encoder_ = OneHotEncoder(handle_unknown="ignore").fit(X[["city"]])
        return self

    def transform(self, X):
        hot = self.encoder_.transform(X[["city"]]).toarray()
        return np.concatenate([X[["a", "b"]].to_numpy(), hot], axis=1)


class ReversedScaler(StandardScaler):
    """Changes one method of a scikit-learn class."""

    def transform(self, X, copy=None):
        return super().transform(X)[:, ::-1]


class LogScaler(StandardScaler):
    def fit(self, X, y=None):
        return super().fit(np.log1p(np.abs(X)), y)

    def transform(self, X):
        return super().transform(np.log1p(np.abs(X)))


class ThresholdClassifier(LogisticRegression):
    threshold = 0.3

    def predict(self, X):
        return (self.predict_proba(X)[:, 1] > self.threshold).astype(int)


class NearestMean(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        X = validate_data(self, X)
        self.classes_ = np.unique(y)
        self.means_ = np.array([X[y == c].mean(axis=0) for c in self.classes_])
        return self

    def decision_function(self, X):
        X = validate_data(self, X, reset=False)
        return -((X[:, None, :] - self.means_[None]) ** 2).sum(axis=2)

    def predict(self, X):
        return self.classes_[np.argmax(self.decision_function(X), axis=1)]


class LogRegressor(RegressorMixin, BaseEstimator):
    """A model of the logarithm, clipped."""

    def __init__(self, model=None):
        self.model = model

    def fit(self, X, y):
        self.model_ = (self.model or LinearRegression()).fit(X, np.log1p(y - np.min(y)))
        self.shift_, self.largest_ = np.min(y), np.max(y)
        return self

    def predict(self, X):
        return np.minimum(np.expm1(self.model_.predict(X)) + self.shift_, self.largest_)


class Averaged(RegressorMixin, BaseEstimator):
    """The mean of several fitted models."""

    def __init__(self, models):
        self.models = models

    def fit(self, X, y):
        self.models_ = [model.fit(X, y) for model in self.models]
        return self

    def predict(self, X):
        predictions = np.column_stack([model.predict(X) for model in self.models_])
        return np.mean(predictions, axis=1)
