"""Frozen dataclasses that cost nothing to define: what a start has no time to generate code for.

``@dataclasses.dataclass`` writes and compiles each class's methods, 0.7 ms a class, and its module
takes 0.9 ms to import (measured): together a thirtieth of a start.  A record has the same methods,
written once.  ``dataclasses.replace``, ``fields`` and ``asdict`` take it for a dataclass, and so do
type checkers; that module is then imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["field", "record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import field

    _Field: Any
else:

    def record(*, frozen, slots=False):
        """Give a class the methods of a dataclass; its parameters are those used here."""
        if not frozen:
            raise TypeError("a record is frozen")
        return _slotted if slots else _made

    def field(*, default_factory):
        """A default that is made anew for every record."""
        return _Field(default_factory)

    class _Field:
        def __init__(self, make):
            self.make = make


class _Fields:
    """Stands for ``__dataclass_fields__`` until somebody asks for them."""

    def __init__(self, types: dict[str, Any]) -> None:
        self._types = types

    def __get__(self, instance: object, owner: Any) -> Any:
        from dataclasses import make_dataclass

        # Without defaults, which only a constructor needs.
        shadow: Any = make_dataclass(owner.__name__, self._types.items(), frozen=True)
        owner.__dataclass_fields__ = shadow.__dataclass_fields__
        return owner.__dataclass_fields__


def _made(cls: Any) -> Any:
    types = dict(cls.__annotations__)
    return _equip(cls, types, {name: cls.__dict__[name] for name in types if name in cls.__dict__})


def _slotted(cls: Any) -> Any:
    types, namespace = dict(cls.__annotations__), dict(cls.__dict__)
    for name in ("__dict__", "__weakref__"):  # of the class that this one replaces
        namespace.pop(name, None)
    defaults = {name: namespace.pop(name) for name in types if name in namespace}
    made = type(cls.__name__, cls.__bases__, {**namespace, "__slots__": tuple(types)})
    return _equip(made, types, defaults)


def _equip(cls: Any, types: dict[str, Any], defaults: dict[str, Any]) -> Any:
    names, n_fields, put = tuple(types), len(types), object.__setattr__

    def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: N807 (a method)
        if named or len(values) != n_fields:
            values = _complete(cls, names, defaults, values, named)
        for name, value in zip(names, values, strict=True):
            put(self, name, value)

    given: dict[str, Any] = {"__match_args__": names, "__dataclass_fields__": _Fields(types)}
    for method in (__init__, __setattr__, __delattr__, __eq__, __hash__, __repr__, __reduce__):
        given[method.__name__] = method
    for name, value in given.items():
        setattr(cls, name, value)
    return cls


def _complete(
    cls: type,
    names: tuple[str, ...],
    defaults: dict[str, Any],
    values: tuple[Any, ...],
    named: dict[str, Any],
) -> tuple[Any, ...]:
    """A value for every field, from what a constructor was called with."""
    given = dict(zip(names, values, strict=False))
    wrong = [name for name in named if name in given or name not in names]
    if len(values) > len(names) or wrong:
        raise TypeError(f"{cls.__name__}() takes {', '.join(names)}, once each")
    given |= named
    missing = [name for name in names if name not in given and name not in defaults]
    if missing:
        raise TypeError(f"{cls.__name__}() lacks {', '.join(missing)}")
    return tuple([given[n] if n in given else _default(defaults[n]) for n in names])


def _default(value: Any) -> Any:
    return value.make() if isinstance(value, _Field) else value


def _values(item: Any) -> tuple[Any, ...]:
    return tuple([getattr(item, name) for name in item.__match_args__])


# Methods of every record, under the names that Python calls them by.


def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: Any, name: str) -> None:  # noqa: N807
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def __eq__(self: Any, other: Any) -> Any:  # noqa: N807
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def __hash__(self: Any) -> int:  # noqa: N807
    return hash(_values(self))


def __repr__(self: Any) -> str:  # noqa: N807
    shown = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def __reduce__(self: Any) -> tuple[Any, ...]:  # noqa: N807
    return type(self), _values(self)
