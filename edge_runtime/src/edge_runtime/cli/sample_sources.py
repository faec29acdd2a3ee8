"""Read samples from WAV, raw PCM, CSV and JSON lines, in chunks as they come."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np

from edge_runtime.cli.line_reader import Lines
from edge_runtime.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.bundle.tensor_type import StreamSettings

__all__ = ["PCM_WIDTHS", "Chunk", "format_of_samples", "pcm_to_float", "read_samples"]

Chunk: TypeAlias = "tuple[NDArray[np.float64], float | None]"
"""Samples (n, n_channels), and the time of the first one in seconds, or None."""

PCM_WIDTHS = {"u8": 1, "s16": 2, "s24": 3, "s32": 4}
"""Bytes of a sample of raw PCM: unsigned, or signed little-endian, as arecord names them."""

_CHUNK_SECONDS = 0.1
_MAX_CHUNK_BYTES = 1 << 22
_TIME = "time"


def format_of_samples(name: str) -> str:
    """Return the format that the end of a file's name tells; wav where it tells none."""
    ending = name.rpartition(".")[2].lower()
    return {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "raw": "pcm", "pcm": "pcm"}.get(
        ending, "wav"
    )


def read_samples(
    source: BinaryIO, form: str, settings: StreamSettings, *, pcm: str = "s16"
) -> tuple[float | None, Iterator[Chunk]]:
    """Return the rate that *source* states, or None, and its samples in chunks.

    Parameters
    ----------
    form
        ``wav``, ``pcm``, ``csv`` or ``jsonl``.
    pcm
        Kind of the samples of raw PCM.

    Raises
    ------
    InputError
        The source is of another form, or has other channels; at once or with a later chunk.
    """
    if form == "wav":
        return _wav(source, settings)
    if form == "pcm":
        return None, _pcm(source, PCM_WIDTHS[pcm], settings)
    text = io.TextIOWrapper(source, encoding="utf-8-sig", errors="surrogateescape", newline="")
    lines = Lines(text)
    return None, (_csv if form == "csv" else _json_lines)(lines, settings.channels)


def pcm_to_float(raw: bytes, width: int, full_scale: float) -> NDArray[np.float64]:
    """Convert PCM samples of *width* bytes to float64, where the largest is *full_scale*."""
    if width == 1:
        integers = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - 128
    elif width == 3:
        parts = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3).astype(np.int64)
        unsigned = parts[:, 0] | parts[:, 1] << 8 | parts[:, 2] << 16
        integers = (unsigned ^ 0x800000) - 0x800000
    else:
        integers = np.frombuffer(raw, dtype=f"<i{width}").astype(np.int64)
    samples: NDArray[np.float64] = integers * (full_scale / 2 ** (8 * width - 1))
    return samples


def _wav(source: BinaryIO, settings: StreamSettings) -> tuple[float, Iterator[Chunk]]:
    import wave  # which few commands need

    try:
        file = wave.open(source, "rb")  # noqa: SIM115 - the caller closes the source
        n_channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
    except (wave.Error, EOFError, ValueError) as error:
        raise InputError(
            f"not a WAV file of PCM: {error or 'it ends too early'}; convert it, e.g. with "
            "ffmpeg or sox, or name its --format"
        ) from error
    _check_channels(n_channels, settings)
    n_frames = _frames_of_chunk(width, settings)

    def chunks() -> Iterator[Chunk]:
        while raw := file.readframes(n_frames):
            whole = raw[: len(raw) - len(raw) % (width * n_channels)]
            samples = pcm_to_float(whole, width, settings.full_scale)
            yield samples.reshape(-1, n_channels), None

    return float(rate), chunks()


def _pcm(source: BinaryIO, width: int, settings: StreamSettings) -> Iterator[Chunk]:
    n_channels = len(settings.channels)
    size = width * n_channels
    read = getattr(source, "read1", source.read)  # what is there, and not a whole chunk
    cut_off = b""
    while raw := read(_frames_of_chunk(width, settings) * size):
        raw = cut_off + raw
        n_bytes = len(raw) - len(raw) % size
        cut_off = raw[n_bytes:]
        samples = pcm_to_float(raw[:n_bytes], width, settings.full_scale)
        yield samples.reshape(-1, n_channels), None
    if cut_off:
        raise InputError(
            f"the last sample of {size} bytes is cut off: {len(cut_off)} bytes are left"
        )


def _csv(lines: Lines, channels: Sequence[str]) -> Iterator[Chunk]:
    """Read a header with the names of the channels, and perhaps ``time``; then a sample a line."""
    header: list[str] | None = None
    for number, line in lines:
        if line is None:
            raise InputError(f"line {number}: it is too long")
        cells = [cell.strip().strip('"') for cell in line.strip().split(",")]
        if cells == [""]:
            continue
        if header is None:
            header = cells
            _check_names(header, channels)
            continue
        if len(cells) != len(header):
            raise InputError(f"line {number}: expected {len(header)} cells, found {len(cells)}")
        row = dict(zip(header, cells, strict=True))
        values = [_number(row[name], number) for name in channels]
        time = _number(row[_TIME], number) if _TIME in row else None
        yield np.array([values]), time
    if header is None:
        raise InputError(
            f"expected a header with the channels {', '.join(channels)}, found nothing"
        )


def _json_lines(lines: Lines, channels: Sequence[str]) -> Iterator[Chunk]:
    """Read a line as samples (numbers, or lists of a number for each channel), or one object."""
    for number, line in lines:
        if line is None:
            raise InputError(f"line {number}: it is too long")
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"line {number}: not JSON: {error}") from error
        time = None
        if isinstance(value, dict):
            _check_names(list(value), channels, line=number)
            time = value.get(_TIME)
            value = [[value[name] for name in channels]]
        elif not isinstance(value, list):
            value = [value]
        try:
            samples = np.array(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"line {number}: expected numbers: {error}") from error
        if samples.ndim == 1:
            shape = (-1, 1) if len(channels) == 1 else (1, -1)
            samples = samples.reshape(shape)
        yield samples, time


def _check_names(names: Sequence[str], channels: Sequence[str], line: int = 1) -> None:
    missing = [name for name in channels if name not in names]
    unknown = [name for name in names if name not in (*channels, _TIME)]
    if missing or unknown or len(set(names)) != len(names):
        raise InputError(
            f"line {line}: expected the channels {', '.join(channels)}, and perhaps {_TIME}, found "
            f"{', '.join(map(repr, names))[:200]}"
        )


def _check_channels(n_channels: int, settings: StreamSettings) -> None:
    if n_channels != len(settings.channels):
        raise InputError(
            f"expected {len(settings.channels)} channels ({', '.join(settings.channels)}), found "
            f"{n_channels} channels"
        )


def _number(cell: str, line: int) -> float:
    """Convert a cell to a number; an empty one is a missing sample."""
    if not cell:
        return math.nan
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(f"line {line}: expected a number, found {cell!r:.40}") from error


def _frames_of_chunk(width: int, settings: StreamSettings) -> int:
    most = _MAX_CHUNK_BYTES // (width * len(settings.channels))
    return max(1, min(most, round(settings.rate * _CHUNK_SECONDS)))
