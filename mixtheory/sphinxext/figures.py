"""Figures stand in files of their own, one for light pages and one for dark ones.

A notebook holds its figures as inline SVG. A finished page would parse and draw all of them, thousands of elements,
before anybody can read a line; as pictures they are loaded when the reader comes near. The files know no variable of
the page, so that they can be shown by other programs too.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import Path

FOLDER = "figures"                                            # in _static
FIGURE = re.compile(r'(?<=<figure class="mt-figure">)\s*(<svg\b.*?</svg>)', re.DOTALL)
USED = re.compile(rf"_static/{FOLDER}/([\w-]+\.svg)")
VARIABLE = re.compile(r"var\((--mt-[\w-]+), *([^)]+)\)")
DARK = re.compile(r'html\[data-theme="dark"\]\s*\{([^}]*)\}')
LABEL = re.compile(r'<svg\b[^>]*\baria-label="([^"]*)"')
SIZE = re.compile(r'\bviewBox="0 0 ([\d.]+) ([\d.]+)"')
PIXELS = 4 / 3                                                # in a point


def dark_colours(css: str) -> dict[str, str]:
    """The variables of the dark theme in the book's style sheet."""
    if (rule := DARK.search(css)) is None:
        raise ValueError("custom.css: there is no rule for the dark theme")
    return dict(re.findall(r"(--mt-[\w-]+):\s*([^;]+);", rule[1]))


def painted(svg: str, colours: dict[str, str]) -> str:
    """The drawing with colours for variables; those not given have the value that the drawing itself names."""
    return VARIABLE.sub(lambda found: colours.get(found[1], found[2]), svg)


def pictures(svg: str, name: str, root: str, static: Path) -> str:
    """Write the files of a drawing; returns the elements that show them.

    Args:
        svg: from the page.
        name: of the files, without their ending.
        root: the way from the page to the folder of the site, such as "../".
        static: the folder _static.
    """
    width, height = (round(float(points) * PIXELS) for points in SIZE.search(svg).groups())
    looks = {"light": {}, "dark": dark_colours((static / "custom.css").read_text(encoding="utf-8"))}
    shown = []
    for look, colours in looks.items():
        drawing, file = painted(svg, colours), f"{name}-{look}.svg"
        (static / FOLDER / file).write_text(drawing, encoding="utf-8")
        version = hashlib.sha256(drawing.encode()).hexdigest()[:8]
        shown.append(f'<img class="mt-{look} dark-light" src="{root}_static/{FOLDER}/{file}?v={version}" '
                     f'alt="{LABEL.search(svg)[1]}" width="{width}" height="{height}" loading="lazy">')
    return "".join(shown)


def extract(folder: Path) -> None:
    """Move the figures of all pages to files; a page that has no more inline ones stays as it is."""
    static, used = folder / "_static", set()
    (static / FOLDER).mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*.html")):
        place = path.relative_to(folder)
        if "_static" in place.parts:
            continue
        text = path.read_text(encoding="utf-8")
        count, root = itertools.count(1), "../" * (len(place.parts) - 1)
        new = FIGURE.sub(lambda found: pictures(found[1], f"{path.stem}-{next(count)}", root, static), text)  # noqa: B023
        if new != text:
            path.write_text(new, encoding="utf-8")
        used |= set(USED.findall(new))
    for path in (static / FOLDER).iterdir():
        if path.name not in used:
            path.unlink()
