"""axe, the accessibility checker, run on an open page."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")

# No rule is about what is inside a formula or a drawing; leaving that out makes a page of formulas ten times quicker.
RUN = """values => axe.run({exclude: [["math"], ["svg[role=img] *"]]}, {
    runOnly: {type: values[0].startsWith("wcag") ? "tag" : "rule", values}, resultTypes: ["violations"],
}).then(result => result.violations)"""


@cache
def _script() -> str:
    return (Path(find_spec("axe_playwright_python").origin).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Any, *only: str) -> list[dict[str, Any]]:
    """What axe finds: the rules that are broken, each with its elements; all rules, or only those named."""
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(_script())
    return page.evaluate(RUN, list(only) or TAGS)


def told(found: list[dict[str, Any]]) -> list[str]:
    """Each violation in a line, with the first elements that break the rule."""
    return [f"axe {rule['id']} ({len(rule['nodes'])}): {rule['help']}: "
            + " | ".join(node["html"][:120] for node in rule["nodes"][:3]) for rule in found]
