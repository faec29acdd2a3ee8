"""Ordinary trouble on boards and connections ends with a message that names the cause."""

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import edge_pipeline
import pytest
from edge_pipeline.deployment import ssh
from edge_pipeline.deployment.ssh import Host
from edge_pipeline.errors import DeployError
from edge_runtime.bundle.layout import pack, unpack

from .conftest import Board
from .test_deploying import Reach, forget

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy")]


@pytest.mark.parametrize(
    "greeting",
    [
        'printf "Hi! "',
        "echo machine=other; printf outcome=conquered",
        'printf "\\033[1mHi"; echo >&2',
    ],
)
def test_a_greeting_without_a_line_end_changes_nothing(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str, greeting: str
) -> None:
    reach(f'{greeting}; exec ssh "$@"')
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert result.outcome == "deployed", result.error
    assert served.prediction(fresh) == 3.0
    assert result.bench["name"] == "line"
    (result,) = edge_pipeline.roll_back(fresh, ["board"])
    assert result.outcome == "rolled back"


def test_deploying_the_current_version_keeps_the_way_back(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str
) -> None:
    edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    for _ in range(2):
        (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
        assert result.outcome == "unchanged"
        assert result.previous not in ("", result.current)
    edge_pipeline.roll_back(fresh, ["board"])
    assert served.prediction(fresh) == 2.0


def test_a_refused_model_leaves_a_version_that_was_asked(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str, tmp_path: Path
) -> None:
    """The board's onnxruntime is too old for the new model, not for the old one."""
    bundle = unpack(versions[3.0].read_bytes())
    requires = replace(bundle.manifest.requires, onnxruntime="99.0")
    path = tmp_path / "new.onnx"
    path.write_bytes(pack(bytes(bundle.graph), replace(bundle.manifest, requires=requires)))
    (result,) = edge_pipeline.deploy(path, ["board"], name=fresh)
    assert result.outcome == "failed"
    assert "99.0" in result.error
    assert "the version before still answers" in result.error
    assert served.prediction(fresh) == 2.0


@pytest.fixture
def own_runtime(served: Board, fresh: str) -> Path:
    """A copy of the board's runtime that one model alone uses."""
    link = served.models / fresh / "current/runtime"
    copy = served.models / ".runtimes" / f"copy-{fresh}"
    shutil.copytree(link.resolve(), copy, symlinks=True)
    link.unlink()
    link.symlink_to(f"../../../.runtimes/{copy.name}")
    return copy


def test_a_warning_on_stderr_does_not_hide_the_figures(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str, own_runtime: Path
) -> None:
    """onnxruntime 1.28 warns when it looks for graphics cards on a Pi."""
    package = next(own_runtime.glob("lib/*/site-packages/edge_runtime/__init__.py"))
    text = "import os; os.write(2, b'[W:onnxruntime] no vendor in /sys/class/drm\\n')\n"
    package.write_text(f"{package.read_text()}\n{text}")
    program = own_runtime / "bin/edge-runtime"
    program.write_text(f"#!{own_runtime}/bin/python\n" + program.read_text().partition("\n")[2])
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert result.outcome == "deployed", result.error
    assert result.bench["timings"][0]["latency_us"]["p50"] > 0


def test_a_broken_runtime_is_named_and_a_kit_repairs_it(
    served: Board, versions: dict[float, Path], kit: Path, reach: Reach, fresh: str
) -> None:
    runtime = (served.models / fresh / "current/runtime").resolve()
    core = next(runtime.glob("lib/*/site-packages/numpy/_core/_multiarray_umath*.so"))
    aside = core.with_suffix(".aside")
    core.rename(aside)
    try:
        (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
        assert result.outcome == "failed"
        assert f"the runtime {runtime.name} cannot run: " in result.error
        assert "numpy/_core/_multiarray_umath" in result.error
        assert "--install KIT" in result.error
        assert "the version before is refused here too" in result.error
        (result,) = edge_pipeline.deploy(versions[3.0], ["board"], install=kit, name=fresh)
        assert result.outcome == "deployed", result.error
        assert served.prediction(fresh) == 3.0
    finally:
        if aside.exists():
            aside.rename(core)


def test_a_card_with_little_space_is_refused_before_copying(
    versions: dict[float, Path], kit: Path, reach: Reach, tmp_path: Path
) -> None:
    reach('ssh "$@" | sed s/^free_kb=.*/free_kb=20480/')
    empty = str(tmp_path / "empty")
    (result,) = edge_pipeline.deploy(versions[2.0], ["board"], install=kit, folder=empty)
    assert result.outcome == "failed"
    assert "only 20 MB are free" in result.error
    assert "MB are needed; nothing was copied" in result.error
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "s/^free_kb=/noexec=yes\\n&/",
            "does not allow programs to run (noexec); nothing was copied",
        ),
        ("s/^python=.*/python=3.9/", "it has Python 3.9, the kit is for"),
        ("s/^python=.*//", "it has no Python, the kit is for"),
    ],
)
def test_a_board_that_cannot_install_is_refused_before_copying(
    versions: dict[float, Path],
    kit: Path,
    reach: Reach,
    tmp_path: Path,
    change: str,
    words: str,
) -> None:
    reach(f"ssh \"$@\" | sed '{change}'")
    empty = str(tmp_path / "empty")
    (result,) = edge_pipeline.deploy(versions[2.0], ["board"], install=kit, folder=empty)
    assert result.outcome == "failed"
    assert words in result.error
    assert not (tmp_path / "empty").exists()


def test_a_disk_that_fills_during_the_copy_is_cleaned(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("NO NAMESPACES HERE, NO DISK WAS FILLED")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for part in (b"a" * 1000, b"b" * 4_000_000):
            entry = tarfile.TarInfo(sha256(part).hexdigest())
            entry.size = len(part)
            tar.addfile(entry, io.BytesIO(part))
    script = 'mount -t tmpfs -o size=2m none "$1"; sh -c "$2" sh "$1/new"; ls -A "$1"'
    process = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "-", tmp_path, ssh._RECEIVE],
        input=archive.getvalue(),
        capture_output=True,
        check=True,
    )
    assert b"edge: the disk is full; the copied parts were removed again" in process.stderr
    assert process.stdout == b""


def test_an_incomplete_part_does_not_stay_on_the_board(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str
) -> None:
    forget(served, versions[3.0])
    reach('case "$*" in *tar*) head -c 1500 | ssh "$@" ;; *) exec ssh "$@" ;; esac')
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert result.outcome == "failed"
    assert not list(served.models.glob(".parts/.arriving-*/*"))


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("pi@host:22022", "write ssh://pi@host:22022"),
        ("host:22", "write ssh://host:22"),
        ("pi@[::1]:22022", r"write ssh://pi@\[::1\]:22022"),
        ("pi@[fe80::1]", "write pi@fe80::1"),
        ("[::1]", "write ::1"),
        ("pi@host:/srv/edge", "name a folder with --folder"),
        ("pi@host/srv", "name a folder with --folder"),
        ("ssh://pi@host:port", "expected ssh://user@host:port"),
        ("ssh://pi@host:65536", "expected ssh://user@host:port"),
        ("ssh://pi@::1:22", "expected ssh://user@host:port"),
        ("ssh://pi@host/srv", "expected ssh://user@host:port"),
        ("ssh://pi:secret@host", "expected ssh://user@host:port"),
        ("http://host", "expected user@host"),
    ],
)
def test_an_address_that_ssh_would_misread_is_refused_with_the_right_form(
    address: str, remedy: str
) -> None:
    with pytest.raises(DeployError, match=f"is not a host; .*{remedy}"):
        Host(address)


@pytest.mark.parametrize(
    "address",
    [
        *("pi", "pi@kitchen.local", "pi@10.0.0.1", "pi@::1", "::1", "fe80::1%eth0", "a@b@host"),
        *("ssh://host", "ssh://pi@host", "ssh://pi@host:22022", "ssh://pi@[::1]:22022"),
        *("ssh://pi@[fe80::1%eth0]:22", "ssh://pi@[::1]", "ssh://host:65535/"),
    ],
)
def test_every_form_that_ssh_understands_is_accepted(address: str) -> None:
    assert Host(address).address == address


def test_a_uri_with_ipv6_and_port_reaches_the_board(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str, tmp_path: Path
) -> None:
    config = (served.folder / "ssh_config").read_text()
    port = config.partition("Port ")[2].split()[0]
    own = tmp_path / "own"
    own.write_text(config.replace("Host board*", "Host ::1").replace(f"  Port {port}\n", ""))
    reach(config=own)
    (result,) = edge_pipeline.deploy(versions[3.0], [f"ssh://[::1]:{port}"], name=fresh)
    assert result.outcome == "deployed", result.error


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Host]:
    """Replace ssh by a script; return a host that it reaches."""

    def replace_ssh(script: str) -> Host:
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        return Host("board")

    return replace_ssh


@pytest.mark.parametrize("helper", ["sleep 600 &", "setsid sleep 600 &", "(yes &)"])
def test_a_helper_that_keeps_the_pipe_does_not_delay_the_result(
    fake_ssh: Callable[[str], Host], helper: str
) -> None:
    start = time.monotonic()
    output = fake_ssh(f"cat >/dev/null; {helper}\necho folder=/srv").run("", [])
    assert "folder=/srv" in output
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("helper", ["", "sleep 600 &", "setsid sleep 600 &", "(yes &)"])
def test_a_helper_that_keeps_the_pipe_does_not_outlast_the_time_limit(
    fake_ssh: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch, helper: str
) -> None:
    monkeypatch.setattr(ssh, "MOST_SECONDS", 1)
    start = time.monotonic()
    with pytest.raises(DeployError, match="one step took more than"):
        fake_ssh(f"{helper}\nsleep 600").run("", [])
    assert time.monotonic() - start < 10


def test_large_inputs_and_outputs_do_not_block_each_other(
    fake_ssh: Callable[[str], Host],
) -> None:
    text = "x" * 5_000_000
    assert fake_ssh("cat; head -c 3000000 /dev/zero >&2").run(text, []) == text[: 1 << 20]
