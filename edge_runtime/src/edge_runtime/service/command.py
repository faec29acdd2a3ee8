"""Run ``edge-runtime serve``: load models, listen, and answer until a signal ends the process."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import stat
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from edge_runtime.bundle.regular_file import read_regular
from edge_runtime.cli.console import json_text, note, print_line
from edge_runtime.cli.model_names import bundle_path, model_names, models_folder
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.engine.selection import Engine
from edge_runtime.errors import EdgeRuntimeError, ServiceError
from edge_runtime.loading import load
from edge_runtime.model import Model
from edge_runtime.service.application import Service
from edge_runtime.service.caretaker import Caretaker, ModelReloader
from edge_runtime.service.host_names import only_local_hosts
from edge_runtime.service.limits import ServiceLimits
from edge_runtime.service.served_models import ServedModels
from edge_runtime.service.server import Server
from edge_runtime.service.service_manager import notifier, watchdog_seconds

__all__ = ["ServeOptions", "serve"]

MIN_TOKEN_CHARACTERS = 16
"""Fewer could be guessed."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of ``edge-runtime serve``, as its help explains them."""

    models: Sequence[str]
    folder: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    unix: str | None = None
    token_file: str | None = None
    trust_store: str | None = None
    engine: Engine = "auto"
    log_requests: bool = True
    watch: bool = False
    limits: ServiceLimits = field(default_factory=ServiceLimits)


def serve(options: ServeOptions) -> int:
    """Load the models, and answer requests until SIGTERM or SIGINT.

    SIGHUP loads every model again.

    Raises
    ------
    EdgeRuntimeError
        A model cannot be loaded, or the options would let strangers in.
    ImportError
        waitress is not installed.
    OSError
        The address cannot be listened on.
    """
    _check_waitress()
    _route_server_log()
    token = _token(options.token_file)
    if options.unix is None and token is None and not _is_loopback(options.host):
        raise ServiceError(
            f"expected --token-file for {options.host}, which other machines reach; write 16 or "
            "more random characters to a file of mode 600, or listen on 127.0.0.1"
        )
    loader = _loader(options)
    paths, loaded = load_models(options, loader)
    models = ServedModels(loaded)
    del loaded  # or the first version of each model would stay in memory
    request_log = log if options.log_requests else _log_faults
    service: Callable[..., Any] = Service(models, options.limits, token, request_log)
    if options.unix is None and token is None:
        service = only_local_hosts(service)
    with _listener(options) as listener:
        server = Server(service, listener, options.limits)
        reloader = ModelReloader(models, paths, loader, log)
        _answer_until_stopped(server, listener, models, reloader, watch=options.watch)
    if options.unix is not None:
        os.unlink(options.unix)
    log({"event": "stopped"})
    return 0


def _answer_until_stopped(
    server: Server,
    listener: socket.socket,
    models: ServedModels,
    reloader: ModelReloader,
    *,
    watch: bool,
) -> None:
    """Answer until a signal comes; the service manager hears of every state."""
    notify = notifier(os.environ)
    caretaker = Caretaker(
        reloader,
        watch=watch,
        notify=notify,
        watchdog_seconds=watchdog_seconds(os.environ),
        is_well=lambda: server.is_reading() and not models.faults(),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    signal.signal(signal.SIGHUP, caretaker.ask_for_reload)
    for served in models:
        log({"event": "model", **served.identity(), "engine": served.model.engine})
    caretaker.start()
    print_line(f"listening on {_address(listener)}", flush=True)
    notify("READY=1")
    server.run(lambda: notify("STOPPING=1"))
    caretaker.stop()


def log(entry: Mapping[str, Any]) -> None:
    """Write one line of JSON to standard error, with the time."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    note(json_text({"time": now, **entry}))


class _JsonHandler(logging.Handler):
    """Writes what waitress logs as lines of our log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        entry: dict[str, Any] = {"event": "server", "message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            entry["traceback"] = traceback.format_exception(record.exc_info[1])
        log(entry)


def _route_server_log() -> None:
    logger = logging.getLogger("waitress")
    logger.propagate = False
    logger.handlers = [_JsonHandler()]
    # It warns of every request that waits; the answer 503 and the metrics say when too many do.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def _log_faults(entry: Mapping[str, Any]) -> None:
    if entry["event"] != "request":
        log(entry)


def _check_waitress() -> None:
    try:
        import waitress  # noqa: F401
    except ImportError as error:
        raise ServiceError(
            "serve needs waitress, which is not installed; pip install 'edge-runtime[serve]'"
        ) from error


def _loader(options: ServeOptions) -> Callable[[str], Model]:
    """Return what loads a file, at the start and again: keys that were revoked count at once."""

    def load_file(path: str) -> Model:
        keys = trusted_keys(options.trust_store)
        return load(path, trusted_keys=keys, engine=options.engine)

    return load_file


def load_models(
    options: ServeOptions, load_file: Callable[[str], Model]
) -> tuple[dict[str, str], dict[str, Model]]:
    """Load every model that the options name; return files and models by the name in addresses."""
    paths: dict[str, str] = {}
    models: dict[str, Model] = {}
    for argument, path in _paths(options):
        model = load_file(path)
        name = model.manifest.name if argument == path else argument
        if name in models:
            raise ServiceError(f"two models have the name {name!r}; serve one of them elsewhere")
        if not name or "/" in name:
            raise ServiceError(f"expected a model's name without a slash, found {name!r:.80}")
        models[name], paths[name] = model, path
    return paths, models


def _paths(options: ServeOptions) -> list[tuple[str, str]]:
    folder = models_folder() if options.folder is None else options.folder
    names = options.models or model_names(folder)
    if not names:
        raise ServiceError(f"there is no model in {folder}; name a file, or another --models")
    return [(name, bundle_path(name, folder)) for name in names]


def _token(path: str | None) -> str | None:
    """Return the token in the file *path*, which other users must not be able to read."""
    if path is None:
        return None
    raw = read_regular(path, max_bytes=4096, error=ServiceError)
    token = raw.decode("ascii", "replace").strip()
    if os.stat(path).st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ServiceError(
            f"every user may read or change {path}; chmod 600 it, and change the token"
        )
    if len(token) < MIN_TOKEN_CHARACTERS or not token.isprintable() or " " in token:
        raise ServiceError(
            f"expected a token of {MIN_TOKEN_CHARACTERS} or more characters without blanks in "
            f"{path}; openssl rand -hex 16 prints one"
        )
    return token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listener(options: ServeOptions) -> socket.socket:
    """Return a socket that is bound to the address."""
    if options.unix is not None:
        return _unix_listener(options.unix)
    addresses = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = addresses[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, f"{options.host}:{options.port}") from error
    return listener


def _unix_listener(path: str) -> socket.socket:
    """Bind a Unix socket; a socket that nobody listens on is replaced, anything else is not."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path):
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise ServiceError(f"{path} exists and is no socket; name another path")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(path) == 0:
                    raise ServiceError(f"another process listens on {path}; end it first")
            os.unlink(path)
        mask = os.umask(0o117)  # the owner and the group, from the first moment
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
    except OSError as error:
        listener.close()
        message = error.strerror or str(error)  # a path beyond 107 bytes has no number
        raise OSError(error.errno or 0, message, path) from error
    except EdgeRuntimeError:
        listener.close()
        raise
    return listener


def _address(listener: socket.socket) -> str:
    address = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{address}"
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}"
