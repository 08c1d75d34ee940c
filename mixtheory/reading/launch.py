"""Links that open a chapter on Binder and its exercises on Colab, where the address of the repository is known.

The checkout does not say where it is published: MIXTHEORY_REPOSITORY does, or `repository: url:` in _config.yml, or
GitHub's own variables in its workflows. Without any of these, or where it is not on GitHub, a page offers nothing.
Links lead to the tag of the version, so that they open what the reader reads.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sphinx.application import Sphinx
from sphinx.config import Config

from mixtheory import __version__
from mixtheory.domain import DomainError
from mixtheory.exercises import exercises

__all__ = ["binder", "colab", "repository"]

ADDRESS = re.compile(r"(https://[\w.-]+(?:/[\w.-]+?){2,})(?:\.git)?/?")
GITHUB = "https://github.com/"


def repository(configured: str = "") -> str:
    """Address of the repository, without a slash or .git at its end; empty where none is known."""
    server, name = os.environ.get("GITHUB_SERVER_URL", GITHUB.rstrip("/")), os.environ.get("GITHUB_REPOSITORY", "")
    known = {"MIXTHEORY_REPOSITORY": os.environ.get("MIXTHEORY_REPOSITORY", ""),
             "repository: url: in _config.yml": configured, "GITHUB_REPOSITORY": f"{server}/{name}" if name else ""}
    source, address = next(((s, a) for s, a in known.items() if a), ("", ""))
    if address and not (found := ADDRESS.fullmatch(address)):
        raise DomainError(f"{source} = {address!r}: must be an address such as https://github.com/SOMEBODY/SOMETHING")
    return found[1] if address else ""


def binder(address: str, page: str) -> str:
    """Opens a page of a repository on GitHub in JupyterLab, the package installed by .binder/requirements.txt."""
    name = address.removeprefix(GITHUB)
    return f"https://mybinder.org/v2/gh/{name}/v{__version__}?urlpath={quote(f'lab/tree/{page}.md', safe='/')}"


def colab(address: str, chapter: str) -> str:
    """Opens a chapter's exercises; the publishing workflow puts these notebooks under a tag of their own."""
    name = address.removeprefix(GITHUB)
    return f"https://colab.research.google.com/github/{name}/blob/notebooks-v{__version__}/{chapter}.ipynb"


def _is_notebook(source: Path) -> bool:
    return re.search(r"^kernelspec:", source.read_text(encoding="utf-8"), re.MULTILINE) is not None


def configure(app: Sphinx, config: Config) -> None:
    """Find the repository before the pages are written."""
    config.mixtheory_repository = repository((config.html_theme_options or {}).get("repository_url", ""))


def offer(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put the links below the heading of each page that is a notebook."""
    address = app.config.mixtheory_repository
    if not address.startswith(GITHUB) or doctree is None or not _is_notebook(Path(app.env.doc2path(pagename))):
        return
    chapter = Path(pagename).name
    links = [f'<a href="{binder(address, pagename)}">this chapter on Binder</a>']
    if exercises(chapter):
        links.append(f'<a href="{colab(address, chapter)}">its exercises on Colab</a>')
    line = f'<p class="mt-launch">Run {" or ".join(links)}.</p>'
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)
