"""Which converter serves which class: the tables of every module in ``families/``, joined."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from edge_pipeline.convert import families
from edge_pipeline.convert.context import Methods
from edge_pipeline.convert.guest import is_registered_by_user

__all__ = ["converters_of"]


def converters_of(estimator: Any) -> Methods | None:
    """The methods' converters of the estimator's class, or of the nearest base class that has some.

    None when there are none, or when the user registered a converter with skl2onnx: theirs wins.
    """
    if is_registered_by_user(estimator):
        return None
    table = _table()
    for kind in type(estimator).__mro__:
        if kind in table:
            return table[kind]
    return None


@cache
def _table() -> Mapping[type, Methods]:
    table: dict[type, Methods] = {}
    for family in sorted(found.name for found in iter_modules(families.__path__)):
        module = import_module(f"{families.__name__}.{family}")
        twice = table.keys() & module.CONVERTERS.keys()
        if twice:
            raise RuntimeError(f"two families convert {sorted(kind.__name__ for kind in twice)}")
        table.update(module.CONVERTERS)
    return table
