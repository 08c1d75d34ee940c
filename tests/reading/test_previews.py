"""Previews: what is cut out of finished pages, and how it behaves in a browser that opened them from files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from mixtheory.reading import previews
from tests.book.browser import DESKTOP, serve
from tests.reading.conftest import Book

CARD = ('<div class="mt-claim" id="covariance.mean"><div class="mt-claim-head">The mean</div><p>stays, see '
        '<a href="#x">x</a></p><details><summary>How</summary><div>long</div></details></div>')


def test_an_element_ends_at_its_own_end_tag():
    page = '<p><div id="a"><div>1</div><span></span></div><div>2</div></p>'
    assert previews.element(page, 3) == '<div id="a"><div>1</div><span></span></div>'
    with pytest.raises(ValueError, match="start = 0: <div> is never closed"):
        previews.element("<div><p></p>", 0)


def test_a_card_is_shown_without_folded_parts_links_and_ids():
    found = previews.TARGET.search(CARD)
    assert previews.preview(CARD, found) == ('<div class="mt-claim"><div class="mt-claim-head">The mean</div>'
                                             "<p>stays, see x</p></div>")


def test_a_term_brings_its_names_and_its_meaning():
    page = ('<dl><dt id="term-a">a</dt><dt id="term-b">b<a class="headerlink" href="#b">#</a></dt>'
            "<dd><p>both</p></dd></dl>")
    shown = [previews.preview(page, found) for found in previews.TARGET.finditer(page)]
    assert shown == ["<div>a</div><div><p>both</p></div>", "<div>b</div><div><p>both</p></div>"]


@pytest.mark.parametrize(("markup", "shown"), [
    ('<div class="proof theorem admonition" id="a">T</div>', True),
    ('<div class="exercise admonition" id="a">E</div>', True),
    ('<div class="math notranslate nohighlight" id="a">M</div>', True), ('<figure class="f" id="a">F</figure>', True),
    ('<div class="citation" id="a" role="doc-biblioentry">C</div>', True), ('<section id="a">S</section>', False),
    ('<div class="mathematics" id="a">no</div>', False)])
def test_what_is_previewed(markup, shown):
    assert ("a" in previews.collect({"p.html": markup + '<a href="#a">a</a>'})["p.html"]) == shown


def test_only_what_a_link_leads_to_is_kept():
    pages = {"index.html": '<a href="book/a.html#covariance.mean">1</a>', "book/a.html": CARD,
             "book/b.html": CARD.replace("covariance.mean", "b")}
    assert {name: list(found) for name, found in previews.collect(pages).items()} == {
        "index.html": [], "book/a.html": ["covariance.mean"], "book/b.html": []}


@pytest.fixture
def site(small: Book) -> Book:
    small.write("book/terms", "# Terms\n\n```{glossary}\nkink\n  A corner of a function.\n```\n")
    small.write("book/use", "# Use\n\nA {term}`kink`, [the section](#more) and [a word](https://example.org/#x).\n\n"
                "$$x = 1$$ (one)\n\nSee {eq}`one`.\n\n" + "filler\n\n" * 60 + "## More\n\nEnd.\n")
    assert small.build(myst_heading_anchors=2) == ""
    return small


@pytest.fixture
def page(site: Book, browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport=DESKTOP, java_script_enabled=True)
    opened = context.new_page()
    opened.errors = []
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.goto((site.html / "book" / "use.html").as_uri())
    yield opened
    assert not opened.errors
    context.close()


def shown(page: Any, wait: int = 700) -> str | None:
    page.wait_for_timeout(wait)
    card = page.locator("#mt-preview")
    return card.inner_text() if card.count() else None


TERM = "article a[href*='#term-kink']"


def test_the_pointer_opens_it_from_a_file_of_another_page(page):
    assert shown(page) is None
    page.hover(TERM)
    assert "A corner of a function." in shown(page)
    assert page.get_attribute(TERM, "aria-describedby") == "mt-preview"
    assert page.get_attribute("#mt-preview", "role") == "tooltip"


def test_the_pointer_may_move_onto_it_and_away_closes_it(page):
    page.hover(TERM)
    assert shown(page)
    page.hover("#mt-preview")
    assert shown(page, 900)
    page.mouse.move(1200, 850)
    assert shown(page) is None
    assert page.get_attribute(TERM, "aria-describedby") is None


def test_escape_closes_it_and_nothing_else_moves(page):
    page.hover(TERM)
    assert shown(page)
    page.keyboard.press("Escape")
    assert shown(page) is None
    assert page.evaluate("document.activeElement === document.body")


def test_the_keyboard_opens_it_and_keeps_its_focus(page):
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.matches({TERM!r})"):
            break
    assert "A corner" in shown(page)
    assert page.evaluate(f"document.activeElement.matches({TERM!r})")
    page.keyboard.press("Tab")
    assert shown(page) is None


def test_an_equation_of_the_same_page_is_shown(page):
    page.hover("article a.reference[href='#equation-one']")
    assert "(1)" in shown(page)


def test_sections_other_hosts_and_touch_show_nothing(page):
    page.hover("article a[href='#more']")
    assert shown(page) is None
    page.hover("article a[href^='https:']")
    assert shown(page) is None
    page.dispatch_event(TERM, "pointerover", {"pointerType": "touch", "bubbles": True})
    assert shown(page) is None


@pytest.mark.parametrize(("motion", "name"), [("reduce", "none"), ("no-preference", "mt-appear")])
def test_it_does_not_move_for_those_who_want_no_motion(page, motion, name):
    page.emulate_media(reduced_motion=motion)
    page.hover(TERM)
    assert shown(page)
    assert page.evaluate("getComputedStyle(document.querySelector('#mt-preview')).animationName") == name


def test_nothing_is_asked_for_before_the_first_hover_and_once_after(site, browser):
    with serve(site.html) as address:
        opened = browser.new_page()
        asked: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(f"{address}/book/use.html")
        assert not [url for url in asked if "/previews/" in url]
        for _ in range(2):
            opened.hover(TERM)
            assert shown(opened)
            opened.keyboard.press("Escape")
            opened.mouse.move(1, 1)
        assert [url for url in asked if "/previews/" in url] == [f"{address}/_static/previews/book/terms.js"]
        assert not [url for url in asked if not url.startswith(address)] or "mathjax" in "".join(asked)
        opened.close()


def test_paper_is_light_and_unfolded_and_the_screen_is_as_before_after(page):
    look = """kind => {
        const root = document.documentElement, article = document.querySelector('article');
        if (!kind) {
            root.dataset.theme = 'dark';
            article.insertAdjacentHTML('beforeend', '<details><summary>s</summary>t</details>');
        } else dispatchEvent(new Event(kind));
        return [root.dataset.theme, article.querySelector('details').open];
    }"""
    assert [page.evaluate(look, kind) for kind in ("", "beforeprint", "afterprint")] == [
        ["dark", False], ["light", True], ["dark", False]]


def test_the_index_names_terms_and_their_uses(site):
    index = site.page("genindex")
    entry = re.search(r"<li>(?:(?!</li>).)*kink.*?</li>", index, re.DOTALL)[0]
    assert 'href="book/terms.html#term-kink"' in entry
    assert 'href="book/use.html#use-kink"' in entry
    assert 'id="use-kink"' in site.page("book/use")


def test_neighbours_are_landmarked_and_say_what_they_are(site):
    """The book's own template, which the small books do not use."""
    site.build(templates_path=[str(previews.Path(__file__).parents[2] / "book" / "_templates")])
    page = site.page("book/terms")
    assert re.search(r'<nav class="prev-next-area" aria-label="[^"]+">', page)
    assert re.search(r'<a class="left-prev" rel="prev" href="\.\./index.html">.*?previous.*?Root', page, re.DOTALL)
    assert re.search(r'<a class="right-next" rel="next" href="use.html">.*?next.*?Use', page, re.DOTALL)
