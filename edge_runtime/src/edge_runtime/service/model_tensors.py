"""Describe a model by named tensors, and turn tensors into its table, predictions into tensors."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.json_reader import read_json
from edge_runtime.bundle.schema import Schema
from edge_runtime.engine.self_test import golden_rows
from edge_runtime.errors import IntegrityError
from edge_runtime.model import Model
from edge_runtime.schema_rows import typical_rows
from edge_runtime.service.http_messages import HttpError
from edge_runtime.service.tensors import datatype_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ModelTensors"]

_TYPES = {
    "float64": "FP64",
    "int64": "INT64",
    "bool": "BOOL",
    "string": "BYTES",
    "dict": "BYTES",
    "list": "BYTES",
}

MATRIX = "X"
"""Name of the only input of a model that was trained on an array without column names."""


class ModelTensors:
    """The inputs and outputs of a model as tensors.

    Attributes
    ----------
    inputs, outputs
        Name, datatype and shape of each; -1 is the number of rows.
    values_per_row
        Numbers and labels in all outputs of a row.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        schema = model.schema
        self._is_matrix = schema.kind == "array" and all(c.is_number for c in schema.columns)
        self.inputs = _inputs(schema, is_matrix=self._is_matrix)
        self._method_of: dict[str, tuple[str, int]] = {}
        self.outputs: list[dict[str, Any]] = []
        self.values_per_row = 0
        table = _table_of(schema, _sample_row(model))
        for method in model.methods:
            arrays = _as_arrays(getattr(model, method)(table))
            for i, array in enumerate(arrays):
                name = method if len(arrays) == 1 else f"{method}.{i}"
                self._method_of[name] = method, i
                shape = [-1, *array.shape[1:]]
                self.values_per_row += prod(array.shape[1:])
                self.outputs.append({"name": name, "datatype": datatype_of(array), "shape": shape})

    def table(self, arrays: Mapping[str, NDArray[Any]], max_rows: int) -> tuple[Any, int]:
        """Return the table that the model's methods take, and its number of rows.

        Raises
        ------
        HttpError
            The tensors are not those of the model, or have too many rows.
        """
        names = [tensor["name"] for tensor in self.inputs]
        if absent := [name for name in names if name not in arrays]:
            raise HttpError(400, f"the input {absent[0]!r:.80} is missing; expected {_few(names)}")
        if extra := [name for name in arrays if name not in names]:
            raise HttpError(400, f"no input {extra[0]!r:.80}; expected {_few(names)}")
        columns = {t["name"]: _with_rows(arrays[t["name"]], t) for t in self.inputs}
        counts = {len(column) for column in columns.values()}
        if len(counts) > 1:
            raise HttpError(400, f"expected inputs of one length, found {sorted(counts)}")
        n_rows = counts.pop()
        if n_rows > max_rows:
            message = f"expected at most {max_rows:,} rows; send them in several requests"
            raise HttpError(413, message)
        schema = self._model.schema
        if self._is_matrix or schema.kind == "tensor":
            return columns[names[0]], n_rows
        if not schema.loose:
            return columns, n_rows
        texts = columns[names[0]].tolist()
        return (texts if schema.kind == "text" else list(map(_parsed, texts))), n_rows

    def predict(self, table: Any, names: list[str]) -> dict[str, NDArray[Any]]:
        """Return the outputs *names* for *table*; each method runs once.

        Raises
        ------
        InputError
            The model refuses a row.
        """
        results: dict[str, list[NDArray[Any]]] = {}
        outputs = {}
        for name in names:
            method, i = self._method_of[name]
            if method not in results:
                results[method] = _as_arrays(getattr(self._model, method)(table))
            outputs[name] = results[method][i]
        return outputs


def _inputs(schema: Schema, *, is_matrix: bool) -> list[dict[str, Any]]:
    if is_matrix:
        return [{"name": MATRIX, "datatype": "FP64", "shape": [-1, len(schema.columns)]}]
    if schema.kind == "tensor" and (tensor := schema.columns[0].tensor) is not None:
        datatype = datatype_of(np.empty(0, tensor.dtype))
        return [{"name": MATRIX, "datatype": datatype, "shape": [-1, *tensor.shape]}]
    return [{"name": c.name, "datatype": _TYPES[c.type], "shape": [-1]} for c in schema.columns]


def _sample_row(model: Model) -> Any:
    """Return a golden row, or one made from the schema, as ``predict_one`` takes it."""
    if model.manifest.golden.rows:
        cells = golden_rows(model.manifest)[0]
        return cells[0] if model.schema.loose else cells
    return typical_rows(model.schema)[0]


def _table_of(schema: Schema, row: Any) -> Any:
    if schema.loose:
        return [row]
    return {name: [cell] for name, cell in zip(schema.names, row, strict=True)}


def _with_rows(array: NDArray[Any], tensor: Mapping[str, Any]) -> NDArray[Any]:
    """Return *array* with its rows first; a column may also have the shape (n, 1)."""
    expected = tensor["shape"][1:]
    if not expected and array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if list(array.shape[1:]) != expected:
        message = f"expected the shape {tensor['shape']}, found {list(array.shape)}"
        raise HttpError(400, f"input {tensor['name']!r:.80}: {message}")
    return array


def _parsed(text: Any) -> Any:
    """Parse one dict or list, which comes as the text of its JSON."""
    try:
        return None if text is None else read_json(text.encode(), name="a row", any_escape=True)
    except (IntegrityError, UnicodeEncodeError) as error:
        raise HttpError(400, str(error).replace("canonical JSON", "JSON")) from error


def _as_arrays(result: Any) -> list[NDArray[Any]]:
    return list(result) if isinstance(result, list | tuple) else [result]


def _few(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
