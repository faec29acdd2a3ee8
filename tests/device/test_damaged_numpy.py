"""A damaged numpy ends the import of edge_runtime with one ImportError that says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("content", ["x = (", "raise ValueError('bad')", "missing.name", "1 / 0"])
def test_import_names_the_damaged_package(tmp_path: Path, content: str) -> None:
    (tmp_path / "numpy.py").write_text(content, encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "try:\n    import edge_runtime\nexcept ImportError as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.stdout.startswith("numpy cannot be imported: "), run.stderr
    assert "install" in run.stdout
    assert run.stderr == ""
