"""Which version of the book this is: for the foot of each page, for the title page, and for those who cite it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

import mixtheory.theory  # noqa: F401  importing it registers the claims
from mixtheory import __version__
from mixtheory.domain import DomainError
from mixtheory.evidence import claims

__all__ = ["Citation", "Edition", "bibtex", "edition", "in_words", "reference"]


class Edition(NamedTuple):
    """Version, day of the build, and where git knows them short name and day of the commit."""

    version: str
    built: datetime
    commit: str | None = None
    committed: datetime | None = None

    @property
    def day(self) -> datetime:
        """The day to cite: of the commit if it is known, else of the build."""
        return self.committed or self.built

    def __str__(self) -> str:
        commit = f"commit {self.commit} of {in_words(self.committed)}, " if self.commit and self.committed else ""
        return f"Version {self.version}, {commit}built on {in_words(self.built)}"


def in_words(day: datetime) -> str:
    """A date as 7 November 2026."""
    return f"{day.day} {day:%B %Y}"


def _built() -> datetime:
    """Now, or the time that SOURCE_DATE_EPOCH gives, so that the same source makes the same book."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise DomainError(f"SOURCE_DATE_EPOCH = {text!r}: must be a whole number of seconds since 1970") from None


def edition(root: Path) -> Edition:
    """The edition that this checkout makes; git is asked where there is one, and not needed."""
    git = shutil.which("git") if (root / ".git").exists() else None
    command = [str(git), "-C", str(root), "log", "-1", "--format=%h %ct"]
    done = subprocess.run(command, capture_output=True, text=True) if git else None
    if done is None or done.returncode or len(words := done.stdout.split()) != 2:
        return Edition(__version__, _built())
    return Edition(__version__, _built(), words[0], datetime.fromtimestamp(int(words[1]), UTC))


# --- citing -------------------------------------------------------------------------------------------------------

def _fields(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


def _author(person: dict[str, str]) -> tuple[str, str]:
    """Family name and given names; a group has a name alone."""
    return person.get("name") or person["family-names"], person.get("given-names", "")


def _claim_title(claim: str) -> str:
    if claim not in claims():
        raise DomainError(f"claim = {claim!r}: no such claim is registered")
    return claims()[claim].title


def reference(root: Path, of: Edition, claim: str = "", address: str = "") -> str:
    """The book, or one claim of it, as a line of a list of references."""
    cff = _fields(root)
    people = " and ".join(" ".join(filter(None, reversed(_author(each)))) for each in cff["authors"])
    part = f"Claim {claim} ({_claim_title(claim)}), in: " if claim else ""
    line = f"{people} ({of.day.year}). {part}{cff['title']}, version {cff['version']}."
    return f"{line} {address}" if address else line


def bibtex(root: Path, of: Edition, claim: str = "", address: str = "") -> str:
    """The same as an entry for BibTeX, of a type that every style knows."""
    cff = _fields(root)
    people = " and ".join(f"{family}, {given}" if given else f"{{{family}}}" for family, given in
                          map(_author, cff["authors"]))
    note = f"Version {cff['version']}"
    if claim:
        _claim_title(claim)
        note += f", claim {_escape(claim)}"
    key = f"mixtheory:{claim}" if claim else "mixtheory"
    fields = {"author": people, "title": re.sub(r"\bMixup\b", "{Mixup}", cff["title"]), "year": str(of.day.year),
              "note": note} | ({"howpublished": rf"\url{{{address}}}"} if address else {})
    width = max(map(len, fields))
    return "\n".join([f"@misc{{{key},", *(f"  {name:<{width}} = {{{value}}}," for name, value in fields.items()), "}"])


def _escape(text: str) -> str:
    return text.replace("_", r"\_")


class Citation(SphinxDirective):
    """``{citation}`` shows how to cite the book, with `claim` how to cite one claim; fields from CITATION.cff."""

    option_spec = {"claim": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """The reference in words and in BibTeX; the page depends on the file that both come from."""
        root, claim = Path(self.env.srcdir), self.options.get("claim", "")
        self.env.note_dependency(str(root / "CITATION.cff"))
        self.env.note_reread()                          # its date is that of the commit
        of, address = edition(root), self.config.html_baseurl or self.config.mixtheory_repository
        try:
            words, entry = reference(root, of, claim, address), bibtex(root, of, claim, address)
        except DomainError as error:
            raise self.error(str(error)) from None
        return [nodes.block_quote("", nodes.paragraph("", words)),
                nodes.literal_block(entry, entry, language="bibtex")]


# --- at the foot of each page --------------------------------------------------------------------------------------

def configure(app: Sphinx, config: Config) -> None:
    """Compute the line, and take the address of the site from MIXTHEORY_SITE_URL where it is known."""
    config.mixtheory_colophon = str(edition(Path(app.srcdir)))
    if address := os.environ.get("MIXTHEORY_SITE_URL", ""):
        if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", address):
            raise DomainError(f"MIXTHEORY_SITE_URL = {address!r}: must be the http or https address of the site")
        config.html_baseurl = config.ogp_site_url = address.rstrip("/") + "/"
        config.ogp_image = "_static/social.png"         # an address must be whole, or nobody can show it


def sign(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put version, dates and the start of the source hash below the licence."""
    source = getattr(app, "mixtheory_hash", "")
    line = app.config.mixtheory_colophon + (f", source {source[:12]}" if source else "")
    context["theme_extra_footer"] = (context.get("theme_extra_footer") or "") + f'<p class="mt-colophon">{line}.</p>'
