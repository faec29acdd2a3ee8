"""Find the bundle that a FILE argument means: a file, or the device's model of that name.

A kit and ``edge-pipeline deploy`` keep the model ``penguins`` in ``FOLDER/penguins/current``, where
FOLDER is ``$EDGE_MODELS`` or ``~/.local/share/edge``.
"""

from __future__ import annotations

import errno
import os
import re

__all__ = ["bundle_path", "model_names", "models_folder"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def bundle_path(argument: str, folder: str | None = None) -> str:
    """Return the path of the model called *argument*, or *argument* itself if it is a file.

    *folder* holds the models; None for that of :func:`models_folder`.

    Raises
    ------
    FileNotFoundError
        *argument* looks like the name of a model, and the device has models of other names.
    """
    if os.path.lexists(argument) or not _NAME.fullmatch(argument):
        return argument
    folder = models_folder() if folder is None else folder
    path = os.path.join(folder, argument, "current", "model.onnx")
    if os.path.isfile(path):
        return path
    if names := model_names(folder):
        from edge_runtime.cli.hints import did_you_mean

        message = f"no such file, and the models here are {', '.join(names)}"
        raise FileNotFoundError(errno.ENOENT, message + did_you_mean(argument, names), argument)
    return argument


def models_folder() -> str:
    """Return the folder that kits and deployments write models to."""
    if configured := os.environ.get("EDGE_MODELS"):
        return configured
    shared = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(shared):  # a relative one is to be ignored (XDG Base Directory 0.8)
        shared = os.path.expanduser("~/.local/share")
    return os.path.join(shared, "edge")


def model_names(folder: str) -> list[str]:
    """Return the names of the models in *folder*, in their order."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return []
    return [name for name in entries if os.path.exists(os.path.join(folder, name, "current"))]
