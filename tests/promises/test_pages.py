"""The pages for users are complete, and their code runs in a fresh folder."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest


def code_of(page: Path, language: str, marker: str = "") -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return next(block for block in blocks if marker in block)


@pytest.mark.parametrize("package", ["edge_pipeline", "edge_runtime"])
def test_every_error_class_has_a_cause_and_a_remedy(root: Path, package: str) -> None:
    page = (root / "docs/errors.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", page, re.M | re.S))
    classes = importlib.import_module(f"{package}.errors").__all__
    for name in classes:
        text = sections.get(name, "")
        assert re.search(r"^- Cause: \w.{20,}", text, re.M), f"docs/errors.md: {name}, cause"
        assert re.search(r"^- Remedy: .{15,}", text, re.M), f"docs/errors.md: {name}, remedy"


def test_the_page_of_errors_has_no_class_that_does_not_exist(root: Path) -> None:
    page = (root / "docs/errors.md").read_text(encoding="utf-8")
    class_names = {
        name
        for package in ("edge_pipeline", "edge_runtime")
        for name in importlib.import_module(f"{package}.errors").__all__
    }
    assert set(re.findall(r"^### (\w+)$", page, re.M)) == class_names


@pytest.mark.xdist_group("promises")
def test_a_package_with_a_model_inside_predicts(
    root: Path, tmp_path: Path, bundle_path: Path, in_new_process: Callable[..., str]
) -> None:
    page = root / "docs/package.md"
    folder = tmp_path / "penguin_sorter"
    folder.mkdir()
    (folder / "__init__.py").write_text(code_of(page, "python"), encoding="utf-8")
    (folder / "model.onnx").write_bytes(bundle_path.read_bytes())
    assert tomllib.loads(code_of(page, "toml"))["project"]["dependencies"] == ["edge-runtime"]
    program = "import penguin_sorter; print(penguin_sorter.sort(dict.fromkeys({!r})))"
    names = importlib.import_module("edge_runtime").load(bundle_path).schema.names
    output = in_new_process(program.format(list(names)), folder=tmp_path)
    assert output.strip() in ("Adelie", "Chinstrap", "Gentoo")


@pytest.mark.xdist_group("promises")
def test_the_archive_for_lambda_is_packed_as_typed(
    root: Path, tmp_path: Path, bundle_path: Path
) -> None:
    """The block runs without an index: edge-runtime is real, its dependencies are empty wheels."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    project = tomllib.loads((root / "edge_runtime/pyproject.toml").read_text("utf-8"))["project"]
    source = root / "edge_runtime/src"
    files = {str(file.relative_to(source)): file for file in source.rglob("*.py")}
    _write_wheel(wheels, "edge_runtime", "py3-none-any", files, project["dependencies"])
    for name in ("numpy", "onnxruntime"):
        _write_wheel(wheels, name, "cp312-cp312-manylinux_2_28_x86_64", {}, [], version="99")
    page = root / "docs/lambda.md"
    (tmp_path / "dist").mkdir()
    shutil.copy(bundle_path, tmp_path / "dist/penguins.onnx")
    (tmp_path / "handler.py").write_text(code_of(page, "python"), encoding="utf-8")
    commands = Path(sys.executable).parent
    process = subprocess.run(
        ["sh", "-euc", code_of(page, "sh")],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    packed = zipfile.ZipFile(tmp_path / "function.zip").namelist()
    assert {"handler.py", "penguins.onnx", "edge_runtime/loading.py"} <= set(packed)
    assert any(name.startswith("onnxruntime-99.dist-info/") for name in packed)


def _write_wheel(
    folder: Path,
    name: str,
    tag: str,
    files: Mapping[str, Path],
    requirements: Sequence[str],
    version: str = "1",
) -> None:
    """Write a wheel of *files*, as PEP 427 describes it."""
    info = f"{name}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
    texts = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, *texts, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        for path, file in files.items():
            archive.write(file, path)
        for path, text in {**texts, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


@pytest.mark.xdist_group("promises")
def test_the_handler_for_lambda_answers_and_refuses(
    root: Path, tmp_path: Path, bundle_path: Path, in_new_process: Callable[..., str]
) -> None:
    (tmp_path / "handler.py").write_text(
        code_of(root / "docs/lambda.md", "python"), encoding="utf-8"
    )
    (tmp_path / "penguins.onnx").write_bytes(bundle_path.read_bytes())
    program = """
import json, sys
from handler import MODEL, handler
good = handler({"body": json.dumps(dict.fromkeys(MODEL.schema.names))}, None)
bad = handler({"body": "{}"}, None)
print(json.dumps([good, bad, sorted(sys.modules.keys() & {"sklearn", "pandas"})]))
"""
    good, bad, heavy = json.loads(in_new_process(program, folder=tmp_path))
    assert good["statusCode"] == 200
    assert json.loads(good["body"])["label"] in ("Adelie", "Chinstrap", "Gentoo")
    assert bad["statusCode"] == 400
    assert "column missing" in json.loads(bad["body"])["error"]
    assert heavy == []
