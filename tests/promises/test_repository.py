"""Check every tracked file: length, no paths of one machine, no dead links."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
HOME = re.compile(r"(?<![\w.~-])/(?:home|Users|root)/[\w.-]+")
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def tracked_files() -> list[Path]:
    process = subprocess.run(
        ["git", "ls-files", "-z", "--cached"], cwd=ROOT, capture_output=True, check=False
    )
    if process.returncode:
        pytest.skip("not a git checkout, so nothing says which files belong to the project")
    names = process.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def texts(*suffixes: str) -> list[tuple[str, str]]:
    named_texts = []
    for path in tracked_files():
        if suffixes and path.suffix not in suffixes:
            continue
        raw = path.read_bytes()
        if path.suffix == ".bin":  # a fuzzer's: text by chance
            named_texts.append((str(path.relative_to(ROOT)), raw.decode("utf-8", "replace")))
        elif b"\0" not in raw[:8192]:
            named_texts.append((str(path.relative_to(ROOT)), raw.decode("utf-8")))
    return named_texts


def test_no_source_or_page_is_too_long() -> None:
    long = {
        name: text.count("\n")
        for name, text in texts(".py", ".sh", ".md", ".toml")
        if text.count("\n") > MAX_LINES
    }
    assert long == {}


def test_no_file_names_a_folder_of_one_machine() -> None:
    here = re.compile(re.escape(str(ROOT)) + r"\b")
    offences = [
        f"{name}: {match[0]}"
        for name, text in texts()
        # A checkout directly under / would make every path an offence.
        for match in (*HOME.finditer(text), *(here.finditer(text) if len(ROOT.parts) > 2 else ()))
    ]
    assert offences == []


def test_relative_links_lead_to_files_and_headings() -> None:
    dead = []
    for name, text in texts(".md"):
        for target in links(text):
            path, _, anchor = target.partition("#")
            file = (ROOT / name).parent / unquote(path) if path else ROOT / name
            if not file.exists():
                dead.append(f"{name}: {target}: no such file")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text("utf-8")):
                dead.append(f"{name}: {target}: no such heading")
    assert dead == []


def test_dead_links_are_detected() -> None:
    page = "[a](b.md#c-d) ![p](p.png) [w](https://example.org/x)\n```\n[no](code.md)\n```\n"
    assert links(page) == ["b.md#c-d", "p.png"]
    assert anchors("# One `two`\n## What it does not do, yet\n") == {
        "one-two",
        "what-it-does-not-do-yet",
    }
    # Put together here, or this very file would be an offence.
    home = "/".join(("", "home", "someone", "x"))
    assert HOME.search(f"see {home}")
    assert not HOME.search(f"see ~{home}")


def links(page: str) -> list[str]:
    """List the links of a Markdown page into this repository, except those in code blocks."""
    targets = ("".join(pair) for pair in LINK.findall(FENCE.sub("", page)))
    return [target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:", target)]


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub makes from the headings of a page."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
