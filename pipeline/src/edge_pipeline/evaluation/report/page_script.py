"""Join the scripts of a page, and compute the hash by which the page's policy admits them."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from markupsafe import Markup

__all__ = ["MODEL_SCRIPTS", "json_in_script", "page_script"]

MODEL_SCRIPTS = ("tensors.js", "operators.js", "words.js", "model_rows.js")
"""Scripts that predict a row, in the order of their dependences."""

_FOLDER = files("edge_pipeline.evaluation.report")


def page_script(*, with_model: bool) -> tuple[Markup, str]:
    """Return the script of a page and its source expression for Content-Security-Policy.

    Parameters
    ----------
    with_model
        Whether the page has a model and its form.
    """
    names = ["page.js"]
    if with_model:
        names = [*MODEL_SCRIPTS, "form.js", *names]
    text = "\n".join(_FOLDER.joinpath("scripts", name).read_text("utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"sha256-{digest}"


def json_in_script(value: Any) -> Markup:
    """Write JSON that cannot end or change the script element that holds it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    # "</script>" and "<!--" would; the escapes are the same JSON.
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)
