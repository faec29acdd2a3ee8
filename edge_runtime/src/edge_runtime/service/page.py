"""Show the page of the service: a form made of the schema, the prediction, health and rate.

The page is one file without a library.  It holds nothing of the models: its script asks the service
for them, with the token that the user types.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from functools import cache
from importlib import resources

from edge_runtime.service.http_messages import Response

__all__ = ["page"]


@cache
def page() -> Response:
    """Return the page, which may run its own script and style alone, and ask this service alone."""
    raw = resources.files("edge_runtime.service").joinpath("page.html").read_bytes()
    policy = (
        f"default-src 'none'; script-src {_hash_of(raw, b'script')}; "
        f"style-src {_hash_of(raw, b'style')}; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
    }
    return Response(200, raw, headers)


def _hash_of(raw: bytes, tag: bytes) -> str:
    """Return the source expression of the only element *tag* (CSP level 2, section 4.2.5)."""
    (content,) = re.findall(b"<%b>(.*?)</%b>" % (tag, tag), raw, re.S)
    return f"'sha256-{b64encode(hashlib.sha256(content).digest()).decode()}'"
