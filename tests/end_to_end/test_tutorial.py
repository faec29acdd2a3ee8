"""The tutorial, typed word for word; only the two environments are those at hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("tutorial")


@pytest.mark.slow
def test_every_block_of_the_tutorial_runs_and_leaves_what_it_promises(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, root / "tools/tutorial.py", "--skip-install"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    printed = [" ".join(step["printed"]) for step in told["steps"]]
    assert told["from_pip_install_to_first_sealed_file_seconds"] > 0
    assert "dist/penguins.report.html" in printed[2]
    assert "kept" in printed[4]
    assert "3,Gentoo" in printed[5]
    assert printed[6] == "Gentoo"
