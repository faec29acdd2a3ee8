"""Hooks of the documentation site: plain code for links outside docs/, and the gallery of reports.

The pages are read in two places.  In the repository a link to a source file works; on the site
there is no such file, and mkdocs would rightly warn.  The reports of models/ are on the site alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_LINK_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?!adr/)([^)#\s]+)(?:#[^)]*)?\)")
_REPORTS_HERE = "<!-- reports: tools/docs_hooks.py lists them here -->"
_ROOT = Path(__file__).resolve().parent.parent


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the report of each model to the site's files."""
    from mkdocs.structure.files import File

    for page in _report_pages():
        uri = f"gallery/{page.name}"
        files.append(File.generated(config, uri, content=page.read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace links that leave docs/ by their text, and list the reports."""
    depth = page.file.src_uri.count("/")

    def plain(match: re.Match[str]) -> str:
        levels = match.group(0).split("](", 1)[1].count("../")
        return match.group(0) if levels <= depth else f"`{match.group(1).strip('`')}`"

    markdown = _LINK_OUTSIDE.sub(plain, markdown)
    if _REPORTS_HERE in markdown:
        entries = "\n".join(map(_entry, _report_pages()))
        markdown = markdown.replace(_REPORTS_HERE, entries)
    return markdown


def _report_pages() -> list[Path]:
    """Return the page of each model in models/, which the Makefile has built."""
    names = sorted(recipe.parent.name for recipe in _ROOT.glob("models/*/recipe.toml"))
    pages = [_ROOT / "dist" / f"{name}.report.html" for name in names]
    for page in pages:
        if not page.is_file():
            model = page.name.replace(".report.html", ".onnx")
            raise FileNotFoundError(f"{page} is missing; rm -f dist/{model}, then make docs")
    return pages


def _entry(page: Path) -> str:
    """Write one entry of the gallery: what the model predicts, and how well."""
    from edge_pipeline.evaluation.report.measurements import Evaluation, sidecar_of
    from edge_pipeline.evaluation.report.page import SealedFile, facts
    from edge_runtime.bundle.layout import unpack

    file = page.with_name(page.name.replace(".report.html", ".onnx"))
    sealed_file = SealedFile(unpack(file.read_bytes()), file.name, file.stat().st_size)
    content = facts(sealed_file, Evaluation.read(sidecar_of(file)))
    title = f"[{file.stem}](gallery/{page.name})"
    text = f"{content['headline']} {content['verdict'].sentence}"
    return f"- **{title}**, {sealed_file.size:,} bytes. {text}"
