"""Read protobuf's wire format without a parser: the tags and places of fields.

Nothing is copied: a field of bytes is given as its place, so a gigabyte of weights takes no longer
than an empty tensor.  The reader withstands hostile bytes.  It checks every length against the
enclosing message, nothing recurses, and a :class:`Budget` limits the number of fields.

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
"""Wire types; 3 and 4, the groups, have been deprecated since protobuf 2."""

MAX_VARINT_BYTES = 10
"""Bytes of a varint of 64 bits, seven bits a byte."""

SMALL_VARINT_BYTES = 4
"""Bytes of a varint of 28 bits."""

SHORT_RUN_BYTES = 512
"""Shorter runs are read field by field, which is faster than an array operation."""

RUN_COST = 50
"""Finding the end of a run takes as long as reading so many fields (measured)."""

BLOCK_BYTES = 1 << 15
"""Bytes of a run that one array operation reads; memory stays below a megabyte."""

WIDEST_ALIKE = 5
"""Longest elements, their tag included, that are read as rows of a table."""


class WireError(ValueError):
    """The bytes are no protobuf message, or one with too many fields."""


class Budget:
    """The number of fields that may still be read."""

    __slots__ = ("remaining",)

    def __init__(self, remaining: int) -> None:
        self.remaining = remaining


def fields(
    raw: bytes, start: int, end: int, budget: Budget, runs: frozenset[int] = frozenset()
) -> Iterator[tuple[int, int, int]]:
    """Iterate over the fields of the message at ``raw[start:end]``, in order.

    Parameters
    ----------
    budget
        Lowered by one for a field, by :data:`RUN_COST` for a run.
    runs
        Tags (below 128) of repeated varints or 32-bit numbers that may come by the million.  A
        long run of one of them is given as one field with the negative tag: ``(-tag, start, end)``
        is the place of the run, its tags included.

    Yields
    ------
    tuple
        ``(tag, value, end)``, where tag is ``number << 3 | wire type``.  For a varint: its value
        and the end of the field.  For all others: start and end of the content.

    Raises
    ------
    WireError
        A field reaches beyond *end*, a varint has more than 64 bits, the wire type does not exist,
        or the budget is spent.
    """
    at, remaining = start, budget.remaining
    while at < end:
        remaining -= 1
        tag, value = raw[at], at + 1
        if tag in runs and end - at > SHORT_RUN_BYTES:
            remaining -= RUN_COST
            tag, value, stop = -tag, at, _end_of_run(raw, at, end)
        else:
            if tag > 0x7F:
                tag, value = _varint(raw, at, end)
            wire_type = tag & 7
            if wire_type in _VARINT_FIRST:
                # Nearly all lengths and values take one byte: not worth a call.
                if value < end and raw[value] < 0x80:
                    number, value = raw[value], value + 1
                else:
                    number, value = _varint(raw, value, end)
                if wire_type == BYTES:
                    stop = value + number
                else:
                    value, stop = number, value
            elif wire_type in _FIXED_BYTES:
                stop = value + _FIXED_BYTES[wire_type]
            else:
                raise WireError(f"wire type {wire_type} before byte {value} is out of use")
        if remaining < 0:
            raise WireError("it has too many fields")
        if stop > end:
            raise WireError(f"a field reaches beyond byte {end}")
        # The caller may read the message in this field, and spend from the same budget.
        budget.remaining = remaining
        yield tag, value, stop
        remaining = budget.remaining
        at = stop


_VARINT_FIRST = frozenset({VARINT, BYTES})
"""Wire types of a field that is a varint, or begins with its length as a varint."""

_FIXED_BYTES = {FIXED32: 4, FIXED64: 8}


def count_varints(raw: bytes, start: int, end: int) -> int:
    """Count the varints that are packed at ``raw[start:end]``.

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
    """Read a run of varints that :func:`fields` gave, in the smallest dtype that fits."""
    arrays = [
        _numbers_of_one_width(block, width) if ends is None else _numbers_of_any_width(block, ends)
        for block, width, ends in _pieces(raw, start, end, BLOCK_BYTES)
    ]
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)


def _varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """Read the varint at *at*; give it and its end."""
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
    """Find the end of the run of fields that share the one-byte tag at *start*."""
    if raw[start] & 7 == VARINT:
        return start + sum(len(block) for block, _, _ in _pieces(raw, start, end, SHORT_RUN_BYTES))
    tag, at, size = raw[start], start, SHORT_RUN_BYTES
    while at < end and raw[at] == tag:
        n_elements = _count_fixed32(_block(raw, at, end, size), tag)
        if not n_elements:
            raise WireError(f"the numbers at byte {at} are damaged")
        at += 5 * n_elements
        size = min(2 * size, BLOCK_BYTES)
    return at


def _pieces(
    raw: bytes, start: int, end: int, size: int
) -> Iterator[tuple[NDArray[np.uint8], int, NDArray[np.intp] | None]]:
    """Cut the run of varints that begins at *start* into pieces.

    Yields
    ------
    block
        The bytes of some elements.
    width
        Bytes of each element, if all have the same; otherwise 0.
    ends
        None if all have the same width.  Otherwise the position of the last byte of each tag and
        each number, in turn.
    """
    tag, at = raw[start], start
    while at < end and raw[at] == tag:
        block = _block(raw, at, end, size)
        width = int(np.argmax(block[1 : WIDEST_ALIKE + 1] < 0x80)) + 2
        stop = width * _count_of_width(block, tag, width)
        # Elements of one width fill most of the block: read it as a table.
        if 2 * stop > len(block):
            yield block[:stop], width, None
        else:
            n_elements, stop, ends = _find_elements(block, tag)
            if not n_elements:
                raise WireError(f"the numbers at byte {at} are damaged")
            yield block[:stop], 0, ends[: 2 * n_elements]
        at += stop
        # Blocks grow slowly: a short run must not cost a large block.
        size = min(2 * size, BLOCK_BYTES)


def _count_of_width(block: NDArray[np.uint8], tag: int, width: int) -> int:
    """Count the elements of *width* bytes, tag included, at the start of *block*."""
    n = len(block) // width
    if not n or width > WIDEST_ALIKE:
        return 0
    if width in _WORDS:
        dtype, mask, expected = _WORDS[width]
        is_other = (block[: n * width].view(dtype) & mask) != (expected | tag)
    else:
        table = block[: n * width].reshape(n, width)
        is_other = (table[:, 0] != tag) | (table[:, -1] > 0x7F)
        for i in range(1, width - 1):
            is_other |= table[:, i] < 0x80
    first = int(is_other.argmax())
    return first if is_other[first] else n


_WORDS = {2: ("<u2", 0x80FF, 0), 4: ("<u4", 0x808080FF, 0x808000)}
"""Widths of elements that numpy reads as one integer: its dtype, and the mask and value of its
continuation bits.  The mask covers the tag too."""


def _numbers_of_one_width(block: NDArray[np.uint8], width: int) -> NDArray[Any]:
    """Decode varints that all take *width* bytes, their tag included."""
    table = block.reshape(-1, width)
    if width == 2:
        return table[:, 1]
    values = table[:, width - 1].astype(np.int32)
    for i in range(width - 2, 0, -1):
        values <<= 7
        values |= table[:, i] & 0x7F
    return values


def _numbers_of_any_width(block: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[Any]:
    """Decode varints of any width; *ends* has the last byte of each tag and number, in turn."""
    tags, lasts = ends[::2], ends[1::2]
    groups = block & 0x7F
    sizes = lasts - tags
    longest = int(sizes.max())
    # int32 where it suffices: half the memory to move.
    values: NDArray[Any] = groups[lasts].astype(
        np.int32 if longest <= SMALL_VARINT_BYTES else np.int64
    )
    # From the last group, which is the most significant, back to the first.
    for i in range(1, longest):
        has_group = (sizes > i).astype(values.dtype)
        values <<= 7 * has_group
        values |= groups[lasts - i] * has_group
    return values


def _block(raw: bytes, at: int, end: int, size: int = BLOCK_BYTES) -> NDArray[np.uint8]:
    return np.frombuffer(raw, np.uint8, min(size, end - at), at)


def _count_fixed32(block: NDArray[np.uint8], tag: int) -> int:
    """Count the elements of a tag and four bytes at the start of *block*."""
    n_elements = len(block) // 5
    other_tags = np.flatnonzero(block[: 5 * n_elements : 5] != tag)
    return int(other_tags[0]) if len(other_tags) else n_elements


def _find_elements(block: NDArray[np.uint8], tag: int) -> tuple[int, int, NDArray[np.intp]]:
    """Find the elements, a tag and a varint each, at the start of *block*.

    A tag below 128 looks like a varint of one byte.  So the block is read as varints, and every
    other one must be the tag.

    Returns
    -------
    n_elements, stop
        Number of elements, and the end of the last one.
    ends
        Position of the last byte of each varint in the block.
    """
    ends = np.flatnonzero(block < 0x80)
    n_elements = len(ends) // 2
    tags, lasts = ends[: 2 * n_elements : 2], ends[1 : 2 * n_elements : 2]
    sizes = lasts - tags
    if not n_elements:
        return 0, 0, ends
    is_run = (
        tags[0] == 0
        and (block[tags] == tag).all()
        and (tags[1:] - lasts[:-1] == 1).all()
        and sizes.max() <= MAX_VARINT_BYTES
    )
    if not is_run:
        starts = np.concatenate([[0], lasts[:-1] + 1])
        is_other = (block[tags] != tag) | (tags != starts) | (sizes > MAX_VARINT_BYTES)
        n_elements = int(np.flatnonzero(is_other)[0])
    return n_elements, (int(lasts[n_elements - 1]) + 1 if n_elements else 0), ends
