"""Copy a user's function so that the names it uses have other values.

Nothing that exists is changed.  A copy has the code of the original and its own dict of globals, in
which ``np``, ``pd`` and the user's own functions are replaced; so no other caller and no other
thread notices.
"""

from __future__ import annotations

import builtins
import functools
import sys
from abc import ABCMeta
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol

__all__ = ["Rebinding", "is_library"]

_LIBRARIES = {
    *sys.stdlib_module_names,
    *("edge_pipeline", "edge_runtime", "numpy", "pandas", "scipy", "sklearn"),
}
"""Packages whose functions and classes are never copied."""


class Estimators(Protocol):
    """Replaces fitted estimators, for :class:`Rebinding`."""

    def stand_in(self, value: Any) -> Any | None:
        """Return the replacement of a fitted estimator; None for any other object."""

    def inherited_methods(self, base: type, original_of: Callable[[Any], Any]) -> type | None:
        """Return a class that replaces a library's class as the base of a user's."""


class Rebinding:
    """A function that maps values to their replacements, for one trace.

    Parameters
    ----------
    replacements
        Pairs (original, replacement).  Originals are compared by identity, so that they are
        recognised under every name: ``np.asarray``, ``from numpy import asarray``.
    estimators
        Replaces fitted estimators, and the methods that a class inherits from a library.

    Notes
    -----
    The replacements reach whatever a function refers to by globals, closures and default arguments:
    Python functions, bound methods, partials, modules, classes, instances, lists, tuples and dicts.
    Other values are returned as they are.
    """

    def __init__(
        self, replacements: Iterable[tuple[Any, Any]], estimators: Estimators | None = None
    ) -> None:
        self._estimators = estimators
        self._originals: dict[int, Any] = {}
        # The originals stay in the table, so that no other object can get the id of one.
        self._copies = {id(original): (original, copy) for original, copy in replacements}
        self._rebound_names: set[tuple[int, str]] = set()

    def __call__(self, value: Any) -> Any:
        """Return the replacement of *value*, or *value* itself."""
        if id(value) in self._copies:
            return self._copies[id(value)][1]
        copy = _COPY_BY_TYPE.get(type(value))
        if copy is not None:
            return copy(self, value)
        if isinstance(value, type):
            return self._class(value)
        stand_in = self._estimators.stand_in(value) if self._estimators else None
        if stand_in is None:
            return self.instance(value)
        self._remember(value, stand_in)
        return stand_in

    def _remember(self, original: Any, copy: Any) -> None:
        self._copies[id(original)] = (original, copy)

    def _function(self, function: FunctionType) -> Any:
        if is_library(function.__globals__.get("__name__")):
            # set_output of scikit-learn wraps the transform of a user's class.
            wrapped = getattr(function, "__wrapped__", function)
            return self(wrapped) if _is_users_function(wrapped) else function
        closure = tuple(self(cell) for cell in function.__closure__ or ()) or None
        if id(function) in self._copies:  # one of its cells refers to it
            return self._copies[id(function)][1]
        namespace = self._globals(function.__globals__)
        copy = FunctionType(function.__code__, namespace, function.__name__, None, closure)
        self._remember(function, copy)  # before the rest, which may refer to the function
        copy.__qualname__ = function.__qualname__
        copy.__dict__.update(function.__dict__)
        for name in _global_names(function.__code__):
            self._rebind_global(function.__globals__, name)
        copy.__defaults__ = self(function.__defaults__)
        copy.__kwdefaults__ = self(function.__kwdefaults__)
        return copy

    def _globals(self, original: dict[str, Any]) -> dict[str, Any]:
        """Return the copy of a module's globals; all functions of the module share it."""
        if id(original) not in self._copies:
            # Replaced at once, for eval(): modules, and the names of what is replaced.
            copy = {
                name: self(value)
                if isinstance(value, ModuleType) or id(value) in self._copies
                else value
                for name, value in original.items()
            }
            scope = original.get("__builtins__", builtins)
            scope = dict(scope if isinstance(scope, dict) else vars(scope))
            scope |= {n: self(v) for n, v in scope.items() if id(v) in self._copies}
            copy["__builtins__"] = {**scope, "__import__": self._import(scope["__import__"])}
            self._remember(original, copy)
        namespace: dict[str, Any] = self._copies[id(original)][1]
        return namespace

    def _import(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return the ``import`` of a traced function: the modules it imports are rebound."""
        return lambda *args, **kwargs: self(original(*args, **kwargs))

    def _rebind_global(self, namespace: dict[str, Any], name: str) -> None:
        if name in namespace and (id(namespace), name) not in self._rebound_names:
            self._rebound_names.add((id(namespace), name))
            self._globals(namespace)[name] = self(namespace[name])

    def _cell(self, cell: CellType) -> CellType:
        """Return the copy of a closure's variable; functions that share it share the copy."""
        copy = CellType()
        self._remember(cell, copy)
        with suppress(ValueError):  # the variable has no value yet
            copy.cell_contents = self(cell.cell_contents)
        return copy

    def _method(self, method: MethodType) -> Any:
        return MethodType(self(method.__func__), self(method.__self__))

    def _partial(self, value: functools.partial[Any]) -> Any:
        keywords = {name: self(item) for name, item in value.keywords.items()}
        return functools.partial(self(value.func), *map(self, value.args), **keywords)

    def _module(self, module: ModuleType) -> Any:
        if module.__name__.partition(".")[0] in sys.stdlib_module_names:
            return module
        copy: Any = ModuleType(module.__name__, module.__doc__)
        copy.__getattr__ = lambda name: self(getattr(module, name))  # PEP 562
        self._remember(module, copy)
        return copy

    def _sequence(self, value: Any) -> Any:
        self._remember(value, value)  # a list may hold itself
        items = [self(item) for item in value]
        if any(a is not b for a, b in zip(items, value, strict=True)):
            self._remember(value, type(value)(items))
        return self._copies[id(value)][1]

    def _dict(self, value: dict[Any, Any]) -> Any:
        self._remember(value, value)
        items = {key: self(item) for key, item in value.items()}
        if any(items[key] is not value[key] for key in value):
            self._remember(value, items)
        return self._copies[id(value)][1]

    def _descriptor(self, value: Any) -> Any:
        return type(value)(self(value.__func__))

    def _property(self, value: property) -> Any:
        return property(self(value.fget), self(value.fset), self(value.fdel), value.__doc__)

    def _class(self, original: Any) -> Any:
        """Return a subclass whose methods are copies.

        Its bases are the copies of the original's bases, then the original: so ``super()`` finds
        copies too, and ``isinstance`` still holds.
        """
        if not _can_subclass(original):
            self._remember(original, original)
            return original
        if not _has_users_bases_first(original):
            return self._class_of_mixed_bases(original)
        bases = [
            self._library_base(base) if is_library(base.__module__) else self(base)
            for base in original.__bases__
        ]
        bases = [base for base in bases if base is not None]
        copy = type(original)(original.__name__, (*bases, original), {})
        if type(original) is ABCMeta:  # the copies of the bases hide the methods of the original
            copy.__abstractmethods__ = original.__abstractmethods__
        self._remember(original, copy)  # before the methods, which may refer to the class
        for name, value in vars(original).items():
            rebound = value if name in ("__dict__", "__weakref__") else self(value)
            if rebound is not value:
                setattr(copy, name, rebound)
        return copy

    def _class_of_mixed_bases(self, original: Any) -> Any:
        """Return a subclass of a class whose bases alternate between the user's and a library's.

        Copies of the bases would change their order.  Instead, each base of the user's becomes a
        class without bases: ``super()`` finds them in the original order.
        """
        users_bases = [base for base in original.__mro__[1:] if not is_library(base.__module__)]
        mixins = {base: type(base.__name__, (), {}) for base in users_bases if base is not object}
        copy = type(original)(original.__name__, (*mixins.values(), original), {})
        if type(original) is ABCMeta:
            copy.__abstractmethods__ = original.__abstractmethods__
        self._remember(original, copy)  # before the methods, which may refer to the class
        earlier = {id(base): self._copies.get(id(base)) for base in mixins}
        for base, mixin in mixins.items():
            self._remember(base, mixin)
        for base, target in ((original, copy), *mixins.items()):
            self._set_methods(original, base, target)
        for base in mixins:  # alone, a base has another copy
            self._copies.pop(id(base))
            before = earlier[id(base)]
            if before is not None:
                self._copies[id(base)] = before
        return copy

    def _set_methods(self, original: Any, base: type, target: Any) -> None:
        """Copy the methods of *base*, but those that a library's class before it hides."""
        order = original.__mro__
        hidden = {
            name for before in order[: order.index(base)] if is_library(before.__module__)
            for name in vars(before)
        }  # fmt: skip
        for name, value in vars(base).items():
            is_method = callable(value) or isinstance(value, property | staticmethod | classmethod)
            if is_method and name not in hidden and name != "__weakref__":
                rebound = self(value)
                if rebound is not value or base is not original:
                    setattr(target, name, rebound)

    def _library_base(self, base: type) -> type | None:
        """Return a class with the methods that a subclass inherits from a library, if replaced."""
        if self._estimators is None:
            return None
        return self._estimators.inherited_methods(
            base, lambda copied: self._originals[id(copied)][1]
        )

    def instance(self, original: Any) -> Any:
        """Return a copy of an object of a user's class, whose methods are copies."""
        kind = type(original)
        if is_library(kind.__module__):
            return original
        rebound = self(kind)
        if rebound is kind or not hasattr(original, "__dict__"):
            return original
        try:
            copy = object.__new__(rebound)
        except TypeError:  # it inherits from a class written in C, such as ndarray
            return original
        self._remember(original, copy)
        self._originals[id(copy)] = (copy, original)
        for name, value in vars(original).items():
            copy.__dict__[name] = self(value)
        return copy


_COPY_BY_TYPE: dict[type, Callable[[Rebinding, Any], Any]] = {
    FunctionType: Rebinding._function,
    MethodType: Rebinding._method,
    CellType: Rebinding._cell,
    ModuleType: Rebinding._module,
    functools.partial: Rebinding._partial,
    functools._lru_cache_wrapper: lambda rebind, value: rebind(value.__wrapped__),
    list: Rebinding._sequence,
    tuple: Rebinding._sequence,
    dict: Rebinding._dict,
    staticmethod: Rebinding._descriptor,
    classmethod: Rebinding._descriptor,
    property: Rebinding._property,
}


def is_library(module: Any) -> bool:
    """Return whether *module* belongs to a package whose functions are never copied."""
    return isinstance(module, str) and module.partition(".")[0] in _LIBRARIES


def _is_users_function(value: Any) -> bool:
    return isinstance(value, FunctionType) and not is_library(value.__module__)


_IS_BASETYPE = 1 << 10
"""Py_TPFLAGS_BASETYPE in CPython's Include/object.h."""


def _can_subclass(original: Any) -> bool:
    """Return whether *original* is a class of the user's, and a subclass of it has no side effects.

    ``__del__`` would free what the original holds, and ``__init_subclass__`` could register the
    subclass.  Exceptions and tuples would no longer be caught or compared as themselves.
    """
    if type(original) not in (type, ABCMeta) or hasattr(original, "__del__"):
        return False
    if not original.__flags__ & _IS_BASETYPE:  # a type of an extension module
        return False
    bases = original.__mro__[:-1]  # without object
    if is_library(original.__module__) or any(base.__module__ == "builtins" for base in bases):
        return False
    users_bases = [base for base in bases if not is_library(base.__module__)]
    return not any("__init_subclass__" in vars(base) for base in users_bases)


def _has_users_bases_first(original: Any) -> bool:
    """Return whether every base of the user's comes before every base of a library."""
    from_library = [is_library(base.__module__) for base in original.__mro__[:-1]]
    return from_library == sorted(from_library)


def _global_names(code: CodeType) -> Iterator[str]:
    """Yield the names that a function and the functions inside it may look up as globals."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)
