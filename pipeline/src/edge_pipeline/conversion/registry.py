"""Find the converters of an estimator's class in the tables of the modules of ``estimators/``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from edge_pipeline.conversion import estimators
from edge_pipeline.conversion.context import Converter, Methods
from edge_pipeline.conversion.estimators.boosters import LIBRARIES
from edge_pipeline.conversion.overridden_methods import find_override

__all__ = ["converters_of", "nearest_base"]


def converters_of(estimator: Any) -> Methods | None:
    """Return the converters of the estimator's class, or of its nearest convertible base class.

    A method that a subclass changed is left out: the base's formula no longer computes it.  None
    when there are none, or when the user registered a converter with skl2onnx: that one is used.
    """
    if _is_registered_by_user(estimator):
        return None
    kind, base = type(estimator), nearest_base(type(estimator))
    if base is None or base is kind:
        return _table().get(kind)
    return {
        method: converter
        for method, converter in _table()[base].items()
        if not find_override(kind, base, method)
    }


def nearest_base(kind: type) -> type | None:
    """Return the first class in the method resolution order of *kind* that has converters."""
    return next((base for base in kind.__mro__ if base in _table()), None)


def _is_registered_by_user(estimator: Any) -> bool:
    """Whether somebody else than skl2onnx itself registered a converter for this class."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import _converter_pool

    kind = type(estimator)
    registered = _converter_pool.get(sklearn_operator_name_map.get(kind, ""))
    if registered is None:
        return False
    # The pool wraps every function.  skl2onnx itself registers only scikit-learn's classes.
    function = getattr(registered, "_fct", registered)
    by_skl2onnx = str(getattr(function, "__module__", "")).startswith("skl2onnx.")
    return not (by_skl2onnx and kind.__module__.startswith("sklearn."))


def _table() -> Mapping[type, Methods]:
    """Return the joined tables; those of other libraries only where the library is imported."""
    return _joined_tables(frozenset(LIBRARIES.keys() & sys.modules.keys()))


@cache
def _joined_tables(libraries: frozenset[str]) -> Mapping[type, Methods]:
    table: dict[type, dict[str, Converter]] = {}
    names = [f"{estimators.__name__}.{module.name}" for module in iter_modules(estimators.__path__)]
    for name in sorted(names) + [LIBRARIES[library] for library in sorted(libraries)]:
        for kind, methods in import_module(name).CONVERTERS.items():
            merged = table.setdefault(kind, {})
            twice = merged.keys() & methods.keys()
            if twice:
                raise RuntimeError(f"two modules convert {kind.__name__}'s {sorted(twice)}")
            merged.update(methods)
    return table
