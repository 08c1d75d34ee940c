"""Web fonts with the signs that the book uses and no others."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from fontTools import subset

logging.getLogger("fontTools.subset").setLevel(logging.WARNING)      # it tells each table

LETTERS = ((0x41, 26, 0x1D434), (0x61, 26, 0x1D44E), (0x391, 25, 0x1D6E2), (0x3B1, 25, 0x1D6FC))
ALWAYS = "√ℎ−ϵϑϕ𝜖𝜗𝜙𝜕ı𝚤"                     # drawn by MathML itself, or the italics of letters outside the ranges


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    if (found := find_spec(name)) is None:
        raise ModuleNotFoundError(f"building the book needs the package {name!r}: install the extra `book`")
    return Path(found.origin).parent


def cut(source: Path, signs: Iterable[str], target: Path, features: Iterable[str] = ()) -> None:
    """Write the part of a font that draws these signs, with its names and its licence."""
    options = subset.Options(flavor="woff2", hinting=False, layout_features=list(features), name_IDs=["*"])
    target.parent.mkdir(parents=True, exist_ok=True)
    with subset.load_font(source, options) as font:
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=sorted({ord(sign) for sign in signs}))
        subsetter.subset(font)
        subset.save_font(font, target, options)


def cut_mathematics(signs: Iterable[str], target: Path) -> None:
    """The font of the formulas; MathML draws a single letter in italics, so these come along."""
    letters = set(signs) | set(ALWAYS)
    for first, count, italic in LETTERS:
        letters |= {chr(italic + ord(sign) - first) for sign in letters if first <= ord(sign) < first + count}
    cut(package("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf", letters, target, features=["ssty"])
