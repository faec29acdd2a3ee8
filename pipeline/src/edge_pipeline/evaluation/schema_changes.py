"""List how the columns, methods and classes of two sealed files differ."""

from __future__ import annotations

from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Column

__all__ = ["schema_changes"]


def schema_changes(first: Manifest, second: Manifest) -> list[str]:
    """List the changes that matter to a program that sends rows to the first file."""
    before = {column.name: column for column in first.schema.columns}
    after = {column.name: column for column in second.schema.columns}
    changes = [f"column {name!r} is no longer needed" for name in before if name not in after]
    changes += [f"column {name!r} is needed now" for name in after if name not in before]
    for name, column in before.items():
        if name in after:
            changes += _column_changes(column, after[name])
    if list(before) != list(after) and set(before) == set(after):
        changes.append("the column order changed, which matters for arrays without column names")
    methods = [{output.method for output in manifest.outputs} for manifest in (first, second)]
    changes += [f"method {method} was removed" for method in sorted(methods[0] - methods[1])]
    changes += [f"method {method} is new" for method in sorted(methods[1] - methods[0])]
    if first.classes != second.classes:
        old_labels, new_labels = (list(m.classes.get("predict", ())) for m in (first, second))
        changes.append(f"the classes were {old_labels}, and are {new_labels}")
    return changes


def _column_changes(old: Column, new: Column) -> list[str]:
    changes = []
    if old.type != new.type:
        changes.append(f"column {old.name!r} was {old.type}, and is {new.type}")
    if old.missing and not new.missing:
        changes.append(f"column {old.name!r} no longer accepts missing values")
    if new.closed and not old.closed:
        changes.append(f"column {old.name!r} now refuses values unseen in training")
    if new.limits != old.limits:
        changes.append(
            f"column {old.name!r} has no limits any more"
            if new.limits is None
            else f"column {old.name!r} has new limits: {new.limits}"
        )
    return changes
