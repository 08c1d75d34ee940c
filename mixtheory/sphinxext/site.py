"""Pages load what they use, from here alone, and their markup is fit for everybody."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

from mixtheory import __version__
from mixtheory.sphinxext import styles

LOGGER = logging.getLogger(__name__)
UNUSED = ("sphinx_thebe", "sphinx.ext.mathjax")     # no live code; formulas are set in the build

# Scripts, and what a page must contain to be given them; icons come from a font, not from a script.
WANTED_BY = {"design-tabs.js": r'class="sd-tab', "clipboard.min.js": r'class="highlight',
             "copybutton.js": r'class="highlight', "togglebutton.js": r'class="(?:[^"]* )?(?:dropdown|toggle)[ "]',
             "all.min.js": r"(?!)"}
SCRIPT = re.compile(r'<script\b[^>]*\ssrc="[^"]*?(?P<name>[^/"?]+)(?:\?[^"]*)?"[^>]*></script>\n?')
GRAPH_STYLE = re.compile(r'(?<=<div class="mt-graph">)<style>.*?</style>', re.DOTALL)

# The theme measures all code and outputs as soon as it can, which lays out every page twice; reading.js does it later.
THEME = "scripts/pydata-sphinx-theme.js"
MEASURED = '"pre, .nboutput > .output_area, .cell_output > .output, .jp-RenderedHTMLCommon"'

# The theme's markup -> what it should have been, and why.
MENDED = (
    # loaded by the one style sheet, or not at all
    (r'<link rel="preload" as="(?:font|script)"[^>]*>\s*', ""),
    # ask for a script that is not there yet, for a version switch and a folded index that this book does not have
    (r"<script[^>]*>\s*DOCUMENTATION_OPTIONS\.\w+ = [^<]*</script>\s*", ""),
    # the colours are right before the scripts are there
    (r'localStorage\.getItem\("theme"\) \|\| "auto"',
     'localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'),
    # the same thing twice or thrice
    (r'(<meta name="viewport"[^>]*>)(.*?)<meta name="viewport"[^>]*>', r"\1\2"),
    (r'(<meta name="viewport"[^>]*>)(.*?)<meta name="viewport"[^>]*>', r"\1\2"),
    # what a script would write, written
    (r"<script>\s*document\.write\(`(.*?)`\);\s*</script>", r"\1"),
    # all content stands in a landmark
    (r'<div class="bd-sidebar-primary ', r'<div role="complementary" aria-label="Book" class="bd-sidebar-primary '),
    (r'<div class="search-button__wrapper"', r'<div role="search" class="search-button__wrapper"'),
    (r'(<button type="button" class="btn rounded-pill" id="pst-back-to-top">.*?</button>)(.*?<main[^>]*>)', r"\2\1"),
    (r'<nav class="bd-toc-nav page-toc">', r'<nav class="bd-toc-nav page-toc" aria-label="On this page">'),
    # its name is what can be read on it
    (r'(<button class="btn search-button-field search-button__button" title="Search") aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'<p class="((?:collapsed|expanded) admonition-title)">([^<]*)</p>', r'<span class="\1">\2</span>'),
    # an id that every exercise, solution and theorem has is none
    (r' id="(?:exercise|solution|proof)-content"', ""),
    # an entry of a bibliography is an item of a list: the role of its own is deprecated
    (r' role="doc-biblioentry"', ' role="listitem"'),
    # on the search page, two fields
    (r'id="search-input"(.*id="search-input")', r'id="search-input-above"\1'),
    # the browser knows the size of a picture before it is there
    (r'(<img src="[^"]*") (class="logo__image)', r'\1 width="320" height="200" \2'),
    (r'<i class="((?:theme-switch )?fa-[^>]*>)(?<!aria-hidden="true">)', r'<i aria-hidden="true" class="\1'),
)


def disconnect(app: Sphinx, *_: Any) -> None:
    """Keep extensions from loading scripts that no page uses."""
    for listeners in app.events.listeners.values():
        listeners[:] = [each for each in listeners if not each.handler.__module__.startswith(UNUSED)]


def trim(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take out the last of Thebe and write down which version of the package made the page."""
    context["css_files"] = [sheet for sheet in context["css_files"] if "thebe" not in str(sheet)]
    context["metatags"] = (context.get("metatags") or "") + (
        f'<meta name="generator" content="mixtheory {__version__}">\n'
        f'<meta name="mixtheory-hash" content="{app.mixtheory_hash}">\n')


def finish(folder: Path) -> None:
    """Mend the written pages and give them one style sheet; pages that were finished before come out the same."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.html"))
             if "_static" not in path.relative_to(folder).parts}
    mended = {path: mend(text) for path, text in pages.items()}
    sheet = styles.bundle(folder, mended)
    tame(folder / "_static" / THEME)
    for path, text in mended.items():
        root = "../" * (len(path.relative_to(folder).parts) - 1)
        if (new := link(text, root, sheet)) != pages[path]:
            path.write_text(new, encoding="utf-8")


def tame(script: Path) -> None:
    """Let the theme measure nothing, if the site has this theme; a warning if it is not as we know it."""
    text = script.read_text(encoding="utf-8") if script.is_file() else '":not(*)"'
    if MEASURED in text:
        script.write_text(text.replace(MEASURED, '":not(*)"'), encoding="utf-8")
    elif '":not(*)"' not in text:
        LOGGER.warning("%s: the theme no longer measures what it did", script.name, type="theme")


def redirect(app: Sphinx) -> None:
    """Write the page that leads to the first one, where no page is called index; Jupyter Book keeps what is there."""
    first, title = f"{app.config.root_doc}.html", html.escape(app.config.html_title)
    if app.config.root_doc != "index":
        Path(app.outdir, "index.html").write_text(
            f'<!DOCTYPE html>\n<html lang="{app.config.language}"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta http-equiv="refresh" content="0; url={first}"></head>'
            f'<body><p><a href="{first}">{title}</a></p></body></html>\n', encoding="utf-8")


def mend(text: str) -> str:
    """A page without what it does not use and with the markup it should have."""
    for pattern, better in MENDED:
        text = re.sub(pattern, better, text, flags=re.DOTALL)
    for style in dict.fromkeys(GRAPH_STYLE.findall(text)):              # a style belongs into the head, once
        text = text.replace(style, "").replace("</head>", f"{style}\n</head>", 1)
    return SCRIPT.sub(lambda found: defer(found, text), text)


def defer(script: re.Match[str], page: str) -> str:
    """The script, loaded while the page is read and run after it; nothing, if the page does not want it."""
    if not re.search(WANTED_BY.get(script["name"], ""), page):
        return ""
    return script[0] if " defer" in script[0] else script[0].replace("<script", "<script defer", 1)


def link(text: str, root: str, sheet: str) -> str:
    """The page with the one style sheet where its first one stood; the font of its formulas is asked for at once."""
    first = styles.SHEET.search(text)
    if first is None:
        return text
    lines = [f'<link rel="stylesheet" href="{root}_static/{sheet}">']
    if "<math" in text:
        lines.append(f'<link rel="preload" as="font" type="font/woff2" crossorigin href="{root}_static/math.woff2">')
    return "\n".join([text[:first.start()].rstrip(), *lines, styles.SHEET.sub("", text[first.end():]).lstrip()])
