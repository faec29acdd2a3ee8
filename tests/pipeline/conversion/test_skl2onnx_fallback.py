"""Converters registered with skl2onnx are used; a changed subclass is not converted as its base."""

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import convert, export
from edge_pipeline.errors import ConversionError, ParityError, UnsupportedEstimatorError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted, labels, rows, unseen
from skl2onnx import update_registered_converter
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.algebra.onnx_operator import OnnxSubEstimator
from skl2onnx.algebra.onnx_ops import OnnxAdd, OnnxIdentity, OnnxMul, OnnxSub
from skl2onnx.common._registration import _converter_pool, _shape_calculator_pool
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

X, UNSEEN = rows(), unseen()
Y = labels(X, ["adelie", "gentoo"])


@pytest.fixture(autouse=True)
def registry():
    """Whatever a test registers is forgotten afterwards."""
    pools = (sklearn_operator_name_map, _converter_pool, _shape_calculator_pool)
    before = [dict(pool) for pool in pools]
    yield
    for pool, entries in zip(pools, before, strict=True):
        pool.clear()
        pool.update(entries)


class Centred(TransformerMixin, BaseEstimator):
    """A transformer of the user's."""

    def fit(self, X, y=None):
        self.centre_ = np.asarray(X, dtype=float).mean(axis=0)
        return self

    def transform(self, X):
        return np.asarray(X, dtype=float) - self.centre_


class Untraceable(Centred):
    """A transformer of the user's that no graph can compute."""

    def transform(self, X):
        return np.linalg.qr(super().transform(X))[0]


class Nearest(ClassifierMixin, BaseEstimator):
    """A classifier of the user's: by the first column alone."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.inner_ = LogisticRegression().fit(X, y)
        return self

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


class Doubled(TransformerMixin, BaseEstimator):
    """A transformer of numbers and text: the numbers, twice."""

    def fit(self, X, y=None):
        self.feature_names_in_ = np.asarray(X.columns)
        return self

    def transform(self, X):
        return X[["a", "b"]].to_numpy(dtype=float) * 2


def same_width(operator):
    operator.outputs[0].type = DoubleTensorType([None, operator.inputs[0].type.shape[1]])


def register_centred():
    def converter(scope, operator, container):
        centre = operator.raw_operator.centre_
        node = OnnxSub(
            operator.inputs[0], centre, op_version=container.target_opset,
            output_names=operator.outputs[:1],
        )  # fmt: skip
        node.add_to(scope, container)

    update_registered_converter(Centred, "CentredOfAUser", same_width, converter)


def register_nearest():
    def shapes(operator):
        operator.outputs[1].type = DoubleTensorType([None, 2])

    def converter(scope, operator, container):
        version = container.target_opset
        inner = OnnxSubEstimator(
            operator.raw_operator.inner_, operator.inputs[0], op_version=version,
            options={"zipmap": False},
        )  # fmt: skip
        for i in range(2):
            node = OnnxIdentity(inner[i], op_version=version, output_names=[operator.outputs[i]])
            node.add_to(scope, container)

    update_registered_converter(
        Nearest, "NearestOfAUser", shapes, converter,
        options={"zipmap": [True, False, "columns"], "nocl": [True, False]},
    )  # fmt: skip


def test_a_converter_that_writes_other_numbers_than_float64_is_refused_with_its_cause(tmp_path):
    def converter(scope, operator, container):
        names = operator.inputs[0].full_name, operator.outputs[0].full_name
        container.add_node("Cast", *names, to=1, name=scope.get_unique_operator_name("Cast"))

    update_registered_converter(Centred, "NarrowOfAUser", same_width, converter)
    with pytest.raises(ConversionError, match=r"cannot run: .*must write float64"):
        export(Centred().fit(X), X, tmp_path / "m.onnx")


def test_a_converter_that_writes_an_operator_the_device_lacks_is_refused_with_its_cause(tmp_path):
    def converter(scope, operator, container):
        names = operator.inputs[0].full_name, operator.outputs[0].full_name
        container.add_node("Det", *names, name=scope.get_unique_operator_name("Det"))

    update_registered_converter(Centred, "DetOfAUser", same_width, converter)
    with pytest.raises(ConversionError, match=r"operator 'Det'.*operators that the device has"):
        export(Centred().fit(X), X, tmp_path / "m.onnx")


def test_a_class_that_cannot_be_traced_is_refused_with_remedies():
    with pytest.raises(UnsupportedEstimatorError) as caught:
        convert(make_pipeline(StandardScaler(), Untraceable()).fit(X), X)
    message = str(caught.value)
    assert message.startswith("Pipeline.steps[1] -> Untraceable: ")
    assert "numpy.linalg.qr has no form in a graph" in message
    assert "test_skl2onnx_fallback.py, line " in message
    assert "docs/function-transformer.md" in message


def test_a_transformer_of_the_users_converts_alone():
    register_centred()
    assert_same(Centred().fit(X), X, UNSEEN)


def test_a_transformer_of_the_users_converts_inside_a_pipeline():
    register_centred()
    union = ColumnTransformer([("c", Centred(), [0, 1]), ("s", StandardScaler(), [2])])
    assert_same(make_pipeline(union, Centred(), LogisticRegression()).fit(X, Y), X, UNSEEN)


def test_a_classifier_of_the_users_converts_alone_and_in_a_vote():
    register_nearest()
    y = (Y == "gentoo").astype(np.int64)
    assert_same(fitted(Nearest(), X, y), X, UNSEEN, tolerance=1e-6)
    vote = VotingClassifier([("n", Nearest()), ("l", LogisticRegression())], voting="soft")
    assert_same(fitted(vote, X, y), X, UNSEEN, tolerance=1e-6)


def test_a_users_converter_of_a_built_in_class_wins():
    def converter(scope, operator, container):
        scaler = operator.raw_operator
        node = OnnxAdd(
            OnnxMul(operator.inputs[0], scaler.scale_, op_version=container.target_opset),
            scaler.min_ + 1.0,
            op_version=container.target_opset,
            output_names=operator.outputs[:1],
        )
        node.add_to(scope, container)

    scaler = MinMaxScaler().fit(X)
    assert_same(scaler, X, UNSEEN)
    update_registered_converter(
        MinMaxScaler, "SklearnMinMaxScaler", same_width, converter, overwrite=True
    )
    # Theirs adds one, so it can be seen that it was asked; and that nothing wrong is written.
    with pytest.raises(ParityError, match="transform differs"):
        assert_same(scaler, X, UNSEEN)


def test_columns_of_both_kinds_are_inputs_of_their_own():
    def converter(scope, operator, container):
        assert [variable.raw_name for variable in operator.inputs] == ["a", "city", "b"]
        a, _, b = operator.inputs
        from skl2onnx.algebra.onnx_ops import OnnxConcat

        version = container.target_opset
        numbers = OnnxConcat(a, b, axis=1, op_version=version)
        node = OnnxMul(
            numbers, np.array([2.0]), op_version=version, output_names=operator.outputs[:1]
        )
        node.add_to(scope, container)

    def shapes(operator):
        operator.outputs[0].type = DoubleTensorType([None, 2])

    update_registered_converter(Doubled, "DoubledOfAUser", shapes, converter)
    table = pd.DataFrame({"a": X[:, 0], "city": Y, "b": X[:, 1], "c": X[:, 2]})
    union = ColumnTransformer(
        [("d", Doubled(), ["a", "city", "b"]), ("s", StandardScaler(), ["c"])]
    )
    assert_same(union.fit(table), table, table[::-1])


def test_old_tree_operators_of_a_users_converter_are_accepted():
    class Tree(DecisionTreeRegressor):
        def predict(self, X):
            return super().predict(X) + 0.0

    def shapes(operator):
        operator.outputs[0].type = DoubleTensorType([None, 1])

    def converter(scope, operator, container):
        version = container.target_opset
        plain = DecisionTreeRegressor(max_depth=2, random_state=0).fit(X, X[:, 0])
        inner = OnnxSubEstimator(plain, operator.inputs[0], op_version=version)
        from skl2onnx.algebra.onnx_ops import OnnxCast

        node = OnnxCast(inner, to=11, op_version=version, output_names=operator.outputs[:1])
        node.add_to(scope, container)

    update_registered_converter(Tree, "TreeOfAUser", shapes, converter)
    tree = Tree(max_depth=2, random_state=0).fit(X, X[:, 0])
    assert_same(tree, X, X[::-1], tolerance=1e-6)
    beside = VotingRegressor([("t", tree), ("d", DecisionTreeRegressor())]).fit(X, X[:, 0])
    with pytest.raises(ConversionError, match="an old tree operator"):
        convert(beside, X)


def test_a_users_converter_that_writes_a_scan_is_refused():
    class Near(KNeighborsRegressor):
        def predict(self, X):
            return super().predict(X) + 0.0

    def shapes(operator):
        operator.outputs[0].type = DoubleTensorType([None, 1])

    def converter(scope, operator, container):
        plain = KNeighborsRegressor(2).fit(X, X[:, 0])
        node = OnnxSubEstimator(
            plain,
            operator.inputs[0],
            op_version=container.target_opset,
            output_names=operator.outputs[:1],
        )
        node.add_to(scope, container)

    update_registered_converter(Near, "NearOfAUser", shapes, converter)
    with pytest.raises(UnsupportedEstimatorError, match="writes Scan"):
        convert(Near(2).fit(X, X[:, 0]), X)


class Fits(LogisticRegression):
    """Changes how it is trained, and nothing that it answers."""

    def fit(self, X, y):
        self.fitted_by_ = "me"
        return super().fit(X, y)


class Shifted(LogisticRegression):
    """Changes what predict, inherited as it is, depends on."""

    def decision_function(self, X):
        return super().decision_function(X) + 1.0


def test_a_subclass_with_the_same_methods_is_converted():
    assert_same(fitted(Fits(), X, Y), X, UNSEEN)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (Shifted(), "Shifted changes decision_function of LogisticRegression, which predict uses"),
    ],
)
def test_a_subclass_with_a_changed_method_is_refused(estimator, reason):
    with pytest.raises(UnsupportedEstimatorError) as caught:
        convert(fitted(estimator, X, Y), X)
    assert reason in str(caught.value)


def test_a_class_without_converter_is_refused_with_remedies():
    with pytest.raises(UnsupportedEstimatorError) as caught:
        convert(make_pipeline(StandardScaler(), Shifted()).fit(X, Y), X)
    message = str(caught.value)
    assert message.startswith("Pipeline.steps[1] -> Shifted: no converter for ")
    assert "skl2onnx.update_registered_converter" in message
    assert "docs/estimators.md" in message


class Turned(StandardScaler):
    """Changes the result itself."""

    def transform(self, X):
        return -super().transform(X)


def test_a_subclass_with_a_method_of_its_own_is_traced():
    assert_same(Turned().fit(X), X, UNSEEN)


def test_a_refusal_names_the_path_to_the_estimator():
    table = pd.DataFrame({"text": Y, "a": X[:, 0], "b": X[:, 1]})
    inner = Pipeline([("code", OneHotEncoder(sparse_output=False)), ("mine", Untraceable())])
    union = ColumnTransformer([("text", inner, ["text"])], remainder="passthrough")
    model = make_pipeline(union, LogisticRegression()).fit(table, Y)
    with pytest.raises(UnsupportedEstimatorError) as caught:
        convert(model, table)
    way = "Pipeline.steps[0] -> ColumnTransformer['text'] -> Pipeline.steps[1] -> Untraceable"
    assert caught.value.path == way
    assert str(caught.value).startswith(f"{way}: ")


def test_text_where_numbers_belong_is_refused_with_the_remedy():
    table = pd.DataFrame({"text": Y, "a": X[:, 0]})
    union = ColumnTransformer([("p", "passthrough", ["text", "a"])])
    model = make_pipeline(union, OneHotEncoder(handle_unknown="ignore")).fit(table)
    assert_same(model, table, table[::-1])
