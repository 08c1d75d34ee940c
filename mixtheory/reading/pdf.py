"""The whole book on paper: `python -m mixtheory.reading.pdf` prints the finished pages into one PDF.

The articles of the built site become one document with a title page and a table of contents. Ids get the name of their
page in front, so that links between pages become links within the document. Headless Chromium prints it; every
request is answered from the folder of the site, so nothing can come from elsewhere. What is wider than the paper is
made smaller, and whatever still sticks out is an error.
"""

from __future__ import annotations

import argparse
import html
import mimetypes
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import yaml

from mixtheory import paths
from mixtheory.domain import DomainError
from mixtheory.reading.colophon import edition
from mixtheory.reading.previews import element

__all__ = ["FLAGS", "Chapter", "assemble", "chapters", "chromium", "main", "print_book"]

ORIGIN = "http://book.invalid/"                 # asked of nobody: all its requests are answered from the folder
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAPER_CSS = Path(__file__).with_name("paper.css").read_text(encoding="utf-8")
PAPER = {"width": 658, "height": 960}           # A4 less the margins of reading.css, in CSS pixels
HEADERLINK = re.compile(r'<a class="headerlink".*?</a>', re.DOTALL)
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
ONSCREEN = re.compile(r'<img class="mt-dark[^>]*>| loading="lazy"')
NAMES = re.compile(r'\b(id|for|aria-labelledby|aria-describedby|href|xlink:href|src)="([^"]*)"')
H2 = re.compile(r'<section\b[^>]*\bid="([^"]+)"[^>]*>\s*(?:<span\b[^>]*></span>\s*)*<h2>(.*?)</h2>', re.DOTALL)
HEAD = re.compile(r'<link\b[^>]*\brel="stylesheet"[^>]*>|<style\b.*?</style>', re.DOTALL)

# Makes wide things smaller, innermost first; returns what sticks out all the same, and TeX that nobody has set.
FIT = r"""() => {
    const wide = document.documentElement.clientWidth, out = [], start = text => text.trim().slice(0, 60);
    const shrink = found => found.forEach(([node, ratio]) => {      // all is measured before anything is changed
        node.style.zoom = (parseFloat(node.style.zoom) || 1) * Math.max(.3, ratio);
    });
    for (let round = 0; round < 2; round++)                         // a wide thing may stand inside another
        shrink([...document.querySelectorAll('article *:not(svg *, math *)')].filter(
            node => node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).overflowX !== 'visible').flatMap(
            node => [...node.children].map(child => [child, .98 * node.clientWidth / node.scrollWidth])));
    shrink([...document.querySelectorAll('article :is(math, table, pre, svg, img):not(svg svg)')].flatMap(node => {
        const box = node.getBoundingClientRect();
        const room = node.parentElement.closest('td, th, li, p, div, section, figure').getBoundingClientRect();
        const limit = Math.min(room.right || wide, wide);
        return box.right > limit + 1 && box.left < limit ? [[node, (limit - box.left) / box.width]] : [];
    }));
    for (const node of document.querySelectorAll('article *:not(svg *, math *)'))
        if (node.getBoundingClientRect().right > wide + 2)
            out.push(`wider than the paper: ${node.tagName} ${node.className}: ${start(node.textContent)}`);
    const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    while (walk.nextNode())
        if (/\\\(|\\\[/.test(walk.currentNode.data) && !walk.currentNode.parentElement.closest('pre, code, math'))
            out.push(`a formula that was not set: ${start(walk.currentNode.data)}`);
    return [...new Set(out)];
}"""


@dataclass
class Chapter:
    """One page of the book: its document's name, the caption of its part, its article, headings and styles."""

    name: str
    part: str
    article: str
    title: str
    sections: list[tuple[str, str]] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)


def _plain(markup: str) -> str:
    """A heading without the sign that links to it."""
    return re.sub(r"</?a\b[^>]*>", "", HEADERLINK.sub("", markup)).strip()


def contents(toc: Path) -> Iterator[tuple[str, str]]:
    """Caption of the part and name of each document, in the order of a table of contents."""
    tree = yaml.safe_load(toc.read_text(encoding="utf-8"))
    yield "", tree["root"]
    for part in tree["parts"]:
        for entry in part["chapters"]:
            yield part.get("caption", ""), entry["file"]


def chapters(toc: Path, site: Path) -> list[Chapter]:
    """The pages of a table of contents, read from the built site."""
    names = list(contents(toc))
    return [_chapter(name, part, site, {n for _, n in names}) for part, name in names]


def _chapter(name: str, part: str, site: Path, known: set[str]) -> Chapter:
    path = site / f"{name}.html"
    if not path.is_file():
        raise DomainError(f"site = {str(site)!r}: it has no {name}.html; run make book first")
    page = path.read_text(encoding="utf-8")
    article = SCRIPT.sub("", element(page, page.index('<article class="bd-article"')))
    article = re.sub(r"<details\b(?! open)", "<details open", HEADERLINK.sub("", article))
    article = ONSCREEN.sub("", article)
    article = NAMES.sub(lambda found: _renamed(found, name, known), article)
    article = re.sub(r"url\(#", f"url(#{name}--", article)
    title = re.search(r"<h1\b[^>]*>(.*?)</h1>", article, re.DOTALL)[1]
    styles = [re.sub(r'href="(?:\.\./)*_static', 'href="/_static', sheet) for sheet in
              HEAD.findall(page.partition("</head>")[0])]
    return Chapter(name, part, article, _plain(title), [(ident, _plain(text)) for ident, text in H2.findall(article)],
                   styles)


def _renamed(found: re.Match[str], name: str, known: set[str]) -> str:
    """An id with its page's name in front; a link to a page of the book as a link within the document."""
    kind, value = found[1], html.unescape(found[2])
    if kind not in ("href", "xlink:href", "src"):
        return f'{kind}="{" ".join(f"{name}--{each}" for each in value.split())}"'
    parts = urlsplit(urljoin(f"{ORIGIN}{name}.html", value))
    if f"{parts.scheme}://{parts.netloc}/" != ORIGIN:
        return found[0]
    page = parts.path.lstrip("/").removesuffix(".html")
    if kind == "src" or page not in known:
        return f'{kind}="{parts.path}"' if kind == "src" else f'data-{kind.replace(":", "-")}="{found[2]}"'
    return f'{kind}="#{page}--{unquote(parts.fragment)}"' if parts.fragment else f'{kind}="#{page}"'


def assemble(root: Path, site: Path, toc: Path) -> str:
    """One document: title page, table of contents, all pages."""
    book = chapters(toc, site)
    styles = "\n".join(dict.fromkeys(style for c in book for style in c.styles))
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    pages = "\n".join(f'<section class="mt-page" id="{c.name}">{c.article}</section>' for c in book)
    return (f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
            f"<title>{html.escape(config['title'])}</title>{styles}<style>{PAPER_CSS}</style></head><body>"
            f'<main class="bd-content">{_title_page(config, root)}{_table_of_contents(book)}{pages}</main>'
            "</body></html>")


def _title_page(config: dict[str, Any], root: Path) -> str:
    logo = (root / config["logo"]).read_text(encoding="utf-8")
    return (f'<header class="mt-title-page">{logo[logo.index("<svg"):]}<p class="mt-book-title">{config["title"]}</p>'
            f'<p>{config["author"]}</p><p class="mt-soft">{edition(root)}</p>{config["html"]["extra_footer"]}</header>')


def _table_of_contents(book: list[Chapter]) -> str:
    lines, part = [], ""
    for c in book:
        if c.part != part:
            part = c.part
            lines.append(f'<li class="mt-part">{html.escape(part)}</li>')
        inner = "".join(f'<li><a href="#{ident}">{text}</a></li>' for ident, text in c.sections)
        lines.append(f'<li><a href="#{c.name}">{c.title}</a>{f"<ol>{inner}</ol>" if inner else ""}</li>')
    return f'<nav class="mt-contents" aria-label="Contents"><h1>Contents</h1><ol>{"".join(lines)}</ol></nav>'


def chromium() -> str | None:
    """Path of Chromium or Chrome: the one that $CHROMIUM names, else one that is installed, if there is one."""
    return next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *BROWSERS))), None)


def print_book(document: str, site: Path, target: Path) -> list[str]:
    """Print the document; returns what is wrong with it: requests that found nothing, things wider than the paper."""
    from playwright.sync_api import sync_playwright

    if (browser_path := chromium()) is None:
        raise DomainError("there is no Chromium: install it, or name one in $CHROMIUM")
    problems: list[str] = []

    def answer(route: Any) -> None:
        parts = urlsplit(route.request.url)
        path = site / unquote(parts.path).lstrip("/")
        if parts.path == "/":
            route.fulfill(body=document, content_type="text/html; charset=utf-8")
        elif route.request.url.startswith(ORIGIN) and path.is_file():
            route.fulfill(path=path, content_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream")
        else:
            problems.append(f"asks for {route.request.url}, which is not in the book")
            route.abort()

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport=PAPER, color_scheme="light")
        page.set_default_timeout(600_000)
        page.route("**/*", answer)
        page.emulate_media(media="print", color_scheme="light")
        page.goto(ORIGIN)
        page.evaluate("document.fonts.ready.then(() => true)")
        problems += page.evaluate(FIT)
        target.parent.mkdir(parents=True, exist_ok=True)
        page.pdf(path=target, prefer_css_page_size=True, print_background=True, tagged=True, outline=True)
        browser.close()
    return problems


def main() -> int:
    """Print the book that `make book` built; 1 if something is wrong with the result."""
    options = argparse.ArgumentParser(prog="python -m mixtheory.reading.pdf", description=str(__doc__).splitlines()[0])
    options.add_argument("--toc", type=Path, help="another table of contents, of a part of the book")
    options.add_argument("--site", type=Path, default=paths.BUILD / "html", help="the built book")
    options.add_argument("--output", type=Path, default=paths.BUILD / "mixtheory.pdf", help="the PDF to write")
    chosen = options.parse_args()
    try:
        if paths.ROOT is None:
            raise DomainError("the package is installed without the book: nothing to print")
        problems = print_book(assemble(paths.ROOT, chosen.site, chosen.toc or paths.ROOT / "_toc.yml"), chosen.site,
                              chosen.output)
    except DomainError as error:
        sys.stderr.write(f"pdf: {error}\n")
        return 2
    for problem in problems:
        sys.stderr.write(f"pdf: {problem}\n")
    sys.stdout.write(f"{chosen.output}: {chosen.output.stat().st_size / 1e6:.1f} MB\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
