"""Keep the repr of a result short: one line, each value cut to some characters."""

from __future__ import annotations

import re
from typing import Any, TypeVar

__all__ = ["MAX_VALUE_LENGTH", "estimator_repr", "short_repr"]

MAX_VALUE_LENGTH = 60
"""Characters of one value: a manifest or a table would fill screens."""

MAX_REPR_LENGTH = 2000
"""Characters of the estimator's repr that the manifest keeps."""

_Class = TypeVar("_Class", bound=type)


def short_repr(cls: _Class) -> _Class:
    """Give a dataclass or a pydantic model a repr on one line, with long values cut off."""
    cls.__repr__ = _repr  # type: ignore[method-assign, assignment]
    return cls


def estimator_repr(estimator: Any) -> str:
    """Return ``repr(estimator)`` on one line and without addresses."""
    try:
        text = re.sub(r"\s+", " ", repr(estimator))
    except Exception:  # unpickled from another release, it may lack a parameter that repr reads
        text = type(estimator).__name__
    return re.sub(r" at 0x[0-9a-f]+", "", text)[:MAX_REPR_LENGTH]


def _repr(self: Any) -> str:
    names = getattr(type(self), "__dataclass_fields__", None) or type(self).model_fields
    fields = (f"{name}={_one_line(getattr(self, name))}" for name in names)
    return f"{type(self).__name__}({', '.join(fields)})"


def _one_line(value: Any) -> str:
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"
