"""Read from a manifest the methods and fitted attributes that the trained estimator had."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np

from edge_runtime.bundle.manifest import METHODS, Manifest, Output
from edge_runtime.bundle.schema import Schema
from edge_runtime.errors import InferenceError, InputError, IntegrityError, MethodNotAvailableError

if TYPE_CHECKING:
    from edge_runtime.engine.batch import Predictions
    from edge_runtime.inputs.tables import ExtraColumns

__all__ = [
    "EstimatorInterface",
    "Neighbor",
    "available_if_trained",
    "class_labels",
    "outputs_by_method",
]

_Method = TypeVar("_Method", bound=Callable[..., Any])


class _AvailableIf:
    """Hide a method on models whose estimator lacked it, as scikit-learn's ``available_if``."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self._trained_name = function.__name__.removesuffix("_one")

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        if model is None:
            return self._function
        if self._trained_name not in model._outputs:
            model._check_available(self._trained_name)
        return self._function.__get__(model, owner)


def available_if_trained(function: _Method) -> _Method:
    """Show a method of the model only if the trained estimator had it."""
    return cast("_Method", _AvailableIf(function))


class Neighbor(NamedTuple):
    """A training row near the row that :meth:`Model.kneighbors_one` got.

    Attributes
    ----------
    distance
        Its distance, by the estimator's metric.
    position
        Its position among the training rows.
    id
        Its id, or None where the bundle has no ids.
    """

    distance: float
    position: int
    id: str | int | None


class EstimatorInterface:
    """The attributes of the fitted estimator, and its methods for one row; Model inherits them.

    Attributes
    ----------
    manifest
        The manifest in the bundle.
    """

    manifest: Manifest
    _outputs: dict[str, tuple[Output, ...]]
    _classes: tuple[Any, ...] | None
    _rows: dict[str, Callable[[Any], Any]]
    _row: Callable[[str], Callable[[Any], Any]]
    _table: Callable[[str, ExtraColumns | None], Callable[[Any], Any]]

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> int:
        """The model's version, which grows with every release."""
        return self.manifest.version

    @property
    def schema(self) -> Schema:
        """The columns of a row: names, types and allowed values."""
        return self.manifest.schema

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the estimator's methods that this model has."""
        return tuple(self._outputs)

    @property
    def classes_(self) -> Any:
        """Class labels in the order of predict_proba's columns; a list of arrays for targets."""
        labels = self.manifest.classes.get("predict")
        if labels is None:
            raise self._lacks("classes_")
        if labels and isinstance(labels[0], list):
            return [np.array(labels_of_target) for labels_of_target in labels]
        return np.array(labels, dtype=self._outputs["predict"][0].dtype)

    @property
    def feature_names_in_(self) -> Any:
        """Names of the columns that the model reads, in the order of training."""
        if self.schema.kind != "table":
            raise self._lacks("feature_names_in_")
        return np.array(self.schema.names, dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the model reads."""
        tensor = self.schema.columns[0].tensor
        if tensor is not None and len(tensor.shape) == 1:
            return tensor.shape[0]
        if self.schema.loose:
            raise self._lacks("n_features_in_")
        return len(self.schema.columns)

    @property
    def n_outputs_(self) -> int:
        """Number of targets that ``predict`` gives for each row."""
        self._check_available("predict")
        rows = self.manifest.golden.answers.get(self._outputs["predict"][0].name) or [0]
        return len(rows[0]) if isinstance(rows[0], list | tuple) else len(self._outputs["predict"])

    @property
    def neighbors_ids(self) -> Any:
        """The ids of the training rows: ``neighbors_ids[positions]`` names the neighbours."""
        if self.manifest.neighbors_ids is None:
            raise MethodNotAvailableError(
                f"{self.manifest.name!r} has no neighbors_ids; export it with ids=[...]"
            )
        return np.array(self.manifest.neighbors_ids, dtype=object)

    @available_if_trained
    def predict_log_proba(
        self, X: Any, *, extra_columns: ExtraColumns | None = None
    ) -> Predictions:
        """Predict the logarithm of each class's probability; see :meth:`predict_proba`."""
        predictions: Predictions = self._table("predict_log_proba", extra_columns)(X)
        return predictions

    @available_if_trained
    def predict_std(self, X: Any, *, extra_columns: ExtraColumns | None = None) -> Predictions:
        """Compute the standard deviation of every prediction: of ``predict(return_std=True)``."""
        deviations: Predictions = self._table("predict_std", extra_columns)(X)
        return deviations

    @available_if_trained
    def kneighbors(
        self,
        X: Any,
        n_neighbors: int | None = None,
        *,
        extra_columns: ExtraColumns | None = None,
    ) -> tuple[Any, Any]:
        """Find the nearest training rows of every row of *X*, the nearest first.

        Parameters
        ----------
        X, extra_columns
            As for :meth:`predict`.
        n_neighbors
            How many; the estimator's own number by default, which is also the most.

        Returns
        -------
        tuple of ndarray, shape (n_samples, n_neighbors)
            Distances, and positions among the training rows.  ``neighbors_ids[positions]`` are
            their ids.  Among equally near rows, the first training row comes first.
        """
        distances, positions = self._table("kneighbors", extra_columns)(X)
        count = _checked_count(n_neighbors, distances.shape[1])
        return distances[:, :count], positions[:, :count]

    @available_if_trained
    def kneighbors_one(self, row: Any, n_neighbors: int | None = None) -> list[Neighbor]:
        """Find the nearest training rows of one row, the nearest first; see :meth:`kneighbors`."""
        distances, positions = (self._rows.get("kneighbors") or self._row("kneighbors"))(row)
        count = _checked_count(n_neighbors, len(distances))
        ids = self.manifest.neighbors_ids
        pairs = zip(distances[:count], positions[:count], strict=True)
        try:
            return [Neighbor(distance, i, None if ids is None else ids[i]) for distance, i in pairs]
        except IndexError as error:
            raise InferenceError(
                "the graph returns a position that has no id; build the model again"
            ) from error

    @available_if_trained
    def predict_std_one(self, row: Any) -> tuple[Any, Any]:
        """Predict for one row, and the standard deviation of the prediction."""
        pair: tuple[Any, Any] = (self._rows.get("predict_std") or self._row("predict_std"))(row)
        return pair

    @available_if_trained
    def predict_log_proba_one(self, row: Any) -> tuple[Any, dict[Any, float]]:
        """Predict for one row, and every class's log probability; see :meth:`predict_proba_one`."""
        label, values = (self._rows.get("predict_log_proba") or self._row("predict_log_proba"))(row)
        if self._outputs["predict_log_proba"][0].method == "predict_proba":
            from edge_runtime.engine.batch import logarithms

            values = logarithms(np.array(values), self.manifest).tolist()
        return label, dict(zip(self._classes or (), values, strict=True))

    @available_if_trained
    def decision_function_one(self, row: Any) -> Any:
        """Compute the confidence scores of one row: a float, or a list of them."""
        return (self._rows.get("decision_function") or self._row("decision_function"))(row)

    @available_if_trained
    def score_samples_one(self, row: Any) -> Any:
        """Compute the score of one row: a float."""
        return (self._rows.get("score_samples") or self._row("score_samples"))(row)

    @available_if_trained
    def transform_one(self, row: Any) -> Any:
        """Transform one row to a list of numbers or strings."""
        return (self._rows.get("transform") or self._row("transform"))(row)

    def __repr__(self) -> str:
        m = self.manifest
        n_columns = len(m.schema.columns)
        return (
            f"<{type(self).__name__} {m.name!r} version {m.version}: {m.task}, {n_columns} "
            f"column{'s' * (n_columns != 1)}, {', '.join(self._outputs)}>"
        )

    def _repr_html_(self) -> str:
        from edge_runtime.notebook_html import as_html  # only notebooks need it

        return as_html(self.manifest)

    def _predict_with_std(self, X: Any, extra_columns: ExtraColumns | None) -> tuple[Any, Any]:
        self._check_available("predict_std")
        mean, deviation = self._table("predict+predict_std", extra_columns)(X)
        return mean, deviation

    def _outputs_of(self, methods: str) -> tuple[Output, ...]:
        """List the outputs of a method, or of several that are joined by ``+``."""
        return tuple(output for method in methods.split("+") for output in self._outputs[method])

    def _lacks(self, attribute: str) -> MethodNotAvailableError:
        return MethodNotAvailableError(
            f"{self.manifest.name!r} has no {attribute}, as the trained estimator had none"
        )

    def _check_available(self, method: str) -> None:
        if method in self._outputs:
            return
        remedy = ""
        if method == "predict_log_proba" and "predict_proba" in self._outputs:
            remedy = "; numpy.log of predict_proba gives logarithms"
        raise MethodNotAvailableError(
            f"{self.manifest.name!r} has no {method}, as the trained estimator had none; it has "
            f"{', '.join(self._outputs)}{remedy}"
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


def _checked_count(n_neighbors: int | None, most: int) -> int:
    """Return the number of neighbours; *most* are in the bundle.

    Raises
    ------
    InputError
        It is not a whole number from 1 to *most*.
    """
    if n_neighbors is None:
        return most
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, int | np.integer):
        raise InputError(f"n_neighbors must be a whole number, found {n_neighbors!r:.80}")
    if not 1 <= n_neighbors <= most:
        raise InputError(
            f"n_neighbors must be from 1 to {most}, found {n_neighbors}; for more, set n_neighbors "
            "of the estimator before the export"
        )
    return int(n_neighbors)


def class_labels(manifest: Manifest) -> tuple[Any, ...] | None:
    """Labels of the columns of predict_proba; None when the manifest names no classes."""
    classes = tuple(manifest.classes.get("predict", ()))
    return classes if classes and not isinstance(classes[0], list) else None


def outputs_by_method(manifest: Manifest) -> dict[str, tuple[Output, ...]]:
    """Map each method to its outputs, in the order of :data:`METHODS`.

    Raises
    ------
    IntegrityError
        The outputs of a method are not numbered from 0.
    """
    by_method: dict[str, tuple[Output, ...]] = {}
    for method in METHODS:
        outputs = [output for output in manifest.outputs if output.method == method]
        if not outputs:
            continue
        if len(outputs) > 1 or outputs[0].item is not None:
            outputs.sort(key=lambda output: -1 if output.item is None else output.item)
            if [output.item for output in outputs] != list(range(len(outputs))):
                raise IntegrityError(f"manifest: the outputs of {method} are not numbered from 0")
        if method == "kneighbors":
            _check_neighbors(outputs)
        by_method[method] = tuple(outputs)
        if method == "predict_proba" and manifest.log_floor is not None:
            by_method["predict_log_proba"] = by_method[method]  # the device takes the logarithm
    return by_method


def _check_neighbors(outputs: list[Output]) -> None:
    """Raise IntegrityError unless *outputs* are distances and positions."""
    kinds = [np.dtype(output.dtype).kind for output in outputs]
    if kinds != ["f", "i"]:
        raise IntegrityError("manifest: kneighbors must have two outputs, distances and positions")
