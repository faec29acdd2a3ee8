"""List the operators that a graph may have: their attributes, and the types of their values.

This table is the allow list of the graph check.  ``WRITTEN`` has the operators that the converters
of edge-pipeline write; the tests of the converters hold it complete.  ``FOREIGN`` has what a graph
from another program may have besides.  All of them are deterministic.  The size of a result depends
only on the sizes of the inputs and on inputs of the classes ``Z``, ``R`` and ``C``.
``Tokenizer`` and ``StringSplit`` alone make as many columns as the longest text has parts.

An entry is ``(inputs, outputs, attributes)``:

- *inputs*: one letter of ``TYPE_CLASSES`` for each input.  A ``*`` repeats the last one.
- *outputs*: for each output the ONNX type, the input whose type it has (``"=0"``), or the name of
  a rule in ``value_types``.  The last one counts for all that follow.
- *attributes*: the allowed names.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "FOREIGN",
    "FOREIGN_ATTRIBUTES",
    "ROW_INDEPENDENT",
    "TYPE_CLASSES",
    "WRITTEN",
    "Operator",
    "find_operator",
]

Operator = tuple[str, tuple[str | int, ...], frozenset[str]]

FLOAT32, UINT8, INT32, INT64, TEXT, BOOL, FLOAT64 = 1, 2, 6, 7, 8, 9, 11

TYPE_CLASSES: Mapping[str, frozenset[int]] = {
    "A": frozenset({FLOAT32, UINT8, INT32, INT64, TEXT, BOOL, FLOAT64}),  # any
    "N": frozenset({FLOAT32, UINT8, INT32, INT64, FLOAT64}),  # number
    "F": frozenset({FLOAT32, FLOAT64}),  # floating point
    "I": frozenset({UINT8, INT32, INT64}),  # integer
    "B": frozenset({BOOL}),
    "S": frozenset({TEXT}),
    "Z": frozenset({INT32, INT64}),  # size, axis or count, see ROW_INDEPENDENT
    "R": frozenset({FLOAT32, INT32, INT64, FLOAT64}),  # number, see ROW_INDEPENDENT
    "C": frozenset({BOOL}),  # choice between results of different sizes, see ROW_INDEPENDENT
}

ROW_INDEPENDENT = frozenset("ZRC")
"""Classes of inputs that decide how large a result is.  They may depend on constants and on the
number of rows, not on what is in a row: else one row could make the device allocate gigabytes."""

_NONE: frozenset[str] = frozenset()
_AXIS = frozenset({"axis"})
_ARG = frozenset({"axis", "keepdims"})
_KEEP = frozenset({"keepdims"})


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


_FLOAT: Operator = ("F", ("=0",), _NONE)
_NUMBER: Operator = ("N", ("=0",), _NONE)
_TEST: Operator = ("F", (BOOL,), _NONE)
_ARITHMETIC: Operator = ("NN", ("=0",), _NONE)
_COMPARISON: Operator = ("NN", (BOOL,), _NONE)
_LOGIC: Operator = ("BB", (BOOL,), _NONE)
_BITS: Operator = ("II", ("=0",), _NONE)
_SEVERAL: Operator = ("N*", ("=0",), _NONE)
_REDUCTION: Operator = ("NZ", ("=0",), _KEEP)

WRITTEN: Mapping[str, Mapping[str, Operator]] = {
    "": {
        "Abs": _NUMBER,
        "Add": _ARITHMETIC,
        "And": _LOGIC,
        "ArgMax": ("N", (INT64,), _ARG),
        "ArgMin": ("N", (INT64,), _ARG),
        "Asin": _FLOAT,
        "BitwiseAnd": _BITS,
        "BitwiseNot": ("I", ("=0",), _NONE),
        "BitwiseOr": _BITS,
        "BitwiseXor": _BITS,
        "Cast": ("A", ("to",), frozenset({"to"})),
        "Ceil": _FLOAT,
        "Concat": ("A*", ("=0",), _AXIS),
        "Cos": _FLOAT,
        "CumSum": ("NZ", ("=0",), _NONE),
        "Div": _ARITHMETIC,
        "Einsum": ("F*", ("=0",), _names("equation")),
        "Equal": ("AA", (BOOL,), _NONE),
        "Exp": _FLOAT,
        "Expand": ("AZ", ("=0",), _NONE),
        "Floor": _FLOAT,
        "Gather": ("AI", ("=0",), _AXIS),
        "GatherElements": ("AI", ("=0",), _AXIS),
        "Gemm": ("FFF", ("=0",), _NONE),
        "Greater": _COMPARISON,
        "GreaterOrEqual": _COMPARISON,
        "Identity": ("A", ("=0",), _NONE),
        "IsInf": _TEST,
        "IsNaN": _TEST,
        "Less": _COMPARISON,
        "LessOrEqual": _COMPARISON,
        "Log": _FLOAT,
        "Loop": ("ZBA*", ("body",), frozenset({"body"})),
        "MatMul": ("NN", ("=0",), _NONE),
        "Max": _SEVERAL,
        "Min": _SEVERAL,
        "Mod": ("NN", ("=0",), frozenset({"fmod"})),
        "Mul": _ARITHMETIC,
        "Neg": _NUMBER,
        "Not": ("B", (BOOL,), _NONE),
        "Or": _LOGIC,
        "Pow": _ARITHMETIC,
        "ReduceMax": _REDUCTION,
        "ReduceMin": _REDUCTION,
        "ReduceProd": _REDUCTION,
        "ReduceSum": _REDUCTION,
        "ReduceSumSquare": _REDUCTION,
        "RegexFullMatch": ("S", (BOOL,), _names("pattern")),
        "Relu": _FLOAT,
        "Reshape": ("AZ", ("=0",), _NONE),
        "Round": _FLOAT,
        "ScatterElements": ("AIA", ("=0",), _names("axis reduction")),
        "Shape": ("A", (INT64,), _names("start end")),
        "Sigmoid": _FLOAT,
        "Sign": _NUMBER,
        "Sin": _FLOAT,
        "Slice": ("AZZZZ", ("=0",), _NONE),
        "Softmax": ("F", ("=0",), _AXIS),
        "Split": ("AZ", ("=0",), _AXIS),
        "Sqrt": _FLOAT,
        "Squeeze": ("AZ", ("=0",), _NONE),
        "StringConcat": ("SS", (TEXT,), _NONE),
        "StringSplit": ("S", (TEXT, INT64), _names("delimiter")),
        "Sub": _ARITHMETIC,
        "Sum": ("F*", ("=0",), _NONE),
        "Tanh": _FLOAT,
        "TopK": ("NZ", ("=0", INT64), _names("largest")),
        "Transpose": ("A", ("=0",), frozenset({"perm"})),
        "Unsqueeze": ("AZ", ("=0",), _NONE),
        "Where": ("BAA", ("=1",), _NONE),
        "Xor": _LOGIC,
    },
    "ai.onnx.ml": {
        "LabelEncoder": ("A", ("values",), _names("default_tensor keys_tensor values_tensor")),
        "TreeEnsemble": (
            "F",
            ("=0",),
            _names(
                "aggregate_function leaf_targetids leaf_weights membership_values n_targets "
                "nodes_falseleafs nodes_falsenodeids nodes_featureids "
                "nodes_missing_value_tracks_true nodes_modes nodes_splits nodes_trueleafs "
                "nodes_truenodeids post_transform tree_roots"
            ),
        ),
    },
    "com.microsoft": {
        "Tokenizer": ("S", (TEXT,), _names("mark mincharnum pad_value separators")),
    },
}

_OLD_TREE_NODES = (
    "base_values base_values_as_tensor nodes_falsenodeids nodes_featureids nodes_hitrates "
    "nodes_hitrates_as_tensor nodes_missing_value_tracks_true nodes_modes nodes_nodeids "
    "nodes_treeids nodes_truenodeids nodes_values nodes_values_as_tensor post_transform "
)
_SVM = "coefficients kernel_params kernel_type post_transform rho support_vectors "
_MEAN: Operator = ("NZ", ("=0",), _names("keepdims noop_with_empty_axes"))

FOREIGN: Mapping[str, Mapping[str, Operator]] = {
    "": {
        **dict.fromkeys(
            _names(
                "Acos Acosh Asinh Atan Atanh Cosh Erf HardSwish Mish Reciprocal Sinh Softplus "
                "Softsign Tan"
            ),
            _FLOAT,
        ),
        "CastLike": ("AA", ("=1",), _names("saturate")),
        "Celu": ("F", ("=0",), _names("alpha")),
        "Clip": ("NNN", ("=0",), _NONE),
        "Constant": (
            "",
            ("value",),
            _names(
                "value value_float value_floats value_int value_ints value_string value_strings"
            ),
        ),
        "ConstantOfShape": ("Z", ("value",), _names("value")),
        "Elu": ("F", ("=0",), _names("alpha")),
        "Flatten": ("A", ("=0",), _AXIS),
        "GatherND": ("AI", ("=0",), _names("batch_dims")),
        "Gelu": ("F", ("=0",), _names("approximate")),
        "HardSigmoid": ("F", ("=0",), _names("alpha beta")),
        "Hardmax": ("F", ("=0",), _AXIS),
        "If": ("C", ("then_branch",), _names("then_branch else_branch")),
        "LeakyRelu": ("F", ("=0",), _names("alpha")),
        "LogSoftmax": ("F", ("=0",), _AXIS),
        "LpNormalization": ("F", ("=0",), _names("axis p")),
        "Mean": ("F*", ("=0",), _NONE),
        "OneHot": ("NRA", ("=2",), _AXIS),
        "PRelu": ("FF", ("=0",), _NONE),
        "Pad": ("AZAZ", ("=0",), _names("mode")),
        "Range": ("RRR", ("=0",), _NONE),
        **dict.fromkeys(
            ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean"), _MEAN
        ),
        "ScatterND": ("AIA", ("=0",), _names("reduction")),
        "Selu": ("F", ("=0",), _names("alpha gamma")),
        "Size": ("A", (INT64,), _NONE),
        "ThresholdedRelu": ("F", ("=0",), _names("alpha")),
        "Tile": ("AZ", ("=0",), _NONE),
        "Trilu": ("AZ", ("=0",), _names("upper")),
    },
    "ai.onnx.ml": {
        "ArrayFeatureExtractor": ("AI", ("=0",), _NONE),
        "Binarizer": ("N", ("=0",), _names("threshold")),
        "CategoryMapper": (
            "A",
            ("mapped",),
            _names("cats_int64s cats_strings default_int64 default_string"),
        ),
        "FeatureVectorizer": ("N*", (FLOAT32,), _names("inputdimensions")),
        "Imputer": (
            "N",
            ("=0",),
            _names(
                "imputed_value_floats imputed_value_int64s replaced_value_float "
                "replaced_value_int64"
            ),
        ),
        "LinearClassifier": (
            "N",
            ("labels", FLOAT32),
            _names(
                "classlabels_ints classlabels_strings coefficients intercepts multi_class "
                "post_transform"
            ),
        ),
        "LinearRegressor": (
            "N",
            (FLOAT32,),
            _names("coefficients intercepts post_transform targets"),
        ),
        "Normalizer": ("N", (FLOAT32,), _names("norm")),
        "OneHotEncoder": ("A", (FLOAT32,), _names("cats_int64s cats_strings zeros")),
        "SVMClassifier": (
            "N",
            ("labels", FLOAT32),
            _names(_SVM + "classlabels_ints classlabels_strings prob_a prob_b vectors_per_class"),
        ),
        "SVMRegressor": ("N", (FLOAT32,), _names(_SVM + "n_supports one_class")),
        "Scaler": ("N", (FLOAT32,), _names("offset scale")),
        "TreeEnsembleClassifier": (
            "N",
            ("labels", FLOAT32),
            _names(
                _OLD_TREE_NODES + "class_ids class_nodeids class_treeids class_weights "
                "class_weights_as_tensor classlabels_int64s classlabels_strings"
            ),
        ),
        "TreeEnsembleRegressor": (
            "N",
            (FLOAT32,),
            _names(
                _OLD_TREE_NODES + "aggregate_function n_targets target_ids target_nodeids "
                "target_treeids target_weights target_weights_as_tensor"
            ),
        ),
    },
    "com.microsoft": {
        "CDist": ("FF", ("=0",), _names("metric")),
        "MurmurHash3": ("A", ("hash",), _names("positive seed")),
    },
}

FOREIGN_ATTRIBUTES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "": {
        "ArgMax": _names("select_last_index"),
        "ArgMin": _names("select_last_index"),
        "Cast": _names("saturate"),
        "CumSum": _names("exclusive reverse"),
        "Gemm": _names("alpha beta transA transB"),
        "IsInf": _names("detect_negative detect_positive"),
        "Reshape": _names("allowzero"),
        "Split": _names("num_outputs"),
        "TopK": _names("axis sorted"),
        **dict.fromkeys(
            ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
            _names("noop_with_empty_axes"),
        ),
    },
    "ai.onnx.ml": {
        "LabelEncoder": _names(
            "default_float default_int64 default_string keys_floats keys_int64s keys_strings "
            "values_floats values_int64s values_strings"
        ),
        "TreeEnsemble": _names("nodes_hitrates"),
    },
    "com.microsoft": {"Tokenizer": _names("stopwords tokenexp")},
}
"""Attributes of the operators in ``WRITTEN`` that only graphs from other programs have."""


def find_operator(domain: str, name: str, attributes: frozenset[str]) -> Operator | None:
    """Find the entry of an operator; None when it, or one of its *attributes*, is not listed."""
    operator = WRITTEN.get(domain, {}).get(name)
    if operator is not None and attributes <= operator[2]:
        return operator
    if operator is not None:
        extra = FOREIGN_ATTRIBUTES.get(domain, {}).get(name, _NONE)
    else:
        operator, extra = FOREIGN.get(domain, {}).get(name), _NONE
    return operator if operator is not None and attributes <= operator[2] | extra else None
