"""What search engines and shared links say of a page: its own first sentences."""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

__all__ = ["describe", "forget_address", "tell"]

LONGEST = 200
LETTERS = {r"\lambda": "λ", r"\alpha": "α"}


def describe(doctree: nodes.document) -> str:
    """The first sentences of a page, as many as fit, up to the first with a formula that is more than a letter."""
    paragraph = next((p for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section)), None)
    if paragraph is None:
        return ""
    text = "".join(_words(node) for node in paragraph.findall(nodes.Text))
    said = ""
    for sentence in re.split(r"(?<=[.?!:])\s+", " ".join(text.split())):
        if "\0" in sentence or len(said) + len(sentence) > LONGEST:
            break
        said = f"{said} {sentence}".strip()
    return said


def _words(text: nodes.Text) -> str:
    if isinstance(text.parent, nodes.math):
        return LETTERS.get(text.astext().strip(), text.astext() if len(text.astext()) == 1 else "\0")
    return text.astext()


def tell(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Give each page its description before the extension for Open Graph makes one of its own."""
    if doctree is not None and (text := describe(doctree)):
        context["meta"] = {**(context.get("meta") or {}), "og:description": html.escape(text)}
        tag = f'<meta name="description" content="{html.escape(text)}">\n'
        context["metatags"] = (context.get("metatags") or "") + tag


def forget_address(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Without the address of the site there is no address of a page to tell."""
    if not app.config.ogp_site_url:
        context["metatags"] = re.sub(r'<meta property="og:url"[^>]*>\n?', "", context.get("metatags") or "")
