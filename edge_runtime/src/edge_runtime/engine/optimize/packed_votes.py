"""A forest's label by one sum: the votes of all classes as whole numbers side by side.

A forest of soft votes adds up a probability of every class from every tree, and its label is the
largest sum.  In float64 the graph has to look up each tree's leaf and add in order, 3 us of a row's
8, because the last bit of a sum decides ties.  Few rows are ties.  So the probabilities are rounded
to whole numbers, those of all classes packed into the 53 bits of one float64 a leaf, and the trees
give one sum, which is exact in any order.  Rounding moves a class's sum by a bound that is known
when the numbers are packed: where the largest leads by more, it is the label; where it does not,
the row is *open*, and the graph as it was is asked.

What finds such a forest in a graph is the module ``tallying``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engine.session import Session, Signature

__all__ = ["OPEN", "PackedVotes", "PackedVotesSession", "packed"]

OPEN = -1
"""Instead of a class's position: the sums are too close to tell."""

MANTISSA_BITS = 53
"""Whole numbers of so many bits are exact in float64 (IEEE 754-2019, binary64)."""

MOST_VOTE_BITS = 30
"""Of one rounded probability: enough to leave a row in 10,000,000 open, and few enough that the
sums' own rounding, 2**-53 of them an addition, stays below one unit for 2,896 trees."""

MAX_TREES = 1 << 16
"""A bound with room: a lead that decides is at least 2**-29 of one tree's vote, hence 2**-45 of a
mean, and two means below 1 that are so far apart are different numbers in float64."""

LEAST_CERTAINTY = 1 / 64
"""A lead of this share of all votes must decide; with coarser numbers too many rows stay open."""

FEW_ROWS = 12
"""Up to so many, numpy's calls (9 us) take longer than one row after the other (0.6 us each)."""


@record(frozen=True, slots=True)
class PackedVotes:
    """How to read the packed sums.

    Attributes
    ----------
    n_classes
        At least 2.  The first class has no place of its own: it has the votes that are left.
    bits
        Width of one class's place.
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
        """The leading class of one row, or :data:`OPEN`."""
        rest, number, votes = self.total, int(packed_sum), []
        bits, mask = self.bits, (1 << self.bits) - 1
        for _ in range(1, self.n_classes):
            count = number & mask
            number >>= bits
            rest -= count
            votes.append(count)
        votes.append(rest)
        ordered = sorted(votes)
        first = ordered[-1]
        if first - ordered[-2] <= self.margin:
            return OPEN
        found = votes.index(first) + 1
        return found if found < self.n_classes else 0  # the first class stands last

    def positions(self, packed_sums: NDArray[np.float64]) -> NDArray[np.int64]:
        """The same for many rows; shapes (n_rows,)."""
        if len(packed_sums) <= FEW_ROWS:
            return np.array(list(map(self.position, packed_sums.tolist())), dtype=np.int64)
        number = packed_sums.astype(np.int64)
        votes = np.empty((self.n_classes, len(number)), dtype=np.int64)
        for at in range(1, self.n_classes):
            np.bitwise_and(number, (1 << self.bits) - 1, out=votes[at])
            number >>= self.bits
        np.subtract(self.total, votes[1:].sum(axis=0), out=votes[0])
        found: NDArray[np.int64] = votes.argmax(axis=0)
        votes.partition(self.n_classes - 2, axis=0)
        found[votes[-1] - votes[-2] <= self.margin] = OPEN
        return found


def packed(
    probabilities: NDArray[np.float64], n_trees: int
) -> tuple[NDArray[Any], PackedVotes] | None:
    """One whole number for each row of *probabilities*, and how to read sums of *n_trees* of them.

    Parameters
    ----------
    probabilities
        Shape (n_leaves, n_classes).

    Returns
    -------
    tuple or None
        None where the 53 bits do not hold votes fine enough, or the rows are no probabilities.
    """
    n_classes = probabilities.shape[1]
    within = (probabilities >= 0) & (probabilities <= 1)
    if n_classes < 2 or not 0 < n_trees <= MAX_TREES or not within.all():
        return None
    bits = MANTISSA_BITS // (n_classes - 1)
    vote_bits = min(bits - n_trees.bit_length(), MOST_VOTE_BITS)
    if vote_bits < 1:
        return None
    bits = vote_bits + n_trees.bit_length()
    unit = 1 << vote_bits
    exact = probabilities * unit
    votes = np.rint(exact)
    votes[:, 0] = unit - votes[:, 1:].sum(axis=1)
    # Two sums are compared.  Each is off by the rounding of every vote, which is measured, and
    # scikit-learn's by that of every addition, at most n_trees times half an ulp of n_trees
    # (Higham 2002, sec. 3.1).  One unit more is for the rounding of these lines themselves, and
    # leaves a lead that dividing both sums cannot undo.
    rounding = float(np.abs(votes - exact).max(initial=0.0)) * n_trees
    additions = n_trees * n_trees * unit * 2.0**-MANTISSA_BITS
    margin = int(np.ceil(2 * (rounding + additions))) + 1
    if margin > LEAST_CERTAINTY * n_trees * unit:
        return None
    places = votes[:, 1:].astype(np.int64) << (bits * np.arange(n_classes - 1))
    return places.sum(axis=1).astype(np.float64), PackedVotes(
        n_classes, bits, n_trees * unit, margin
    )


class PackedVotesSession:
    """A session that gives the position of a forest's label, and asks another one about open rows.

    Any number of threads may call :meth:`run` at once.

    Parameters
    ----------
    sums
        Gives the packed sums, shape (n_rows, 1).
    name
        What it calls them.
    tally
        How to read them.
    exact
        The session that gives the label's position for every row, from the same feeds.
    """

    def __init__(
        self, sums: Session, name: str, tally: PackedVotes, exact: Session | PackedVotesSession
    ) -> None:
        self.inputs: tuple[Signature, ...] = sums.inputs
        self.outputs: tuple[Signature, ...] = exact.outputs
        self._sums, self._names, self._tally, self._exact = sums, [name], tally, exact

    def run(self, names: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The only output, called *names*, shape (n_rows,).

        Raises
        ------
        InferenceError
            onnxruntime failed on inputs that passed every check.
        """
        found = self._tally.positions(self._sums.run(self._names, feeds)[0][:, 0])
        opened = np.flatnonzero(found == OPEN)
        if len(opened):
            rows = {key: block[opened] for key, block in feeds.items()}
            found[opened] = self._exact.run(names, rows)[0]
        return [found]

    def bind(
        self, feeds: Mapping[str, NDArray[Any]], answers: Mapping[str, NDArray[Any]]
    ) -> Callable[[], None]:
        """A call that reads one row from *feeds* and writes *answers*; not for two threads."""
        packed_sum = np.zeros((1, 1))
        add_up = self._sums.bind(feeds, {self._names[0]: packed_sum})
        ask = self._exact.bind(feeds, answers)
        (answer,) = answers.values()
        position, item = self._tally.position, packed_sum.item

        def call() -> None:
            add_up()
            found = position(item())
            if found == OPEN:
                ask()
            else:
                answer[0] = found

        return call
