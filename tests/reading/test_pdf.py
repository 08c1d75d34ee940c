"""The whole book as one document, on a site of two pages."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mixtheory.domain import DomainError
from mixtheory.reading import pdf

ROOT = Path(__file__).parents[2]
PAGE = """<html><head><link rel="stylesheet" href="../_static/book.css"></head><body><nav><a href="#no">menu</a></nav>
<article class="bd-article"><section id="{name}"><h1>{name}<a class="headerlink" href="#{name}">#</a></h1>
<section id="same"><h2>Same<a class="headerlink" href="#same">#</a></h2><p><a href="#same">here</a>
<a href="{other}.html#same">there</a> <a href="{other}.html">all of it</a> <a href="https://example.org/#x">out</a>
<a href="files/x.ipynb">file</a></p><details><summary>s</summary>folded</details>{more}
<svg><defs><path id="p"/></defs><use xlink:href="#p"/><g clip-path="url(#p)"/></svg><script>no()</script>
</section></section></article></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "book").mkdir()
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "book.css").write_text("div.wide { overflow-x: auto; }")
    (tmp_path / "toc.yml").write_text("root: book/one\nparts:\n- caption: Part\n  chapters:\n  - file: book/two\n")
    write(tmp_path)
    return tmp_path


def write(site: Path, more: str = "") -> None:
    for name, other in (("one", "two"), ("two", "one")):
        (site / "book" / f"{name}.html").write_text(PAGE.format(name=name, other=other, more=more))


def document(site: Path) -> str:
    return pdf.assemble(ROOT, site, site / "toc.yml")


def test_every_link_leads_to_an_id_that_is_there_once(site: Path) -> None:
    text = document(site)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:\bhref="#|url\(#)([^")]+)', text)) <= set(ids)
    assert {"book/one", "book/one--same", "book/two", "book/two--same"} <= set(ids)
    assert '<a href="#book/two--same">there</a>' in text
    assert '<a href="#book/two">all of it</a>' in text
    assert '<a href="https://example.org/#x">out</a>' in text
    assert '<a data-href="files/x.ipynb">file</a>' in text                  # no file lies beside the paper


def test_title_contents_and_what_is_left_out(site: Path) -> None:
    text = document(site)
    assert re.search(r'class="mt-title-page">.*Version \d', text, re.DOTALL)
    assert '<li class="mt-part">Part</li><li><a href="#book/two">two</a>' in text
    assert '<li><a href="#book/two--same">Same</a></li>' in text
    assert "<details open>" in text
    for gone in ("<script", "menu", "headerlink"):
        assert gone not in text


def test_the_styles_of_every_page_come_along_once(site: Path) -> None:
    page = site / "book" / "two.html"
    page.write_text(page.read_text().replace("</head>", "<style>.mt-graph rect { fill: none }</style></head>"))
    head = document(site).partition("</head>")[0]
    assert head.count(".mt-graph rect") == 1
    assert head.count('href="/_static/book.css"') == 1


def test_a_page_that_was_not_built_is_named(site: Path) -> None:
    (site / "book" / "two.html").unlink()
    with pytest.raises(DomainError, match=r"it has no book/two.html"):
        document(site)


@pytest.fixture
def printed(site: Path, tmp_path: Path) -> Any:
    if pdf.chromium() is None:
        pytest.skip("there is no Chromium on this machine")

    def make(more: str = "") -> list[str]:
        write(site, more)
        with ThreadPoolExecutor(1) as alone:        # a thread has one browser driver, and this one's may be in use
            return alone.submit(pdf.print_book, document(site), site, tmp_path / "book.pdf").result()
    return make


def test_it_is_printed_with_outline_and_links(printed: Any, tmp_path: Path) -> None:
    assert printed() == []
    content = (tmp_path / "book.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    for mark in (b"/Outlines", b"/MarkInfo", b"/Dests"):
        assert mark in content


def test_wide_things_are_made_to_fit(printed: Any) -> None:
    assert printed('<div class="wide"><table><tr>' + "<td>0123456789</td>" * 30 + "</tr></table></div>") == []


@pytest.mark.parametrize(("more", "what"), [
    ('<p style="width: 3000px">far too wide</p>', "wider than the paper: P : far too wide"),
    ("<p>Raw \\(x\\) here</p>", "a formula that was not set: Raw"),
    ('<img src="nowhere.png" alt="">', "asks for http://book.invalid/book/nowhere.png"),
    ('<img src="https://example.org/x.png" alt="">', "asks for https://example.org/x.png")])
def test_what_is_wrong_is_said(printed: Any, more: str, what: str) -> None:
    assert any(what in problem for problem in printed(more))
