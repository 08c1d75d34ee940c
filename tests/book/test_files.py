"""What can be seen in the files of the built book without a browser."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.book.browser import pages


class Page(HTMLParser):
    """Ids, links and loaded resources of one HTML file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        self.loads += [found[name] for name in ("src", "srcset", "data") if tag != "a" and found.get(name)]
        if tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon", "preconnect"):
            self.loads.append(found.get("href", ""))


read = cache(Page)


def broken_links(folder: Path, path: Path) -> list[str]:
    """The internal links of a page that lead to no file or no element."""
    broken = []
    for link in read(path).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        fragment = unquote(parts.fragment)
        if not target.is_file() or not target.is_relative_to(folder.resolve()):
            broken.append(link)
        elif fragment and target.suffix == ".html" and fragment not in read(target).ids:
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", pages())
def test_every_page_of_the_contents_is_there(book: Path, name: str) -> None:
    text = (book / f"{name}.html").read_text(encoding="utf-8")
    assert "<h1" in text
    assert "thebe" not in text.lower()


def test_every_internal_link_and_fragment_resolves(book: Path) -> None:
    files = [path for path in sorted(book.rglob("*.html")) if "_static" not in path.parts]
    assert len(files) > len(pages())
    broken = {str(path.relative_to(book)): links for path in files if (links := broken_links(book, path))}
    assert not broken


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text('<p id="here"><a href="#here">1</a><a href="#away">2</a><a href="b.html">3</a>')
    assert broken_links(tmp_path, page) == ["#away", "b.html"]


def test_nothing_is_loaded_from_another_host(book: Path) -> None:
    files = [path for path in book.rglob("*.html") if "_static" not in path.parts]
    loads = {load for path in files for load in read(path).loads}
    assert loads
    assert not {load for load in loads if load.startswith(("http:", "https:", "//"))}
    missing = {load for path in files for load in read(path).loads
               if not (path.parent / unquote(urlsplit(load).path)).is_file() and not load.startswith("data:")}
    assert not missing


def test_solutions_and_sources_are_not_published(book: Path) -> None:
    assert not (book / "_sources").exists()


def test_the_site_stays_small(book: Path) -> None:
    figures = book / "_static" / "figures"              # twice, light and dark; a page loads what is looked at
    sizes = {path: path.stat().st_size for path in (book / "_static").rglob("*") if path.is_file()}
    assert sum(size for path, size in sizes.items() if path.parent != figures) < 10 * 2**20
    assert max(size for path, size in sizes.items() if path.parent == figures) < 2**19
