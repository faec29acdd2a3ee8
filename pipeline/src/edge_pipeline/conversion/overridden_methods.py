"""Detect the methods that a subclass changed, so that its base class's converter no longer fits."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from types import CodeType
from typing import Any

__all__ = ["find_override"]

_CALLED_ON_ESTIMATOR = frozenset({"get_params", "set_params", "get_support", "set_output"})
"""Methods that a subclass may change freely: converters call them on the estimator itself."""


def find_override(kind: type, base: type, method: str) -> str | None:
    """Describe how *kind* changed what *method* of *base* computes, or return None.

    A change counts when it replaces the method itself, or something that the base's method reaches
    by name.
    """
    for name in sorted(_reachable_names(base, method)):
        inherited = inspect.getattr_static(base, name, None)
        attribute = inspect.getattr_static(kind, name, None)
        # An abstract method has no formula to change: the converter calls the estimator's own.
        if attribute is not inherited and not getattr(inherited, "__isabstractmethod__", False):
            caller = "" if name == method else f", which {method} uses"
            return f"{kind.__name__} changes {name} of {base.__name__}{caller}"
    return None


@cache
def _reachable_names(base: type, method: str) -> frozenset[str]:
    """Name the functions and properties of *base* that *method* reaches, by its bytecode."""
    reachable: set[str] = set()
    pending = [method]
    while pending:
        name = pending.pop()
        if name in reachable or name in _CALLED_ON_ESTIMATOR:
            continue
        reachable.add(name)
        for function in _functions(inspect.getattr_static(base, name, None)):
            pending += [callee for callee in _names(function.__code__) if _is_code(base, callee)]
    return frozenset(reachable)


def _is_code(base: type, name: str) -> bool:
    return next(_functions(inspect.getattr_static(base, name, None)), None) is not None


def _functions(attribute: Any) -> Iterator[Any]:
    """Yield the plain function behind a method, a property, or scikit-learn's wrappers of them."""
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
