"""Make the WSGI callable that answers requests for predictions."""

from __future__ import annotations

import hmac
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from edge_runtime.cli.console import printable
from edge_runtime.errors import InputError
from edge_runtime.model import Model
from edge_runtime.service.http_messages import HttpError, Response, json_response, read_body
from edge_runtime.service.limits import ServiceLimits
from edge_runtime.service.rows import results_of_csv, results_of_json

__all__ = ["application"]

WsgiApplication = Callable[[Mapping[str, Any], Callable[..., Any]], Iterable[bytes]]


def application(
    models: Mapping[str, Model],
    *,
    limits: ServiceLimits | None = None,
    token: str | None = None,
) -> WsgiApplication:
    """Return a WSGI callable that predicts with *models*.

    Parameters
    ----------
    models
        Loaded models by the name in their addresses; /predict and /schema mean the first.
    limits
        What one request may cost; the default suits a board of 512 MB.
    token
        What ``Authorization: Bearer TOKEN`` must hold, but for /health; None asks for none.

    Raises
    ------
    ValueError
        There is no model, or *token* is empty.
    """
    if not models:
        raise ValueError("expected at least one model, found none")
    if token is not None and not token.strip():
        raise ValueError("expected a token, found an empty one; None asks for no token")
    return _Service(dict(models), limits or ServiceLimits(), token)


class _Service:
    """Routes requests; holds no state but the turns of predictions."""

    def __init__(self, models: dict[str, Model], limits: ServiceLimits, token: str | None) -> None:
        self._models, self._limits, self._token = models, limits, token
        self._turns = threading.BoundedSemaphore(limits.predictions_at_once)

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        try:
            response = self._answer(environ)
        except HttpError as error:
            response = json_response(error.status, {"error": str(error)}, error.headers)
        except Exception:
            # The caller must not see the machine's paths; whoever runs the server must.
            lines = traceback.format_exc().splitlines()
            environ["wsgi.errors"].write("".join(f"{printable(line)}\n" for line in lines))
            response = json_response(500, {"error": "the service failed; its log says why"})
        headers = {
            **response.headers,
            "Content-Length": str(len(response.body)),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        status = f"{response.status} {HTTPStatus(response.status).phrase}"
        start_response(status, list(headers.items()))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [response.body]

    def _answer(self, environ: Mapping[str, Any]) -> Response:
        path = environ.get("PATH_INFO", "")
        if path == "/health/live":
            _check_method(environ, "GET")
            return json_response(200, {"live": True})
        if path == "/health/ready":  # models are loaded and checked before they come here
            _check_method(environ, "GET")
            return json_response(200, {"ready": True})
        self._check_token(environ)
        first = next(iter(self._models))
        match path.split("/")[1:]:
            case ["models"]:
                _check_method(environ, "GET")
                listed = [_identity(name, model) for name, model in self._models.items()]
                return json_response(200, {"models": listed})
            case ["predict"]:
                return self._predict(environ, first)
            case ["schema"]:
                return self._schema(environ, first)
            case ["models", _, "predict"]:
                return self._predict(environ, self._name(path))
            case ["models", _, "schema"]:
                return self._schema(environ, self._name(path))
        raise HttpError(404, "no such address; GET /models lists the models")

    def _name(self, path: str) -> str:
        # WSGI passes the bytes of a path as latin-1 (PEP 3333).
        name = path.split("/")[2].encode("latin-1", "replace").decode("utf-8", "replace")
        if name not in self._models:
            raise HttpError(404, "no model of that name; GET /models lists the models")
        return name

    def _check_token(self, environ: Mapping[str, Any]) -> None:
        if self._token is None:
            return
        header = str(environ.get("HTTP_AUTHORIZATION", ""))
        scheme, _, credentials = header.partition(" ")
        is_equal = hmac.compare_digest(
            credentials.strip().encode("utf-8", "replace"), self._token.strip().encode()
        )
        if scheme.lower() != "bearer" or not is_equal:
            message = "expected the header Authorization: Bearer TOKEN with this service's token"
            raise HttpError(401, message, {"WWW-Authenticate": "Bearer"})

    def _schema(self, environ: Mapping[str, Any], name: str) -> Response:
        _check_method(environ, "GET")
        model = self._models[name]
        return json_response(200, {**_identity(name, model), "schema": model.schema.to_json()})

    def _predict(self, environ: Mapping[str, Any], name: str) -> Response:
        _check_method(environ, "POST")
        read_rows = _reader(environ)
        flags = _asks_for_flags(environ)
        body = read_body(environ, self._limits.max_body_bytes)
        if not self._turns.acquire(timeout=self._limits.queue_seconds):
            raise HttpError(503, "the service is busy; ask again later", {"Retry-After": "1"})
        model = self._models[name]
        try:
            results = read_rows(model, body, self._limits.max_rows, flags=flags)
        except InputError as error:
            raise HttpError(422, str(error)) from error
        finally:
            self._turns.release()
        n_refused = sum("error" in result for result in results)
        value = {
            **_identity(name, model),
            "results": results,
            "predicted": len(results) - n_refused,
            "refused": n_refused,
        }
        return json_response(422 if results and n_refused == len(results) else 200, value)


def _identity(name: str, model: Model) -> dict[str, Any]:
    origin = model.origin
    digest = None if origin is None else origin.sha256
    return {"model": name, "version": model.manifest.version, "digest": digest}


def _check_method(environ: Mapping[str, Any], method: str) -> None:
    methods = ("GET", "HEAD") if method == "GET" else (method,)
    if environ.get("REQUEST_METHOD") not in methods:
        raise HttpError(405, f"expected {method} at this address", {"Allow": ", ".join(methods)})


def _reader(environ: Mapping[str, Any]) -> Callable[..., list[dict[str, Any]]]:
    kind = str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return results_of_json
    if kind == "text/csv":
        return results_of_csv
    # A page of another site can send other types without asking first, but not these.
    raise HttpError(415, "expected the Content-Type application/json or text/csv")


def _asks_for_flags(environ: Mapping[str, Any]) -> bool:
    try:
        query = parse_qs(
            str(environ.get("QUERY_STRING", "")), keep_blank_values=True, max_num_fields=10
        )
    except ValueError as error:
        raise HttpError(400, "expected at most 10 fields in the query") from error
    if set(query) - {"flags"} or query.get("flags", ["1"]) not in (["0"], ["1"]):
        raise HttpError(400, "expected no query, flags=0 or flags=1")
    return query.get("flags") == ["1"]
