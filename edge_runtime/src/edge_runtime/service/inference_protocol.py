"""Answer the Open Inference Protocol V2, which clients of Triton and KServe speak.

A request has a tensor for each column, and an answer one for each array of the model's methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import edge_runtime
from edge_runtime.cli.console import json_text
from edge_runtime.errors import InputError
from edge_runtime.service.http_messages import (
    HttpError,
    Response,
    check_method,
    json_response,
    media_type,
)
from edge_runtime.service.limits import ServiceLimits
from edge_runtime.service.model_tensors import ModelTensors
from edge_runtime.service.rows import RowCounts, parsed_json
from edge_runtime.service.served_models import ServedModel
from edge_runtime.service.tensors import (
    datatype_of,
    read_tensor,
    tensor_bytes,
    tensor_values,
)

__all__ = ["infer", "model_answer", "server_metadata"]

JSON_BYTES = "Inference-Header-Content-Length"
"""Header with the length of the JSON, where tensors follow it (binary extension)."""

_FORM_TYPES = ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded")
"""What a page of another site may send without asking first."""


def server_metadata() -> Response:
    """Return name, version and extensions of the server."""
    value = {
        "name": "edge-runtime",
        "version": edge_runtime.__version__,
        "extensions": ["binary_tensor_data"],
    }
    return json_response(200, value)


def model_answer(environ: Mapping[str, Any], served: ServedModel, action: list[str]) -> Response:
    """Return the metadata of a model, or whether it is ready.

    Raises
    ------
    HttpError
        The model has another version, or there is no such address.
    """
    check_method(environ, "GET")
    if action == ["ready"]:
        is_ready = not served.fault()
        return json_response(200 if is_ready else 503, {"name": served.name, "ready": is_ready})
    if action:
        raise HttpError(404, "no such address; expected ready, infer or no more")
    tensors = served.tensors()
    value = {
        "name": served.name,
        "versions": [str(served.model.manifest.version)],
        "platform": "onnx_edge_runtime",
        "inputs": tensors.inputs,
        "outputs": tensors.outputs,
    }
    return json_response(200, value)


def infer(
    environ: Mapping[str, Any], body: bytes, served: ServedModel, limits: ServiceLimits
) -> tuple[Response, RowCounts]:
    """Predict the tensors of a request; return the answer and what to count about its rows.

    Raises
    ------
    HttpError
        The request is refused, as a whole: this protocol has no errors for single rows.
    """
    if media_type(environ) in _FORM_TYPES:
        raise HttpError(415, "expected the Content-Type application/json or octet-stream")
    text, binary = _split(environ, body)
    request = parsed_json(text)
    if not isinstance(request, dict):
        raise HttpError(400, "expected an object with inputs")
    parameters = _parameters(request, "the request")
    missing = parameters.get("missing_value")
    if missing is not None and not isinstance(missing, str):
        raise HttpError(400, "expected a text as missing_value")
    tensors = served.tensors()
    is_binary = _requested(request, tensors, bool(parameters.get("binary_data_output", False)))
    arrays = _inputs(request, binary, missing)
    try:
        table, n_rows = tensors.table(arrays, limits.rows_of(tensors.values_per_row))
        outputs = tensors.predict(table, list(is_binary))
        counts = served.rows.counts_of(table, n_rows)
    except InputError as error:
        raise HttpError(400, str(error)) from error
    answer: dict[str, Any] = {
        "model_name": served.name,
        "model_version": str(served.model.manifest.version),
    }
    if "id" in request:
        if not isinstance(request["id"], str):
            raise HttpError(400, "expected a text as id")
        answer["id"] = request["id"]
    return _response(answer, outputs, is_binary), counts


def _split(environ: Mapping[str, Any], body: bytes) -> tuple[bytes, bytes]:
    """Return the JSON and the tensors that follow it."""
    length = environ.get("HTTP_INFERENCE_HEADER_CONTENT_LENGTH")
    if length is None:
        return body, b""
    is_number = str(length).isascii() and str(length).isdigit() and len(str(length)) < 12
    if not is_number or not int(length) <= len(body):
        raise HttpError(
            400, f"expected {JSON_BYTES} from 0 to {len(body):,}, as the body has bytes"
        )
    return body[: int(length)], body[int(length) :]


def _parameters(owner: Mapping[str, Any], name: str) -> dict[str, Any]:
    parameters = owner.get("parameters", {})
    if not isinstance(parameters, dict):
        raise HttpError(400, f"expected an object as parameters of {name:.80}")
    return parameters


def _tensors_by_name(request: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
    """Return the tensors at *key* by name, each name once."""
    entries = request.get(key)
    if not isinstance(entries, list) or not entries:
        raise HttpError(400, f"expected {key}, a list of objects with a name")
    by_name: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise HttpError(400, f"expected {key}, a list of objects with a name")
        if entry["name"] in by_name:
            raise HttpError(400, f"{key} has {entry['name']!r:.80} twice")
        by_name[entry["name"]] = entry
    return by_name


def _requested(
    request: Mapping[str, Any], tensors: ModelTensors, is_binary: bool
) -> dict[str, bool]:
    """Return the names of the outputs to send, and whether each goes as bytes."""
    available = [output["name"] for output in tensors.outputs]
    if request.get("outputs") in (None, []):
        return dict.fromkeys(available, is_binary)
    requested = {}
    for name, output in _tensors_by_name(request, "outputs").items():
        if name not in available:
            raise HttpError(400, f"no output {name!r:.80}; expected {', '.join(available)}")
        parameters = _parameters(output, name)
        unknown = set(parameters) - {"binary_data"}
        if unknown:
            raise HttpError(
                400, f"output {name!r:.80}: {sorted(unknown)[0]!r:.80} is not supported"
            )
        requested[name] = bool(parameters.get("binary_data", is_binary))
    return requested


def _inputs(request: Mapping[str, Any], binary: bytes, missing: str | None) -> dict[str, Any]:
    """Read the inputs; the bytes behind the JSON belong to them in their order."""
    arrays, start = {}, 0
    for name, tensor in _tensors_by_name(request, "inputs").items():
        parameters = _parameters(tensor, name)
        if any(key.startswith("shared_memory") for key in parameters):
            raise HttpError(400, f"input {name!r:.80}: shared memory is not supported")
        size = parameters.get("binary_data_size")
        raw = None
        if size is not None:
            if type(size) is not int or not 0 <= size <= len(binary) - start or "data" in tensor:
                message = "expected data, or a binary_data_size within the body"
                raise HttpError(400, f"input {name!r:.80}: {message}")
            raw, start = binary[start : start + size], start + size
        arrays[name] = read_tensor(tensor, raw, missing)
    if start != len(binary):
        raise HttpError(400, f"{len(binary) - start:,} bytes behind the JSON belong to no input")
    return arrays


def _response(
    answer: dict[str, Any], outputs: Mapping[str, Any], is_binary: Mapping[str, bool]
) -> Response:
    described, parts = [], []
    for name, array in outputs.items():
        tensor: dict[str, Any] = {
            "name": name,
            "datatype": datatype_of(array),
            "shape": list(array.shape),
        }
        if is_binary[name]:
            parts.append(tensor_bytes(array))
            tensor["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            tensor["data"] = tensor_values(array)
        described.append(tensor)
    answer["outputs"] = described
    if not parts:
        return json_response(200, answer)
    text = json_text(answer).encode()
    headers = {"Content-Type": "application/octet-stream", JSON_BYTES: str(len(text))}
    return Response(200, b"".join([text, *parts]), headers)
