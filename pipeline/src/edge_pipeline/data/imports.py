"""``module:name`` in, the object it names out.

Alone may put a folder on ``sys.path``: for the time of one ``with`` block, and every module that
came from there is forgotten afterwards.  Two recipes may each have a ``model.py``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["ImportingError", "did_you_mean", "find_class", "find_function", "modules_from"]

MAX_NAMES_SHOWN = 12
"""Names listed in a message before it says how many more there are."""


class ImportingError(Exception):
    """Nothing importable has that name; callers add where the name stood."""


@contextmanager
def modules_from(folder: Path) -> Iterator[None]:
    """Let ``import`` find the modules of *folder* first, inside the block alone."""
    place = str(folder.resolve())
    before = dict(sys.modules)
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(place)
        for name, module in list(sys.modules.items()):
            origin = getattr(module, "__file__", None)
            if before.get(name) is not module and origin and origin.startswith(place + "/"):
                del sys.modules[name]


def find_function(reference: str) -> Any:
    """The callable that ``module:function`` names.

    Raises
    ------
    ImportingError
        Not of that form, no such module, no such function, or it cannot be called.
    """
    module_name, colon, name = reference.partition(":")
    if not (colon and module_name and name.isidentifier()):
        raise ImportingError(f"expected 'module:function', found {reference!r}")
    found = _attribute(_import(module_name), name, f"{module_name}:")
    if not callable(found):
        raise ImportingError(f"{reference!r} is a {type(found).__name__}, not a function")
    return found


def find_class(path: str) -> type:
    """The class that ``package.module.Class`` names.

    Raises
    ------
    ImportingError
        Not of that form, no such module, no such class.
    """
    module_name, dot, name = path.rpartition(".")
    if not dot:
        raise ImportingError(
            f"expected an import path such as 'sklearn.linear_model.Ridge', found {path!r}"
            + did_you_mean(path, _scikit_learn_paths(), by_last_part=True)
        )
    try:
        found = _attribute(_import(module_name), name, f"{module_name}.")
    except ImportingError as error:
        hint = did_you_mean(path, _scikit_learn_paths(), by_last_part=True)
        if module_name.startswith("sklearn") and hint and "did you mean" not in str(error):
            raise ImportingError(f"{error}{hint}") from error
        raise
    if not isinstance(found, type):
        raise ImportingError(f"{path!r} is a {type(found).__name__}, not a class")
    return found


def did_you_mean(word: str, known: Iterable[str], *, by_last_part: bool = False) -> str:
    """``"; did you mean 'x'?"`` with the closest of *known*, or nothing when none is close.

    With *by_last_part*, the text after the last dot decides.
    """
    names = {(name.rpartition(".")[2] if by_last_part else name): name for name in known}
    sought = word.rpartition(".")[2] if by_last_part else word
    lower = {name.lower(): name for name in names}
    close = get_close_matches(sought.lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean {names[lower[close[0]]]!r}?" if close else ""


def join_names(names: Iterable[str]) -> str:
    """*names* with commas, shortened when there are many."""
    shown = list(names)
    more = len(shown) - MAX_NAMES_SHOWN
    text = ", ".join(shown[:MAX_NAMES_SHOWN])
    return f"{text} and {more} more" if more > 0 else text


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that exists but lacks a dependency is another fault, with another remedy.
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ImportingError(f"no module named {error.name!r}") from error
        raise ImportingError(f"importing {name!r} needs {error.name!r}: {error}") from error
    except ValueError as error:
        raise ImportingError(f"not a module's name: {name!r}") from error
    except Exception as error:
        # The module is the user's own code: whatever it raises is reported as its fault.
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
    for name, found in all_estimators():
        public = [part for part in found.__module__.split(".") if not part.startswith("_")]
        paths.append(".".join([*public, name]))
    return paths
