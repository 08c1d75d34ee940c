"""Every use of a term of the glossary is an entry of the index, after the term's own."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

__all__ = ["IndexTerms"]


class IndexTerms(SphinxTransform):
    """Put a place for the index before each ``{term}`` of a chapter; before Sphinx collects the entries of a page."""

    default_priority = 800

    def apply(self, **kwargs: Any) -> None:
        """One entry for each term of a page: where it is used first."""
        seen: set[str] = set()
        for node in list(self.document.findall(addnodes.pending_xref)):
            term = node.get("reftarget", "")
            if node.get("reftype") != "term" or term in seen or self._in_glossary(node):
                continue
            seen.add(term)
            place = f"use-{nodes.make_id(term)}"
            entry = addnodes.index(entries=[("single", term, place, "", None)])
            target = nodes.target("", "", ids=[place])
            self.document.note_explicit_target(target)
            index = node.parent.index(node)
            node.parent[index:index] = [entry, target]

    @staticmethod
    def _in_glossary(node: nodes.Node) -> bool:
        while node is not None and not isinstance(node, addnodes.glossary):
            node = node.parent
        return node is not None
