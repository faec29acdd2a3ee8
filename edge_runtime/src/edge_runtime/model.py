"""Predict as the trained estimator would, without scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edge_runtime import runtime_check
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Schema
from edge_runtime.engine.methods import (
    EstimatorInterface,
    available_if_trained,
    class_labels,
    outputs_by_method,
)
from edge_runtime.engine.selection import check_engine, usable_engine
from edge_runtime.errors import MethodNotAvailableError
from edge_runtime.graph_safety.rules import scan
from edge_runtime.inputs.tables import ExtraColumns, InputReader
from edge_runtime.lifecycle import ClosedModel, check_threads, watch_forks
from edge_runtime.onnxruntime_versions import check_opsets

if TYPE_CHECKING:
    from edge_runtime.engine.batch import Predictions
    from edge_runtime.engine.selection import Engine
    from edge_runtime.inputs.flags import Flag, Flagger
    from edge_runtime.loading import Origin
    from edge_runtime.outside_option import Outside

__all__ = ["Model"]


class Model(EstimatorInterface):
    """A trained estimator without scikit-learn; :func:`edge_runtime.load` makes it.

    ::

        model = edge_runtime.load("penguins.onnx")
        model.predict(table)            # a data frame, an array, dicts: as scikit-learn's predict
        model.predict_one(row)          # one dict, list or array: the fast path
        model.predict_proba_one(row)    # the label, and the probability of every class
        model.schema                    # the columns that a row needs
        model.classes_, model.methods   # what it predicts, and how

    It has the methods that the estimator had, and each of them for one row as ``METHOD_one``;
    check with ``hasattr(model, "predict_proba")``.  Any number of threads may call it at once.

    Attributes
    ----------
    manifest
        The manifest in the bundle.
    origin
        Where the model was loaded from; None when it was made from parts.
    engine
        What computes the predictions: ``"onnxruntime"`` or ``"numpy"``.
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
        engine: Engine = "auto",
        origin: Origin | None = None,
    ) -> None:
        check_threads(threads)
        self._input_reader = InputReader(manifest.schema, extra_columns=extra_columns)
        required = manifest.requires.onnxruntime
        check_engine(engine)
        engine = usable_engine(engine, runtime_check.check_installed, required)
        check_opsets(manifest.requires.opsets)
        self._outputs = outputs_by_method(manifest)
        main = scan(graph, manifest)
        # Not at the top: a refused onnxruntime must not even be imported.
        engine = usable_engine(engine, runtime_check.check_imported, required)
        from edge_runtime.engine.planner import QueryPlanner
        from edge_runtime.engine.single_row import row_predictor

        self.manifest = manifest
        self._threads, self._outside = threads, outside
        self.origin = origin
        self.engine: Engine = "numpy" if engine == "numpy" else "onnxruntime"
        self._lazy_flagger: Flagger | None = None
        self.trial: Mapping[str, Any] | None = None
        self._planner = QueryPlanner(graph, main, manifest, threads=threads, engine=engine)
        # One call for each method, and for each method with other treatment of extra columns.
        self._tables: dict[str | tuple[str, str], Callable[[Any], Predictions]] = {}
        self._rows: dict[str, Callable[[Any], Any]] = {}
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
        engine: Engine = "auto",
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
            engine=engine,
            origin=origin,
        )
        replay(manifest, model._planner.predict_all)
        return model

    @property
    def schema(self) -> Schema:
        """The columns of a row: names, types and allowed values."""
        return self.manifest.schema

    def __call__(self, X: Any) -> Predictions:
        """Predict for every row of *X*, as :meth:`predict`."""
        predictions: Predictions = self.predict(X)
        return predictions

    @available_if_trained
    def predict(
        self, X: Any, *, extra_columns: ExtraColumns | None = None, return_std: bool = False
    ) -> Any:
        """Predict for every row of *X* as the trained estimator would.

        Parameters
        ----------
        X
            Array or list of rows (n_samples, n_features) in the column order of ``self.schema``;
            data frame, dict of columns or list of dicts with its column names; list of str for a
            text model.  Read, never written to.
        extra_columns
            ``"ignore"`` or ``"refuse"`` columns that the schema does not name, in this call; None
            does as :func:`edge_runtime.load` was told.
        return_std
            Also return the standard deviation of every prediction, where the estimator could.

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or numbers in the unit of the training target; with *return_std* a tuple
            of two such arrays.

        Raises
        ------
        InputError
            A column is missing or has the wrong type, or the schema forbids a value.
        """
        if return_std:
            return self._predict_with_std(X, extra_columns)
        call = self._tables.get("predict") if extra_columns is None else None
        return (call or self._table("predict", extra_columns))(X)

    @available_if_trained
    def predict_proba(self, X: Any, *, extra_columns: ExtraColumns | None = None) -> Predictions:
        """Predict the probability of each class, in the order of ``manifest.classes["predict"]``.

        For parameters and errors see :meth:`predict`.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
            A list of such arrays, one for each target, when there are several targets.
        """
        call = self._tables.get("predict_proba") if extra_columns is None else None
        return (call or self._table("predict_proba", extra_columns))(X)

    @available_if_trained
    def decision_function(
        self, X: Any, *, extra_columns: ExtraColumns | None = None
    ) -> Predictions:
        """Compute confidence scores, as the estimator's decision_function; see :meth:`predict`."""
        call = self._tables.get("decision_function") if extra_columns is None else None
        return (call or self._table("decision_function", extra_columns))(X)

    @available_if_trained
    def score_samples(self, X: Any, *, extra_columns: ExtraColumns | None = None) -> Predictions:
        """Compute a score for every row, as the estimator's score_samples; see :meth:`predict`."""
        call = self._tables.get("score_samples") if extra_columns is None else None
        return (call or self._table("score_samples", extra_columns))(X)

    @available_if_trained
    def transform(self, X: Any, *, extra_columns: ExtraColumns | None = None) -> Predictions:
        """Transform every row to a dense array, as the estimator does; see :meth:`predict`."""
        call = self._tables.get("transform") if extra_columns is None else None
        return (call or self._table("transform", extra_columns))(X)

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

    def check_rows(
        self, X: Any, *, extra_columns: ExtraColumns | None = None
    ) -> list[tuple[Flag, ...]]:
        """Flag the cells of *X* that lie outside the training data, without a prediction.

        A flag does not mean that the prediction is wrong.  It means that training has not seen
        such a value: a number outside the training range, an unseen category, or a missing value
        in a column that always had one.

        Parameters
        ----------
        X, extra_columns
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
        return self._flagger(self._input_reader.with_extra_columns(extra_columns)).flag_rows(X)

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

    def _end(self, message: str) -> None:
        closed: Any = ClosedModel(message)
        self._planner = self._one = self._proba_one = closed
        self._row_predictors = closed, closed
        self._tables, self._rows = {}, {}

    def _table(
        self, method: str, extra_columns: ExtraColumns | None = None
    ) -> Callable[[Any], Predictions]:
        from edge_runtime.engine.batch import log_predictor, table_predictor  # not for single rows

        self._planner.check_open()
        key = method if extra_columns is None else (method, extra_columns)
        if key in self._tables:
            return self._tables[key]
        reader = self._input_reader.with_extra_columns(extra_columns)
        outputs = self._outputs_of(method)
        predictor = table_predictor(self._planner, reader, outputs)
        if method == "predict_log_proba" and outputs[0].method != method:
            predictor = log_predictor(predictor, self.manifest)
        if self._outside != "answer":
            from edge_runtime.outside_option import guard_table

            predictor = guard_table(predictor, self._flagger(reader), self._outside)
        return self._tables.setdefault(key, predictor)

    def _row(self, method: str) -> Callable[[Any], Any]:
        from edge_runtime.engine.single_row import row_predictor

        self._planner.check_open()
        outputs = self._outputs[method]
        if len(outputs) != 1 and method != "kneighbors":
            raise MethodNotAvailableError(f"{method} gives several arrays; use {method}([row])")
        if method in ("predict_log_proba", "predict_std"):
            outputs = self._outputs["predict"] + outputs
        predict_row = row_predictor(self._planner, self._input_reader, outputs)
        if self._outside != "answer":
            from edge_runtime.outside_option import guard_row

            predict_row = guard_row(predict_row, self._flagger(), self._outside)
        return self._rows.setdefault(method, predict_row)

    def _flagger(self, input_reader: InputReader | None = None) -> Flagger:
        from edge_runtime.inputs.flags import Flagger  # which few programs need

        self._planner.check_open()
        if input_reader is not None and input_reader is not self._input_reader:
            return Flagger(input_reader)
        if self._lazy_flagger is None:
            self._lazy_flagger = Flagger(self._input_reader)
        return self._lazy_flagger

    def _guard_rows(self, outside: Outside) -> None:
        from edge_runtime.outside_option import check_outside, guard_row

        check_outside(outside)
        self._one = guard_row(self._one, self._flagger(), outside)
        self._proba_one = guard_row(self._proba_one, self._flagger(), outside)
