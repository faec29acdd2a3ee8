"""Hooks of the documentation site: links to files outside docs/ become plain code.

The pages are read in two places.  In the repository a link to a source file works; on the site
there is no such file, and mkdocs would rightly warn.
"""

from __future__ import annotations

import re
from typing import Any

_LINK_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?!adr/)([^)#\s]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace links that leave docs/ by their text."""
    depth = page.file.src_uri.count("/")

    def plain(match: re.Match[str]) -> str:
        levels = match.group(0).split("](", 1)[1].count("../")
        return match.group(0) if levels <= depth else f"`{match.group(1).strip('`')}`"

    return _LINK_OUTSIDE.sub(plain, markdown)
