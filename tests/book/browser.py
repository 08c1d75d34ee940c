"""The built book, a server for it, and a headless Chromium to read it with."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def pages(toc: Path = ROOT / "_toc.yml") -> list[str]:
    """The documents of the table of contents in order, root first."""
    return re.findall(r"^\s*(?:- )?(?:root|file):\s*(\S+)", toc.read_text(encoding="utf-8"), re.MULTILINE)


def chromium() -> str | None:
    """Path of an installed Chromium or Chrome, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serve(folder: Path = HTML) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def browse(executable: str | None = None) -> Iterator[Any]:
    """A headless browser, the installed one unless it is named; close to no settings of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable or chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def settle(page: Any) -> None:
    """Wait until every formula is typeset and every font is there."""
    page.evaluate("""async () => {
        if (window.MathJax) {
            for (let i = 0; i < 400 && !MathJax.startup?.promise; i++)
                await new Promise(r => setTimeout(r, 25));
            await MathJax.startup.promise;
        }
        await document.fonts.ready;
    }""")
