"""Complete JSON records that leave out the keys of missing values, as many programs write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_runtime.inputs.tables import InputReader

__all__ = ["AbsentKeys"]


class AbsentKeys:
    """Adds the keys that a record lacks, with None, where their columns may be missing.

    Other records stay as they are, and are refused later: those without any key of the schema,
    without a column that must be present, or with another spelling of one.

    Parameters
    ----------
    input_reader
        The validation of the columns.
    """

    def __init__(self, input_reader: InputReader) -> None:
        schema = input_reader.schema
        self._is_table = schema.kind == "table"
        self._names = frozenset(schema.names)
        self._known = self._names.union(schema.ignored)
        self._optional = frozenset(c.name for c in schema.columns if c.missing)

    def filled(self, record: Any) -> Any:
        """Return *record* with all keys, or *record* itself."""
        if not (isinstance(record, Mapping) and self._is_table):
            return record
        absent = self._names.difference(record)
        if not absent or len(absent) == len(self._names) or not absent <= self._optional:
            return record
        unknown = [name for name in record if name not in self._known]
        if unknown:
            from edge_runtime.inputs.suggestions import (
                match_names,
            )  # difflib: only for typing errors

            if match_names(tuple(sorted(absent)), tuple(map(str, unknown))):
                return record
        return {**dict.fromkeys(absent), **record}
