"""Which converter serves which class: the tables of every module in ``families/``, joined."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import CodeType
from typing import Any

from edge_pipeline.conversion import estimators
from edge_pipeline.conversion.context import Converter, Methods
from edge_pipeline.conversion.estimators.boosters import LIBRARIES
from edge_pipeline.conversion.skl2onnx_fallback import is_registered_by_user

__all__ = ["converters_of", "overridden"]

_NOT_ASKED = frozenset({"get_params", "set_params", "get_support", "set_output"})
"""What an answer may reach by name without depending on how a subclass changed it: converters call
these on the estimator itself, and so get the subclass's own."""


def converters_of(estimator: Any) -> Methods | None:
    """The methods' converters of the estimator's class, or of the nearest base class that has some.

    A method that a subclass changed is left out: the base's formula is no longer its answer.  None
    when there are none, or when the user registered a converter with skl2onnx: theirs wins.
    """
    if is_registered_by_user(estimator):
        return None
    kind, base = type(estimator), _known_base(type(estimator))
    if base is None or base is kind:
        return _table().get(kind)
    return {method: c for method, c in _table()[base].items() if not overridden(kind, method)}


def overridden(kind: type, method: str) -> str | None:
    """How *kind* changed its nearest convertible base class so that *method* may answer otherwise.

    It changed the method itself, or something that the base's method reaches by name; None when it
    inherits all of it.
    """
    base = _known_base(kind)
    if base is None:
        return None
    for name in sorted(_reached(base, method)):
        there = inspect.getattr_static(base, name, None)
        here = inspect.getattr_static(kind, name, None)
        # An abstract method has no formula to change: the converter asks the estimator.
        if here is not there and not getattr(there, "__isabstractmethod__", False):
            used = "" if name == method else f", which {method} uses"
            return f"{kind.__name__} changes {name} of {base.__name__}{used}"
    return None


def _known_base(kind: type) -> type | None:
    return next((base for base in kind.__mro__ if base in _table()), None)


def _table() -> Mapping[type, Methods]:
    """All tables; of other libraries, those that somebody has imported."""
    return _joined(frozenset(LIBRARIES.keys() & sys.modules.keys()))


@cache
def _joined(libraries: frozenset[str]) -> Mapping[type, Methods]:
    table: dict[type, dict[str, Converter]] = {}
    names = [f"{estimators.__name__}.{found.name}" for found in iter_modules(estimators.__path__)]
    for name in sorted(names) + [LIBRARIES[library] for library in sorted(libraries)]:
        module = import_module(name)
        for kind, methods in module.CONVERTERS.items():
            known = table.setdefault(kind, {})
            twice = known.keys() & methods.keys()
            if twice:
                raise RuntimeError(f"two families convert {kind.__name__}'s {sorted(twice)}")
            known.update(methods)
    return table


@cache
def _reached(base: type, method: str) -> frozenset[str]:
    """The functions and properties of *base* that *method* reaches, by the names in its code."""
    reached: set[str] = set()
    waiting = [method]
    while waiting:
        name = waiting.pop()
        if name in reached or name in _NOT_ASKED:
            continue
        reached.add(name)
        for function in _functions(inspect.getattr_static(base, name, None)):
            waiting += [n for n in _names(function.__code__) if _is_code(base, n)]
    return frozenset(reached)


def _is_code(base: type, name: str) -> bool:
    return next(_functions(inspect.getattr_static(base, name, None)), None) is not None


def _functions(attribute: Any) -> Iterator[Any]:
    """The plain functions behind a method, a property, or scikit-learn's wrappers of them."""
    if isinstance(attribute, property):
        attribute = attribute.fget
    elif isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    # available_if keeps the method in ``fn``; set_output and decorators in ``__wrapped__``.
    attribute = inspect.unwrap(getattr(attribute, "fn", attribute))
    if inspect.isfunction(attribute):
        yield attribute


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
