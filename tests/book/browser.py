"""The built book, a server for it, and a headless Chromium to read it with."""

from __future__ import annotations

import gzip
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mixtheory.reading.pdf import FLAGS, chromium

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def pages(toc: Path = ROOT / "_toc.yml") -> list[str]:
    """The documents of the table of contents in order, root first."""
    return re.findall(r"^\s*(?:- )?(?:root|file):\s*(\S+)", toc.read_text(encoding="utf-8"), re.MULTILINE)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


class _Packed(_Quiet):
    """Text is sent compressed, as any server of a book would send it."""

    protocol_version = "HTTP/1.1"

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        if path.suffix not in (".html", ".css", ".js", ".svg", ".json") or not path.is_file():
            return super().send_head()
        body = gzip.compress(path.read_bytes(), 6)
        self.send_response(200)
        for name, value in (("Content-Type", self.guess_type(str(path))), ("Content-Encoding", "gzip"),
                            ("Content-Length", str(len(body))), ("Cache-Control", "max-age=600")):
            self.send_header(name, value)
        self.end_headers()
        return io.BytesIO(body)


@contextmanager
def serve(folder: Path = HTML, packed: bool = False) -> Iterator[str]:
    """Serve a folder on a free port of this machine, with text compressed if asked; yields its address."""
    handler = partial(_Packed if packed else _Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
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
    """Wait until everything is laid out and loaded, what scrolls is known and no colour is on its way to another."""
    page.evaluate("""async () => {
        if (!document.getElementById("all-of-it")) document.head.insertAdjacentHTML("beforeend",
            '<style id="all-of-it">* { content-visibility: visible !important; }</style>');
        const pictures = [...document.images].filter(image => image.checkVisibility());
        for (const image of pictures) image.loading = "eager";
        await Promise.allSettled(pictures.map(image => image.decode()));
        await document.fonts.ready;
        for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
        document.dispatchEvent(new KeyboardEvent("keydown", {key: "Tab"}));         // now what scrolls is measured
        await Promise.race([Promise.allSettled(document.getAnimations().map(each => each.finished)),
                            new Promise(done => setTimeout(done, 1000))]);
    }""")
