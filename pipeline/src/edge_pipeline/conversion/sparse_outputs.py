"""Decide which transformers return a sparse matrix, and whether it stores zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn import feature_extraction, preprocessing, random_projection
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomTreesEmbedding
from sklearn.feature_extraction import text
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.kernel_approximation import AdditiveChi2Sampler
from sklearn.neighbors import KNeighborsTransformer, RadiusNeighborsTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from edge_pipeline.conversion.column_frame import Frame, matrix_of, zeros_of
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.data.zeros import Zeros

__all__ = ["SMALLEST", "with_zeros"]

_ALWAYS_SPARSE = (
    text.CountVectorizer,
    text.TfidfTransformer,
    text.HashingVectorizer,
    feature_extraction.FeatureHasher,
    KNeighborsTransformer,
    RadiusNeighborsTransformer,
)

_SPARSE_BY_PARAMETER = (
    preprocessing.OneHotEncoder,
    preprocessing.SplineTransformer,
    preprocessing.LabelBinarizer,
    preprocessing.MultiLabelBinarizer,
    feature_extraction.DictVectorizer,
    RandomTreesEmbedding,
)
"""Transformers with a parameter ``sparse_output`` or ``sparse``."""

_SPARSE_AS_INPUT = (
    AdditiveChi2Sampler,
    SelectorMixin,
    SimpleImputer,
    preprocessing.Binarizer,
    preprocessing.FunctionTransformer,
    preprocessing.MaxAbsScaler,
    preprocessing.Normalizer,
    preprocessing.PolynomialFeatures,
    preprocessing.QuantileTransformer,
    preprocessing.RobustScaler,
    preprocessing.StandardScaler,
)

_SCALERS = (
    preprocessing.MaxAbsScaler,
    preprocessing.Normalizer,
    preprocessing.RobustScaler,
    preprocessing.StandardScaler,
)
"""They multiply the stored numbers, and a product that underflows is a zero that is stored."""

SMALLEST = 5e-324
"""It stands for a zero that a sparse matrix stores."""

_JOINED = (FeatureUnion, Pipeline)
"""Their parts decide: a Pipeline returns its last step's output, a FeatureUnion joins outputs."""


def with_zeros(output: Any, estimator: Any, X: Tensor | Frame) -> Any:
    """Return *output*, the result of ``estimator.transform(X)``, marked sparse where it is so."""
    if not isinstance(output, Tensor) or output.is_string or isinstance(estimator, _JOINED):
        return output
    zeros = _zeros_after(estimator, X, output)
    if zeros == "absent" and isinstance(estimator, _SCALERS):
        X = matrix_of(X)
        output = ops.where((output == 0.0) & (X != 0.0), SMALLEST, output)
    return output if output.zeros == zeros else replace(output, zeros=zeros)


def _zeros_after(estimator: Any, X: Tensor | Frame, output: Tensor) -> Zeros:
    before = zeros_of(X)
    if isinstance(estimator, ColumnTransformer):
        return output.zeros if getattr(estimator, "sparse_output_", False) else "stored"
    if isinstance(estimator, _ALWAYS_SPARSE):
        # Two words of one hash and opposite signs leave a zero that is stored.
        return "mixed" if getattr(estimator, "alternate_sign", False) else "absent"
    if isinstance(estimator, _SPARSE_BY_PARAMETER):
        parameters = estimator.get_params(deep=False)
        is_sparse = parameters.get("sparse_output", parameters.get("sparse"))
        return "absent" if is_sparse else "stored"
    if isinstance(estimator, preprocessing.KBinsDiscretizer):
        return "absent" if estimator.encode == "onehot" else "stored"
    if isinstance(estimator, MissingIndicator):
        return "absent" if estimator.sparse is True or before != "stored" else "stored"
    if isinstance(estimator, random_projection.SparseRandomProjection):
        return "stored" if estimator.dense_output or before == "stored" else "mixed"
    if not isinstance(estimator, _SPARSE_AS_INPUT) or before == "stored":
        return "stored"
    return "mixed" if _may_make_zeros(estimator) else before


def _may_make_zeros(estimator: Any) -> bool:
    """Whether the estimator may set a number that a sparse matrix stores to zero."""
    if isinstance(estimator, SimpleImputer):
        return bool((np.asarray(estimator.statistics_) == 0).any())
    return isinstance(estimator, preprocessing.QuantileTransformer)
