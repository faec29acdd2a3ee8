"""Predict a forest's label by one sum: the votes of all classes packed side by side.

A forest with soft votes adds up each tree's probability of each class; its label has the largest
sum.  In float64 the graph has to look up every tree's leaf and add in order, because the last bit
of a sum decides ties: 3 us of a row's 8.  But few rows are ties.

So the probabilities are rounded to integers, and those of all classes are packed into the 53 bits
of one float64 a leaf.  The trees then give one sum, which is exact in any order.  Rounding moves a
class's sum by at most a bound that is known when the integers are packed.  Where the largest sum
leads by more than that, it is the label.  Otherwise the row is *undecided*, and the exact graph
predicts it.

The module ``packed_votes_graph`` finds such a forest in a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engine.selection import AnySession
    from edge_runtime.engine.signature import Signature
    from edge_runtime.errors import EdgeRuntimeError

__all__ = ["UNDECIDED", "PackedVotes", "PackedVotesSession", "pack_votes"]

UNDECIDED = -1
"""Position of the label when the two largest sums are too close."""

MANTISSA_BITS = 53
"""Integers of so many bits are exact in float64 (IEEE 754-2019, binary64)."""

MAX_VOTE_BITS = 30
"""Most bits of one rounded probability.  They leave one row in 10,000,000 undecided.  The rounding
of scikit-learn's own sums, 2**-53 an addition, stays below one unit for 2,896 trees."""

MAX_TREES = 1 << 16
"""A bound with room: a lead that decides is at least 2**-29 of one tree's vote, hence 2**-45 of a
mean, and two means below 1 that are so far apart are different numbers in float64."""

MAX_MARGIN = 1 / 64
"""Largest margin, as a share of all votes; coarser integers would leave too many rows undecided."""

FEW_ROWS = 12
"""Up to so many rows, a Python loop (0.6 us a row) is faster than numpy's calls (9 us)."""


@record(frozen=True, slots=True)
class PackedVotes:
    """The layout of the packed sums.

    Attributes
    ----------
    n_classes
        At least 2.  The first class is not packed: it has the votes that the others do not have.
    bits
        Bits for one class.
    total
        All votes of one row.
    margin
        A lead of more than this decides.
    """

    n_classes: int
    bits: int
    total: int
    margin: int

    def position(self, packed_sum: float) -> int:
        """Find the leading class of one row, or :data:`UNDECIDED`."""
        first_class, number, votes = self.total, int(packed_sum), []
        bits, mask = self.bits, (1 << self.bits) - 1
        for _ in range(1, self.n_classes):
            count = number & mask
            number >>= bits
            first_class -= count
            votes.append(count)
        votes.append(first_class)
        ordered = sorted(votes)
        largest = ordered[-1]
        if largest - ordered[-2] <= self.margin:
            return UNDECIDED
        position = votes.index(largest) + 1
        return position if position < self.n_classes else 0  # the first class is last in *votes*

    def positions(self, packed_sums: NDArray[np.float64]) -> NDArray[np.int64]:
        """Find the leading class of every row; shapes (n_rows,)."""
        if len(packed_sums) <= FEW_ROWS:
            return np.array(list(map(self.position, packed_sums.tolist())), dtype=np.int64)
        number = packed_sums.astype(np.int64)
        votes = np.empty((self.n_classes, len(number)), dtype=np.int64)
        for i in range(1, self.n_classes):
            np.bitwise_and(number, (1 << self.bits) - 1, out=votes[i])
            number >>= self.bits
        np.subtract(self.total, votes[1:].sum(axis=0), out=votes[0])
        leaders: NDArray[np.int64] = votes.argmax(axis=0)
        votes.partition(self.n_classes - 2, axis=0)
        leaders[votes[-1] - votes[-2] <= self.margin] = UNDECIDED
        return leaders


def pack_votes(
    probabilities: NDArray[np.float64], n_trees: int
) -> tuple[NDArray[Any], PackedVotes] | None:
    """Pack each leaf's probabilities into one integer.

    Parameters
    ----------
    probabilities
        Shape (n_leaves, n_classes).
    n_trees
        Number of leaves that one row adds up.

    Returns
    -------
    tuple or None
        The integers, as float64, and their layout.  None where 53 bits are too few for votes that
        decide, or the numbers are no probabilities.
    """
    n_classes = probabilities.shape[1]
    are_probabilities = (probabilities >= 0) & (probabilities <= 1)
    if n_classes < 2 or not 0 < n_trees <= MAX_TREES or not are_probabilities.all():
        return None
    # Each class needs the bits of one vote, and those of the carry of n_trees additions.
    carry_bits = n_trees.bit_length()
    vote_bits = min(MANTISSA_BITS // (n_classes - 1) - carry_bits, MAX_VOTE_BITS)
    if vote_bits < 1:
        return None
    bits, unit = vote_bits + carry_bits, 1 << vote_bits
    exact = probabilities * unit
    votes = np.rint(exact)
    votes[:, 0] = unit - votes[:, 1:].sum(axis=1)
    # Two sums are compared.  Each is off by the rounding of every vote, which is measured here.
    # scikit-learn's sums are off by the rounding of every addition, at most n_trees times half an
    # ulp of n_trees (Higham 2002, sec. 3.1).  The one unit more covers the rounding of these lines
    # themselves, and leaves a lead that dividing both sums cannot undo.
    rounding = float(np.abs(votes - exact).max(initial=0.0)) * n_trees
    additions = n_trees * n_trees * unit * 2.0**-MANTISSA_BITS
    margin = int(np.ceil(2 * (rounding + additions))) + 1
    if margin > MAX_MARGIN * n_trees * unit:
        return None
    shifted = votes[:, 1:].astype(np.int64) << (bits * np.arange(n_classes - 1))
    packed = shifted.sum(axis=1).astype(np.float64)
    return packed, PackedVotes(n_classes, bits, n_trees * unit, margin)


class PackedVotesSession:
    """A session that gives the position of a forest's label, by packed votes where they decide.

    Any number of threads may call :meth:`run` at once.

    Parameters
    ----------
    sums
        The session that gives the packed sums, shape (n_rows, 1).
    name
        Name of its output.
    votes
        The layout of the sums.
    exact
        The session that gives the label's position for every row, from the same feeds.
    """

    def __init__(self, sums: AnySession, name: str, votes: PackedVotes, exact: AnySession) -> None:
        self.inputs: tuple[Signature, ...] = sums.inputs
        self.outputs: tuple[Signature, ...] = exact.outputs
        self._sums, self._names, self._votes, self._exact = sums, [name], votes, exact

    def run(self, names: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the only output, called *names*, shape (n_rows,).

        Raises
        ------
        InferenceError
            The engine failed on inputs that passed every check.
        """
        positions = self._votes.positions(self._sums.run(self._names, feeds)[0][:, 0])
        undecided = np.flatnonzero(positions == UNDECIDED)
        if len(undecided):
            rows = {name: block[undecided] for name, block in feeds.items()}
            positions[undecided] = self._exact.run(names, rows)[0]
        return [positions]

    def bind(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]
    ) -> Callable[[], None]:
        """Make a call from one row in *feeds* to *outputs*, in place; one thread at a time."""
        packed_sum = np.zeros((1, 1))
        run_sums = self._sums.bind(feeds, {self._names[0]: packed_sum})
        run_exact = self._exact.bind(feeds, outputs)
        (target,) = outputs.values()
        find_position, item = self._votes.position, packed_sum.item

        def call() -> None:
            run_sums()
            position = find_position(item())
            if position == UNDECIDED:
                run_exact()
            else:
                target[0] = position

        return call

    def error(self, error: Exception) -> EdgeRuntimeError:
        """Make the error to raise when the engine raised *error* on checked rows."""
        return self._exact.error(error)
