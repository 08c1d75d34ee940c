"""A JupyterLab of its own for a test: no news, no updates, no settings of whoever runs it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.book.browser import ROOT

SETTINGS = {"notebook-extension/tracker": {"windowingMode": "none"},        # every cell is in the page
            "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}
PATIENCE = 120_000


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """Serve the notebooks of a folder; yields the address."""
    for name, settings in SETTINGS.items():
        path = folder / ".settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {name: str(folder / f".{name.lower()}") for name in
              ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    environment = {**os.environ, **places, "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
                   "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
         "--IdentityProvider.token=", "--LabApp.news_url=None", "--LabApp.extension_manager=readonly"],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(480):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5)
                break
            except OSError:
                assert server.poll() is None, "JupyterLab ended"
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def open_notebook(page: Any, address: str, name: str) -> None:
    """Show a notebook and wait for its kernel."""
    page.goto(f"{address}/lab/tree/{name}", timeout=PATIENCE)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=PATIENCE)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=PATIENCE)


def cell_with(page: Any, text: str) -> Any:
    """The code cell that contains a text."""
    return page.locator(".jp-CodeCell", has=page.locator(".cm-content", has_text=text)).first


def run_cell(page: Any, cell: Any, source: str | None = None) -> str:
    """Run a code cell, with a new source if one is given, by keyboard; what it shows when the kernel is done."""
    cell.locator(".cm-content").click()
    if source is not None:
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(source)
    before = cell.locator(".jp-InputPrompt").inner_text()
    page.keyboard.press("Control+Enter")
    for turn in range(1, PATIENCE // 200):              # asked anew each time: JupyterLab may draw a cell again
        now = cell.locator(".jp-InputPrompt").inner_text()
        if now != before and any(c.isdigit() for c in now):
            break
        if now == before and turn % 50 == 0:            # it was not ready; somebody would try again
            cell.locator(".cm-content").click()
            page.keyboard.press("Control+Enter")
        page.wait_for_timeout(200)
    else:
        raise AssertionError(f"the cell has not run: its prompt is {now!r}")
    return cell.locator(".jp-OutputArea").inner_text()
