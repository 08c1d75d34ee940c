"""Claims have a place and links to it.

``{claim}`covariance.population` `` links to the place where the claim stands. An unknown id is a warning, and so is a
claim of the registry that stands nowhere on its chapter's page: a strict build fails on both.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def registry() -> dict[str, Any]:
    """Every claim by id."""
    import mixtheory.theory  # noqa: F401  importing it registers the claims
    from mixtheory.evidence import claims

    return claims()


def home(claim: str) -> str:
    """The page on which a claim stands."""
    return f"book/{claim.partition('.')[0]}"


def note_claims(app: Sphinx, doctree: nodes.document) -> None:
    """Remember the ids on a page, also those in the HTML of its outputs."""
    docname = app.env.docname
    raw = "\n".join(node.astext() for node in doctree.findall(nodes.raw))
    ids = {name for node in doctree.findall(nodes.Element) for name in node["ids"]}
    ids |= set(re.findall(r"""\bid=["']([^"']+)["']""", raw))
    app.env.metadata[docname]["claims"] = sorted(name for name in ids if "." in name)


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
