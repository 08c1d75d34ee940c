"""Slides of the lecture figures: for each chapter its theorems, figures and explorables, one a slide.

They are taken from the finished page, so a slide never shows another number than the book. A deck is one HTML file
that needs no network: arrow keys, space and page keys move, `d` changes between light and dark, printing gives one page
a slide.
"""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from mixtheory import __version__

FOLDER = "slides"       # beside the pages of the chapters
SHOWN = "div.proof.theorem, figure.mt-figure, figure.mt-explorable, div.mt-explorable"
SCRIPT = """
const slides = [...document.querySelectorAll('section.slide')];
const here = () => slides.findIndex(s => s.getBoundingClientRect().bottom > innerHeight / 2);
const go = k => slides[Math.max(0, Math.min(slides.length - 1, k))].scrollIntoView();
addEventListener('keydown', event => {
  if (event.target.closest('input, select, textarea, button, summary')) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = {ArrowRight: 1, ArrowDown: 1, PageDown: 1, ' ': 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1}[event.key];
  const end = {Home: 0, End: slides.length - 1}[event.key];
  if (event.key === 'd')
    document.documentElement.dataset.theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  else if (step || end !== undefined) { event.preventDefault(); go(end ?? here() + step); }
});
"""


def deck(page: str, name: str) -> str | None:
    """The slides of a finished page; None if it has nothing to show.

    Args:
        page: HTML of the page.
        name: file name of the page, without the ending.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    article = soup.select_one("article")
    picked = article.select(SHOWN) if article else []
    inner = {id(part) for node in picked for part in node.select(SHOWN)}
    shown = [node for node in picked if id(node) not in inner]
    if not any(node.name == "figure" for node in shown):
        return None
    for link in article.select("a.headerlink"):
        link.decompose()
    for link in article.select("a[href]"):
        if not re.match(r"[a-z]+:", link["href"]):      # the deck lies one folder deeper; a fragment is of the page
            link["href"] = f"../{name}.html{link['href']}" if link["href"].startswith("#") else f"../{link['href']}"
    for picture in article.select("img[src]"):
        picture["src"] = f"../{picture['src']}"
    title = article.h1.get_text().strip()
    slides = [f'<section class="slide title"><h1>{html.escape(title)}</h1><p>Mixup, verified</p>'
              f'<p><a href="../{name}.html">the chapter</a></p></section>']
    slides += [f'<section class="slide" aria-label="{i} of {len(shown)}">{node}</section>'
               for i, node in enumerate(shown, start=1)]
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides: {html.escape(title)}</title>
<meta name="generator" content="mixtheory {__version__}">
<link rel="stylesheet" href="../../_static/custom.css">
<link rel="stylesheet" href="../../_static/slides.css">
</head>
<body>
<main class="bd-article bd-content">
{chr(10).join(slides)}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def write(app: Sphinx, exception: Exception | None) -> None:
    """The decks of all pages with figures, after everything else has finished with the pages."""
    if exception is not None or app.builder.name != "html":
        return
    for page in sorted(Path(app.outdir, "book").glob("*.html")):
        made = deck(page.read_text(encoding="utf-8"), page.stem)
        if made:
            target = page.parent / FOLDER / page.name
            target.parent.mkdir(exist_ok=True)
            target.write_text(made, encoding="utf-8")


def clear(app: Sphinx) -> None:
    """Take the decks of an earlier build away: they are no pages, and nothing should take them for pages."""
    shutil.rmtree(Path(app.outdir, "book", FOLDER), ignore_errors=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it, last of all."""
    app.connect("builder-inited", clear)
    app.connect("build-finished", write, priority=990)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
