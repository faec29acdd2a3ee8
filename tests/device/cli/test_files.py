"""Test the files of the command: replaced, kept, and removed after a signal."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from device.streams import GOOD, LABELS, Run, default_signals, rows_of

FULL = Path("/dev/full")
COMMAND = [sys.executable, "-m", "edge_runtime.cli", "predict"]
PREDICTED = "line,prediction\n" + "".join(f"{n},{x}\n" for n, x in enumerate(LABELS, 2))


def started(*arguments: object, **options: Any) -> "subprocess.Popen[bytes]":
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, preexec_fn=default_signals, **options)


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_link_stays_and_its_target_is_replaced(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "out.csv").write_text("old")
    for name in ("out.csv", "not there yet.csv"):
        link = tmp_path / f"link to {name}"
        link.symlink_to(folder / name)
        assert run("predict", bundle_file, "-o", link, stdin=GOOD) == (0, "", "")
        assert link.is_symlink()
        assert (folder / name).read_text() == PREDICTED
    assert len(list(folder.iterdir())) == 2


def test_a_pipe_is_written_to_and_stays(bundle_file: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with started(bundle_file, "-o", pipe, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(GOOD)
        process.stdin.close()
        assert pipe.read_text() == PREDICTED
    assert (process.returncode, stat.S_ISFIFO(pipe.stat().st_mode)) == (0, True)


def test_a_link_to_stdout_appends_like_the_shell(bundle_file: Path, tmp_path: Path) -> None:
    """A link to standard output appends to the file that the shell appends to."""
    log, name = tmp_path / "log.csv", tmp_path / "stdout"
    log.write_text("kept\n")
    name.symlink_to("/dev/stdout")
    with log.open("ab") as stream:
        call = [*COMMAND, str(bundle_file), "-o", str(name)]
        subprocess.run(call, input=GOOD, stdout=stream, check=True)
    assert log.read_text() == f"kept\n{PREDICTED}"
    assert name.is_symlink()


@pytest.mark.parametrize("option", ["-o", "--errors"])
def test_files_that_the_shell_opened_are_appended_to(
    bundle_file: Path, tmp_path: Path, option: str
) -> None:
    log = tmp_path / "log"
    log.write_text("kept\n")
    with log.open("ab") as stream:
        number = stream.fileno()
        call = [*COMMAND, str(bundle_file), option, f"/dev/fd/{number}"]
        result = subprocess.run(
            call, input=GOOD + b"bad\n", capture_output=True, pass_fds=[number], check=False
        )
    assert result.returncode == 1
    old_line, *new_lines = log.read_text().splitlines()
    assert (old_line, len(new_lines)) == ("kept", 4 if option == "-o" else 1)


def test_a_hyphen_is_standard_output(
    run: Run, bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("predict", bundle_file, "-o", "-", stdin=GOOD) == (0, PREDICTED, "")
    code, _, err = run("predict", bundle_file, "--errors", "-", stdin=GOOD)
    assert (code, "found '-'" in err) == (2, True)
    for arguments in (("-o", ""), ("--errors", ""), ("",)):
        code, _, err = run("predict", bundle_file, *arguments, stdin=GOOD)
        assert (code, "expected the name of a file" in err) == (2, True)
    assert list(tmp_path.iterdir()) == [bundle_file]


def test_a_file_that_is_replaced_leaves_its_mode(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    for mode in (0o600, 0o664):
        out.write_text("old")
        out.chmod(mode)
        assert run("predict", bundle_file, "-o", out, stdin=GOOD)[0] == 0
        assert (out.read_text(), out.stat().st_mode & 0o777) == (PREDICTED, mode)


def test_the_longest_name_is_written_too(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    out = tmp_path / ("x" * 251 + ".csv")
    assert run("predict", bundle_file, "-o", out, stdin=GOOD)[0] == 0
    assert out.read_text() == PREDICTED


def test_an_input_with_refused_rows_is_not_replaced(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_bytes(GOOD + b"1,oops,3\n")
    code, out, err = run("predict", bundle_file, rows, "-o", rows)
    assert (code, out) == (1, "")
    assert "'oops'" in err
    assert "rows.csv is left as it was" in err.splitlines()[-1]
    assert rows.read_bytes() == GOOD + b"1,oops,3\n"
    assert {path.name for path in tmp_path.iterdir()} == {rows.name, bundle_file.name}


def test_predictions_are_not_appended_to_their_input(bundle_file: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_bytes(GOOD)
    for source in (str(rows), "-"):
        with rows.open("ab") as stdout, rows.open("rb") as stdin:
            call = [*COMMAND, str(bundle_file), source]
            result = subprocess.run(
                call, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False
            )
        assert result.returncode == 2
        assert b"the output and INPUT are the same file" in result.stderr
        assert rows.read_bytes() == GOOD


def test_a_write_error_names_the_output_file(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "absent" / "out.csv"
    code, _, err = run("predict", bundle_file, "-o", out, stdin=GOOD)
    assert (code, err) == (1, f"edge-runtime: No such file or directory: {out}\n")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_no_output_appears_whose_refusals_were_lost(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    code, _, err = run("predict", bundle_file, "-o", out, "--errors", FULL, stdin=GOOD + b"bad\n")
    assert (code, err.splitlines()[-1]) == (
        1,
        f"edge-runtime: No space left on device: {FULL}",
    )
    assert list(tmp_path.iterdir()) == [bundle_file]
    code, _, err = run("predict", bundle_file, "-o", FULL, stdin=GOOD)
    assert (code, err) == (1, f"edge-runtime: No space left on device: {FULL}\n")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_rows_are_predicted_though_stderr_is_full(bundle_file: Path) -> None:
    with FULL.open("wb") as full:
        result = subprocess.run(
            [*COMMAND, str(bundle_file), "--chunk", "1"],
            input=b"x0,x1,x2\nbad\n" + GOOD.split(b"\n", 1)[1],
            stdout=subprocess.PIPE,
            stderr=full,
            check=False,
        )
    assert [row[1] for row in rows_of(result.stdout.decode())[1:]] == LABELS
    assert result.returncode == 1


def test_a_non_blocking_pipe_is_read_to_its_end(bundle_file: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    with started(bundle_file, "--chunk", "1", stdin=read, stdout=subprocess.PIPE) as process:
        os.close(read)
        assert process.stdout is not None
        lines = GOOD.splitlines(keepends=True)
        os.write(write, lines[0] + lines[1])
        output = process.stdout.readline() + process.stdout.readline()
        try:
            os.write(write, lines[2] + lines[3])
        finally:
            os.close(write)
        output += process.stdout.read()
    assert (process.returncode, output.decode()) == (0, PREDICTED)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how full a pipe is")
def test_a_non_blocking_pipe_gets_every_prediction(
    bundle_file: Path, tmp_path: Path, patience: int
) -> None:
    import fcntl
    import termios

    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"x0,x1,x2\n" + b"1,2,3\n" * 20_000)
    read, write = os.pipe()
    os.set_blocking(write, False)

    def is_full() -> bool:
        waiting = fcntl.ioctl(read, termios.FIONREAD, b"\0\0\0\0")
        return int.from_bytes(waiting, sys.byteorder) > 50_000

    with started(bundle_file, rows, stdout=write) as process, os.fdopen(read, "rb") as stream:
        os.close(write)
        wait_until(is_full, 20 * patience)
        time.sleep(0.05)
        output = stream.read()
    assert (process.returncode, output.count(b"\n")) == (0, 20_001)


def temporary_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_ended_process_leaves_no_temporary_file(
    bundle_file: Path, tmp_path: Path, patience: int, number: int, jobs: int
) -> None:
    out = tmp_path / "out.csv"
    with started(
        *(bundle_file, "-o", out, "--jobs", jobs), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(GOOD * 1000)
        process.stdin.flush()
        wait_until(lambda: bool(temporary_files(tmp_path)), 20 * patience)
        process.send_signal(number)
        assert process.wait(20 * patience) == -number
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert list(tmp_path.iterdir()) == [bundle_file]


def test_an_ignored_hangup_stays_ignored(bundle_file: Path, tmp_path: Path, patience: int) -> None:
    out = tmp_path / "out.csv"
    call = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *COMMAND, str(bundle_file), "-o", str(out)]
    with subprocess.Popen(call, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        wait_until(lambda: bool(temporary_files(tmp_path)), 20 * patience)
        process.send_signal(signal.SIGHUP)
        process.stdin.write(GOOD)
        process.stdin.close()
        assert process.wait(20 * patience) == 0
    assert out.read_text() == PREDICTED


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_an_interrupt_of_all_processes_is_silent(
    bundle_file: Path, tmp_path: Path, patience: int, pause: float
) -> None:
    with started(
        *(bundle_file, "-o", tmp_path / "out.csv", "--jobs", "3", "--chunk", "10"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"x0,x1,x2\n" + b"1,2,3\n" * 5000)
        process.stdin.flush()
        wait_until(lambda: bool(temporary_files(tmp_path)), 20 * patience)
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20 * patience) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert list(tmp_path.iterdir()) == [bundle_file]
