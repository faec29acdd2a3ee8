"""`import edge_pipeline` loads nothing heavy until a name is used."""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import edge_pipeline
import pytest

HEAVY = """
import sys
print(sorted(sys.modules.keys() & {"sklearn", "onnx", "onnxruntime", "pandas", "numpy", "rich"}))
"""


@pytest.mark.slow
def test_importing_the_build_machine_loads_nothing_heavy(
    in_new_process: Callable[..., str],
) -> None:
    assert in_new_process("import edge_pipeline" + HEAVY).strip() == "[]"
    output = in_new_process("import edge_pipeline\nedge_pipeline.export" + HEAVY)
    assert {"sklearn", "onnx", "numpy"} <= set(ast.literal_eval(output))


def test_the_help_of_the_command_loads_nothing_heavy(in_new_process: Callable[..., str]) -> None:
    run = "from edge_pipeline.cli.main import cli\ncli({}, standalone_mode=False)"
    for arguments in (["--help"], ["build", "--help"], ["inspect", "--help"]):
        out = in_new_process(run.format(arguments) + HEAVY)
        assert out.splitlines()[-1] == "[]", arguments
        assert "Usage:" in out


@pytest.mark.slow
def test_no_module_hides_the_function_convert(in_new_process: Callable[..., str]) -> None:
    source = """
from edge_pipeline.conversion.convert import convert
import edge_pipeline
import pytest
import edge_pipeline.conversion.registry
assert edge_pipeline.convert is convert
from edge_pipeline import convert as again
assert again is convert
"""
    in_new_process(source)


def test_type_checkers_see_the_same_modules() -> None:
    tree = ast.parse(Path(edge_pipeline.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    modules = {
        name.name: line.module
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for name in line.names
    }
    assert modules == edge_pipeline._LAZY_EXPORTS
    for name, module in modules.items():
        assert getattr(edge_pipeline, name) is getattr(import_module(module), name)
    assert set(edge_pipeline.__all__) <= set(dir(edge_pipeline))
