from __future__ import annotations

import gc
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

STATIC = Path(__file__).parents[2] / "book" / "_static"


class Book:
    """A small book in a folder, built with the reading extension."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.html = folder / "_build" / "html"
        (folder / "CITATION.cff").write_text(
            'title: "A book about Mixup"\nversion: 9.8.7\nauthors:\n  - family-names: Doe\n    given-names: Jane\n'
            "  - name: The crowd\n")
        self.write("index", "# Root\n\n```{toctree}\n:glob:\nbook/*\n```\n")

    def write(self, name: str, text: str) -> None:
        path = self.folder / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def build(self, **settings: Any) -> str:
        """Build it; returns the warnings."""
        warnings, out = io.StringIO(), self.folder / "_build"
        chosen = {"extensions": ["myst_nb", "sphinxext.opengraph", "mixtheory.reading"], "exclude_patterns": ["_build"],
                  "nb_execution_mode": "off", "myst_enable_extensions": ["dollarmath"],
                  "html_theme": "sphinx_book_theme", "html_static_path": [str(STATIC)],
                  "html_css_files": ["reading.css"], "ogp_social_cards": {"enable": False}, **settings}
        with patch_docutils(), docutils_namespace():
            Sphinx(self.folder, None, out / "html", out / ".doctrees", "html", confoverrides=chosen, status=None,
                   warning=warnings).build()
        return re.sub(r"\x1b\[[0-9;]*m", "", warnings.getvalue())

    def page(self, name: str) -> str:
        return (self.html / f"{name}.html").read_text(encoding="utf-8")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    for name in ("MIXTHEORY_REPOSITORY", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "MIXTHEORY_SITE_URL",
                 "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    yield Book(tmp_path)
    gc.collect()
