"""Promise 4: public names are ``__all__``, and errors.py draws the tree that its classes form."""

import importlib
import pkgutil
import re
import types
from importlib import metadata
from itertools import chain

import pytest

PACKAGES = ("edge_runtime", "edge_pipeline")
OPTIONAL = {"catboost", "lightgbm", "xgboost"}


def modules(package: str) -> list[str]:
    root = importlib.import_module(package)
    submodules = pkgutil.walk_packages(root.__path__, f"{package}.")
    return [package, *(item.name for item in submodules if not item.name.endswith("__main__"))]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_shows_exactly_the_names_it_lists(package: str) -> None:
    module = importlib.import_module(package)
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    # `annotations` is what `from __future__ import annotations` leaves behind; `TYPE_CHECKING` and
    # `Any` belong to names that are imported at their first use.
    public |= {name for name in module.__all__ if hasattr(module, name) and name[0] != "_"}
    listed = {name for name in module.__all__ if not name.startswith("__")}
    assert public - {"annotations", "TYPE_CHECKING", "Any"} == listed
    assert list(module.__all__) == sorted(set(module.__all__))


@pytest.mark.parametrize("name", list(chain.from_iterable(map(modules, PACKAGES))))
def test_every_name_a_module_lists_exists(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as absent:
        if absent.name not in OPTIONAL:
            raise
        pytest.skip(f"{absent.name} is an extra that is not installed")
    assert [item for item in getattr(module, "__all__", ()) if not hasattr(module, item)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_error_tree_in_the_docstring_is_right(package: str) -> None:
    errors = importlib.import_module(f"{package}.errors")
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and value.__module__ == errors.__name__
    }
    drawing = drawn_tree(errors.__doc__)
    real = {
        name: next((base.__name__ for base in value.__mro__[1:] if base.__name__ in classes), None)
        for name, value in classes.items()
    }
    assert drawing == real
    assert len(drawing) > 1


@pytest.mark.parametrize("package", PACKAGES)
def test_every_error_can_be_caught_by_a_public_name(package: str) -> None:
    errors = importlib.import_module(f"{package}.errors")
    public = importlib.import_module(package)
    assert [name for name in errors.__all__ if not hasattr(public, name)] == []
    assert set(errors.__all__) == set(drawn_tree(errors.__doc__))


def test_a_branch_under_the_wrong_parent_is_detected() -> None:
    drawing = "x\n\n::\n\n    Root\n    ├── A   what\n    │   └── B  what\n    └── C  what\n"
    assert drawn_tree(drawing) == {"Root": None, "A": "Root", "B": "A", "C": "Root"}
    assert drawn_tree(drawing.replace("│   └── B", "└── B    "))["B"] == "Root"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_version_is_that_of_the_distribution(package: str) -> None:
    module = importlib.import_module(package)
    assert "__version__" in module.__all__
    assert module.__version__ == metadata.version(package.replace("_", "-"))


def drawn_tree(text: str | None) -> dict[str, str | None]:
    """Read the parent of every class from a tree drawn in a docstring."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (text or "").splitlines():
        match = re.match(r"^ {4}((?:[│ ] {3})*(?:[├└]── )?)([A-Z]\w*)(?:\s|$)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        del path[depth:]
        parents[match[2]] = path[-1] if path else None
        path.append(match[2])
    return parents
