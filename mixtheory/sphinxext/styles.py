"""One style sheet for all pages, with the rules that some page can use.

A theme and ten extensions bring a style sheet each, most of it for what this book does not have. They are joined; a
selector is kept if every class, id and element that it names occurs as a word somewhere in the pages or their scripts.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import tinycss2
from tinycss2.ast import HashToken, IdentToken, LiteralToken, Node

from mixtheory.sphinxext.fonts import cut, package

SHEET = re.compile(r'<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="(?:\.\./)*_static/([^"?]+)[^"]*"[^>]*>\s*')
IMPORT = re.compile(r"""@import\s+(?:url\()?['"]([^'"]+\.css)['"]\)?\s*;""")
ADDRESS = re.compile(r"""url\(['"]?(?!data:|#|/)([^'")]+)['"]?\)""")
WORD = re.compile(r"[\w-]+")
NAME = "book.css"
ICONS = "vendor/fontawesome/*/webfonts/fa-solid-900.woff2"


def bundle(folder: Path, pages: dict[Path, str]) -> str:
    """Write the joined style sheet of these pages; returns the address of it in _static."""
    static, target = folder / "_static", folder / "_static" / NAME
    named = re.search(r"/\* (.*?) \*/", target.read_text(encoding="utf-8")) if target.is_file() else None
    sheets = dict.fromkeys(named[1].split() if named else ())      # pages that were finished before name no others
    for text in pages.values():
        sheets |= dict.fromkeys(name for name in SHEET.findall(text) if name != NAME)
    scripts = [path.read_text(encoding="utf-8") for path in static.rglob("*.js") if "vendor" not in path.parts]
    words = set(WORD.findall("\n".join([*pages.values(), *scripts])))
    css = "\n".join(used(read(static, name), words) for name in sheets)
    head = f'@charset "utf-8";\n/* {" ".join(sheets)} */\n'
    target.write_text(head + css, encoding="utf-8")
    cut_icons(css, static)
    return f"{NAME}?v={hashlib.sha256(css.encode()).hexdigest()[:8]}"


def read(static: Path, name: str) -> str:
    """A sheet with what it imports, its addresses as they are seen from the folder _static."""
    def here(address: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(name), address))
    parts = IMPORT.split((static / name).read_text(encoding="utf-8"))
    return "".join(read(static, here(part)) if k % 2 else ADDRESS.sub(lambda found: f'url("{here(found[1])}")', part)
                   for k, part in enumerate(parts))


def used(css: str, words: set[str]) -> str:
    """The rules that name nothing unknown."""
    return "\n".join(_used(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), words))


def _used(rules: list[Node], words: set[str]) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            kept = [part for part in _selectors(rule.prelude) if _names(part) <= words]
            body = tinycss2.serialize(tinycss2.parse_blocks_contents(rule.content, skip_comments=True,
                                                                     skip_whitespace=True))
            if kept and body:
                yield f"{','.join(tinycss2.serialize(part).strip() for part in kept)}{{{body}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports", "layer") and rule.content:
            inner = "\n".join(_used(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True),
                                    words))
            if inner:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword not in ("charset", "import"):
            yield tinycss2.serialize([rule])


def _selectors(prelude: list[Node]) -> list[list[Node]]:
    parts: list[list[Node]] = [[]]
    for token in prelude:
        if isinstance(token, LiteralToken) and token.value == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _names(selector: list[Node]) -> set[str]:
    """Classes, ids and elements; what stands after a colon or in brackets does not count."""
    names, before = set(), None
    for token in selector:
        if isinstance(token, HashToken) or isinstance(token, IdentToken) and before != ":":
            names.add(token.value)
        before = token.value if isinstance(token, LiteralToken) else None
    return names


def cut_icons(css: str, static: Path) -> None:
    """The font of the icons with those that the style sheet still names."""
    icons = set(re.findall("[\ue000-\uf8ff]", css))
    theme = package("pydata_sphinx_theme") / "theme" / "pydata_sphinx_theme" / "static"
    for source in theme.glob(ICONS):
        cut(source, icons, static / source.relative_to(theme))
