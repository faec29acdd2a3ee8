"""Test that the rows of a query give the model of the same rows in a file, and keep no password."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline import init, load_dataset, read_recipe
from edge_pipeline.data.databases import check_url
from edge_pipeline.errors import DatasetError, RecipeError

ROWS = 80
RANDOM = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": np.where(np.arange(ROWS) % 9 == 4, np.nan, RANDOM.normal(size=ROWS)),
        "pieces": RANDOM.integers(0, 9, ROWS),
        "price": [f"${price:,.2f}" for price in RANDOM.uniform(1, 9000, ROWS)],
        "word": [None if i % 11 == 3 else w for i, w in enumerate(RANDOM.choice(["a", "ö"], ROWS))],
        "label": RANDOM.choice(["much", "little"], ROWS),
    }
)
QUERY = 'SELECT size, pieces, price, word, label FROM "sales 2024" ORDER BY id'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("shop.db")) as connection:
        table = TABLE.assign(id=range(ROWS)).sample(frac=1, random_state=0)
        table.to_sql("sales 2024", connection, index=False)
        connection.commit()
    return "sqlite:///shop.db"


def test_a_query_gives_the_rows_of_its_csv(shop: str) -> None:
    TABLE.to_csv("t.csv", index=False)
    start = init(shop, "models/shop", target="label", query=QUERY)
    recipe = read_recipe(start.recipe)
    assert (recipe.name, recipe.data.database) == ("shop", "sqlite:///../../shop.db")
    assert list(recipe.reading.rules) == ["price"]
    queried = load_dataset(recipe)
    read = load_dataset(read_recipe(init("t.csv", "models/csv", target="label").recipe))
    for name in ("X_train", "X_test"):
        pd.testing.assert_frame_equal(getattr(queried, name), getattr(read, name))
    assert queried.y_train is not None
    np.testing.assert_array_equal(queried.y_train, read.y_train)
    assert queried.table.sealed_reading == read.table.sealed_reading


def test_a_query_changes_nothing_and_must_return_rows(shop: str) -> None:
    with pytest.raises(DatasetError, match="returns no rows; write a SELECT"):
        init(shop, "m", target="label", query='DELETE FROM "sales 2024"')
    assert init(shop, "m", target="label", query=QUERY).description.rows == ROWS


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM absent", "no such table: absent"),
        ('SELECT size, size FROM "sales 2024"', "2 columns of the query are called 'size'"),
        (None, "give one, as --query"),
    ],
)
def test_a_bad_query_is_refused_in_one_line(shop: str, query: str | None, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as refusal:
        init(shop, "m", target="label", query=query)
    assert "\n" not in str(refusal.value)


def test_an_absent_file_is_not_created(shop: str) -> None:
    with pytest.raises(DatasetError, match=r"there is no file .*shop2\.db"):
        init("sqlite:///shop2.db", "m", target="label", query=QUERY)
    assert not Path("shop2.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:hunter2@host/shop",
        "postgresql+psycopg://reader:hun/ter2@host/shop",
        "mysql://host/shop?password=hunter2",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2",
        "postgresql://reader:${NAME}hunter2@host/shop",
    ],
)
def test_no_password_goes_into_a_recipe(tmp_path: Path, url: str) -> None:
    for query in ("SELECT 1", None):
        with pytest.raises(DatasetError, match="environment variable NAME") as refusal:
            init(url, tmp_path / "m", target="y", query=query)
        assert "hunter2" not in str(refusal.value)
    (tmp_path / "recipe.toml").write_text(
        "name = 'm'\ntask = 'regression'\nestimator = 'auto'\n"
        f"[data]\ndatabase = '{url}'\nquery = 'SELECT 1'\ntarget = 'y'\n",
        encoding="utf-8",
    )
    with pytest.raises(RecipeError, match="environment variable NAME") as refused:
        read_recipe(tmp_path)
    assert "hunter2" not in str(refused.value)


def test_urls_without_a_password_are_accepted() -> None:
    for url in (
        "sqlite:///shop.db",
        "postgresql://host:5432/shop",
        "postgresql://reader@host/shop",
        "postgresql+psycopg://reader:${SHOP_PASSWORD}@host/shop?sslmode=require",
        "${DATABASE_URL}",
    ):
        assert not check_url(url), url


def test_a_variable_stands_for_the_url(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatasetError, match="the environment variable SHOP_URL is not set"):
        init("${SHOP_URL}", "m", target="label", query=QUERY)
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{tmp_path / 'shop.db'}")
    recipe = init("${SHOP_URL}", "m", target="label", query=QUERY, name="shop").recipe
    assert load_dataset(read_recipe(recipe)).rows == ROWS
    assert str(tmp_path) not in recipe.read_text("utf-8")


def test_without_sqlalchemy_the_extra_is_named(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(DatasetError, match=r"pip install 'edge-pipeline\[sql\]'"):
        init(shop, "m", target="label", query=QUERY)


def test_a_recipe_gives_database_and_query_together(tmp_path: Path) -> None:
    for lines in ("database = 'sqlite:///a.db'", "query = 'SELECT 1'\nfile = 't.csv'"):
        (tmp_path / "recipe.toml").write_text(
            f"name = 'm'\ntask = 'regression'\nestimator = 'auto'\n[data]\n{lines}\ntarget = 'y'\n",
            encoding="utf-8",
        )
        with pytest.raises(RecipeError, match="database and query belong together"):
            read_recipe(tmp_path)
