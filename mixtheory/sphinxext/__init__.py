"""What the book needs from Sphinx beyond Jupyter Book, a file for each concern.

* `freshness`: no page survives a change in the package.
* `notebooks`: what is not in the cache is executed in parallel.
* `claims`: links to claims; every claim has its place.
* `figures`: figures are files, loaded when a reader comes near.
* `formulas`: mathematics is set when the book is built.
* `site`: pages load what they use, from here alone, and their markup is fit for everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.roles import XRefRole

from mixtheory import __version__
from mixtheory.sphinxext import claims, figures, formulas, freshness, notebooks, site
from mixtheory.sphinxext.freshness import package_hash

__all__ = ["package_hash", "setup"]


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Finish the written pages."""
    if exception is None and app.builder.format == "html":
        folder = Path(app.outdir)
        figures.extract(folder)
        formulas.typeset(folder, formulas.Store(Path(app.doctreedir, "formulas.json")))
        site.finish(folder)
        site.redirect(app)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything; late where we need the configuration of MyST-NB or the scripts of a theme."""
    app.setup_extension("sphinx.ext.autodoc")           # its event is used below
    app.add_role("claim", XRefRole(warn_dangling=True))
    app.connect("config-inited", site.disconnect)
    app.connect("builder-inited", freshness.drop_stale_cache, priority=900)
    app.connect("env-get-outdated", freshness.reread_stale_pages)
    app.connect("env-before-read-docs", notebooks.execute_ahead)
    app.connect("doctree-read", claims.note_claims)
    app.connect("missing-reference", claims.link_claim)
    app.connect("autodoc-process-docstring", claims.escape_bars)
    app.connect("env-check-consistency", claims.check_claims)
    app.connect("html-page-context", site.trim, priority=900)
    app.connect("build-finished", finish, priority=800)     # after the theme has written the colours of code
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
