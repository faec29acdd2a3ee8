"""Define frozen dataclasses without generating code, so that a process starts sooner.

``@dataclasses.dataclass`` compiles the methods of every class.  A record takes the same methods
from here, written once.  That saves 7 ms of 141 ms of CPU time to import edge_runtime, load a
linear model and predict a row (docs/adr/0007: 150 pairs of processes, Python 3.11, AMD EPYC).

``dataclasses.replace``, ``fields`` and ``asdict`` accept a record, and so do type checkers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["field", "record"]

MAX_VALUE_LENGTH = 60
"""Characters of one field in the repr of a record: golden rows alone would fill a screen."""

if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import field

    _Default: Any
else:

    def record(*, frozen, slots=False):
        """Give a class the methods of a dataclass; the two parameters are those of dataclass."""
        if not frozen:
            raise TypeError("a record is frozen")
        return _record_with_slots if slots else _record

    def field(*, default_factory):
        """Declare a default that is created anew for every record."""
        return _Default(default_factory)

    class _Default:
        def __init__(self, factory):
            self.factory = factory


class _Fields:
    """Computes ``__dataclass_fields__`` when it is first read."""

    def __init__(self, types: dict[str, Any]) -> None:
        self._types = types

    def __get__(self, instance: object, owner: Any) -> Any:
        from dataclasses import make_dataclass

        # Without defaults, which only a constructor needs.
        twin: Any = make_dataclass(owner.__name__, self._types.items(), frozen=True)
        owner.__dataclass_fields__ = twin.__dataclass_fields__
        return owner.__dataclass_fields__


def _record(cls: Any) -> Any:
    types = dict(cls.__annotations__)
    defaults = {name: cls.__dict__[name] for name in types if name in cls.__dict__}
    return _add_methods(cls, types, defaults)


def _record_with_slots(cls: Any) -> Any:
    # __slots__ must be there when the class is created, so a second class replaces the first.
    types, namespace = dict(cls.__annotations__), dict(cls.__dict__)
    for name in ("__dict__", "__weakref__"):  # these belong to the first class
        namespace.pop(name, None)
    defaults = {name: namespace.pop(name) for name in types if name in namespace}
    slotted = type(cls.__name__, cls.__bases__, {**namespace, "__slots__": tuple(types)})
    return _add_methods(slotted, types, defaults)


def _add_methods(cls: Any, types: dict[str, Any], defaults: dict[str, Any]) -> Any:
    names, n_fields, set_field = tuple(types), len(types), object.__setattr__

    def __init__(self: Any, *values: Any, **keywords: Any) -> None:  # noqa: N807 (a method)
        if keywords or len(values) != n_fields:
            values = _complete(cls, names, defaults, values, keywords)
        for name, value in zip(names, values, strict=True):
            set_field(self, name, value)

    own_repr = cls.__dict__.get("__repr__", __repr__)
    members: dict[str, Any] = {"__match_args__": names, "__dataclass_fields__": _Fields(types)}
    for method in (__init__, __setattr__, __delattr__, __eq__, __hash__, __repr__, __reduce__):
        members[method.__name__] = method
    members["__repr__"] = own_repr
    for name, member in members.items():
        setattr(cls, name, member)
    return cls


def _complete(
    cls: type,
    names: tuple[str, ...],
    defaults: dict[str, Any],
    values: tuple[Any, ...],
    keywords: dict[str, Any],
) -> tuple[Any, ...]:
    """Return a value for every field, from the arguments of a constructor and the defaults."""
    arguments = dict(zip(names, values, strict=False))
    invalid = [name for name in keywords if name in arguments or name not in names]
    if len(values) > len(names) or invalid:
        raise TypeError(f"{cls.__name__}() takes {', '.join(names)}, once each")
    arguments |= keywords
    missing = [name for name in names if name not in arguments and name not in defaults]
    if missing:
        raise TypeError(f"{cls.__name__}() lacks {', '.join(missing)}")
    return tuple([arguments[n] if n in arguments else _default(defaults[n]) for n in names])


def _default(value: Any) -> Any:
    return value.factory() if isinstance(value, _Default) else value


def _values(item: Any) -> tuple[Any, ...]:
    return tuple([getattr(item, name) for name in item.__match_args__])


# The methods of every record, under the names by which Python calls them.


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
    fields = (f"{name}={_short(repr(getattr(self, name)))}" for name in self.__match_args__)
    return f"{type(self).__qualname__}({', '.join(fields)})"


def _short(text: str) -> str:
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def __reduce__(self: Any) -> tuple[Any, ...]:  # noqa: N807
    return type(self), _values(self)
