"""What all tests share: determinism, one thread per worker, and the two things a browser test needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# One worker runs per core; more threads in each would only compete. Read when numpy and torch are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings  # noqa: E402

# "suite" draws the same examples every time, so that red means a change; the weekly run takes "explore".
settings.register_profile("suite", deadline=None, derandomize=True, database=None, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=500, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

CHECKOUT = Path(__file__).resolve().parent.parent


def missing(reason: str) -> None:
    """Skip, or fail where the book's tests are mandatory (`MIXTHEORY_REQUIRE_BOOK=1`, set by .ci/run)."""
    if os.environ.get("MIXTHEORY_REQUIRE_BOOK") == "1":
        pytest.fail(reason + " (and MIXTHEORY_REQUIRE_BOOK=1 asks for it)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return CHECKOUT


@pytest.fixture(scope="session")
def site() -> Path:
    """The built book."""
    html = CHECKOUT / "_build" / "html"
    if not (html / "index.html").is_file():
        missing("there is no built book: run `make book`, or `make test`, which builds it")
    return html


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome, for playwright's `executable_path`; $CHROMIUM names another."""
    from mixtheory.reading import pdf

    found = pdf.chromium()
    if found is None:
        missing("there is no Chromium: install it, or name one in $CHROMIUM")
    return str(found)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A headless browser; there can be only one in a process."""
    from tests.book.browser import browse

    with browse(chromium) as opened:
        yield opened
