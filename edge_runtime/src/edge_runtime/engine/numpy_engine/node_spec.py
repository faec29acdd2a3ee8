"""Describe a node to the function that makes its kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_runtime.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Kernel", "KernelMaker", "NodeSpec"]

Kernel: TypeAlias = "Callable[..., Any]"
"""Computes the output of a node from its inputs; a tuple where the node has several outputs."""


@record(frozen=True, slots=True)
class NodeSpec:
    """All that is known of a node before it runs.

    Attributes
    ----------
    attributes
        Attributes by name.  A subgraph is a ``Plan``.
    constants
        For each input its value if that is constant, otherwise None.
    n_outputs
        Number of outputs.
    """

    attributes: Mapping[str, Any]
    constants: Sequence[NDArray[Any] | None]
    n_outputs: int

    def constant(self, i: int) -> NDArray[Any] | None:
        """Return input *i* if it is there and constant, otherwise None."""
        return self.constants[i] if i < len(self.constants) else None

    def integers(self, i: int) -> tuple[int, ...] | None:
        """Return the constant input *i* as integers; None if it varies or is left out."""
        constant = self.constant(i)
        return None if constant is None else tuple(constant.ravel().tolist())


KernelMaker: TypeAlias = "Callable[[NodeSpec], Kernel]"
