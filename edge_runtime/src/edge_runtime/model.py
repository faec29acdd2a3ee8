"""Predict as the trained estimator would, without scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from edge_runtime import runtime_check
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Schema
from edge_runtime.engine.methods import class_labels, outputs_by_method
from edge_runtime.errors import MethodNotAvailableError
from edge_runtime.graph_safety.rules import scan
from edge_runtime.inputs.tables import ExtraColumns, InputReader
from edge_runtime.lifecycle import ClosedModel, check_threads, watch_forks
from edge_runtime.onnxruntime_versions import check_opsets

if TYPE_CHECKING:
    from edge_runtime.engine.batch import Predictions
    from edge_runtime.inputs.flags import Flag, Flagger
    from edge_runtime.loading import Origin
    from edge_runtime.outside_training import Outside

__all__ = ["Model"]

_Method = TypeVar("_Method", bound=Callable[..., Any])


class _AvailableIf:
    """Hide a method on models whose estimator lacked it, as scikit-learn's ``available_if``."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __get__(self, model: Model | None, owner: type[Model] | None = None) -> Any:
        if model is None:
            return self._function
        if self.__name__ not in model._outputs:
            model._check_available(self.__name__)
        return self._function.__get__(model, owner)


def _available_if_trained(function: _Method) -> _Method:
    return cast("_Method", _AvailableIf(function))


class Model:
    """A trained estimator without scikit-learn; :func:`edge_runtime.load` makes it.

    Any number of threads may call one model at once.  It has the methods that the estimator had;
    check with ``hasattr(model, "predict_proba")``.

    Attributes
    ----------
    manifest
        The manifest in the bundle.
    origin
        Where the model was loaded from; None when it was made from parts.
    trial
        With ``isolate``, what the child process tried and took, see
        :func:`edge_runtime.isolation.try_in_child`; otherwise None.
    """

    def __init__(
        self,
        graph: bytes,
        manifest: Manifest,
        *,
        extra_columns: ExtraColumns,
        threads: int,
        outside: Outside = "answer",
        origin: Origin | None = None,
    ) -> None:
        check_threads(threads)
        self._input_reader = InputReader(manifest.schema, extra_columns=extra_columns)
        required = manifest.requires.onnxruntime
        runtime_check.check_installed(required)
        check_opsets(manifest.requires.opsets)
        self._outputs = outputs_by_method(manifest)
        main = scan(graph, manifest)
        # Not at the top: a refused onnxruntime must not even be imported.
        runtime_check.check_imported(required)
        from edge_runtime.engine.planner import QueryPlanner
        from edge_runtime.engine.single_row import row_predictor

        self.manifest = manifest
        self._threads, self._outside = threads, outside
        self.origin = origin
        self._lazy_flagger: Flagger | None = None
        self.trial: Mapping[str, Any] | None = None
        self._planner = QueryPlanner(graph, main, manifest, threads=threads)
        self._tables: dict[str, Callable[[Any], Predictions]] = {}
        predict, proba = (self._outputs.get(m, ()) for m in ("predict", "predict_proba"))
        self._classes = class_labels(manifest)
        self._one: Callable[[Any], Any] = self._no_predict
        self._proba_one: Callable[[Any], Any] = self._no_proba
        if len(predict) == 1:
            self._one = row_predictor(self._planner, self._input_reader, predict)
            if len(proba) == 1:
                self._proba_one = row_predictor(self._planner, self._input_reader, predict + proba)
        self._row_predictors = self._one, self._proba_one
        if outside != "answer":
            self._guard_rows(outside)
        watch_forks(self)

    @classmethod
    def from_parts(
        cls,
        graph: bytes,
        manifest: Manifest,
        *,
        extra_columns: ExtraColumns = "refuse",
        threads: int = 1,
        outside: Outside = "answer",
        origin: Origin | None = None,
    ) -> Model:
        """Make a model from a graph and a manifest that are not sealed yet, on the build machine.

        The golden rows are replayed when there are any.  For parameters and errors see
        :func:`edge_runtime.load`; *origin* records how it was called.
        """
        from edge_runtime.engine.self_test import replay

        model = cls(
            graph,
            manifest,
            extra_columns=extra_columns,
            threads=threads,
            outside=outside,
            origin=origin,
        )
        replay(manifest, model._planner.predict_all)
        return model

    @property
    def schema(self) -> Schema:
        """The columns of a row: names, types and allowed values."""
        return self.manifest.schema

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the estimator's methods that this model has."""
        return tuple(self._outputs)

    @_available_if_trained
    def predict(self, X: Any) -> Predictions:
        """Predict for every row of *X* as the trained estimator would.

        Parameters
        ----------
        X
            Array or list of rows (n_samples, n_features) in the column order of ``self.schema``;
            data frame, dict of columns or list of dicts with its column names; list of str for a
            text model.  Read, never written to.

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or numbers in the unit of the training target.

        Raises
        ------
        InputError
            A column is missing or has the wrong type, or the schema forbids a value.
        """
        return (self._tables.get("predict") or self._table("predict"))(X)

    @_available_if_trained
    def predict_proba(self, X: Any) -> Predictions:
        """Predict the probability of each class, in the order of ``manifest.classes["predict"]``.

        For parameters and errors see :meth:`predict`.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
            A list of such arrays, one for each target, when there are several targets.
        """
        return (self._tables.get("predict_proba") or self._table("predict_proba"))(X)

    @_available_if_trained
    def decision_function(self, X: Any) -> Predictions:
        """Compute confidence scores, as the estimator's decision_function; see :meth:`predict`."""
        return (self._tables.get("decision_function") or self._table("decision_function"))(X)

    @_available_if_trained
    def score_samples(self, X: Any) -> Predictions:
        """Compute a score for every row, as the estimator's score_samples; see :meth:`predict`."""
        return (self._tables.get("score_samples") or self._table("score_samples"))(X)

    @_available_if_trained
    def transform(self, X: Any) -> Predictions:
        """Transform every row to a dense array, as the estimator does; see :meth:`predict`."""
        return (self._tables.get("transform") or self._table("transform"))(X)

    def predict_one(self, row: Any) -> Any:
        """Predict for one row: the fast path.

        Parameters
        ----------
        row
            A dict by column name, a sequence or a 1-d array in the order of ``self.schema``.
            Checked as strictly as by :meth:`predict`.

        Returns
        -------
        str, int, float, bool or list
            A plain Python value; a list when the estimator has several targets.
        """
        return self._one(row)

    def predict_proba_one(self, row: Any) -> tuple[Any, dict[Any, float]]:
        """Predict for one row, and every class's probability, in one pass: the fast path.

        Parameters
        ----------
        row
            As for :meth:`predict_one`.

        Returns
        -------
        tuple
            The result of :meth:`predict_one`, and a dict from each class to its probability, in
            the order of predict_proba's columns.  Where there are no class labels (mixtures), the
            keys are column numbers.
        """
        label, probabilities = self._proba_one(row)
        if self._classes is None:
            return label, dict(enumerate(probabilities))
        return label, dict(zip(self._classes, probabilities, strict=True))

    def predict_one_with_flags(self, row: Any) -> tuple[Any, tuple[Flag, ...]]:
        """Predict for one row, and flag its cells that lie outside the training data.

        Parameters
        ----------
        row
            As for :meth:`predict_one`.

        Returns
        -------
        tuple
            The result of :meth:`predict_one`, and the flags as :meth:`check_rows` gives them.
        """
        flags = self._flagger().flag_row(row)
        return self._one(row), flags

    def check_rows(self, X: Any) -> list[tuple[Flag, ...]]:
        """Flag the cells of *X* that lie outside the training data, without a prediction.

        A flag does not mean that the prediction is wrong.  It means that training has not seen
        such a value: a number outside the training range, an unseen category, or a missing value
        in a column that always had one.

        Parameters
        ----------
        X
            As for :meth:`predict`.

        Returns
        -------
        list of tuple of Flag
            One tuple for each row, in the order of the columns; empty for an ordinary row.

        Raises
        ------
        InputError
            The model refuses *X* or a row of it, as :meth:`predict` would.
        """
        return self._flagger().flag_rows(X)

    def warm_up(self) -> None:
        """Make every session and buffer now, not in the first two calls of a method.

        Takes some milliseconds; afterwards the first prediction is as fast as the thousandth.
        """
        from edge_runtime.engine.self_test import golden_row

        self._planner.warm_up(self._outputs.values())
        row = golden_row(self.manifest)
        if row is None:
            return
        for predict_row in self._row_predictors:  # a golden row may lie outside the training data
            # The second call makes the final session and buffers.
            for _ in range(2):
                with suppress(MethodNotAvailableError):
                    predict_row(row)

    def close(self) -> None:
        """Free the memory; every later call raises ModelClosedError.  Closing twice is fine.

        Calls that are running in other threads finish.
        """
        self._end("the model is closed; load it again")

    def __reduce__(self) -> tuple[Callable[[], Model], tuple[()]]:
        """Pickle the file's path and digest; unpickling loads the model again.

        Raises
        ------
        ModelClosedError
            The model was closed.
        TypeError
            The model was made from parts, not loaded.
        """
        self._planner.check_open()
        if self.origin is None:
            raise TypeError("only a model that was loaded from a bundle can be pickled")
        return self.origin.load, ()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        m = self.manifest
        return (
            f"<Model {m.name!r} version {m.version}: {m.task}, {len(m.schema.columns)} columns, "
            f"{', '.join(self._outputs)}>"
        )

    def _repr_html_(self) -> str:
        from edge_runtime.notebook_html import as_html  # only notebooks need it

        return as_html(self.manifest)

    def _end(self, message: str) -> None:
        closed: Any = ClosedModel(message)
        self._planner = self._one = self._proba_one = closed
        self._row_predictors = closed, closed
        self._tables = dict.fromkeys(self._outputs, closed)

    def _table(self, method: str) -> Callable[[Any], Predictions]:
        from edge_runtime.engine.batch import table_predictor  # not needed for single rows

        predictor = table_predictor(self._planner, self._input_reader, self._outputs[method])
        if self._outside != "answer":
            from edge_runtime.outside_training import guard_table

            predictor = guard_table(predictor, self._flagger(), self._outside)
        return self._tables.setdefault(method, predictor)

    def _flagger(self) -> Flagger:
        from edge_runtime.inputs.flags import Flagger  # which few programs need

        self._planner.check_open()
        if self._lazy_flagger is None:
            self._lazy_flagger = Flagger(self._input_reader)
        return self._lazy_flagger

    def _guard_rows(self, outside: Outside) -> None:
        from edge_runtime.outside_training import check_outside, guard_row

        check_outside(outside)
        self._one = guard_row(self._one, self._flagger(), outside)
        self._proba_one = guard_row(self._proba_one, self._flagger(), outside)

    def _check_available(self, method: str) -> None:
        if method not in self._outputs:
            raise MethodNotAvailableError(
                f"{self.manifest.name!r} has no {method}, as the trained estimator had none; it "
                f"has {', '.join(self._outputs)}"
            )

    def _no_predict(self, row: Any) -> Any:
        self._check_available("predict")
        raise MethodNotAvailableError("predict gives several arrays; use predict([row])")

    def _no_proba(self, row: Any) -> Any:
        self._check_available("predict")
        self._check_available("predict_proba")
        raise MethodNotAvailableError(
            "predict_proba gives an array for each target; use predict_proba([row])"
        )
