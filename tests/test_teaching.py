"""What the teaching guide shows."""

from __future__ import annotations

import pytest

from mixtheory import page, teaching
from mixtheory.domain import DomainError
from mixtheory.exercises import exercises


def test_the_overview_has_a_row_for_each_chapter_with_its_slides_and_its_notebook() -> None:
    text = teaching.overview(["covariance"]).text
    assert teaching.title("covariance") in text
    assert 'href="slides/covariance.html"' in text
    assert 'href="exercises/covariance.ipynb"' in text
    assert f"{sum(e.minutes for e in exercises('covariance').values()) / 60:.1f} h" in text


def test_what_a_chapter_rests_on_comes_from_its_derivations() -> None:
    assert teaching.rests_on("covariance") == ["mixing_moments"]
    assert teaching.rests_on("mixing_moments") == []


def test_every_account_that_is_not_simply_true_is_a_misconception() -> None:
    counts = page.trial_summary()
    text = teaching.misconceptions().text
    assert text.count("<tr>") == 1 + counts["false"] + counts["holds under conditions"]
    assert text.index(">false<") < text.index(">holds under conditions<")


def test_an_unknown_chapter_is_refused() -> None:
    with pytest.raises(DomainError, match="chapter = 'nowhere'"):
        teaching.title("nowhere")
