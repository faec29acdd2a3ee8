"""Read the rows of an SQL query through SQLAlchemy; no password stands in a recipe."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from edge_pipeline.data.csv import Layout
from edge_pipeline.data.json_records import apply_layout, value_column
from edge_pipeline.errors import DatasetError

__all__ = ["check_url", "is_url", "read_query", "recipe_url"]

_URL = re.compile(r"[a-z][a-z0-9_]*(\+[a-z0-9_]+)?://", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_CREDENTIALS = re.compile(r"[^:/@]*:([^@]*)@")  # as SQLAlchemy divides them
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|odbc_connect", re.IGNORECASE)


def is_url(table: str) -> bool:
    """Return whether *table* names a database: ``sqlite:///shop.db`` or ``${DATABASE_URL}``."""
    return _URL.match(table) is not None or _VARIABLE.fullmatch(table) is not None


def check_url(url: str) -> str:
    """Return why *url* cannot stand in a recipe; empty when it can.

    A recipe is shared and kept.  So a password stands in an environment variable, and the URL has
    ``${NAME}`` in its place.
    """
    if not is_url(url):
        return (
            "expected the URL of a database, such as sqlite:///shop.db or "
            "postgresql://reader:${SHOP_PASSWORD}@host/shop"
        )
    location = url.partition("://")[2]
    secrets = [match[1]] if (match := _CREDENTIALS.match(location)) else []
    for item in location.partition("?")[2].split("&"):
        key, _, value = item.partition("=")
        if _SECRET_KEY.search(key):
            secrets.append(value)
    if any(secret and not _VARIABLE.fullmatch(secret) for secret in secrets):
        return (
            "holds a password, and a recipe is kept and shared; write ${NAME} in its place, and "
            "put the password into the environment variable NAME"
        )
    return ""


def recipe_url(url: str, folder: Path) -> str:
    """Return *url* as a recipe in *folder* writes it: the path of an SQLite file starts there."""
    head, path, query = _sqlite_parts(url)
    if not path or Path(path).is_absolute():
        return url
    return head + Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix() + query


def read_query(
    url: str, query: str, folder: Path, layout: Layout, strings: Sequence[str] = ()
) -> pd.DataFrame:
    """Run *query*, and return its rows; the transaction is rolled back.

    Parameters
    ----------
    url
        URL of SQLAlchemy; ``${NAME}`` stands for an environment variable.
    folder
        Where the relative path of an SQLite file starts.
    layout
        The rules of texts that hold numbers.
    strings
        Columns to keep as text.

    Raises
    ------
    DatasetError
        SQLAlchemy or the driver is not installed, the database refuses, or the result is no table.
    """
    # A message must not show the values of variables, so it names the URL as the recipe has it.
    address = _expanded(url, os.environ)
    try:
        import sqlalchemy
    except ImportError as error:
        raise DatasetError(
            f"{url}: reading a database needs SQLAlchemy; pip install 'edge-pipeline[sql]'"
        ) from error
    head, path, parameters = _sqlite_parts(address)
    if path:
        if not (folder / path).is_file():  # SQLite would create it
            raise DatasetError(f"{url}: there is no file {folder / path}")
        address = f"{head}{folder / path}{parameters}"
    try:
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:  # never committed
            result = connection.execute(sqlalchemy.text(query))
            if not result.returns_rows:
                raise DatasetError(f"{url}: the query returns no rows; write a SELECT")
            names, rows = list(map(str, result.keys())), result.fetchall()
    except ImportError as error:
        raise DatasetError(f"{url}: the driver {error.name!r} is missing; install it") from error
    except (sqlalchemy.exc.SQLAlchemyError, ValueError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise DatasetError(f"{url}: {reason}") from None
    return _frame(url, names, rows, layout, strings)


def _sqlite_parts(url: str) -> tuple[str, str, str]:
    """Split the URL of an SQLite file into scheme, path and parameters; no path for others."""
    match = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^?]*)(\?.*)?", url)
    if match is None or match[2] in ("", ":memory:") or match[2].startswith("file:"):
        return url, "", ""
    return match[1], match[2], match[3] or ""


def _expanded(url: str, environment: Mapping[str, str]) -> str:
    """Put the values of environment variables in place of ``${NAME}``."""
    end_of_credentials, parameters = url.find("@"), url.find("?")

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise DatasetError(f"{url}: the environment variable {match[1]} is not set; set it")
        value, position = environment[match[1]], match.start()
        is_escaped = position < end_of_credentials or 0 <= parameters < position
        return quote(value, safe="") if is_escaped else value

    return _VARIABLE.sub(value_of, url)


def _frame(
    url: str, names: Sequence[str], rows: Sequence[Any], layout: Layout, strings: Sequence[str]
) -> pd.DataFrame:
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DatasetError(f"{url}: {count} columns of the query are called {name!r}; rename them")
    columns = {}
    for i, name in enumerate(names):
        values = [row[i] for row in rows]
        if name in strings:
            values = [None if value is None else str(value) for value in values]
        columns[name] = value_column(values)
    return apply_layout(pd.DataFrame(columns), url, layout, strings)
