"""Formulas set in the build: what becomes of TeX, what is kept, what is refused."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from mixtheory.sphinxext import formulas
from mixtheory.sphinxext.fonts import cut_mathematics


@pytest.fixture(scope="module")
def results():
    """A few formulas, in one process."""
    wanted = [("x", False), (r"a+b = -c", False), (r"\operatorname{Var} X", False), (r"\mathbb{E}\,\boldsymbol{\Sigma}", False),
              (r"\tilde x", False), (r"\left(\frac{1}{2}\right)\left(x_1\right)", False), ("|x|", False),
              (r"\begin{split}a &= b \\ &= c\end{split}", True), (r"\mathcal{L}\mathrm{d}", False), (r"\sqrt{x}", False),
              (r"\bogus", False), (r"\frac{1}", True), (r"\begin{array}{c|c}a&b\end{array}", True), (r"\tag{1} x", True)]
    return {tex: result for (tex, _), result in formulas.convert(wanted).items()}


@pytest.mark.parametrize(("tex", "mathml"), [
    ("x", "<math><mi>x</mi></math>"),
    # TeX's spaces: medium around a sum, thick around a relation, none after a sign
    (r"a+b = -c", '<math><mi>a</mi><mo lspace=".222em" rspace="0">+</mo><mspace width=".222em"></mspace><mi>b</mi>'
                  '<mo lspace=".278em" rspace="0">=</mo><mo lspace=".278em" rspace="0" stretchy="false">−</mo>'
                  "<mi>c</mi></math>"),
    (r"\operatorname{Var} X", '<math><mi>Var</mi><mspace width=".167em"></mspace><mi>X</mi></math>'),
    # alphabets are letters of their own
    (r"\mathcal{L}\mathrm{d}", '<math><mrow><mi>ℒ</mi></mrow><mrow><mi mathvariant="normal">d</mi></mrow></math>'),
    (r"\tilde x", '<math><mrow><mover accent="true"><mi>x</mi><mo lspace="0" rspace="0" stretchy="false">˜</mo></mover>'
                  "</mrow></math>"),
    ("|x|", '<math><mo lspace="0" rspace="0" stretchy="false">|</mo><mi>x</mi>'
            '<mo lspace="0" rspace="0" stretchy="false">|</mo></math>'),
    (r"\sqrt{x}", "<math><msqrt><mi>x</mi></msqrt></math>"),
])
def test_a_known_formula_becomes_known_markup(results, tex, mathml):
    assert results[tex] == {"mathml": mathml}


def test_bold_and_blackboard_letters(results):
    shown = formulas.visible(results[r"\mathbb{E}\,\boldsymbol{\Sigma}"]["mathml"])
    assert shown == "𝔼𝚺"


def test_fences_grow_around_what_is_tall_alone(results):
    mathml = results[r"\left(\frac{1}{2}\right)\left(x_1\right)"]["mathml"]
    assert re.findall(r'stretchy="(\w+)">([()])', mathml) == [("true", "("), ("true", ")"), ("false", "("), ("false", ")")]


def test_lines_are_aligned_at_their_sign(results):
    mathml = results[r"\begin{split}a &= b \\ &= c\end{split}"]["mathml"]
    assert mathml.startswith('<math display="block"><mtable')
    assert re.findall(r"text-align:(\w+)", mathml) == ["right", "left"] * 2


@pytest.mark.parametrize(("tex", "said"), [
    (r"\bogus", "Undefined control sequence"), (r"\frac{1}", "Missing argument for"),
    (r"\begin{array}{c|c}a&b\end{array}", "columnlines"), (r"\tag{1} x", "tag"),
])
def test_what_cannot_be_set_is_said(results, tex, said):
    assert set(results[tex]) == {"error"}
    assert said in results[tex]["error"]


def page(folder: Path, body: str, name: str = "a.html") -> Path:
    path = folder / name
    path.write_text(f"<html><body>{body}</body></html>")
    return path


def typeset(folder: Path) -> None:
    formulas.typeset(folder, formulas.Store(folder / "store.json"))


def test_tex_is_unescaped_for_mathjax_and_kept_for_copying(tmp_path):
    tex = r"a < b \& \begin{cases}1 & x > 0\end{cases}"
    path = page(tmp_path, rf'<span class="math">\({html.escape(tex)}\)</span>')
    typeset(tmp_path)
    text = path.read_text()
    assert html.unescape(re.search('data-tex="(.*?)"', text)[1]) == f"${tex}$"
    assert formulas.visible(re.search("<math.*</math>", text)[0]) == "a<b&{1x>0"
    assert "</mtable>" in text


def test_formulas_are_found_where_sphinx_and_outputs_put_them(tmp_path):
    inline, display = r"\(x\)", "\\[y\\]"
    number = '<span class="eqno">(3)<a class="headerlink" href="#equation-y">#</a></span>'
    path = page(tmp_path, f'<span class="math notranslate nohighlight">{inline}</span>'
                f'<div class="math notranslate nohighlight" id="equation-y">\n{number}{display}</div>'
                f'<span class="math">{display}</span><div class="amsmath math">\\begin{{gather}}z\\end{{gather}}</div>'
                f"<pre>{inline}</pre><span class='code'>{inline}</span>")
    typeset(tmp_path)
    text = path.read_text()
    assert re.findall(r'data-tex="(.*?)"', text) == ["$x$", "$$y$$", "$$y$$", r"$$\begin{gather}z\end{gather}$$"]
    assert f'id="equation-y" data-tex="$$y$$">{number}<math display="block">' in text
    assert f"<pre>{inline}</pre><span class='code'>{inline}</span>" in text


def test_what_is_in_the_store_is_not_converted_again(tmp_path, monkeypatch):
    asked = []
    convert = formulas.convert
    monkeypatch.setattr(formulas, "convert", lambda wanted: asked.append(found := list(wanted)) or convert(found))
    path = page(tmp_path, r'<span class="math">\(x\)</span><span class="math">\(x\)</span>')
    raw = path.read_text()
    typeset(tmp_path)
    once = path.read_text()
    path.write_text(raw)
    page(tmp_path, r'<span class="math">\(y\)</span><span class="math">\[x\]</span>', "b.html")
    typeset(tmp_path)
    assert path.read_text() == once
    assert asked == [[("x", False)], [("y", False), ("x", True)]]
    monkeypatch.setattr(formulas, "SCRIPT", page(tmp_path, "another script", "script.js"))
    assert formulas.Store(tmp_path / "store.json").known == {}


def test_a_script_that_fails_is_an_error(tmp_path, monkeypatch):
    script = tmp_path / "broken.js"
    script.write_text("throw Error('no')")
    monkeypatch.setattr(formulas, "SCRIPT", script)
    with pytest.raises(RuntimeError, match="broken.js failed"):
        formulas.convert([("x", False)])


def test_the_font_has_the_signs_of_the_book_and_their_italics(tmp_path):
    cut_mathematics("xα≤", tmp_path / "math.woff2")
    with TTFont(tmp_path / "math.woff2") as font:
        assert {ord(sign) for sign in "xα≤𝑥𝛼√"} <= set(font.getBestCmap())
        assert ord("y") not in font.getBestCmap()
        assert "MATH" in font
        assert "Open Font License" in font["name"].getDebugName(13)
