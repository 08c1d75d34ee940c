from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mixtheory.sphinxext import package_hash
from tests.book.browser import HTML, ROOT, pages, serve


def _unusable() -> str | None:
    """Why the tests of the book cannot run, if they cannot."""
    first = HTML / f"{pages()[0]}.html"
    if not first.is_file():
        return "the book has not been built: run make book"
    made_by = re.search(r'name="mixtheory-hash" content="(\w+)"', first.read_text(encoding="utf-8"))
    if made_by is None or made_by[1] != package_hash(records=ROOT / "book" / "records"):
        return "the book was built by another version of the package: run make book"
    return None


def give_up(reason: str) -> None:
    """Skip, or fail where MIXTHEORY_REQUIRE_BOOK says that a book must be there."""
    (pytest.fail if os.environ.get("MIXTHEORY_REQUIRE_BOOK") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def book() -> Path:
    """The folder of the built book."""
    if reason := _unusable():
        give_up(reason)
    return HTML


@pytest.fixture(scope="session")
def address(book: Path) -> Iterator[str]:
    with serve(book) as url:
        yield url


@pytest.fixture(scope="session")
def browser(book: Path, browser: Any) -> Any:
    """The browser of all tests, once there is a book to read with it."""
    return browser
