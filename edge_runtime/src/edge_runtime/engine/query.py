"""Pair outputs of a model with the session that computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_runtime.bundle.manifest import Output
from edge_runtime.engine.outputs import drop_second_axis, labels_at, to_trained_dtype
from edge_runtime.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engine.selection import AnySession

__all__ = ["Feeds", "GraphQuery"]

Feeds: TypeAlias = "Mapping[str, NDArray[Any]]"


@record(frozen=True, slots=True)
class GraphQuery:
    """Some outputs, and the session that computes them.

    Attributes
    ----------
    names
        Names of the outputs in the session's graph.
    labels
        For each output None, or the table of labels to which the session gives positions.
    squeezed
        For each output, whether to drop its second axis, of length 1.
    proves_finite, needs_no_slices
        Facts about the only output; see :mod:`edge_runtime.engine.optimize.finite_check`.
    """

    session: AnySession
    outputs: tuple[Output, ...]
    names: list[str]
    labels: tuple[NDArray[Any] | None, ...]
    squeezed: tuple[bool, ...]
    proves_finite: bool = False
    needs_no_slices: bool = False

    def predict(self, feeds: Feeds, n_rows: int) -> list[NDArray[Any]]:
        """Run the graph, and give its outputs as the trained estimator would.

        Raises
        ------
        InferenceError
            The engine failed, or the graph contradicts its manifest.
        """
        arrays = self.drop_axes(self.session.run(self.names, feeds))
        return [
            to_trained_dtype(array, output, n_rows)
            if labels is None
            else labels_at(array, labels, output, n_rows)
            for array, output, labels in zip(arrays, self.outputs, self.labels, strict=True)
        ]

    def drop_axes(self, arrays: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Drop the second axis of the arrays that are to be vectors."""
        if True not in self.squeezed:
            return arrays
        return [
            drop_second_axis(array, output) if squeezed else array
            for array, output, squeezed in zip(arrays, self.outputs, self.squeezed, strict=True)
        ]
