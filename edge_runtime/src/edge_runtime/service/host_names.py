"""Answer only requests that were meant for this machine: a guard against DNS rebinding.

A page of another site can let its own name point to 127.0.0.1.  Then the browser takes our answers
for the site's own, and the page reads them.  Such a request carries the site's name as its Host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["only_local_hosts"]

WsgiApplication = Callable[[Mapping[str, Any], Callable[..., Any]], Iterable[bytes]]


def only_local_hosts(application: WsgiApplication) -> WsgiApplication:
    """Return *application*, with 403 for a Host that is neither localhost nor a number."""

    def guarded(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if _is_local(str(environ.get("HTTP_HOST", "localhost"))):
            return application(environ, start_response)
        body = (
            b'{"error": "expected localhost or an address as Host; name a token file for others"}'
        )
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("403 Forbidden", headers)
        return [body]

    return guarded


def _is_local(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
