"""What a link leads to, beside the link: read from the finished pages and kept in a small script for each.

A script, since a page opened from a file may not fetch anything else. `previews.js` loads the one of a page when the
pointer or the keyboard first comes to a link that leads there, and shows what stands in it: the card of a claim without
what is folded, a theorem, an exercise, a numbered equation, a figure, a term of the glossary, a reference.

The pages are our own build's, so elements are cut out by counting their tags; no parser is needed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from sphinx.application import Sphinx

__all__ = ["FOLDER", "SCRIPT", "collect", "element", "preview", "write"]

FOLDER, SCRIPT = "previews", "previews.js"
SHOWN = r"(?:mt-claim|proof|exercise|math|citation)(?: [^\"]*)?"
TARGET = re.compile(rf'<div\b(?=[^>]*\bclass="{SHOWN}")[^>]*\bid="([^"]+)"[^>]*>|'
                    r'<(?:figure|dt)\b[^>]*\bid="([^"]+)"[^>]*>')
LINK = re.compile(r'<a\b[^>]*\bhref="([^"]*#[^"]+)"')
DROPPED = re.compile(r'<details\b.*?</details>|<a class="headerlink".*?</a>|<script\b.*?</script>', re.DOTALL)
FLATTENED = re.compile(r"</?a\b[^>]*>")
NAMED = re.compile(r'(<(?!svg|g|path|clipPath|defs|use|symbol|marker|rect)[a-z0-9]+\b[^>]*?) id="[^"]*"')


def element(page: str, start: int) -> str:
    """The element that begins at this place of a page, up to the end tag that belongs to it."""
    tag = re.compile(r"<(\w+)").match(page, start)[1]
    depth = 0
    for found in re.compile(rf"<(/?){tag}\b[^>]*>").finditer(page, start):
        depth += -1 if found[1] else 1
        if depth == 0:
            return page[start:found.end()]
    raise ValueError(f"start = {start}: <{tag}> is never closed on this page")


def preview(page: str, found: re.Match[str]) -> str:
    """What is shown of a target: no folded parts, no links, no ids, which must stay unique."""
    text = element(page, found.start())
    if text.startswith("<dt"):                      # a term: its meaning stands in the <dd> behind its last name
        text += element(page, page.index("<dd", found.end()))
        text = re.sub(r"<(/?)(?:dt|dd)\b[^>]*>", lambda m: f"<{m[1]}div>", text)
    return NAMED.sub(r"\1", FLATTENED.sub("", DROPPED.sub("", text))).strip()


def linked(pages: dict[str, str]) -> set[tuple[str, str]]:
    """Page and id of every place that a link of some page leads to."""
    places = set()
    for name, page in pages.items():
        for href in LINK.findall(page):
            parts = urlsplit(urljoin(name, href))
            if not parts.netloc:
                places.add((parts.path, unquote(parts.fragment)))
    return places


def collect(pages: dict[str, str]) -> dict[str, dict[str, str]]:
    """By page and id: the previews of all targets that some link leads to."""
    wanted = linked(pages)
    return {name: {target: preview(page, found) for found in TARGET.finditer(page)
                   if (name, target := found[1] or found[2]) in wanted} for name, page in pages.items()}


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write one script for each page of the finished book, also an empty one, so that no request fails."""
    if exception is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir)
    texts = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
             for path in sorted(folder.rglob("*.html")) if "_static" not in path.relative_to(folder).parts}
    pages = {name: text for name, text in texts.items() if SCRIPT in text}          # not slides, not redirections
    for name, found in collect(pages).items():
        target = folder / "_static" / FOLDER / f"{name.removesuffix('.html')}.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps(found, ensure_ascii=False).replace("</", r"<\/")
        target.write_text(f"mtPreviews({json.dumps(name)}, {data});\n", encoding="utf-8")
