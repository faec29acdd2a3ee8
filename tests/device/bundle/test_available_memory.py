"""A file that is larger than the available memory is refused before it is read."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from edge_runtime.bundle import available_memory
from edge_runtime.bundle.available_memory import available_bytes, check_fits
from edge_runtime.bundle.bundle_file import open_bundle

from edge_runtime import NotABundleError, NotEnoughMemoryError

MEMINFO = "MemTotal:  4000 kB\nMemFree:   100 kB\nMemAvailable:  2000 kB\nSwapFree:  500 kB\n"


def fake_kernel(folder: Path, files: Mapping[str, str]) -> tuple[str, str]:
    """Write the files of a kernel; give the folders of /proc and of the control groups."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(folder / "proc"), str(folder / "cgroup")


@pytest.mark.parametrize(
    ("files", "kilobytes"),
    [
        ({}, None),
        ({"proc/meminfo": "MemTotal: many kB\n"}, None),
        ({"proc/meminfo": MEMINFO}, 2500),
        ({"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/\n"}, 2500),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/a/b\n",
                "cgroup/a/b/memory.max": "max\n",
                "cgroup/a/memory.max": "1024000\n",  # of a group around it
            },
            1000,
        ),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "5:cpu:/a\n4:memory:/a\n0::/\n",
                "cgroup/memory/a/memory.limit_in_bytes": "2048\n",
                "cgroup/cpu/a/memory.limit_in_bytes": "1\n",
            },
            2,
        ),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "4:memory:/\n",
                "cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            2500,
        ),
        ({"proc/meminfo": MEMINFO, "proc/self/cgroup": "damaged\n::::\n\x00\n"}, 2500),
    ],
)
def test_the_lowest_limit_counts(
    files: Mapping[str, str], kilobytes: int | None, tmp_path: Path
) -> None:
    expected = None if kilobytes is None else kilobytes * 1024
    assert available_bytes(*fake_kernel(tmp_path, files)) == expected


def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(100 << 20)  # takes no space
    monkeypatch.setattr(available_memory, "available_bytes", lambda: 439 << 20)
    with pytest.raises(NotEnoughMemoryError, match=r"its 100 MB take 440 MB .* 439 MB are avail"):
        open_bundle(path)
    monkeypatch.setattr(available_memory, "available_bytes", lambda: 440 << 20)
    with pytest.raises(NotABundleError):
        open_bundle(path)


def test_a_machine_that_does_not_say_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available_memory, "available_bytes", lambda: None)
    check_fits(2**31, "large.onnx")
