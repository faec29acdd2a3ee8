"""Read the body of a WSGI request within limits, and make responses."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from edge_runtime.cli.console import json_text

__all__ = [
    "HttpError",
    "Response",
    "check_method",
    "json_response",
    "media_type",
    "query_of",
    "read_body",
]


class HttpError(Exception):
    """A request that is refused as a whole.

    Attributes
    ----------
    status
        The status code of the answer.
    headers
        Headers of the answer besides the usual ones.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return *value* as a response of JSON."""
    kind = {"Content-Type": "application/json"}
    return Response(status, json_text(value).encode(), {**kind, **(headers or {})})


def check_method(environ: Mapping[str, Any], method: str) -> None:
    """Raise HttpError 405 unless the request's method is *method*; HEAD is a GET."""
    methods = ("GET", "HEAD") if method == "GET" else (method,)
    if environ.get("REQUEST_METHOD") not in methods:
        raise HttpError(405, f"expected {method} at this address", {"Allow": ", ".join(methods)})


def media_type(environ: Mapping[str, Any]) -> str:
    """Return the Content-Type without its parameters, in small letters."""
    return str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()


def query_of(environ: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the fields of the query.

    Raises
    ------
    HttpError
        There are more than 10.
    """
    query = str(environ.get("QUERY_STRING", ""))
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=10)
    except ValueError as error:
        raise HttpError(400, "expected at most 10 fields in the query") from error


def read_body(environ: Mapping[str, Any], max_bytes: int) -> bytes:
    """Return the body, with gzip undone.

    Raises
    ------
    HttpError
        The length is absent, wrong or beyond *max_bytes*, or the compression is unknown or damaged.
    """
    length = str(environ.get("CONTENT_LENGTH") or "")
    if not length:
        raise HttpError(411, "expected the header Content-Length, found none")
    if not (length.isascii() and length.isdigit() and len(length) <= 18):
        raise HttpError(400, "expected a whole number as Content-Length")
    if int(length) > max_bytes:
        raise _too_large(max_bytes)
    # A socket may give less than was asked for.
    parts, n_missing = [], int(length)
    while n_missing and (part := environ["wsgi.input"].read(n_missing)):
        parts.append(part)
        n_missing -= len(part)
    if n_missing:
        raise HttpError(400, f"the body ends {n_missing:,} bytes before its Content-Length")
    coding = str(environ.get("HTTP_CONTENT_ENCODING", "identity")).strip().lower()
    if coding in _WINDOW_BITS:
        return _decompressed(b"".join(parts), max_bytes, coding)
    if coding != "identity":
        raise HttpError(415, "expected the Content-Encoding gzip, deflate or none")
    return b"".join(parts)


_WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""Codings of HTTP, and the formats of zlib for them (RFC 9110, section 8.4.1)."""


def _decompressed(raw: bytes, max_bytes: int, coding: str) -> bytes:
    decompressor = zlib.decompressobj(wbits=_WINDOW_BITS[coding])
    try:
        body = decompressor.decompress(raw, max_bytes + 1)
    except zlib.error as error:
        raise HttpError(400, f"the body is not {coding}, or is damaged") from error
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if not decompressor.eof or decompressor.unused_data:
        raise HttpError(400, f"expected one whole {coding} member as the body")
    return body


def _too_large(max_bytes: int) -> HttpError:
    return HttpError(
        413, f"the body is larger than {max_bytes:,} bytes; send the rows in several requests"
    )
