"""Recognize files that are no table in text, by their first bytes, and say how to read them."""

from __future__ import annotations

__all__ = ["kind_of_file"]

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "a Parquet file; give it a name that ends in .parquet"),
    (b"ARROW1", "an Arrow file; give it a name that ends in .arrow"),
    (
        b"SQLite format 3",
        "an SQLite database; write its URL and a query: init sqlite:///FILE --query 'SELECT ...'",
    ),
    (b"\xd0\xcf\x11\xe0", "an old workbook of Excel; give it a name that ends in .xls"),
    (b"\x93NUMPY", "one numpy array; store X and y in a .npz file, with numpy.savez"),
    (b"\x89HDF", "an HDF5 file; write the table as CSV or Parquet"),
    (b"\x80\x02", "a pickle, which is never read; write the table as CSV or Parquet"),
    (b"\x80\x03", "a pickle, which is never read; write the table as CSV or Parquet"),
    (b"\x80\x04", "a pickle, which is never read; write the table as CSV or Parquet"),
    (b"\x80\x05", "a pickle, which is never read; write the table as CSV or Parquet"),
    (b"%PDF", "a PDF; write the table as CSV"),
    (b"\x89PNG", "a picture; a table is CSV, JSON, Parquet, Arrow or Excel"),
    (b"\xff\xd8\xff", "a picture; a table is CSV, JSON, Parquet, Arrow or Excel"),
    (b"<!DOCTYPE", "a web page, perhaps a login or an error; download the table itself"),
    (b"<html", "a web page, perhaps a login or an error; download the table itself"),
    (b"<?xml", "XML; write the table as CSV"),
)


def kind_of_file(start: bytes) -> str | None:
    """Return what a file is that begins with *start*, and the remedy; None if it may be text."""
    return next((kind for magic, kind in _KINDS if start.startswith(magic)), None)
