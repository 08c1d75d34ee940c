"""The Sphinx extension, on books of one or two pages."""

from __future__ import annotations

import gc
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from myst_nb.core.execute.base import ExecutionError
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from mixtheory.sphinxext import claims, freshness

# Each kernel that nbclient starts leaves a socket and an event loop to the garbage collector, which says so.
pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning"),
              pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

NOTEBOOK = """---
file_format: mystnb
kernelspec:
  name: python3
---
# {title}

```{{code-cell}}
{code}
```
"""
PLACE = """```{raw} html
<p id="covariance.population">Here. <span class="math">\\(s\\)</span></p>
```
"""


class Book:
    """A small book in a folder, with a registry of one claim."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.hash = "one"
        monkeypatch.setattr(claims, "registry", lambda: {"covariance.population": None})
        monkeypatch.setattr(freshness, "package_hash", lambda **_: self.hash)
        self.write("index", "# Root\n\n```{toctree}\n:glob:\nbook/*\n```\n")
        self.write("book/covariance", f"# Covariance\n\n{PLACE}")

    def write(self, name: str, text: str) -> None:
        path = self.folder / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def build(self, **more: Any) -> str:
        """Build it, perhaps with more settings; returns the warnings."""
        warnings = io.StringIO()
        out = self.folder / "_build"
        settings = {"extensions": ["myst_nb", "mixtheory.sphinxext"], "exclude_patterns": ["_build"],
                    "nb_execution_mode": "cache", "nb_execution_raise_on_error": True, **more}
        with patch_docutils(), docutils_namespace():
            Sphinx(self.folder, None, out / "html", out / ".doctrees", "html", confoverrides=settings,
                   status=None, warning=warnings).build()
        return re.sub(r"\x1b\[[0-9;]*m", "", warnings.getvalue())

    def html(self, name: str) -> str:
        return (self.folder / "_build" / "html" / f"{name}.html").read_text()


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    yield Book(tmp_path, monkeypatch)
    gc.collect()


def test_a_claim_becomes_a_link_to_its_place(book: Book) -> None:
    book.write("book/practice", "# Practice\n\nSee {claim}`covariance.population`.\n")
    assert book.build() == ""
    assert 'href="covariance.html#covariance.population"' in book.html("book/practice")


def test_an_unknown_claim_is_a_warning(book: Book) -> None:
    book.write("book/practice", "# Practice\n\nSee {claim}`covariance.sample`.\n")
    assert "'claim' reference target not found: covariance.sample" in book.build()


def test_a_claim_without_a_place_is_a_warning(book: Book) -> None:
    book.write("book/covariance", "# Covariance\n\nNothing about `covariance.population` but its name.\n")
    assert "claim covariance.population has no place on its page" in book.build()


def test_formulas_are_set_and_no_script_is_left_to_do_it(book: Book) -> None:
    book.write("book/plain", "# Plain\n\nHere $a < b$ and\n\n$$a = b$$ (sum)\n\nso {eq}`sum`.\n")
    settings = {"myst_enable_extensions": ["dollarmath"]}
    assert book.build(**settings) == ""
    plain, raw = book.html("book/plain"), book.html("book/covariance")
    assert not re.search(r"<script[^>]*mathjax", plain + raw, re.IGNORECASE)
    assert '<p id="covariance.population">Here. <span class="math" data-tex="$s$"><math><mi>s</mi></math></span>' in raw
    assert 'data-tex="$a &lt; b$"><math>' in plain
    assert re.search(r'id="equation-sum" data-tex="\$\$a = b\$\$"><span class="eqno">\(1\)<a .*?</span><math display="block">', plain)
    assert 'href="#equation-sum"' in plain
    static = book.folder / "_build" / "html" / "_static"
    assert 1000 < (static / "math.woff2").stat().st_size < 50_000
    assert book.build(**settings) == ""
    assert book.html("book/plain") == plain              # a second pass over finished pages changes nothing


def test_wrong_tex_is_a_warning_each_time(book: Book) -> None:
    book.write("book/plain", "# Plain\n\n```{math}\n\\bogus x\n```\n")
    for _ in range(2):
        assert r"plain.md: WARNING: formula '\\bogus x' cannot be set: Undefined control sequence" in book.build()


def test_no_number_survives_a_change_in_the_package(book: Book) -> None:
    source = book.folder / "number.txt"
    code = f"print('it is', open({str(source)!r}).read())"
    book.write("book/practice", NOTEBOOK.format(title="Practice", code=code))
    source.write_text("1")
    assert book.build() == ""
    assert "it is 1" in book.html("book/practice")

    source.write_text("2")  # as a change in the package would: neither Sphinx nor the cache can see it
    assert book.build() == ""
    assert "it is 1" in book.html("book/practice")

    book.hash = "two"
    assert book.build() == ""
    assert "it is 2" in book.html("book/practice")


def test_notebooks_run_in_parallel_before_they_are_read(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr("myst_nb.core.execute.cache.single_nb_execution", lambda *a, **k: read.append(a))
    for name in ("one", "two"):
        book.write(f"book/{name}", NOTEBOOK.format(title=name, code=f"print({name!r} * 2)"))
    assert book.build() == ""
    assert "oneone" in book.html("book/one")
    assert "twotwo" in book.html("book/two")
    assert not read  # the reader found both in the cache


def test_a_failing_cell_stops_the_build(book: Book) -> None:
    book.write("book/one", NOTEBOOK.format(title="one", code="1 / 0"))
    book.write("book/two", NOTEBOOK.format(title="two", code="print(2)"))
    with pytest.raises(ExecutionError, match="one.md"):
        book.build()


def test_the_hash_sees_every_byte_and_every_name(tmp_path: Path) -> None:
    package, records = tmp_path / "package", tmp_path / "records"
    (package / "theory").mkdir(parents=True)
    records.mkdir()
    seen = {freshness.package_hash(package, records)}
    for path, text in ((package / "a.py", ""), (package / "a.py", "1"), (package / "theory" / "b.py", "1"),
                       (package / "c.js", "1"), (records / "run.json", "{}"), (records / "run.json", "[]")):
        path.write_text(text)
        seen.add(freshness.package_hash(package, records))
    (package / "a.py").rename(package / "d.py")
    seen.add(freshness.package_hash(package, records))
    assert len(seen) == 8
