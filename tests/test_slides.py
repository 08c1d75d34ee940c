"""Decks of slides are taken from a finished page and lead back to it."""

from __future__ import annotations

from mixtheory.slides import deck

PAGE = """<html><head><link rel="stylesheet" href="../_static/custom.css">
<link rel="stylesheet" href="../_static/theme.css">
</head><body><article><h1>Chords<a class="headerlink" href="#chords">#</a></h1><p>Not on a slide.</p>
<div class="proof theorem admonition" id="geometry.x"><p>See <a href="labels.html#labels.y">this</a></p></div>
<figure class="mt-figure"><svg></svg><figcaption>It <a href="#geometry.x">bends</a></figcaption></figure>
<div class="proof remark"><p>A remark.</p></div></article></body></html>"""


def test_a_deck_has_a_title_the_theorems_and_the_figures() -> None:
    made = deck(PAGE, "geometry")
    assert made.count('<section class="slide') == 3
    assert "<h1>Chords</h1>" in made
    assert "Not on a slide" not in made
    assert "A remark" not in made


def test_its_links_lead_to_the_pages_one_folder_up() -> None:
    made = deck(PAGE, "geometry")
    assert 'href="../labels.html#labels.y"' in made
    assert 'href="../geometry.html#geometry.x"' in made
    assert 'href="../../_static/custom.css"' in made


def test_a_page_without_figures_has_no_deck() -> None:
    assert deck("<article><h1>Words</h1></article>", "words") is None


def test_a_figure_inside_another_is_shown_once() -> None:
    nested = '<figure class="mt-explorable"><figure class="mt-figure"><svg></svg></figure></figure>'
    assert deck(f"<article><h1>Moves</h1>{nested}</article>", "moves").count('<section class="slide') == 2
