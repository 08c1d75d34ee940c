"""Figures become files: the right colours in each, sizes and words kept, nothing left behind."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mixtheory.plotting import figure, picture
from mixtheory.sphinxext import figures

CSS = ':root { --mt-c0: #0072b2; }\nhtml[data-theme="dark"] { --mt-c0: #62b8ec;  --mt-ink: #dfe3e8; }'
PAGE = '<html><body><p>Before.</p>{}<p>After.</p><svg aria-label="no figure of ours"></svg></body></html>'


@pytest.fixture(scope="module")
def shown():
    with figure() as (fig, axes):
        axes.plot([0, 1], [0, 1])
        return picture(fig, caption="It rises.", alt='A "line" & more')


@pytest.fixture
def site(tmp_path, shown):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "custom.css").write_text(CSS)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.html").write_text(PAGE.format(shown._repr_html_() * 2))
    (tmp_path / "plain.html").write_text(PAGE.format(""))
    figures.extract(tmp_path)
    return tmp_path


def names(site):
    return sorted(path.name for path in (site / "_static" / "figures").iterdir())


def test_each_figure_is_two_files_and_two_pictures(site):
    page = (site / "book" / "a.html").read_text()
    assert names(site) == ["a-1-dark.svg", "a-1-light.svg", "a-2-dark.svg", "a-2-light.svg"]
    images = re.findall(r"<img [^>]*>", page)
    assert [re.search(r'src="([^"?]+)', image)[1] for image in images] == [
        f"../_static/figures/a-{k}-{look}.svg" for k in (1, 2) for look in ("light", "dark")]
    for image in images:
        assert 'alt="A &quot;line&quot; &amp; more"' in image
        width, height = (int(n) for n in re.search(r'width="(\d+)" height="(\d+)"', image).groups())
        assert width / height == pytest.approx(6.8 / 3.6, rel=0.01)
    assert page.count("<svg") == 1                                    # the one that is no figure of ours
    assert page.count("It rises.") == 2


def test_files_know_no_variable_and_have_the_colours_of_their_theme(site):
    light, dark = ((site / "_static" / "figures" / f"a-1-{look}.svg").read_text() for look in ("light", "dark"))
    for drawing in (light, dark):
        assert "var(" not in drawing
        assert ElementTree.fromstring(drawing).tag.endswith("svg")
    assert "#0072b2" in light
    assert "#62b8ec" in dark
    assert "#0072b2" not in dark
    assert "#6b7280" in dark                                          # not in this sheet: as the drawing names it


def test_again_is_the_same_and_what_no_page_shows_goes(site):
    page = (site / "book" / "a.html").read_text()
    figures.extract(site)
    assert (site / "book" / "a.html").read_text() == page
    (site / "book" / "a.html").write_text(page.partition("</figure>")[0])
    figures.extract(site)
    assert names(site) == ["a-1-dark.svg", "a-1-light.svg"]


def test_the_book_has_a_dark_colour_for_every_variable(checkout):
    css = (checkout / "book" / "_static" / "custom.css").read_text()
    light = set(re.findall(r"(--mt-[\w-]+):", css[:css.index("html[data-theme=\"dark\"]")]))
    assert set(figures.dark_colours(css)) == light
    with pytest.raises(ValueError, match="dark theme"):
        figures.dark_colours(":root { --mt-c0: #000; }")
