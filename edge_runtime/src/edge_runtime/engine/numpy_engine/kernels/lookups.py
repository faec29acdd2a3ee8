"""Look up cells in tables, and compute with texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.engine.numpy_engine.node_spec import Kernel, KernelMaker, NodeSpec
from edge_runtime.errors import IntegrityError, UnsupportedRuntimeError
from edge_runtime.vectorizers.pattern_safety import compile_safely

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LOOKUPS", "ML_LOOKUPS", "TEXT_EXTENSIONS"]

_KEYS = ("keys_tensor", "keys_strings", "keys_int64s", "keys_floats")
_VALUES: Mapping[str, tuple[str, Any]] = {
    "values_tensor": ("default_tensor", None),
    "values_strings": ("default_string", "_Unused"),
    "values_int64s": ("default_int64", -1),
    "values_floats": ("default_float", -0.0),
}
_DTYPES: Mapping[str, Any] = {
    "strings": object, "int64s": np.int64, "floats": np.float32,
}  # fmt: skip


def _label_encoder(spec: NodeSpec) -> Kernel:
    """Map each cell through a table, and all others to a default."""
    keys, values, default = label_table(spec.attributes)
    table = dict(zip(reversed(keys.tolist()), reversed(values.tolist()), strict=True))
    find, dtype = table.get, values.dtype
    # NaN is no key of a dict: each NaN is another object, and equals nothing.
    nans = [value for key, value in table.items() if key != key]
    for_nan = nans[-1] if nans else default
    if keys.dtype.kind == "f":

        def find_number(cell: float) -> Any:
            return find(cell, default) if cell == cell else for_nan

        look_up: Any = find_number
    else:

        def find_any(cell: Any) -> Any:
            return find(cell, default)

        look_up = find_any

    def kernel(x: Any) -> Any:
        result = np.empty(x.shape, dtype=dtype)
        result.reshape(-1)[:] = [look_up(cell) for cell in x.ravel().tolist()]
        return result

    return kernel


def label_table(attributes: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[Any], Any]:
    """Read keys, values and default of a LabelEncoder, from tensors or from lists."""
    key_name = next(name for name in _KEYS if name in attributes)
    value_name = next(name for name in _VALUES if name in attributes)
    default_name, default = _VALUES[value_name]
    keys, values = (
        np.asarray(attributes[name], dtype=_DTYPES.get(name.split("_")[1]))
        for name in (key_name, value_name)
    )
    default_value = attributes.get(default_name, default)
    if default_name == "default_tensor":
        if default_value is None:
            default_value = {"O": "_Unused", "f": -0.0}.get(values.dtype.kind, -1)
        else:
            default_value = default_value.ravel().tolist()[0]
    return keys.ravel(), values.ravel(), default_value


def _string_concat(a: Any, b: Any) -> Any:
    return np.add(a, b, dtype=object)


def _regex_full_match(spec: NodeSpec) -> Kernel:
    matches = text_matcher(spec.attributes["pattern"])

    def kernel(x: Any) -> Any:
        cells = [matches(cell) is not None for cell in x.ravel().tolist()]
        return np.array(cells, dtype=np.bool_).reshape(x.shape)

    return kernel


_ANY_TEXT = (".*", "(?s:.*)")


def text_matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    r"""Make a matcher of whole texts from a pattern of RE2, as the converters write it.

    RE2 writes a character as ``\x{HEX}``, and its classes are those of ASCII.  Python's ``re``
    backtracks, RE2 does not: a pattern that could take for ever is refused.  Any text before or
    after is a search instead, which the refusal need not forbid.

    Raises
    ------
    UnsupportedRuntimeError
        Python cannot match it, or could take for ever.
    """
    is_dotall = pattern.startswith("(?s)")
    body = pattern[4:] if is_dotall else pattern
    any_text = _ANY_TEXT if is_dotall else _ANY_TEXT[1:]
    start = next((text for text in any_text if body.startswith(text)), "")
    body = body[len(start) :]
    end = next((text for text in any_text if body.endswith(text) and body != f"\\{text}"), "")
    if body[: len(body) - len(end)].endswith("\\"):
        end = ""  # the dot is a character
    body = body[: len(body) - len(end)]
    flags = "(?as)" if is_dotall else "(?a)"
    source = re.sub(r"\\(?:x\{([0-9A-Fa-f]+)\}|.)", _python_escape, body)
    try:
        compiled = compile_safely(f"{flags}(?:{source})" + ("" if end else r"\Z"))
    except IntegrityError as error:
        raise UnsupportedRuntimeError(
            f"the numpy engine cannot match the pattern {pattern!r:.80}: {error}; load the model "
            'with engine="onnxruntime"'
        ) from error
    return compiled.search if start else compiled.match


def _python_escape(match: re.Match[str]) -> str:
    return f"\\U{int(match[1], 16):08x}" if match[1] else match[0]


def _string_split(spec: NodeSpec) -> Kernel:
    delimiter = spec.attributes.get("delimiter") or None

    def kernel(x: Any) -> Any:
        parts = [cell.split(delimiter) if cell else [] for cell in x.ravel().tolist()]
        longest = max(map(len, parts), default=0)
        result = np.full((len(parts), longest), "", dtype=object)
        for row, texts in zip(result, parts, strict=True):
            row[: len(texts)] = texts
        counts = np.array(list(map(len, parts)), dtype=np.int64).reshape(x.shape)
        return result.reshape(*x.shape, longest), counts

    return kernel


def _tokenizer(spec: NodeSpec) -> Kernel:
    """Cut texts into tokens, or into characters when the only separator is empty."""
    attributes = spec.attributes
    if attributes.get("tokenexp") or list(attributes.get("separators", ())) != [""]:
        raise _unsupported_tokens("cuts texts into single characters alone")
    if attributes.get("mark", 0) or attributes.get("mincharnum", 1) != 1:
        raise _unsupported_tokens("marks no tokens, and drops none")
    padding = attributes.get("pad_value", "")

    def kernel(x: Any) -> Any:
        texts = x.ravel().tolist()
        longest = max(map(len, texts), default=0)
        result = np.full((len(texts), longest), padding, dtype=object)
        for row, text in zip(result, texts, strict=True):
            row[: len(text)] = list(text)
        return result.reshape(*x.shape, longest)

    return kernel


def _unsupported_tokens(rule: str) -> UnsupportedRuntimeError:
    return UnsupportedRuntimeError(
        f'the numpy engine {rule}; load the model with engine="onnxruntime"'
    )


LOOKUPS: Mapping[str, KernelMaker] = {
    "RegexFullMatch": _regex_full_match,
    "StringConcat": lambda _: _string_concat,
    "StringSplit": _string_split,
}
ML_LOOKUPS: Mapping[str, KernelMaker] = {"LabelEncoder": _label_encoder}
TEXT_EXTENSIONS: Mapping[str, KernelMaker] = {"Tokenizer": _tokenizer}
