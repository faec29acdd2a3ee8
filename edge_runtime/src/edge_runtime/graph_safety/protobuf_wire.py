"""Protobuf's wire format, read without a parser: bytes in, tags and places out.

Nothing is copied or built: a field that holds bytes comes out as the place where they lie, so a
gigabyte of weights costs no more than an empty tensor.  Written for bytes that mean harm: every
length is checked against its enclosing message, nothing recurses, and a :class:`Budget` ends a
file that has too many fields.

The encoding: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Budget", "WireError", "count_varints", "fields", "read_run"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types; 3 and 4, the groups, have been out of use since protobuf 2."""

MAX_VARINT_BYTES = 10
"""What 64 bits take, seven a byte."""

SMALL_VARINT_BYTES = 4
"""What 28 bits take."""

SHORT_RUN_BYTES = 512
"""Below, one element after the other is faster than an array operation."""

RUN_COST = 50
"""Fields that looking for the end of a run costs as much time as (measured)."""

BLOCK_BYTES = 1 << 15
"""Of a run, looked at with one array operation: bounds memory at a few hundred kilobytes."""

WIDEST_ALIKE = 5
"""Bytes of the longest elements, their tag included, of which a block is read as a table."""


class WireError(ValueError):
    """The bytes are no protobuf message, or one too large to look at."""


class Budget:
    """Fields that may still be read."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


def fields(
    raw: bytes, start: int, end: int, budget: Budget, runs: frozenset[int] = frozenset()
) -> Iterator[tuple[int, int, int]]:
    """The fields of the message at ``raw[start:end]``, in order.

    Parameters
    ----------
    budget
        Lowered by one for a field, by :data:`RUN_COST` for a run.
    runs
        Tags (below 128) of repeated varints or 32-bit numbers that may come by the million.  A
        long run of one of them comes out as one field with its tag negated: ``(-tag, start, end)``
        is where the run lies, its tags included.

    Yields
    ------
    tuple
        ``(tag, value, end)``, where tag is ``number << 3 | wire type``; for a varint its value and
        the end of the field, for all others start and end of the content.

    Raises
    ------
    WireError
        A field reaches beyond *end*, a varint has more than 64 bits, the wire type does not exist,
        or the budget is used up.
    """
    at = start
    left = budget.left
    while at < end:
        left -= 1
        tag = raw[at]
        if tag in runs and end - at > SHORT_RUN_BYTES:
            left -= RUN_COST
            stop = _end_of_run(raw, at, end)
            tag, at = -tag, at
        else:
            at += 1
            if tag > 0x7F:
                tag, at = _varint(raw, at - 1, end)
            kind = tag & 7
            if kind == BYTES:
                # Nearly all lengths take one byte: not worth a call.
                if at < end and raw[at] < 0x80:
                    stop = at + 1 + raw[at]
                    at += 1
                else:
                    size, at = _varint(raw, at, end)
                    stop = at + size
            elif kind == VARINT:
                if at < end and raw[at] < 0x80:
                    stop, at = at + 1, raw[at]
                else:
                    at, stop = _varint(raw, at, end)
            elif kind in (FIXED32, FIXED64):
                stop = at + (4 if kind == FIXED32 else 8)
            else:
                raise WireError(f"wire type {kind} before byte {at} is out of use")
        if stop > end or left < 0:
            raise WireError(
                "it has too many fields" if left < 0 else f"a field reaches beyond byte {end}"
            )
        # Read by the messages inside this one, which spend from the same budget.
        budget.left = left
        yield tag, at, stop
        left = budget.left
        at = stop


def count_varints(raw: bytes, start: int, end: int) -> int:
    """How many varints are packed at ``raw[start:end]``.

    Raises
    ------
    WireError
        The last one does not end there.
    """
    if start < end and raw[end - 1] > 0x7F:
        raise WireError("a packed number reaches beyond its field")
    return sum(
        int(np.count_nonzero(_block(raw, at, end) < 0x80)) for at in range(start, end, BLOCK_BYTES)
    )


def read_run(raw: bytes, start: int, end: int) -> NDArray[Any]:
    """The values of a run of varints that :func:`fields` found, in the smallest fitting dtype."""
    blocks = [
        _numbers(block, width) if ends is None else _mixed_numbers(block, ends)
        for block, width, ends in _pieces(raw, start, end, BLOCK_BYTES)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int64)


def _varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """The varint at *at*, and where it ends."""
    value = shift = 0
    for place in range(at, min(end, at + MAX_VARINT_BYTES)):
        byte = raw[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, place + 1
        shift += 7
    raise WireError(f"the number at byte {at} does not end")


def _end_of_run(raw: bytes, start: int, end: int) -> int:
    """Where the run of fields that share the one-byte tag at *start* ends."""
    if raw[start] & 7 == VARINT:
        return start + sum(len(block) for block, _, _ in _pieces(raw, start, end, SHORT_RUN_BYTES))
    tag, at, size = raw[start], start, SHORT_RUN_BYTES
    while at < end and raw[at] == tag:
        good, stop = _fours(_block(raw, at, end, size), tag)
        if not good:
            raise WireError(f"the numbers at byte {at} are damaged")
        at += stop
        size = min(2 * size, BLOCK_BYTES)
    return at


def _pieces(
    raw: bytes, start: int, end: int, size: int
) -> Iterator[tuple[NDArray[np.uint8], int, NDArray[np.intp] | None]]:
    """The run of varints that begins at *start*, in pieces.

    Yields
    ------
    tuple
        The bytes of some elements, and either how many of them each takes, where all take as many,
        or where tags and numbers end, in turn.
    """
    tag, at = raw[start], start
    while at < end and raw[at] == tag:
        block = _block(raw, at, end, size)
        width = int(np.argmax(block[1 : WIDEST_ALIKE + 1] < 0x80)) + 2
        stop = width * _alike(block, tag, width)
        # Otherwise numbers of several lengths stand in turns, and are looked at one by one.
        if 2 * stop > len(block):
            yield block[:stop], width, None
        else:
            good, stop, ends = _pairs(block, tag)
            if not good:
                raise WireError(f"the numbers at byte {at} are damaged")
            yield block[:stop], 0, ends[: 2 * good]
        at += stop
        # Grown slowly: a short run must not cost a large block.
        size = min(2 * size, BLOCK_BYTES)


def _alike(block: NDArray[np.uint8], tag: int, width: int) -> int:
    """How many times tag and a varint of *width* - 1 bytes follow one another from the start."""
    n = len(block) // width
    if not n or width > WIDEST_ALIKE:
        return 0
    if width in _WORDS:
        kind, mask, told = _WORDS[width]
        wrong = (block[: n * width].view(kind) & mask) != (told | tag)
    else:
        table = block[: n * width].reshape(n, width)
        wrong = (table[:, 0] != tag) | (table[:, -1] > 0x7F)
        for i in range(1, width - 1):
            wrong |= table[:, i] < 0x80
    first = int(wrong.argmax())
    return first if wrong[first] else n


_WORDS = {2: ("<u2", 0x80FF, 0), 4: ("<u4", 0x808080FF, 0x808000)}
"""Widths for which an element is one word: its type, and which of its bits are known."""


def _numbers(block: NDArray[np.uint8], width: int) -> NDArray[Any]:
    """The values of varints that all take *width* bytes, their tag included."""
    table = block.reshape(-1, width)
    if width == 2:
        return table[:, 1]
    values = table[:, width - 1].astype(np.int32)
    for i in range(width - 2, 0, -1):
        values <<= 7
        values |= table[:, i] & 0x7F
    return values


def _mixed_numbers(block: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[Any]:
    """The same of any varints, whose ends follow those of their tags in *ends*."""
    tags, lasts = ends[::2], ends[1::2]
    groups = block & 0x7F
    sizes = lasts - tags
    most = int(sizes.max())
    # Half the memory to move, where 32 bits do.
    values: NDArray[Any] = groups[lasts].astype(
        np.int32 if most <= SMALL_VARINT_BYTES else np.int64
    )
    # From the last group, the most significant one, back to the first.
    for i in range(1, most):
        more = (sizes > i).astype(values.dtype)
        values <<= 7 * more
        values |= groups[lasts - i] * more
    return values


def _block(raw: bytes, at: int, end: int, size: int = BLOCK_BYTES) -> NDArray[np.uint8]:
    return np.frombuffer(raw, np.uint8, min(size, end - at), at)


def _fours(block: NDArray[np.uint8], tag: int) -> tuple[int, int]:
    """How many times tag and four bytes follow one another from the start, and where that ends."""
    whole = len(block) // 5
    others = np.flatnonzero(block[: 5 * whole : 5] != tag)
    good = int(others[0]) if len(others) else whole
    return good, 5 * good


def _pairs(block: NDArray[np.uint8], tag: int) -> tuple[int, int, NDArray[np.intp]]:
    """How many times tag and varint follow one another from the start, and where that ends.

    A tag below 128 looks as a varint of one byte does.  So the block is read as varints, of which
    every other one must be the tag.
    """
    ends = np.flatnonzero(block < 0x80)
    pairs = len(ends) // 2
    tags, lasts = ends[: 2 * pairs : 2], ends[1 : 2 * pairs : 2]
    sizes = lasts - tags
    if not pairs:
        return 0, 0, ends
    whole = (
        tags[0] == 0
        and (block[tags] == tag).all()
        and (tags[1:] - lasts[:-1] == 1).all()
        and sizes.max() <= MAX_VARINT_BYTES
    )
    good = pairs
    if not whole:
        starts = np.concatenate([[0], lasts[:-1] + 1])
        wrong = (block[tags] != tag) | (tags != starts) | (sizes > MAX_VARINT_BYTES)
        good = int(np.flatnonzero(wrong)[0])
    return good, (int(lasts[good - 1]) + 1 if good else 0), ends
