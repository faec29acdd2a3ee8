"""Which onnxruntime may run a bundle."""

import onnxruntime
import pytest
from edge_runtime.onnxruntime_versions import (
    DENIED,
    OLDEST_ONNXRUNTIME,
    Denied,
    check_version,
    cpu_features,
    installed_onnxruntime,
)

from edge_runtime import UnsupportedRuntimeError


@pytest.mark.parametrize(
    ("version", "machine", "issue"), [("1.26.0", "x86_64", 28557), ("1.21.0", "aarch64", 23957)]
)
def test_a_release_known_to_fail_is_refused_with_its_issue(
    version: str, machine: str, issue: int
) -> None:
    with pytest.raises(UnsupportedRuntimeError, match=rf"#{issue}\); install 1\.2"):
        check_version(version, machine, "1.20.0", features=())


@pytest.mark.parametrize(
    ("cpu", "features", "words"),
    [
        (
            "Cortex-A53 and A72",
            "fp asimd evtstrm crc32 cpuid",
            r"Zero 2 W.*1\.21\.1 or later",
        ),
        ("a CPU of which nothing is known", "", r"#23957"),
        # It would run there, and is refused for its age alone.
        ("Cortex-A76", "fp asimd fphp asimdhp asimddp", r"expected 1\.28\.0 or later"),
    ],
)
def test_a_wheel_is_denied_to_the_cpus_that_lack_what_it_takes_for_granted(
    cpu: str, features: str, words: str
) -> None:
    with pytest.raises(UnsupportedRuntimeError, match=words):
        check_version("1.21.0", "aarch64", "1.20.0", features=features.split())


def test_the_features_of_this_cpu_are_told_in_single_words() -> None:
    features = cpu_features()
    assert features & {"fpu", "sse2", "asimd", "fp"}
    assert not any(" " in feature or ":" in feature for feature in features)


def test_every_denied_release_is_refused_with_what_to_install() -> None:
    for entry in DENIED:
        with pytest.raises(UnsupportedRuntimeError, match=entry.instead):
            check_version(entry.version, entry.machine or "any", OLDEST_ONNXRUNTIME, features=())


def test_a_denial_for_one_machine_spares_the_others() -> None:
    denied = (Denied("1.40.0", "aarch64", "dies", 1, "1.40.1"),)
    check_version("1.40.0", "x86_64", "1.28", denied=denied)
    with pytest.raises(UnsupportedRuntimeError, match="dies"):
        check_version("1.40.0+cu12", "aarch64", "1.28", denied=denied)


@pytest.mark.parametrize(
    ("version", "required", "enough"),
    [
        ("1.28.0", "1.28", True),
        ("1.100.0", "1.28.1", True),
        ("2.0", "1.99.9", True),
        ("1.33.0.dev20260101", "1.33.0", True),
        ("1.27.9", "1.20", False),
        ("1.28.0", "1.28.1", False),
        ("1.9.0", "1.28", False),
    ],
)
def test_versions_compare_as_numbers(version: str, required: str, enough: bool) -> None:
    if enough:
        check_version(version, "x86_64", required)
    else:
        with pytest.raises(UnsupportedRuntimeError, match="or later"):
            check_version(version, "x86_64", required)


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(UnsupportedRuntimeError, match="no version"):
        check_version("unknown", "x86_64", "1.28")
    with pytest.raises(UnsupportedRuntimeError, match="no version"):
        check_version("1.32.0", "x86_64", "")


def test_the_version_is_found_without_importing_it() -> None:
    # A slim kit's wheel says so behind the plus sign; the code within is the same.
    assert installed_onnxruntime().partition("+")[0] == onnxruntime.__version__
