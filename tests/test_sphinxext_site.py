"""Pages are mended, given one style sheet, and come out the same when they are finished again."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from fontTools.ttLib import TTFont

from mixtheory.sphinxext import site, styles

PAGE = """<html><head><meta name="viewport" content="a"><meta name="viewport" content="b">
<link rel="stylesheet" href="../_static/a.css?v=1"><link href="../_static/styles/theme.css?digest=2" rel="stylesheet" />
<link rel="preload" as="font" type="font/woff2" href="../_static/x.woff2">
<script src="../_static/vendor/js/all.min.js?digest=2"></script><script src="../_static/doctools.js?v=1"></script>
<script src="../_static/design-tabs.js"></script><script src="../_static/togglebutton.js"></script></head>
<body><main role="main"><p class="used">Formula <span class="math"><math><mi>x</mi></math></span></p>
<i class="fa-solid fa-bars"></i><div class="toggle dropdown"></div>
<div class="mt-graph"><style>.mt-graph {}</style></div><div class="mt-graph"><style>.mt-graph {}</style></div>
<summary aria-label="Toggle hidden content"><p class="collapsed admonition-title">Show</p></summary>
<section id="exercise-content"></section></main></body></html>"""
ICONS = '.fa-bars:before{content:"\\f0c9"}.fa-heart:before{content:"\\f004"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "_static" / "styles").mkdir(parents=True)
    (tmp_path / "book").mkdir()
    (tmp_path / "_static" / "basic.css").write_text("p.used{background:url(file.png)} p.unused{color:red}")
    (tmp_path / "_static" / "a.css").write_text(f"p.used, p.unused:hover {{ color: blue }} /* note */ {ICONS}")
    (tmp_path / "_static" / "styles" / "theme.css").write_text(
        '@import "../basic.css";\n@media print { p.used { color: black } .unused { color: red } }'
        "main:not(.gone){top:0} @font-face{font-family:X;src:url(../x.woff2)}")
    (tmp_path / "book" / "one.html").write_text(PAGE)
    return tmp_path


def test_a_page_is_mended_and_stays_so(folder):
    site.finish(folder)
    once = (folder / "book" / "one.html").read_text()
    assert once.count('name="viewport"') == 1
    assert re.findall(r'<script[^>]*src="([^"?]*)', once) == ["../_static/doctools.js", "../_static/togglebutton.js"]
    assert once.count("<script defer ") == 2
    assert re.findall(r'<link rel="(\w+)"[^>]*href="([^"?]*)', once) == [
        ("stylesheet", "../_static/book.css"), ("preload", "../_static/math.woff2")]
    assert once.count("<style>") == 1
    assert once.index("<style>") < once.index("</head>")
    assert '<summary><span class="collapsed admonition-title">Show</span></summary>' in once
    assert "exercise-content" not in once
    sheet = (folder / "_static" / "book.css").read_text()
    site.finish(folder)
    assert (folder / "book" / "one.html").read_text() == once
    assert (folder / "_static" / "book.css").read_text() == sheet


def test_the_style_sheet_has_the_rules_that_pages_can_use(folder):
    site.finish(folder)
    sheet = (folder / "_static" / "book.css").read_text()
    assert "p.used{color: blue" in sheet
    assert 'url("file.png")' in sheet
    assert 'url("x.woff2")' in sheet
    assert "main:not(.gone)" in sheet
    assert re.search(r"@media print \{p\.used", sheet)
    assert "unused" not in sheet
    assert "heart" not in sheet


def test_the_icons_that_are_left_have_their_glyphs(folder):
    site.finish(folder)
    fonts = list((folder / "_static").glob(styles.ICONS))
    assert fonts
    with TTFont(fonts[0]) as font:
        assert set(font.getBestCmap()) == {0xF0C9}


@pytest.mark.parametrize(("root", "led"), [("book/intro", True), ("index", False)])
def test_a_page_leads_to_the_first_one(tmp_path, root, led):
    app = SimpleNamespace(outdir=tmp_path, config=SimpleNamespace(root_doc=root, language="en", html_title="A & B"))
    site.redirect(app)
    assert (tmp_path / "index.html").is_file() == led
    if led:
        assert '<title>A &amp; B</title><meta http-equiv="refresh" content="0; url=book/intro.html">' in (
            tmp_path / "index.html").read_text()


def test_the_theme_measures_nothing_and_another_theme_is_told(tmp_path, monkeypatch):
    warned = []
    monkeypatch.setattr(site.LOGGER, "warning", lambda text, *words, **more: warned.append(text % words))
    script = tmp_path / "theme.js"
    script.write_text(f"for(e of document.querySelectorAll({site.MEASURED}))e.tabIndex=0")
    for _ in range(2):
        site.tame(script)
        assert script.read_text() == 'for(e of document.querySelectorAll(":not(*)"))e.tabIndex=0'
    assert warned == []
    script.write_text("something else")
    site.tame(script)
    assert "theme.js" in warned[0]
