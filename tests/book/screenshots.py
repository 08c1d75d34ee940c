"""Full-page screenshots, light, dark and on a phone: `python -m tests.book.screenshots OUTDIR [PAGE ...]`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.book.browser import DESKTOP, PHONE, browse, pages, serve, settle

VIEWS = {
    "light": (DESKTOP, "light"), "dark": (DESKTOP, "dark"),
    "phone": (PHONE, "light"), "phone-dark": (PHONE, "dark"),
}


def main(folder: Path, wanted: list[str]) -> None:
    """Write PAGE-VIEW.png for each page and view."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in pages() if not wanted or Path(name).name in wanted]
    with serve() as address, browse() as browser:
        for view, (viewport, scheme) in VIEWS.items():
            page = browser.new_page(viewport=viewport, color_scheme=scheme)
            for name in names:
                page.goto(f"{address}/{name}.html")
                settle(page)
                page.screenshot(path=folder / f"{Path(name).name}-{view}.png", full_page=True)
            page.close()
    sys.stdout.write(f"{len(names) * len(VIEWS)} screenshots in {folder}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
