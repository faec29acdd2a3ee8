"""Some outputs of a model, and the session that gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_runtime.bundle.manifest import Output
from edge_runtime.engine.outputs import as_trained, labels_at, squeezed
from edge_runtime.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engine.optimize.packed_votes import PackedVotesSession
    from edge_runtime.engine.session import Session

__all__ = ["Feeds", "GraphQuery"]

Feeds: TypeAlias = "Mapping[str, NDArray[Any]]"


@record(frozen=True, slots=True)
class GraphQuery:
    """Some outputs, and the session to ask for them.

    Attributes
    ----------
    names
        What the session calls them.
    labels
        For each of them None, or the table in which the session gives positions.
    squeezed
        Of each of them, whether its second axis, of length 1, is to be taken away.
    proves_finite, in_one_go
        What the only output tells of the numbers; see the module ``witness``.
    """

    session: Session | PackedVotesSession
    outputs: tuple[Output, ...]
    names: list[str]
    labels: tuple[NDArray[Any] | None, ...]
    squeezed: tuple[bool, ...]
    proves_finite: bool = False
    in_one_go: bool = False

    def ask(self, feeds: Feeds) -> list[NDArray[Any]]:
        """The graph's arrays, which :meth:`answers` makes scikit-learn's of."""
        return self.session.run(self.names, feeds)

    def answers(self, found: Sequence[NDArray[Any]], n_rows: int) -> list[NDArray[Any]]:
        """What the trained estimator would give.

        Raises
        ------
        InferenceError
            The graph contradicts its manifest.
        """
        return [
            as_trained(array, output, n_rows)
            if labels is None
            else labels_at(array, labels, output, n_rows)
            for array, output, labels in zip(
                self.shaped(found), self.outputs, self.labels, strict=True
            )
        ]

    def shaped(self, found: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """The graph's arrays, those of one column as vectors where that is to be."""
        if True not in self.squeezed:
            return found
        return [
            squeezed(array, output) if flat else array
            for array, output, flat in zip(found, self.outputs, self.squeezed, strict=True)
        ]
