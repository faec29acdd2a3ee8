"""Import the functions and classes that a recipe names, and suggest close names in messages.

Only :func:`modules_from` puts a folder on ``sys.path``, inside one ``with`` block.  Afterwards it
drops every module imported from that folder, so that two recipes may each have a ``model.py``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = [
    "ImportingError",
    "did_you_mean",
    "find_class",
    "find_function",
    "join_names",
    "missing_column",
    "modules_from",
]

MAX_NAMES = 12
"""Names listed in a message; it gives the number of the others."""


class ImportingError(Exception):
    """The name cannot be imported; callers add which key of the recipe has it."""


@contextmanager
def modules_from(folder: Path) -> Iterator[None]:
    """Put *folder* first on ``sys.path`` inside the block."""
    path = str(folder.resolve())
    before = dict(sys.modules)
    sys.path.insert(0, path)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(path)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if before.get(name) is not module and file and file.startswith(path + "/"):
                del sys.modules[name]


def find_function(reference: str) -> Any:
    """Import the callable that ``module:function`` names.

    Raises
    ------
    ImportingError
        The reference has another form, nothing has that name, or it is not callable.
    """
    module_name, colon, name = reference.partition(":")
    if not (colon and module_name and name.isidentifier()):
        raise ImportingError(f"expected 'module:function', found {reference!r}")
    function = _attribute(_import(module_name), name, f"{module_name}:")
    if not callable(function):
        raise ImportingError(f"{reference!r} is a {type(function).__name__}, not a function")
    return function


def find_class(path: str) -> type:
    """Import the class that ``package.module.Class`` names.

    Raises
    ------
    ImportingError
        The path has another form, or no class has that name.
    """
    module_name, dot, name = path.rpartition(".")
    if not dot:
        raise ImportingError(
            f"expected an import path such as 'sklearn.linear_model.Ridge', found {path!r}"
            + did_you_mean(path, _scikit_learn_paths(), by_last_part=True)
        )
    try:
        cls = _attribute(_import(module_name), name, f"{module_name}.")
    except ImportingError as error:
        hint = did_you_mean(path, _scikit_learn_paths(), by_last_part=True)
        if module_name.startswith("sklearn") and hint and "did you mean" not in str(error):
            raise ImportingError(f"{error}{hint}") from error
        raise
    if not isinstance(cls, type):
        raise ImportingError(f"{path!r} is a {type(cls).__name__}, not a class")
    return cls


def did_you_mean(word: str, names: Iterable[str], *, by_last_part: bool = False) -> str:
    """Return ``"; did you mean 'x'?"`` with the closest of *names*, or an empty string.

    With *by_last_part*, only the text after the last dot is compared.
    """
    by_key = {(name.rpartition(".")[2] if by_last_part else name): name for name in names}
    key = word.rpartition(".")[2] if by_last_part else word
    by_lower_case = {key.lower(): name for key, name in by_key.items()}
    close = get_close_matches(key.lower(), by_lower_case, n=1, cutoff=0.6)
    return f"; did you mean {by_lower_case[close[0]]!r}?" if close else ""


def join_names(names: Iterable[str]) -> str:
    """Join *names* with commas, shortened when there are many."""
    names = list(names)
    text = ", ".join(names[:MAX_NAMES])
    return f"{text} and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else text


def missing_column(source: str, name: str, columns: Sequence[str]) -> str:
    """Return the message for a column that the table lacks."""
    hint = did_you_mean(name, columns)
    return f"{source} has no column {name!r}; it has {join_names(columns)}{hint}"


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that exists but lacks a dependency needs another remedy.
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ImportingError(f"no module named {error.name!r}") from error
        raise ImportingError(f"importing {name!r} needs {error.name!r}: {error}") from error
    except ValueError as error:
        raise ImportingError(f"not a module's name: {name!r}") from error
    except Exception as error:
        # The module is the user's own code, and may raise anything.
        raise ImportingError(
            f"importing {name!r} failed: {type(error).__name__}: {error}"
        ) from error


def _attribute(module: ModuleType, name: str, prefix: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError as error:
        public = [word for word in dir(module) if not word.startswith("_")]
        hint = did_you_mean(name, public)
        suffix = hint.replace("mean '", f"mean '{prefix}") if hint else ""
        raise ImportingError(f"module {module.__name__!r} has no {name!r}{suffix}") from error


def _scikit_learn_paths() -> list[str]:
    from sklearn.utils import all_estimators

    paths = []
    for name, cls in all_estimators():
        public = [part for part in cls.__module__.split(".") if not part.startswith("_")]
        paths.append(".".join([*public, name]))
    return paths
