"""Every page of the book in a real browser: light, dark, and as wide as a phone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.book.axe import told, violations
from tests.book.browser import DESKTOP, PHONE, pages, settle

# Formulas that were not typeset or hold an error, and TeX that a reader would see raw.
MATH = r"""() => {
    const wrong = [], all = [...document.querySelectorAll('.math')];
    for (const node of all.filter(n => !n.querySelector('math') || !n.dataset.tex))
        wrong.push('formula not typeset: ' + node.textContent.trim().slice(0, 60));
    for (const node of document.querySelectorAll('math')) {
        if (node.querySelector('merror')) wrong.push('TeX error: ' + node.textContent.slice(0, 80));
        const box = node.getBoundingClientRect();
        if (node.checkVisibility() && !(box.width && box.height))
            wrong.push('formula of no size: ' + node.outerHTML.slice(0, 80));
        if (getComputedStyle(node).fontFamily.split(',')[0] !== '"Book Math"') wrong.push('formula in another font');
    }
    if (all.length && !document.fonts.check('1em "Book Math"', '𝑥')) wrong.push('the font of formulas is missing');
    const walk = document.createTreeWalker(document.querySelector('article'), NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const node = walk.currentNode;
        if (!node.parentElement.closest('pre, code, script, style, math') &&
            /\\\(|\\\[|\$\$|\\begin\{/.test(node.textContent))
            wrong.push('raw TeX: ' + node.textContent.trim().slice(0, 60));
    }
    return wrong;
}"""

# Cells that were executed and show nothing, figures that say nothing to those who do not see them.
OUTPUTS = r"""() => {
    const wrong = [];
    for (const cell of document.querySelectorAll('div.cell')) {
        if (/tag_(hide-cell|hide-output|remove-)/.test(cell.className)) continue;
        if (!cell.querySelector('.cell_input')) continue;
        const out = cell.querySelector('.cell_output');
        if (!out || !(out.textContent.trim() || out.querySelector('img, svg, canvas')))
            wrong.push('cell without output: ' + cell.textContent.trim().slice(0, 60));
    }
    for (const image of document.querySelectorAll('img'))
        if (!image.hasAttribute('alt') || (image.closest('article') && !image.alt.trim()))
            wrong.push('image without alt text: ' + image.src);
    for (const image of document.querySelectorAll('img'))
        if (image.complete && !image.naturalWidth) wrong.push('image does not load: ' + image.src);
    for (const svg of document.querySelectorAll('figure svg'))
        if (!svg.getAttribute('aria-label') && !svg.querySelector('title'))
            wrong.push('figure without a text alternative: ' + svg.outerHTML.slice(0, 80));
    return wrong;
}"""

# Our own elements against what is behind them; WCAG asks for 4.5 : 1.
CONTRAST = r"""() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return canvas.getImageData(0, 0, 1, 1).data;
    };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .03928 ? v / 12.92 :
        ((v + .055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const behind = node => {
        for (let up = node; up; up = up.parentElement) {
            const colour = rgba(getComputedStyle(up).backgroundColor);
            if (colour[3] > 250) return colour;
        }
        return [255, 255, 255];
    };
    const wrong = [], ours = 'article :is(.mt-status, .mt-tag, .mt-claim-id, .mt-claim p, dd, dt,' +
        ' .mt-reason, figcaption, .mt-table :is(td, th, caption), figure.mt-figure svg text)';
    for (const node of document.querySelectorAll(ours)) {
        if (!node.textContent.trim() || !node.getClientRects().length) continue;
        const style = getComputedStyle(node);
        const paint = node instanceof SVGElement ? style.fill : style.color;
        const [a, b] = [light(rgba(paint)), light(behind(node))].sort((x, y) => y - x);
        const ratio = (a + .05) / (b + .05);
        const what = `${node.tagName}.${node.getAttribute('class')} ${node.textContent.trim().slice(0, 30)}`;
        if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(1)}: ${what}`);
    }
    return [...new Set(wrong)].slice(0, 8);
}"""

# What makes a page wider than its window.
OVERFLOW = r"""() => {
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= wide) return [];
    const held = node => {
        for (let up = node.parentElement; up; up = up.parentElement)
            if (getComputedStyle(up).overflowX !== 'visible') return true;
        return false;
    };
    const guilty = [...document.querySelectorAll('main *')].filter(
        node => node.getBoundingClientRect().right > wide + 1 && !held(node)).slice(0, 3);
    return [`${document.documentElement.scrollWidth} px on a screen of ${wide}: ` +
            guilty.map(n => n.outerHTML.slice(0, 80)).join(' | ')];
}"""

# Every rule of axe once, then those whose answer depends on colours or width; `make audit` asks all in all views.
WIDTH = ("scrollable-region-focusable", "target-size", "region", "aria-hidden-focus", "label-content-name-mismatch")
RULES = {(DESKTOP["width"], "dark"): ("color-contrast", "link-in-text-block"), (DESKTOP["width"], "light"): (),
         (PHONE["width"], "light"): WIDTH}


def listen(page: Any, address: str) -> list[str]:
    """What a page does that it should not, from now on."""
    heard: list[str] = []

    def asked(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:", "about:")):
            heard.append(f"asks another host: {request.url}")

    page.on("request", asked)
    page.on("requestfailed", lambda request: heard.append(f"failed: {request.url}"))
    page.on("response", lambda got: heard.append(f"{got.status}: {got.url}") if got.status >= 400 else None)
    page.on("console", lambda line: heard.append(f"console: {line.text}") if line.type == "error" else None)
    page.on("pageerror", lambda error: heard.append(f"script error: {error}"))
    return heard


def problems(page: Any, url: str) -> list[str]:
    """Everything that is wrong with one page."""
    heard = listen(page, "/".join(url.split("/")[:3]))
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light")
    page.goto(url)
    settle(page)
    found = page.evaluate(MATH) + page.evaluate(OUTPUTS)
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)
        found += page.evaluate(OVERFLOW)
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
            found += [f"{scheme}, {viewport['width']} px: {line}" for line in page.evaluate(CONTRAST)]
    for (viewport, scheme), rules in RULES.items():                     # last, since axe is given a simpler page
        page.set_viewport_size(DESKTOP if viewport == DESKTOP["width"] else PHONE)
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        settle(page)
        found += [f"{scheme}, {viewport} px: {line}" for line in told(violations(page, *rules))]
    return heard + found


@pytest.fixture
def page(browser: Any) -> Any:
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.mark.parametrize("name", pages())
def test_page(page: Any, address: str, name: str) -> None:
    assert problems(page, f"{address}/{name}.html") == []


def test_search_finds_a_page_offline(page: Any, address: str) -> None:
    heard = listen(page, address)
    page.goto(f"{address}/search.html?q=mixup")
    page.wait_for_selector("#search-results li a")
    assert heard == []


COPY = """() => {
    const selection = getSelection(), said = {};
    const first = document.querySelector('article .math[data-tex]');
    const paragraph = first.closest('p');
    const range = document.createRange();
    range.setStart(paragraph, 0);
    range.setEndAfter(first.querySelector('math').lastChild);          // ends inside the formula
    selection.removeAllRanges();
    selection.addRange(range);
    const clipboardData = new DataTransfer();
    document.dispatchEvent(new ClipboardEvent('copy', {clipboardData, bubbles: true}));
    return [first.dataset.tex, clipboardData.getData('text/plain'), clipboardData.getData('text/html')];
}"""


def test_a_formula_is_copied_as_tex(page: Any, address: str) -> None:
    page.goto(f"{address}/book/covariance.html")
    tex, plain, rich = page.evaluate(COPY)
    assert tex.startswith("$")
    assert plain.endswith(tex)
    assert "<math" not in rich
    assert tex in rich


def test_what_scrolls_is_reached_by_keyboard(page: Any, address: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{address}/book/ledger.html")
    settle(page)
    assert page.locator(".mt-ledger").first.get_attribute("tabindex") == "0"
    page.goto(f"{address}/book/covariance.html")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.keyboard.press("Tab")
    reached, all_of_them = page.evaluate("""() => ['.math[tabindex="0"]', '.math'].map(
        which => [...document.querySelectorAll(which)].map(node => node.scrollWidth > node.clientWidth))""")
    assert all(reached)
    assert len(reached) < len(all_of_them) / 4


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_link_leads_to_its_place(page: Any, address: str, viewport: dict[str, int]) -> None:
    page.set_viewport_size(viewport)
    page.goto(f"{address}/book/notation.html")
    for fragment in ("covariance.fluctuation_limit", "exercises", "covariance.mean", "ex-covariance-heavier"):
        page.goto(f"{address}/book/covariance.html#{fragment}")         # the first loads the page, the others do not
        page.wait_for_timeout(1500)
        top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", fragment)
        assert 0 <= top < 200, fragment


BAD = r"""<html data-theme="light"><body><main><article><p>Raw \(x\) and <img src="nowhere.png"></p>
<p class="math">\(y\)</p><p><span class="math" data-tex="$z$"><math><merror>z</merror></math></span></p>
<p><button></button></p>
<div class="cell"><div class="cell_input">1</div></div><div style="width: 2000px">wide</div>
<figure class="mt-figure"><svg><text fill="#ddd" y="20">pale</text></svg></figure></article></main>
<script>
  matchMedia('(prefers-color-scheme: dark)').onchange = event =>
      document.documentElement.dataset.theme = event.matches ? 'dark' : 'light';
  fetch('https://example.invalid/').catch(() => 0);
  undefinedFunction();
</script></body></html>"""


def test_each_kind_of_problem_is_found(page: Any, address: str) -> None:
    page.route(f"{address}/bad.html", lambda route: route.fulfill(body=BAD, content_type="text/html"))
    page.route("https://example.invalid/", lambda route: route.abort())
    found = "\n".join(problems(page, f"{address}/bad.html"))
    kinds = ("asks another host", "failed: https://example.invalid", "404: ", "console: ", "script error: ",
             "raw TeX", "formula not typeset", "TeX error", "another font", "axe button-name",
             "cell without output", "without alt text", "does not load", "text alternative",
             "px on a screen", "contrast 1.")
    assert [kind for kind in kinds if kind not in found] == []
