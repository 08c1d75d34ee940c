"""What the book needs from Sphinx beyond Jupyter Book.

* Pages ask no other host for anything: MathJax and its fonts come from an installed package, Thebe is out.
* ``{claim}`covariance.population` `` links to the place where the claim stands. An unknown id is a warning,
  and so is a claim of the registry that stands nowhere on its chapter's page: a strict build fails on both.
* No page survives a change in the package: its bytes are hashed, and when the hash is new every page is
  executed and read again.
* Notebooks that are not in the cache are executed in parallel before they are read.
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util import logging
from sphinx.util.display import status_iterator
from sphinx.util.fileutil import copy_asset

from mixtheory import __version__

PACKAGE = Path(__file__).parent
LOGGER = logging.getLogger(__name__)


# --- no page survives a change in the package ---------------------------------------------------------------


def package_hash(package: Path = PACKAGE, records: Path | None = None) -> str:
    """SHA-256 over names and bytes of every Python file and script of the package and every committed record."""
    digest = hashlib.sha256()
    for folder, pattern in ((package, "*.py"), (package, "*.js"), (records, "*.json")):
        for path in sorted(folder.rglob(pattern)) if folder else ():
            digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def drop_stale_cache(app: Sphinx) -> None:
    """Empty the execution cache when another version of the package filled it."""
    app.mixtheory_hash = package_hash(records=Path(app.srcdir, "book", "records"))
    cache = Path(app.env.mystnb_config.execution_cache_path)
    stamp = cache / "mixtheory.sha256"
    if cache.is_dir() and (not stamp.is_file() or stamp.read_text() != app.mixtheory_hash):
        from jupyter_cache import get_cache

        get_cache(cache).clear_cache()
    cache.mkdir(parents=True, exist_ok=True)
    stamp.write_text(app.mixtheory_hash)


def reread_stale_pages(app: Sphinx, env: BuildEnvironment, *_: Any) -> set[str]:
    """Every page, when another version of the package made them; their hash is pickled with them."""
    if getattr(env, "mixtheory_hash", None) == app.mixtheory_hash:
        return set()
    env.mixtheory_hash = app.mixtheory_hash
    return set(env.found_docs)


# --- notebooks in parallel ----------------------------------------------------------------------------------


def execute_ahead(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Execute the notebooks that the cache does not hold; the reader reports one that fails."""
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn
    from jupyter_cache.executors.utils import single_nb_execution
    from myst_nb.core.read import create_nb_reader

    config = env.mystnb_config
    if config.execution_mode != "cache":
        return
    cache = get_cache(config.execution_cache_path)
    missing = []
    for name in docnames:
        path = Path(env.doc2path(name))
        text = path.read_text(encoding="utf-8")
        reader = create_nb_reader(str(path), env.myst_config, config, text)
        if reader is None:
            continue
        notebook = reader.read(text)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            missing.append((path, notebook))
    if len(missing) < 2:
        return
    workers = min(os.cpu_count() or 1, len(missing))
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    running: dict[Future, Path] = {}
    with ThreadPoolExecutor(workers) as pool:
        for path, notebook in missing:
            running[pool.submit(single_nb_execution, notebook, cwd=str(path.parent), allow_errors=False,
                                timeout=config.execution_timeout)] = path
        for done in status_iterator(as_completed(running), "executing notebooks... ", "purple", len(running),
                                    app.verbosity, lambda future: running[future].stem):
            result = None if done.exception() else done.result()
            if result is not None and result.err is None:
                bundle = CacheBundleIn(result.nb, str(running[done]), data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if before is None:
        del os.environ["OMP_NUM_THREADS"]


# --- claims -------------------------------------------------------------------------------------------------


def registry() -> dict[str, Any]:
    """Every claim by id."""
    import mixtheory.theory  # noqa: F401  importing it registers the claims
    from mixtheory.evidence import claims

    return claims()


def home(claim: str) -> str:
    """The page on which a claim stands."""
    return f"book/{claim.partition('.')[0]}"


def note_claims(app: Sphinx, doctree: nodes.document) -> None:
    """Remember the ids on a page, also those in the HTML of its outputs, and whether that has formulas."""
    docname = app.env.docname
    raw = "\n".join(node.astext() for node in doctree.findall(nodes.raw))
    ids = {name for node in doctree.findall(nodes.Element) for name in node["ids"]}
    ids |= set(re.findall(r"""\bid=["']([^"']+)["']""", raw))
    app.env.metadata[docname]["claims"] = sorted(name for name in ids if "." in name)
    if r"\(" in raw or r"\[" in raw:
        app.env.get_domain("math").data["has_equations"][docname] = True


def link_claim(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.Element
) -> nodes.Node | None:
    """The link behind ``{claim}``; None, hence a warning, for a claim that is unknown or has no page."""
    claim = node["reftarget"]
    if node["reftype"] != "claim" or claim not in registry() or home(claim) not in env.found_docs:
        return None
    uri = app.builder.get_relative_uri(node["refdoc"], home(claim))
    return nodes.reference("", "", content, internal=True, refuri=f"{uri}#{claim}", classes=["mt-claim-ref"])


def check_claims(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn for every claim of the registry without a place (an element with its id) on its chapter's page."""
    for claim in registry():
        if claim not in env.metadata.get(home(claim), {}).get("claims", ()):
            LOGGER.warning("claim %s has no place on its page", claim, location=home(claim), type="claim")


def escape_bars(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """In docstrings |x| is an absolute value, not a substitution of reStructuredText."""
    for i, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        lines[i] = "".join(p if p.startswith("``") else re.sub(r"(?<!\\)\|", r"\\|", p) for p in parts)


# --- offline ------------------------------------------------------------------------------------------------


def disconnect_thebe(app: Sphinx, *_: Any) -> None:
    """Jupyter Book loads Thebe, its script and its server's address even where nobody asked for live code."""
    for listeners in app.events.listeners.values():
        listeners[:] = [each for each in listeners if not each.handler.__module__.startswith("sphinx_thebe")]


def trim_page(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take out the last of Thebe and write down which version of the package made the page."""
    context["css_files"] = [sheet for sheet in context["css_files"] if "thebe" not in str(sheet)]
    context["metatags"] = (context.get("metatags") or "") + (
        f'<meta name="generator" content="mixtheory {__version__}">\n'
        f'<meta name="mixtheory-hash" content="{app.mixtheory_hash}">\n')


def tidy_static(app: Sphinx, exception: Exception | None) -> None:
    """Bring MathJax: one file, its fonts, the TeX extensions that it loads on demand. Drop what is unused.

    The theme draws its icons twice, with a web font and with a script larger than all else on a page.
    """
    if exception is not None or app.builder.format != "html":
        return
    source = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    static = Path(app.outdir, "_static")
    for part in ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"):
        target = static / "mathjax" / part
        copy_asset(str(source / part), str(target.parent if target.suffix else target))
    for script in static.glob("vendor/fontawesome/*/js/all.min.js"):
        script.write_text("/* the icons come from the web font */\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything; late where we need the configuration of MyST-NB or the scripts of a theme."""
    app.setup_extension("sphinx.ext.autodoc")           # its event is used below
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.add_role("claim", XRefRole(warn_dangling=True))
    app.connect("config-inited", disconnect_thebe)
    app.connect("builder-inited", drop_stale_cache, priority=900)
    app.connect("env-get-outdated", reread_stale_pages)
    app.connect("env-before-read-docs", execute_ahead)
    app.connect("doctree-read", note_claims)
    app.connect("missing-reference", link_claim)
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("env-check-consistency", check_claims)
    app.connect("html-page-context", trim_page, priority=900)
    app.connect("build-finished", tidy_static)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
