"""Replace columns of a frame, whatever their names are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["replace_columns"]


def replace_columns(frame: pd.DataFrame, columns: Mapping[Any, Any]) -> pd.DataFrame:
    """Return *frame* with *columns* in place of those of the same names.

    ``DataFrame.assign`` takes names as keywords, and fails for a column called ``self``.
    """
    replaced = frame.copy(deep=False)
    for name, column in columns.items():
        replaced[name] = column
    return replaced
