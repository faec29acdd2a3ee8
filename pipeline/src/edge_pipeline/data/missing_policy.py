"""The user's choice of the columns in which the device accepts a missing value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_pipeline.errors import ConversionError

__all__ = ["AS_ESTIMATOR", "CHOICES", "MissingPolicy"]

CHOICES = ("as-estimator", "as-trained", "refuse")
"""``as-estimator``: wherever the fitted estimator predicts without the value.  ``as-trained``: only
where the training sample had a missing value.  ``refuse``: never."""


@dataclass(frozen=True)
class MissingPolicy:
    """One of :data:`CHOICES` for every column.

    Attributes
    ----------
    default
        The choice for columns that are not listed.
    columns
        Column name to its own choice.
    """

    default: str = "as-estimator"
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, value: str | Mapping[str, str], names: Sequence[str]) -> MissingPolicy:
        """Check the argument ``missing``: one choice, or a dict from column names to choices.

        Raises
        ------
        ConversionError
            A choice or a column is unknown.
        """
        choices = {"": value} if isinstance(value, str) else dict(value)
        for name, choice in choices.items():
            if choice not in CHOICES:
                raise ConversionError(
                    f"missing is {choice!r}; expected one of {', '.join(map(repr, CHOICES))}, or a "
                    "dict from column names to them"
                )
            if name and name not in names:
                raise ConversionError(
                    f"missing names the column {name!r}, which X does not have; its columns are "
                    f"{', '.join(map(repr, names[:20]))}"
                )
        return cls(choices.pop("", "as-estimator"), choices)

    def as_trained(self) -> MissingPolicy:
        """Return the same choices, with ``as-trained`` in place of ``as-estimator``."""
        stricter = {"as-estimator": "as-trained"}
        return MissingPolicy(
            stricter.get(self.default, self.default),
            {name: stricter.get(choice, choice) for name, choice in self.columns.items()},
        )

    def choice(self, name: str) -> str:
        """Return the choice for the column called *name*."""
        return self.columns.get(name, self.default)


AS_ESTIMATOR = MissingPolicy()
