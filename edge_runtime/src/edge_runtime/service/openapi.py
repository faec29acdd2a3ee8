"""Describe the addresses of a service as an OpenAPI 3.1 document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import edge_runtime
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.service.served_models import ServedModel

__all__ = ["openapi_document"]


def openapi_document(models: Iterable[ServedModel], *, has_token: bool) -> dict[str, Any]:
    """Return the document; every model's rows have a schema of their own."""
    served = list(models)
    paths: dict[str, Any] = {
        "/predict": {"post": _predict(served[0], "the first model")},
        "/schema": {"get": _get("The columns of the first model.")},
        "/models": {"get": _get("Name, version and digest of each model.")},
        "/health/live": {"get": _get("Whether the process answers.", is_open=True)},
        "/health/ready": {"get": _get("Whether every model predicts.", is_open=True)},
        "/metrics": {"get": _get("Counters for Prometheus.", media_type="text/plain")},
        "/stats": {"get": _get("Sums of the last hour.")},
        "/v2": {"get": _get("Metadata of the Open Inference Protocol.")},
    }
    for model in served:
        address = quote(model.name, safe="")
        paths[f"/models/{address}/predict"] = {"post": _predict(model, model.name)}
        paths[f"/models/{address}/schema"] = {"get": _get(f"The columns of {model.name}.")}
        paths[f"/v2/models/{address}"] = {"get": _get(f"Inputs and outputs of {model.name}.")}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "edge-runtime", "version": edge_runtime.__version__},
        "paths": paths,
        "components": {
            "schemas": {
                "Results": _RESULTS,
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                },
            }
        },
    }
    if has_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


_RESULTS = {
    "type": "object",
    "required": ["model", "version", "digest", "results", "predicted", "refused"],
    "properties": {
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "digest": {"type": ["string", "null"]},
        "results": {"type": "array", "items": {"type": "object"}},
        "predicted": {"type": "integer"},
        "refused": {"type": "integer"},
    },
}


def _get(
    summary: str, *, is_open: bool = False, media_type: str = "application/json"
) -> dict[str, Any]:
    content = {media_type: {"schema": {"type": "string" if "text" in media_type else "object"}}}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": {"description": "The answer.", "content": content}, "default": _ERROR},
    }
    return {**operation, "security": []} if is_open else operation


def _predict(served: ServedModel, name: str) -> dict[str, Any]:
    row = row_schema(served.model.schema)
    results = {"application/json": {"schema": {"$ref": "#/components/schemas/Results"}}}
    flags = {"type": "integer", "enum": [0, 1], "default": 0}
    return {
        "summary": f"Predict with {name}.",
        "parameters": [{"name": "flags", "in": "query", "schema": flags}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [row, {"type": "array", "items": row}, {"type": "object"}]}
                },
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": {"description": "A result for each row.", "content": results},
            "422": {"description": "Every row was refused.", "content": results},
            "default": _ERROR,
        },
    }


_ERROR = {
    "description": "The request is refused as a whole.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}


def row_schema(schema: Schema) -> dict[str, Any]:
    """Return the JSON schema of one row."""
    if schema.kind == "text":
        return {"type": "string"}
    if schema.loose:
        return {"type": "object" if schema.kind == "dicts" else "array"}
    properties = {column.name: _cell_schema(column) for column in schema.columns}
    # A key that is left out is a missing value, as in files.
    required = [c.name for c in schema.columns if schema.kind != "table" or not c.missing]
    return {"type": "object", "required": required, "properties": properties}


_JSON_TYPES = {"bool": "boolean", "string": "string", "dict": "object", "list": "array"}


def _cell_schema(column: Column) -> dict[str, Any]:
    """Describe a cell; what training saw is a description, as other values are predicted too."""
    kind = _JSON_TYPES.get(column.type, "number")
    # Numbers 0 and 1 stand for a bool too.
    types = [kind, *(["number"] if kind == "boolean" else []), *(["null"] * column.missing)]
    cell: dict[str, Any] = {"type": types if len(types) > 1 else kind}
    if column.categories is not None:
        cell["examples"] = list(column.categories[:20])
    elif column.minimum is not None:
        cell["description"] = f"In training from {column.minimum!r} to {column.maximum!r}."
    return cell
