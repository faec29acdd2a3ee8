"""Index constants by traced positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_pipeline.conversion.graph import ops

__all__ = ["ConstantArray"]


class ConstantArray(np.ndarray[Any, Any]):
    """A constant of a user's function, which traced positions may index: ``classes[index]``."""

    def __getitem__(self, key: Any) -> Any:
        keys = key if type(key) is tuple else (key,)
        if not any(hasattr(type(k), "to_tensor") for k in keys):
            return super().__getitem__(key)
        if any(k != slice(None) for k in keys[1:]) or keys[0].dtype == np.bool_:
            raise TypeError(
                "a constant is traced with one array of positions, the first index; use "
                "np.where(condition, a, b)"
            )
        return keys[0]._wrap(ops.take(np.asarray(self), keys[0].to_tensor(), 0))
