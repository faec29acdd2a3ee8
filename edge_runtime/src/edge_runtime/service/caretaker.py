"""Answer with the new version of a model's file, without losing a request.

The old model answers until the new one is loaded and has predicted its golden rows.  If that fails,
the old model stays, and the log says why.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.model import Model
from edge_runtime.service.served_models import ServedModel, ServedModels

__all__ = ["Caretaker", "ModelReloader"]

LOOK_SECONDS = 0.5
"""Time between two looks at the files, and at what a signal has asked for."""

_Version = tuple[int, int, int, int] | None
"""Device, inode, size and time of a file; None where there is none."""


class ModelReloader:
    """Loads files that have changed.

    Parameters
    ----------
    models
        The models that answer.
    paths
        Their files, by name.
    load
        Loads the model of a file, with every check.
    log
        Gets an entry for each new version, and for each that was refused.
    """

    def __init__(
        self,
        models: ServedModels,
        paths: Mapping[str, str],
        load: Callable[[str], Model],
        log: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._models, self._paths, self._load, self._log = models, dict(paths), load, log
        self._tried = {name: _version_of(path) for name, path in self._paths.items()}
        self._last_look = dict(self._tried)

    def reload_changed(self) -> None:
        """Load the files that changed, and did not change any more since the last look."""
        for name, path in self._paths.items():
            version = _version_of(path)
            has_settled = version == self._last_look[name]
            self._last_look[name] = version
            if version is not None and has_settled and version != self._tried[name]:
                self.reload(name)

    def reload_all(self) -> None:
        """Load every file, changed or not."""
        for name in self._paths:
            self.reload(name)

    def reload(self, name: str) -> None:
        """Load the file of one model, and answer with it if every check passes."""
        path = self._paths[name]
        self._tried[name] = _version_of(path)
        old = self._models.get(name)
        try:
            model = self._load(path)
            if old is not None and model.manifest.name != old.model.manifest.name:
                raise EdgeRuntimeError(
                    f"expected the model {old.model.manifest.name!r}, found "
                    f"{model.manifest.name!r}; serve it from a file of its own"
                )
            served = ServedModel(name, model)
            if fault := served.fault():
                raise EdgeRuntimeError(fault)
            model.warm_up()
        except (EdgeRuntimeError, OSError, MemoryError) as error:
            message = str(error) or "not enough memory"
            self._log({"event": "reload_refused", "model": name, "error": message})
            return
        # Nobody closes the old model: running requests may use it.  Its last reference frees it.
        self._models.replace(served)
        self._log({"event": "reloaded", **served.identity()})


class Caretaker(threading.Thread):
    """Works beside the requests: reloads models, and tells the service manager that all is well.

    Parameters
    ----------
    reloader
        Reloads the models.
    watch
        Whether changed files are loaded without being asked.
    notify
        Sends lines to the service manager.
    watchdog_seconds
        Time between two signs of life that the service manager expects; None for no watchdog.
    is_well
        Whether the models predict, and requests are read.
    """

    def __init__(
        self,
        reloader: ModelReloader,
        *,
        watch: bool,
        notify: Callable[..., None],
        watchdog_seconds: float | None,
        is_well: Callable[[], bool],
    ) -> None:
        super().__init__(name="caretaker", daemon=True)
        self._reloader, self._watch = reloader, watch
        self._notify, self._watchdog_seconds = notify, watchdog_seconds
        self._is_well = is_well
        self._is_stopped = threading.Event()
        self._wants_reload = False

    def ask_for_reload(self, *_: object) -> None:
        """Reload every model soon; a signal handler may call this."""
        self._wants_reload = True

    def stop(self) -> None:
        """Let the thread end."""
        self._is_stopped.set()

    def run(self) -> None:
        """Look after the models until :meth:`stop`."""
        next_sign = time.monotonic()
        while not self._is_stopped.wait(LOOK_SECONDS):
            if self._wants_reload:
                self._wants_reload = False
                self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
                self._reloader.reload_all()
                self._notify("READY=1")
            elif self._watch:
                self._reloader.reload_changed()
            if self._watchdog_seconds is not None and time.monotonic() >= next_sign:
                if self._is_well():
                    self._notify("WATCHDOG=1")
                next_sign = time.monotonic() + self._watchdog_seconds / 3


def _version_of(path: str) -> _Version:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
