"""Make the WSGI callable that answers requests for predictions."""

from __future__ import annotations

import hmac
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

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
from edge_runtime.service.metrics import Metrics
from edge_runtime.service.openapi import openapi_document
from edge_runtime.service.page import page
from edge_runtime.service.rows import RowCounts
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


@dataclass(slots=True)
class RequestRecord:
    """A request as it is logged and counted: its address without names, and its rows."""

    route: str = "other"
    model: str | None = None
    counts: RowCounts | None = None


class Service:
    """Routes requests; holds the turns of predictions and the counters.

    Parameters
    ----------
    models, limits, token
        As for :func:`application`.
    log
        Gets an entry for each request, without its rows, and for each fault of ours.  None logs
        faults alone, to the server's error log.
    """

    def __init__(
        self,
        models: ServedModels,
        limits: ServiceLimits,
        token: str | None,
        log: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._models, self._limits, self._token = models, limits, token
        self._turns = threading.BoundedSemaphore(limits.predictions_at_once)
        self._log = log
        self._metrics = Metrics()

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        started, record = time.perf_counter(), RequestRecord()
        try:
            response = self._answer(environ, record)
        except HttpError as error:
            response = json_response(error.status, {"error": str(error)}, error.headers)
        except Exception:
            # The caller must not see the machine's paths; whoever runs the server must.
            self._log_fault(environ, traceback.format_exc().splitlines())
            response = json_response(500, {"error": "the service failed; its log says why"})
        headers = {
            "Cache-Control": "no-store",
            **response.headers,
            "Content-Length": str(len(response.body)),
            "X-Content-Type-Options": "nosniff",
        }
        status = f"{response.status} {HTTPStatus(response.status).phrase}"
        seconds = time.perf_counter() - started + _queued_seconds(environ)
        self._record(environ, record, response.status, seconds)
        start_response(status, list(headers.items()))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [response.body]

    def _record(
        self, environ: Mapping[str, Any], record: RequestRecord, status: int, seconds: float
    ) -> None:
        self._metrics.count_request(record.route, status, seconds)
        if record.model is not None and record.counts is not None:
            self._metrics.count_rows(record.model, record.counts)
        if self._log is None:
            return
        entry: dict[str, Any] = {
            "event": "request",
            "method": str(environ.get("REQUEST_METHOD"))[:10],
            "route": record.route,
            "status": status,
            "ms": round(1000 * seconds, 3),
        }
        if record.model is not None:
            entry["model"] = record.model
        if record.counts is not None:
            counts = record.counts
            n_flags = counts.flags.total()
            entry |= {"rows": counts.n_predicted, "refused": counts.n_refused, "flags": n_flags}
        self._log(entry)

    def _log_fault(self, environ: Mapping[str, Any], lines: list[str]) -> None:
        if self._log is not None:
            self._log({"event": "fault", "traceback": lines})
        else:
            environ["wsgi.errors"].write("".join(f"{printable(line)}\n" for line in lines))

    def _answer(self, environ: Mapping[str, Any], record: RequestRecord) -> Response:
        path = environ.get("PATH_INFO", "")
        if path in _HEALTH:
            record.route = path
            check_method(environ, "GET")
            state = path.rpartition("/")[2]
            is_well = state == "live" or not self._models.faults()
            return json_response(200 if is_well else 503, {state: is_well})
        if path == "/":  # it holds nothing, and asks for the token itself
            record.route = path
            check_method(environ, "GET")
            return page()
        self._check_token(environ)
        match path.split("/")[1:]:
            case ["predict" | "schema" as action]:
                return self._of_model(environ, self._models.first, [action], record)
            case ["models", name, "predict" | "schema" as action]:
                return self._of_model(environ, self._served(name), [action], record)
            case ["v2", "models", name, *actions]:
                return self._of_model(environ, self._served(name), ["v2", *actions], record)
        answer = self._answers.get(path)
        if answer is None:
            raise HttpError(404, "no such address; GET /models lists the models")
        record.route = path
        check_method(environ, "GET")
        return answer(self)

    def _of_model(
        self,
        environ: Mapping[str, Any],
        served: ServedModel,
        action: list[str],
        record: RequestRecord,
    ) -> Response:
        record.model = served.name
        match action:
            case ["predict"]:
                record.route = "/predict"
                return self._predict(environ, served, record)
            case ["schema"]:
                record.route = "/schema"
                return _schema(environ, served)
        record.route = "/v2/infer" if action[-1] == "infer" else "/v2/models"
        return self._protocol(environ, served, action[1:], record)

    def _list_models(self) -> Response:
        return json_response(200, {"models": [served.identity() for served in self._models]})

    def _show_metrics(self) -> Response:
        text = self._metrics.text(self._models).encode()
        return Response(200, text, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def _show_openapi(self) -> Response:
        has_token = self._token is not None
        return json_response(200, openapi_document(self._models, has_token=has_token))

    def _show_stats(self) -> Response:
        return json_response(200, {"last_hour": self._metrics.last_hour()})

    _answers: ClassVar[dict[str, Callable[[Service], Response]]] = {
        "/models": _list_models,
        "/metrics": _show_metrics,
        "/openapi.json": _show_openapi,
        "/stats": _show_stats,
        "/v2": lambda _: server_metadata(),
    }

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

    def _predict(
        self, environ: Mapping[str, Any], served: ServedModel, record: RequestRecord
    ) -> Response:
        check_method(environ, "POST")
        # A page of another site can send other types without asking first, but not these.
        kind = media_type(environ)
        rows = served.rows
        predict = {"application/json": rows.predict_json, "text/csv": rows.predict_csv}.get(kind)
        if predict is None:
            raise HttpError(415, "expected the Content-Type application/json or text/csv")
        flags = _asks_for_flags(environ)
        max_rows = self._limits.rows_of(rows.values_per_row)
        body = read_body(environ, self._limits.max_body_bytes)
        self._take_turn(environ)
        try:
            results, counts = predict(body, max_rows, flags=flags)
        except InputError as error:
            raise HttpError(422, str(error)) from error
        finally:
            self._turns.release()
        record.counts = counts
        value = {
            **served.identity(),
            "results": results,
            "predicted": counts.n_predicted,
            "refused": counts.n_refused,
        }
        return json_response(422 if counts.n_refused and not counts.n_predicted else 200, value)

    def _protocol(
        self,
        environ: Mapping[str, Any],
        served: ServedModel,
        action: list[str],
        record: RequestRecord,
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
            response, record.counts = infer(environ, body, served, self._limits)
        finally:
            self._turns.release()
        return response

    def _take_turn(self, environ: Mapping[str, Any]) -> None:
        """Wait until this request may predict; the wait in the server's own queue counts too."""
        patience = self._limits.queue_seconds - _queued_seconds(environ)
        if not patience > 0 or not self._turns.acquire(timeout=patience):
            raise HttpError(503, "the service is busy; ask again later", {"Retry-After": "1"})


def _queued_seconds(environ: Mapping[str, Any]) -> float:
    try:
        seconds = float(environ.get(QUEUED_SECONDS, 0.0))
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 3600 else 0.0  # not where a client set it


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
