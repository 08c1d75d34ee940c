"""No trace of a solution in any file of the public build."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.book.browser import ROOT, pages

SOURCES = sorted((ROOT / "book" / "solutions").glob("*.md"))
MARKERS = ("solution-start", "solution-end", "{solution}", "BEGIN SOLUTION", "END SOLUTION", "BEGIN TESTS",
           "BEGIN HIDDEN", "confirm(\"", "exercises import confirm")
BINARY = (".woff", ".woff2", ".ttf", ".png", ".ico", ".gz", ".pdf", ".zip", ".map")
LENGTH = 8      # of a run of words; shorter ones occur by chance ("the mean entropy of a label")
WORDS = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")


def words(text: str) -> list[str]:
    return [w.lower() for w in WORDS.findall(text)]


def bodies(source: str) -> dict[str, str]:
    """Exercise -> text of its solution, code included."""
    return dict(re.findall(r"^\{ref\}`ex-(\S+)`$\n(.*?)(?=^## |\Z)", source, re.MULTILINE | re.DOTALL))


def phrases(body: str, length: int = LENGTH) -> set[tuple[str, ...]]:
    """Runs of words of a solution, taken where no formula interrupts them."""
    prose = re.sub(r"```.*?```|\$\$.*?\$\$", " | ", body, flags=re.DOTALL)
    pieces = re.split(r"[$|`{}]", re.sub(r"\$[^$]+\$|`[^`]+`", "|", prose))
    found = set()
    for piece in pieces:
        run = words(piece)
        found |= {tuple(run[i:i + length]) for i in range(len(run) - length + 1)}
    return found


def code_lines(body: str) -> set[str]:
    """Lines of code of a solution that compute something."""
    cells = re.findall(r"```\{code-cell\}[^\n]*\n(.*?)```", body, flags=re.DOTALL)
    lines = {line.strip() for cell in cells for line in cell.splitlines()}
    common = ("import", "from", ":tags:", "for ", "def ", "#")
    return {line for line in lines if len(line) > 24 and not line.startswith(common)}


def readable(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file of the build that holds text, markup taken off."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in BINARY:
            text = path.read_text(encoding="utf-8", errors="replace")
            if path.suffix in (".html", ".svg"):
                text = html.unescape(re.sub(r"<[^>]+>", "", text))
            elif path.suffix in (".ipynb", ".json", ".js"):
                text = text.replace("\\n", "\n").replace('\\"', '"')
            yield path.relative_to(folder), text


@pytest.fixture(scope="module")
def published(book: Path) -> tuple[set[tuple[str, ...]], str]:
    """All runs of so many words, and all text without spaces, of the public build."""
    runs: set[tuple[str, ...]] = set()
    texts = []
    for _, text in readable(book):
        run = words(text)
        runs |= set(zip(*(run[i:] for i in range(LENGTH)), strict=False))
        texts.append(re.sub(r"\s+", "", text))
    return runs, "\n".join(texts)


def test_no_marker_of_a_solution(book: Path) -> None:
    found = [(str(path), marker) for path, text in readable(book) if "_static" not in path.parts
             for marker in MARKERS if marker in text]
    assert found == []
    assert not [path for path in book.rglob("*solution*") if "_static" not in path.parts]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_line_of_a_solution(published: tuple[set[tuple[str, ...]], str], source: Path) -> None:
    runs, text = published
    for name, body in bodies(source.read_text(encoding="utf-8")).items():
        said = phrases(body)
        assert said or code_lines(body), f"{name}: nothing to search for"
        assert not (leaked := said & runs), f"{name}: {sorted(leaked)[:3]}"
        leaked_code = [line for line in code_lines(body) if re.sub(r"\s+", "", line) in text]
        assert not leaked_code, f"{name}: {leaked_code}"


def test_the_search_finds_what_is_there(book: Path, published: tuple[set[tuple[str, ...]], str]) -> None:
    """The same search finds the exercises' own words, so it would find a solution's."""
    runs, text = published
    source = (ROOT / "book" / "covariance.md").read_text(encoding="utf-8")
    exercise = re.search(r":label: ex-covariance-catch\n(.*?)```", source, re.DOTALL)[1]
    assert phrases(exercise) & runs
    assert "check(\"covariance-catch\",answer)" in text


def test_every_chapter_with_exercises_has_solutions() -> None:
    sources = [path for page in pages() if (path := ROOT / f"{page}.md").is_file()]
    with_exercises = {path.stem for path in sources if "{exercise}" in path.read_text(encoding="utf-8")}
    assert with_exercises == {path.stem for path in SOURCES}
