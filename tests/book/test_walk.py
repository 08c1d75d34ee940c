"""A student's way through the book, in a real browser: a chapter, an explorable, a checker notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.book.browser import settle
from tests.book.lab import cell_with, lab, open_notebook, run_cell
from tests.book.test_browser import listen


def test_a_student_reads_explores_and_checks_answers(address: str, browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(accept_downloads=True)
    heard = listen(page, address)

    page.goto(f"{address}/book/intro.html")                 # from the opening page to a chapter, by a link
    page.locator("nav.bd-links a", has_text="How much mixing shrinks the data").click()
    page.wait_for_url("**/covariance.html")
    settle(page)

    figure = page.locator(".mt-explorable").first           # an explorable, by keyboard alone
    slider = figure.locator("input[type=range]").first
    slider.focus()
    before, shown = slider.get_attribute("aria-valuetext"), figure.locator("output").all_inner_texts()
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") != before
    assert figure.locator("output").all_inner_texts() != shown

    with page.expect_download() as started:                 # the chapter's exercises
        page.locator("a.mt-download").click()
    started.value.save_as(tmp_path / "covariance.ipynb")
    assert heard == []
    page.close()

    with lab(tmp_path) as laboratory:
        page = browser.new_page()
        heard = listen(page, laboratory)
        open_notebook(page, laboratory, "covariance.ipynb")
        run_cell(page, page.locator(".jp-CodeCell").first)
        cell = cell_with(page, 'check("covariance-two"')
        assert "There is no answer yet" in run_cell(page, cell)
        wrong = run_cell(page, cell, 'p = sympy.symbols("p")\ncheck("covariance-two", p**2 + (1 - p)**2)')
        assert "Not yet." in wrong
        assert "the two examples are independent draws" in wrong
        assert "Right." in run_cell(page, cell, 'check("covariance-two", (2*p - 1)**2)')
        assert [line for line in heard if "asks another host" in line] == []
        page.close()
