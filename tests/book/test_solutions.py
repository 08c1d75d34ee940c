"""No trace of a solution in any file of the public build."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.book.browser import ROOT, pages

SOURCES = sorted((ROOT / "book" / "solutions").glob("*.md"))
MARKERS = ("solution-start", "solution-end", "{solution}", "BEGIN SOLUTION", "END SOLUTION", "BEGIN TESTS",
           "BEGIN HIDDEN", "confirm(\"", "exercises import confirm")
BINARY = (".woff", ".woff2", ".ttf", ".png", ".ico", ".gz", ".pdf", ".zip", ".map")
RUN = 8         # words in a row; fewer occur by chance ("the mean entropy of a label")
CODE, TEX = 24, 32      # signs of a line and of a formula that say something; spaces do not count in a formula
WORDS = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
SAID = re.compile(r'\b(?:data-tex|alt|aria-label|title|content)="([^"]*)"')     # text that stands in attributes
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')


class Secrets(NamedTuple):
    """What of a solution is looked for: runs of words, and lines of code and formulas without their spaces."""

    runs: set[tuple[str, ...]]
    lines: set[str]


def words(text: str) -> list[str]:
    return [w.lower() for w in WORDS.findall(text)]


def bodies(source: str) -> dict[str, str]:
    """Exercise -> text of its solution, code included."""
    return dict(re.findall(r"^\{ref\}`ex-(\S+)`$\n(.*?)(?=^## |\Z)", source, re.MULTILINE | re.DOTALL))


def questions(source: str) -> dict[str, str]:
    """Exercise -> its text in the chapter."""
    return dict(re.findall(r":label: ex-(\S+)\n(.*?)\n```", source, re.DOTALL))


def packed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def runs_of(text: str) -> set[tuple[str, ...]]:
    """All runs of so many words."""
    found = words(text)
    return set(zip(*(found[i:] for i in range(RUN)), strict=False))


def phrases(body: str) -> set[tuple[str, ...]]:
    """Runs of words of a solution, taken where no formula interrupts them."""
    prose = re.sub(r"```.*?```|\$\$.*?\$\$", " | ", body, flags=re.DOTALL)
    pieces = re.split(r"[$|`{}]", re.sub(r"\$[^$]+\$|`[^`]+`", "|", prose))
    return set().union(*map(runs_of, pieces))


def code_lines(body: str) -> set[str]:
    """Lines of code of a solution that compute something."""
    cells = re.findall(r"```\{code-cell\}[^\n]*\n(.*?)```", body, flags=re.DOTALL)
    lines = {line.strip() for cell in cells for line in cell.splitlines()}
    common = ("import", "from", ":tags:", "for ", "def ", "#")
    return {packed(line) for line in lines if len(line) > CODE and not line.startswith(common)}


def formulas(body: str) -> set[str]:
    """Formulas of a solution that are more than a symbol or two."""
    prose = re.sub(r"```.*?```", "", body, flags=re.DOTALL)
    found = {packed(a or b) for a, b in re.findall(r"\$\$(.*?)\$\$|\$([^$]+)\$", prose, flags=re.DOTALL)}
    return {tex for tex in found if len(tex) >= TEX}


def secrets(body: str, question: str) -> Secrets:
    """What a solution says and its question does not."""
    known = packed(question)
    return Secrets(phrases(body) - phrases(question),
                   {line for line in code_lines(body) | formulas(body) if line not in known})


def read(text: str, suffix: str) -> str:
    """What a file says: markup taken off, strings of scripts and notebooks as they are meant."""
    if suffix in (".ipynb", ".json", ".js"):
        meant = []
        for string in STRING.findall(text):
            with suppress(json.JSONDecodeError):
                meant.append(json.loads(string))
        return "".join(meant) + "\n" + (read("".join(meant), ".html") if suffix == ".js" else "") + text
    if suffix in (".html", ".svg"):
        return html.unescape("\n".join([re.sub(r"<[^>]+>", "", text), *SAID.findall(text)]))
    return text


def readable(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file of the build that holds text, and what it says."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in BINARY:
            yield path.relative_to(folder), read(path.read_text(encoding="utf-8", errors="replace"), path.suffix)


@pytest.fixture(scope="module")
def published(book: Path) -> tuple[set[tuple[str, ...]], str]:
    """All runs of words, and all text without spaces, of the public build."""
    runs: set[tuple[str, ...]] = set()
    texts = []
    for _, text in readable(book):
        runs |= runs_of(text)
        texts.append(packed(text))
    return runs, "\n".join(texts)


def test_no_marker_of_a_solution(book: Path) -> None:
    found = [(str(path), marker) for path, text in readable(book) if "_static" not in path.parts
             for marker in MARKERS if marker in text]
    assert found == []
    assert not [path for path in book.rglob("*solution*") if "_static" not in path.parts]


def leaks(looked_for: Secrets, published: tuple[set[tuple[str, ...]], str]) -> list[str]:
    """What of a solution somebody can read."""
    runs, text = published
    return [" ".join(run) for run in sorted(looked_for.runs & runs)] + [
        line for line in sorted(looked_for.lines) if line in text]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_line_of_a_solution(published: tuple[set[tuple[str, ...]], str], source: Path) -> None:
    asked = questions((ROOT / "book" / source.name).read_text(encoding="utf-8"))
    for name, body in bodies(source.read_text(encoding="utf-8")).items():
        looked_for = secrets(body, asked[name])
        assert len(looked_for.runs) + len(looked_for.lines) >= 3, f"{name}: too little to search for"
        assert leaks(looked_for, published) == [], name


def test_the_search_finds_what_is_there(published: tuple[set[tuple[str, ...]], str]) -> None:
    """The same search finds each exercise's own words, formulas and code, so it would find a solution's."""
    source = (ROOT / "book" / "covariance.md").read_text(encoding="utf-8")
    exercise = questions(source)["covariance-catch"]
    assert len(leaks(Secrets(phrases(exercise), set()), published)) == len(phrases(exercise)) > 10
    shown = formulas(source.partition("## Exercises")[0])
    assert shown
    assert leaks(Secrets(set(), shown), published) == sorted(shown)
    assert leaks(Secrets(set(), {'check("covariance-catch",answer)'}), published)


def test_every_chapter_with_exercises_has_solutions() -> None:
    sources = [path for page in pages() if (path := ROOT / f"{page}.md").is_file()]
    with_exercises = {path.stem for path in sources if "{exercise}" in path.read_text(encoding="utf-8")}
    assert with_exercises == {path.stem for path in SOURCES}
