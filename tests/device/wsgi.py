"""Send requests to a WSGI callable in this process, watched by wsgiref's validator."""

import io
import json
from collections.abc import Callable
from typing import Any
from wsgiref.validate import validator

Request = Callable[..., tuple[int, dict[str, str], Any]]


def requester(app: Any) -> Request:
    """Return a function that sends one request in this process, watched by wsgiref's validator."""
    validated = validator(app)

    def request(path: str, body: bytes | Any = None, **environ: Any) -> tuple[int, Any, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        base = {
            "REQUEST_METHOD": "GET" if body is None else "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(raw)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(raw),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **environ,
        }
        heads: list[Any] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            heads.append((int(status[:3]), dict(headers)))
            return lambda data: None

        if not base["CONTENT_LENGTH"].isdigit():  # which the validator itself refuses
            text = b"".join(app(base, start))
        else:
            answer = validated(base, start)
            text = b"".join(answer)
            answer.close()
        status, headers = heads[0]
        assert base["REQUEST_METHOD"] == "HEAD" or int(headers["Content-Length"]) == len(text)
        is_json = headers.get("Content-Type") == "application/json"
        return status, headers, (json.loads(text) if is_json else text) if text else None

    return request
