"""What the teaching guide shows: chapters with their exercises and slides, what rests on what, misconceptions."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from mixtheory import page, paths
from mixtheory.domain import DomainError
from mixtheory.evidence import claims
from mixtheory.evidence.account import accounts, verdict
from mixtheory.exercises import LEVELS, exercises
from mixtheory.plotting import tex_to_html

__all__ = ["misconceptions", "overview", "problem_sets", "rests_on", "title"]


def source(chapter: str) -> str:
    """The source of a chapter's page.

    Raises:
        DomainError: the book is not here, or has no such page.
    """
    path = paths.ROOT / "book" / f"{chapter}.md" if paths.ROOT else None
    if path is None or not path.is_file():
        raise DomainError(f"chapter = {chapter!r}: there is no page of this name in the checkout's book")
    return path.read_text(encoding="utf-8")


def title(chapter: str) -> str:
    """The heading of a chapter's page."""
    return re.search(r"^# (.+)$", source(chapter), re.MULTILINE)[1]


def rests_on(chapter: str) -> list[str]:
    """The other chapters whose claims the derivations of this one use, in the order of their registration."""
    used = {basis.partition(".")[0] for c in claims().values() if c.chapter == chapter and c.derive
            for basis in c.derive().rests_on}
    return [name for name in dict.fromkeys(c.chapter for c in claims().values()) if name in used - {chapter}]


def overview(chapters: Sequence[str]) -> page.Html:
    """One row a chapter: what it rests on, its claims, its exercises by level with their time, slides and notebook."""
    rows = []
    for name in chapters:
        own = list(exercises(name).values())
        levels = ", ".join(f"{sum(e.level == level for e in own)} {level}" for level in LEVELS
                           if any(e.level == level for e in own))
        hours = sum(e.minutes for e in own) / 60
        slides = re.search(r"plotting\.picture\(|page\.explorable\(", source(name))
        rows.append((_link(name), ", ".join(map(_title_of, rests_on(name))) or "nothing",
                     sum(c.chapter == name for c in claims().values()), f"{levels}; {hours:.1f} h",
                     page.Html((f'<a href="slides/{name}.html">slides</a>, ' if slides else "")
                               + f'<a href="exercises/{name}.ipynb" download>exercise notebook</a>')))
    return page.table(("chapter", "rests on", "claims", "exercises", "for class"), rows)


def problem_sets() -> page.Html:
    """One row a problem set: what it is about, time, difficulty, points, and the notebook of the public course."""
    from mixtheory.course import master
    from mixtheory.course.handouts import SEED

    rows = []
    for path in master.masters():
        made = master.read(path.stem, master.render(path, SEED))
        points = sum(q.points for q in made.questions)
        by_hand = sum(q.points for q in made.questions if q.manual)
        number = path.stem.partition("_")[0]
        words = f"<b>{html.escape(made.meta['title'])}</b><br>{html.escape(made.meta['kind'])}"
        rows.append((int(number), page.Html(words),
                     f"{made.meta['minutes']} min", f"{made.meta['difficulty']} of 5",
                     f"{points} ({by_hand} by hand)",
                     page.Html(f'<a href="handouts/{path.stem}.ipynb" download>notebook</a>')))
    return page.table(("set", "what", "time", "difficulty", "points", "download"), rows)


def misconceptions() -> page.Html:
    """The statements of the popular account that are false, or hold only under conditions, with what is true."""
    known, statuses = page.all_evidence()
    rows = []
    for a in accounts().values():
        word = verdict(a, known, statuses)
        if word in ("false", "holds under conditions"):
            by = " ".join(f'<a class="mt-claim-ref" href="{c.partition(".")[0]}.html#{c}"><code>{c}</code></a>'
                          for c in a.deciding)
            rows.append((word != "false", a.chapter, page.Html(tex_to_html(a.says)), word,
                         page.Html(f"{tex_to_html(a.corrected)}<br>{by}")))
    rows.sort(key=lambda row: row[0])
    return page.table(("a student may say", "verdict", "what to answer, and the claim that shows it"),
                      [row[2:] for row in rows])


def _title_of(chapter: str) -> str:
    return chapter.replace("_", " ")


def _link(chapter: str) -> page.Html:
    return page.Html(f'<a href="{chapter}.html">{html.escape(title(chapter))}</a>')
