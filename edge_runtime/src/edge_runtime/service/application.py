"""Make the WSGI callable that answers requests for predictions."""

from __future__ import annotations

import hmac
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from edge_runtime.cli.console import printable
from edge_runtime.errors import InputError
from edge_runtime.model import Model
from edge_runtime.service.http_messages import (
    HttpError,
    Response,
    check_method,
    json_response,
    media_type,
    query_of,
    read_body,
)
from edge_runtime.service.inference_protocol import infer, model_answer, server_metadata
from edge_runtime.service.limits import ServiceLimits
from edge_runtime.service.served_models import ServedModel, ServedModels

__all__ = ["Service", "application"]

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
        There is no model, a name has a slash, or *token* is empty.
    """
    if token is not None and not token.strip():
        raise ValueError("expected a token, found an empty one; None asks for no token")
    return Service(ServedModels(models), limits or ServiceLimits(), token)


class Service:
    """Routes requests; holds no state but the turns of predictions.

    Parameters
    ----------
    models, limits, token
        As for :func:`application`.
    """

    def __init__(self, models: ServedModels, limits: ServiceLimits, token: str | None) -> None:
        self._models, self._limits, self._token = models, limits, token
        self._turns = threading.BoundedSemaphore(limits.predictions_at_once)

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
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
        if path in _HEALTH:
            check_method(environ, "GET")
            state = path.rpartition("/")[2]
            is_well = state == "live" or not self._models.faults()
            return json_response(200 if is_well else 503, {state: is_well})
        self._check_token(environ)
        match path.split("/")[1:]:
            case ["models"]:
                check_method(environ, "GET")
                listed = [served.identity() for served in self._models]
                return json_response(200, {"models": listed})
            case ["predict"]:
                return self._predict(environ, self._models.first)
            case ["schema"]:
                return _schema(environ, self._models.first)
            case ["models", name, "predict"]:
                return self._predict(environ, self._served(name))
            case ["models", name, "schema"]:
                return _schema(environ, self._served(name))
            case ["v2"]:
                check_method(environ, "GET")
                return server_metadata()
            case ["v2", "models", name, *action]:
                return self._protocol(environ, self._served(name), action)
        raise HttpError(404, "no such address; GET /models lists the models")

    def _served(self, segment: str) -> ServedModel:
        # WSGI passes the bytes of a path as latin-1 (PEP 3333).
        name = segment.encode("latin-1", "replace").decode("utf-8", "replace")
        served = self._models.get(name)
        if served is None:
            raise HttpError(404, "no model of that name; GET /models lists the models")
        return served

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

    def _predict(self, environ: Mapping[str, Any], served: ServedModel) -> Response:
        check_method(environ, "POST")
        # A page of another site can send other types without asking first, but not these.
        kind = media_type(environ)
        rows = served.rows
        predict = {"application/json": rows.predict_json, "text/csv": rows.predict_csv}.get(kind)
        if predict is None:
            raise HttpError(415, "expected the Content-Type application/json or text/csv")
        flags = _asks_for_flags(environ)
        body = read_body(environ, self._limits.max_body_bytes)
        self._take_turn(environ)
        try:
            answer = predict(body, self._limits.max_rows, flags=flags)
        except InputError as error:
            raise HttpError(422, str(error)) from error
        finally:
            self._turns.release()
        n_rows = len(answer.results)
        value = {
            **served.identity(),
            "results": answer.results,
            "predicted": n_rows - answer.n_refused,
            "refused": answer.n_refused,
        }
        return json_response(422 if n_rows and answer.n_refused == n_rows else 200, value)

    def _protocol(
        self, environ: Mapping[str, Any], served: ServedModel, action: list[str]
    ) -> Response:
        """Answer a request of the Open Inference Protocol about one model."""
        version = str(served.model.manifest.version)
        if action[:1] == ["versions"]:
            if action[1:2] != [version]:
                raise HttpError(404, f"the model has version {version} alone")
            action = action[2:]
        if action != ["infer"]:
            return model_answer(environ, served, action)
        check_method(environ, "POST")
        body = read_body(environ, self._limits.max_body_bytes)
        self._take_turn(environ)
        try:
            response, _ = infer(environ, body, served, self._limits.max_rows)
        finally:
            self._turns.release()
        return response

    def _take_turn(self, environ: Mapping[str, Any]) -> None:
        """Wait until this request may predict; the wait in the server's own queue counts too."""
        try:
            waited = float(environ.get(QUEUED_SECONDS, 0.0))
        except ValueError:
            waited = 0.0
        patience = self._limits.queue_seconds - waited
        if not patience > 0 or not self._turns.acquire(timeout=patience):
            raise HttpError(503, "the service is busy; ask again later", {"Retry-After": "1"})


QUEUED_SECONDS = "HTTP_EDGE_QUEUED_SECONDS"
"""Header in which :mod:`edge_runtime.service.server` says how long a request has waited."""


_HEALTH = ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready")
"""Addresses that need no token."""


def _schema(environ: Mapping[str, Any], served: ServedModel) -> Response:
    check_method(environ, "GET")
    return json_response(200, {**served.identity(), "schema": served.model.schema.to_json()})


def _asks_for_flags(environ: Mapping[str, Any]) -> bool:
    query = query_of(environ)
    if set(query) - {"flags"} or query.get("flags", ["1"]) not in (["0"], ["1"]):
        raise HttpError(400, "expected no query, flags=0 or flags=1")
    return query.get("flags") == ["1"]
