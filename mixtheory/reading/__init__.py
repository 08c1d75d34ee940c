"""What makes the book pleasant to read, beyond its text: a Sphinx extension, a file for each concern.

* `previews`: what a link leads to can be seen without following it.
* `terms`: the index says where a term is used.
* `colophon`: which version of the book this is, and how to cite it.
* `launch`: links that open a chapter, or its exercises, in a notebook of the reader's own.
* `descriptions`: what is said of a page elsewhere.
* `pdf`: the whole book on paper, from its finished pages.
* `social`: the picture that stands for the book where somebody shares a link.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from mixtheory import __version__
from mixtheory.reading import colophon, descriptions, launch, previews, terms

__all__ = ["setup"]

EARLY, LATE = 100, 900          # before other extensions have their say; after everything that finishes the pages


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything. Values that stand on every page are part of the configuration: a change rewrites them."""
    app.add_config_value("mixtheory_colophon", "", "html", types=[str])
    app.add_config_value("mixtheory_repository", "", "html", types=[str])
    app.add_directive("citation", colophon.Citation)
    app.add_transform(terms.IndexTerms)
    for script in (previews.SCRIPT, "print.js"):
        app.add_js_file(script, loading_method="defer")
    app.connect("config-inited", colophon.configure)
    app.connect("config-inited", launch.configure)
    app.connect("html-page-context", colophon.sign)
    app.connect("html-page-context", launch.offer)
    app.connect("html-page-context", descriptions.tell, priority=EARLY)
    app.connect("html-page-context", descriptions.forget_address, priority=LATE)
    app.connect("build-finished", previews.write, priority=LATE)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
