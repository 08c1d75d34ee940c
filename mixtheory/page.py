"""What the cells of a chapter call: claims, derivations, evidence, runs and verdicts as they stand on a page.

Every function returns an object that a notebook shows; none of them types a number.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

import mixtheory.theory  # noqa: F401  importing it registers the claims
from mixtheory import paths
from mixtheory.domain import DomainError
from mixtheory.evidence import Claim, Evidence, Step, claims, evidence_for
from mixtheory.evidence import ledger as ledgers
from mixtheory.evidence.account import Account, accounts, coverage, verdict
from mixtheory.evidence.graph import MARKER, Node, draw
from mixtheory.evidence.record import Observation, Record, RecordError
from mixtheory.exercises import exercises as exercise_registry
from mixtheory.plotting import tex_to_html

__all__ = ["Html", "Markdown", "account", "all_evidence", "benchmark", "claim", "comparison", "derivation",
           "difference", "evidence", "exercises", "explorable", "foretold", "ledger", "ledger_graph", "quick_run",
           "ratios", "records_of", "runs", "scientific", "sign_verdict", "table", "theorem", "trial", "trial_summary",
           "with_interval"]

ID = re.compile(r"\b[a-z_]+\.[a-z_]+\b")
GREEK = {"lambda": "λ", "alpha": "α"}
ROUTES = {"derivation": "proof", "exact": "exact", "monte carlo": "MC"}
VERDICT_TONE = {"holds": "mt-good", "false": "mt-bad"}


class Html:
    """A piece of a page as HTML."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text


class Markdown:
    """A piece of a page as MyST Markdown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text


# ---- claims ------------------------------------------------------------------------------------------------------

def theorem(name: str) -> Markdown:
    """The statement as a numbered theorem that carries the claim's id, with its assumptions."""
    c = _claim(name)
    given = _greek("; ".join(c.assumptions))
    lines = [f":::{{prf:theorem}} {_greek(c.title)}", f":label: {name}", "",
             *([f"Assume: {given}.", ""] if given else []), "$$", c.statement, "$$", ""]
    if c.fails_when:
        text = ID.sub(lambda m: f"{{claim}}`{m[0]}`" if m[0] in claims() else m[0], _greek(c.fails_when))
        lines += [f"It fails when {text}.", ""]
    return Markdown("\n".join([*lines, ":::", ""]))


def claim(name: str) -> Html:
    """A card with the statement; its derivation and its evidence open on a click. It carries the claim's id."""
    c = _claim(name)
    row, found = _row(name)
    given = f"<dt>given</dt><dd>{_words('; '.join(c.assumptions))}</dd>" if c.assumptions else ""
    fails = f"<dt>fails when</dt><dd>{_words(c.fails_when)}</dd>" if c.fails_when else ""
    proof = f"<details><summary>Derivation</summary>{derivation(name).text}</details>" if c.derive else ""
    return Html(
        f'<div class="mt-claim" id="{name}"><div class="mt-claim-head">'
        f'<span class="mt-claim-title">{tex_to_html(_greek(c.title))}</span> '
        f'{_chips(row)}<code class="mt-claim-id">{name}</code></div>'
        f'<div class="mt-statement"><span class="math">\\[{html.escape(c.statement, quote=False)}\\]</span></div>'
        f"<dl>{given}{fails}</dl>{proof}"
        f"<details><summary>How it was checked</summary>{_evidence_table(c, row, found)}</details></div>")


def derivation(name: str) -> Html:
    """The derivation step by step, each with its reason and whether SymPy certified it or it is an appeal."""
    c = _claim(name)
    if c.derive is None:
        raise DomainError(f"name = {name!r}: this claim has no derivation, its kind is {c.kind}")
    d, problems = c.derive(), evidence_for([name])[name].problems
    refused = {i for i in range(1, len(d.steps) + 1) for p in problems if f"not certify step {i} " in p}

    def tag(i: int, step: Step) -> str:
        return "appeal" if step.appeal else "not certified" if i in refused else "certified"
    first = (f'<li><div class="mt-eq"><span class="math">\\({_tex(d.name)} = {_tex(d.start)}\\)</span></div>'
             '<div class="mt-reason">definition</div></li>')
    steps = "".join(
        f'<li><div class="mt-eq"><span class="math">\\(= {_tex(s.right)}\\)</span></div>'
        f'<div class="mt-reason">{tex_to_html(_greek(s.reason))}{_by(s.claim)} '
        f'<span class="mt-tag">{tag(i, s)}</span></div></li>' for i, s in enumerate(d.steps, 1))
    return Html(f'<ol class="mt-derivation">{first}{steps}</ol>')


def evidence(name: str) -> Html:
    """What was run against a claim and what it found, as a table."""
    row, found = _row(name)
    return Html(f'<div class="mt-run">{_chips(row)}<code class="mt-claim-id">{name}</code>'
                f"{_evidence_table(_claim(name), row, found)}</div>")


def _evidence_table(c: Claim, row: ledgers.Row, found: Evidence) -> str:
    lines: list[tuple[str, str]] = []
    if row.total:
        lines.append(("Derivation", f"{row.certified} of {row.total} steps certified by SymPy"))
    if found.exact:
        limit, error = scientific(found.exact["tolerance"]), scientific(found.exact["error"])
        text = f"largest error {error} (limit {limit}) in {found.exact['cases']} cases"
        if "orders" in found.exact:
            fitted = ", ".join(f"{o:.2f}" for o in found.exact["orders"])
            text = f"error vanishes with fitted order {fitted} (claimed {found.exact['claimed_order']:g})"
        lines.append(("Exact route", text))
    if found.monte_carlo:
        mc = found.monte_carlo
        lines.append(("Monte Carlo", f"worst entry {mc['z']:.1f} standard errors off (limit {mc['limit']:.1f}), "
                      f"{scientific(mc['n'])} draws; it would see an error of {100 * mc['sees']:.2g} % of the scale "
                      f"(asked: {100 * mc['resolution']:.2g} %)"))
    for wrong in c.wrong:
        marks = [f"{m['route']} {'rejects' if m['killed'] else 'misses'}" for m in found.mutants if m["name"] == wrong]
        lines.append((f"Mutant: {wrong}", ", ".join(marks)))
    lines += [("Training, CPU", row.observed("cpu")), ("Training, GPU", row.observed("cuda"))] if c.experiment else []
    lines += [("Problem", p) for p in row.problems]
    lines += [("Source", "; ".join(c.references))] if c.references else []
    body = "".join(f"<tr><th scope='row'>{html.escape(_greek(k))}</th><td>{html.escape(v)}</td></tr>" for k, v in lines)
    return f'<div class="mt-table"><table>{body}</table></div>'


# ---- explorables -------------------------------------------------------------------------------------------------

def explorable(name: str) -> Html:
    """A figure that the reader can move, all its states computed now; see `mixtheory.explorables`.

    Raises:
        DomainError: there is none of that name.
    """
    from mixtheory.explorables import EXPLORABLES
    if name not in EXPLORABLES:
        raise DomainError(f"name = {name!r}: no such explorable; there are {', '.join(EXPLORABLES)}")
    return Html(EXPLORABLES[name].html(link=_link))


# ---- runs --------------------------------------------------------------------------------------------------------

def quick_run(experiment: str, dataset: str | None = None) -> Record:
    """The quick CPU run of an experiment: the stored one while its code has not changed, else made now.

    Args:
        experiment: its name.
        dataset: one of its data sets; default: its first.
    """
    from mixtheory.training import experiments
    dataset = dataset or experiments.datasets_of(experiment)[0]
    path = paths.BUILD / "runs" / f"{experiment}.{dataset}.quick.cpu.json"
    try:
        record = Record.load(path)
        if not record.stale:
            return record
    except RecordError:
        pass
    record = experiments.run(experiment, dataset=dataset, scale="quick", device="cpu")
    record.save(paths.BUILD / "runs")
    return record


def records_of(experiment: str) -> list[Record]:
    """All records of an experiment: the quick one first, then the committed ones."""
    return [r for r in ledgers.records() if r.experiment == experiment]


def runs(experiment: str) -> Html:
    """Every run of an experiment with what it found; the GPU has a line of its own even if it never ran."""
    rows = []
    for r in records_of(experiment):
        verdicts = [m.verdict for m in r.measurements]
        words = f"{verdicts.count('agrees')} of {len(verdicts)} agree" + "".join(
            f", {verdicts.count(v)} {word}" for v, word in (("inconclusive", "inconclusive"), ("disagrees", "disagree"))
            if v in verdicts)
        words += f", {len(r.observations)} numbers told" if r.observations else ""
        rows.append((r.dataset, r.scale, r.environment["device_name"], len(r.seeds),
                     words + (" (stale: the code has changed since)" if r.stale else ""),
                     f"{r.wall_seconds:.0f} s"))
    if not any(r.device == "cuda" for r in records_of(experiment)):
        rows.append(("", "full", "GPU", "", ledgers.NOT_RUN, ""))
    return table(("data", "scale", "device", "replicas", "measurements", "time"), rows)


def comparison(record: Record, names: Mapping[str, str], arms: Sequence[str], *, networks: str,
               caption: str = "") -> Html:
    """What a run observed, arm beside arm: means over replicas with half the width of their 99 % intervals.

    Args:
        record: with observations.
        names: name of the observation -> words for the reader.
        arms: the columns; the first is what the others are compared with.
        networks: which group of networks.
        caption: of the table.

    Raises:
        DomainError: nothing of that name was observed in any of the arms.
    """
    found = {(o.name, o.arm.get("arm")): o for o in record.observations if o.arm.get("networks") == networks}
    rows = []
    for name, words in names.items():
        cells = [found.get((name, arm)) for arm in arms]
        if not any(cells):
            raise DomainError(f"names = {name!r}: not observed on {networks} in {record.name}")
        rows.append((words, *("" if o is None else with_interval(o.mean, o.interval) for o in cells)))
    return Html(table(("", *arms), rows, caption).text.replace('"mt-table"', '"mt-table mt-compare"', 1))


def difference(record: Record, name: str, arm: str, against: str, *, networks: str) -> Observation:
    """What an arm observed less what another did, seed by seed."""
    values = {o.arm["arm"]: np.array(o.values) for o in record.observations
              if o.name == name and o.arm.get("networks") == networks and "arm" in o.arm}
    if not {arm, against} <= set(values):
        raise DomainError(f"name = {name!r}: not observed for {arm!r} and {against!r} on {networks} in {record.name}")
    return Observation(name, {"arm": arm, "against": against}, tuple((values[arm] - values[against]).tolist()))


def foretold(records: Sequence[Record], names: Sequence[str]) -> Html:
    """The signs that an experiment said beforehand, beside what its runs observed, with a verdict by the 99 % interval.

    Args:
        records: runs of one experiment whose configuration lists `foretold` and that observed each by this name.
        names: of the runs, for the reader.
    """
    rows = []
    for said in records[0].config["foretold"]:
        cells = []
        for record in records:
            seen = record.observation("foretold", what=said["name"], sign=said["sign"])
            cells.append(f"{with_interval(seen.mean, seen.interval)}: {sign_verdict(seen, said['sign'])}")
        words = Html(f"{tex_to_html(said['words'])}<br>{_link(said['claim'])}")
        rows.append((words, "+" if said["sign"] > 0 else "\N{MINUS SIGN}", *cells))
    return table(("said beforehand, because of", "sign", *names), rows,
                 "Means over networks with half the width of their 99 % intervals.")


def sign_verdict(seen: Observation, sign: int) -> str:
    """as foretold, the opposite, or undecided, by the 99 % interval."""
    low, high = sorted(sign * end for end in (seen.interval or (0.0, 0.0)))
    return "as foretold" if low > 0 else "the opposite" if high < 0 else "undecided"


def with_interval(mean: float, interval: tuple[float, float] | None) -> str:
    """A mean and half the width of its interval, with as many digits as the width allows."""
    half = (interval[1] - interval[0]) / 2 if interval else 0.0
    size = half or abs(mean)
    digits = max(0, min(5, 1 - math.floor(math.log10(size)))) if size else 0
    text = f"{mean:.{digits}f}" + (f" ±\N{NO-BREAK SPACE}{half:.{digits}f}" if half else "")
    return text.replace("-", "\N{MINUS SIGN}")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> Html:
    """A table of texts, numbers and `Html`; TeX between dollar signs; numbers (float, int) are set to the right."""
    def cell(value: Any) -> str:
        if isinstance(value, Html):
            return f"<td>{value.text}</td>"
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        return f'<td class="mt-num">{text}</td>' if number else f"<td>{tex_to_html(text)}</td>"
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows)
    top = "".join(f"<th scope='col'>{tex_to_html(h)}</th>" if h else "<td></td>" for h in head)
    title = f"<caption>{tex_to_html(caption)}</caption>" if caption else ""
    return Html(f'<div class="mt-table"><table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>')


def ratios(name: str) -> list[dict[str, Any]]:
    """The committed files of a benchmark, one a device, CPU first; a file's `ratios` are its rows.

    Raises:
        DomainError: no such file in book/benchmarks.
    """
    folder = paths.RECORDS and paths.RECORDS.parent / "benchmarks"
    found = [path for device in ("cpu", "cuda") if folder and (path := folder / f"{name}.{device}.json").is_file()]
    if not found:
        raise DomainError(f"name = {name!r}: there is no book/benchmarks/{name}.cpu.json; run the benchmark")
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def benchmark(name: str, *, calls: Sequence[str] = ()) -> Html:
    """The committed ratios of a benchmark, device by device; `python -m mixtheory.training.benchmarks.NAME` makes them.

    Args:
        name: of the module in `mixtheory.training.benchmarks`.
        calls: only rows that time one of these; none: all rows.

    Raises:
        DomainError: no such file in book/benchmarks.
    """
    found = ratios(name)
    rows: list[Sequence[Any]] = []
    where = []
    numbers = {"call", "reference", "median", "low", "high", "seconds", "bound", "required", "verdict"}
    for body in found:
        where.append(f"{body['environment']['device_name']}, {body['environment']['threads']} threads")
        for r in body["ratios"]:
            if not calls or r["call"] in calls:
                asked = "" if r["bound"] is None else f"{r.get('required', 'at most')} {r['bound']:g}: {r['verdict']}"
                rows.append((", ".join(str(value) for key, value in r.items() if key not in numbers),
                             f"{r['call']} / {r['reference']}",
                             f"{r['median']:.3g} [{r['low']:.3g}, {r['high']:.3g}]", asked))
    if len(found) == 1:
        where.append(f"GPU: {ledgers.NOT_RUN}")
    return table(("case", "time of", "ratio, 99 % interval", "required"), rows, "; ".join(where))


# ---- the account and the ledger ----------------------------------------------------------------------------------

def account(chapter: str) -> Html:
    """What the popular account says on the matter of a chapter, and what is true."""
    return Html("".join(_account_card(a) for a in accounts().values() if a.chapter == chapter))


def trial() -> Html:
    """Every statement of the popular account with its verdict, by chapter."""
    known, statuses = all_evidence()
    rows = []
    for a in accounts().values():
        word = verdict(a, known, statuses)
        tone = VERDICT_TONE.get(word, "")
        deciding = " ".join(_link(c) for c in a.deciding if c in claims()) or f"chapter to come: {a.chapter}"
        corrected = tex_to_html(a.corrected) if word != "undecided" else ""
        rows.append(f'<tr id="account-{a.id}"><td>{tex_to_html(a.says)}</td><td class="{tone}">{word}</td>'
                    f"<td>{corrected}</td><td>{deciding}</td></tr>")
    head = "".join(f'<th scope="col">{c}</th>' for c in ("What is said", "Verdict", "What is true", "Decided by"))
    return Html(f'<div class="mt-table mt-trial"><table><thead><tr>{head}</tr></thead>'
                f"<tbody>{''.join(rows)}</tbody></table></div>")


def trial_summary() -> dict[str, int]:
    """How many statements hold, hold under conditions, are false, are undecided; and their total."""
    known, statuses = all_evidence()
    words = [verdict(a, known, statuses) for a in accounts().values()]
    counts = {w: words.count(w) for w in ("holds", "holds under conditions", "false", "undecided")}
    decided, total = coverage(known, statuses)
    return {**counts, "decided": decided, "total": total}


def ledger(chapter: str | None = None) -> Html:
    """The rows of a chapter, or of the whole book; mutants as rejected / tried on each route."""
    rows = [r for r in _ledger() if chapter is None or r.chapter == chapter]
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in (
        _link(r.id), f"{_status(r.status)} {r.kind}", f"{r.certified} / {r.total}" if r.total else "none",
        "none" if r.exact_error is None else scientific(r.exact_error),
        f"{r.monte_carlo['z']:.1f} at {100 * r.monte_carlo['resolution']:.2g} %" if r.monte_carlo else "none",
        ", ".join(f"{ROUTES[route]} {k}/{t}" for route, (k, t) in r.mutants.items()),
        html.escape(r.observed("cpu")), html.escape(r.observed("cuda")))) + "</tr>" for r in rows)
    head = "".join(f"<th scope='col'>{c}</th>" for c in (
        "claim", "status, kind", "steps certified", "exact error", "<i>z</i> at resolution", "mutants rejected",
        "CPU run", "GPU run"))
    return Html(f'<div class="mt-table mt-ledger"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
                "</div>")


def ledger_graph(folded: bool = True) -> Html:
    """What rests on what: the chapters, and folded away the claims of each; every node is a link to its place.

    A chapter has the colour of its weakest claim. Without `folded`, the chapters alone.
    """
    rows = _ledger()
    by_id = {r.id: r for r in rows}
    chapters = list(dict.fromkeys(r.chapter for r in rows))
    nodes = []
    for name in chapters:
        own = [r.status for r in rows if r.chapter == name]
        words = ", ".join(f"{own.count(s)} {s}" for s in reversed(ledgers.STATUSES) if s in own)
        weakest = min(own, key=ledgers.STATUSES.index)
        nodes.append(Node(name, name.replace("_", " "), f"{len(own)} claims", f"{name}: {words}", f"{name}.html",
                          f"var(--mt-{weakest}, {ledgers.COLOURS[weakest]})"))
    between = dict.fromkeys((b.partition(".")[0], r.chapter) for r in rows for b in r.rests_on if b in by_id)
    overview = draw(nodes, [e for e in between if e[0] != e[1]], label="Which chapters rest on which")
    if not folded:
        return Html(overview)
    parts = []
    for name in chapters:
        own = [r for r in rows if r.chapter == name]
        used = dict.fromkeys(b for r in own for b in r.rests_on if b in by_id and by_id[b].chapter != name)
        drawn = ledgers.graph_svg([*(replace(by_id[b], rests_on=()) for b in used), *own])
        parts.append(f"<details><summary>{name.replace('_', ' ')}: {len(own)} claims</summary>"
                     f"{drawn.replace(MARKER, '')}</details>")
    return Html(overview + "".join(parts))


def _account_card(a: Account) -> str:
    known, statuses = all_evidence()
    word = verdict(a, known, statuses)
    links = " ".join(_link(c) for c in a.deciding if c in claims())
    truth = f"<dt>what is true</dt><dd>{tex_to_html(a.corrected)}</dd>" if a.corrected and word != "undecided" else ""
    by = f"<dt>decided by</dt><dd>{links}</dd>" if links else ""
    return (f'<div class="mt-account"><dl><dt>it is said</dt><dd>{tex_to_html(a.says)}</dd>'
            f'<dt>verdict</dt><dd class="{VERDICT_TONE.get(word, "")}">{word}</dd>{truth}{by}</dl></div>')


# ---- exercises ---------------------------------------------------------------------------------------------------

def exercises(chapter: str) -> Html:
    """The head of a chapter's exercises: how to check an answer, and the notebook to do it in."""
    found = exercise_registry(chapter)
    judged = sum(e.wants is not None for e in found.values())
    if not found:
        raise DomainError(f"chapter = {chapter!r}: no exercise of it is declared")
    return Html(
        f'<div class="mt-exercises"><p>{len(found)} exercises, {judged} of which a program can judge. '
        "It says whether an answer is right, or in what way it is wrong, and never shows the answer:</p>"
        f'<pre>from mixtheory.exercises import check\ncheck("{next(iter(found))}", answer)</pre>'
        f'<p><a class="mt-download" download href="exercises/{chapter}.ipynb">Exercise notebook of this chapter</a></p>'
        "</div>")


# ---- pieces ------------------------------------------------------------------------------------------------------

def scientific(value: float) -> str:
    """A number in a few characters: 0.05, 1.2 x 10^-15, 3 million draws as 3.0 x 10^6."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _claim(name: str) -> Claim:
    if name not in claims():
        raise DomainError(f"name = {name!r}: no such claim is registered")
    return claims()[name]


def _row(name: str) -> tuple[ledgers.Row, Evidence]:
    found = ledgers.with_basis([name])
    return next(r for r in ledgers.rows(found, ledgers.records()) if r.id == name), found[name]


def _ledger() -> list[ledgers.Row]:
    return ledgers.rows(ledgers.with_basis(list(claims())), ledgers.records())


def all_evidence() -> tuple[dict[str, Evidence], dict[str, str]]:
    """The evidence for every claim, and every claim's status, by id."""
    known = ledgers.with_basis(list(claims()))
    return known, ledgers.statuses(ledgers.rows(known, ledgers.records()))


def _chips(row: ledgers.Row) -> str:
    return f'<span class="mt-chips">{_status(row.status)} <span class="mt-tag">{row.kind}</span></span> '


def _status(word: str) -> str:
    return f'<span class="mt-status mt-{word}">{word}</span>'


def _link(name: str) -> str:
    return f'<a class="mt-claim-ref" href="{_claim(name).chapter}.html#{name}"><code>{name}</code></a>'


def _by(name: str | None) -> str:
    return f" ({_link(name)})" if name else ""


def _tex(expression: Any) -> str:
    text = expression if isinstance(expression, str) else sp.latex(expression)
    return html.escape(text, quote=False)


def _words(text: str) -> str:
    """Plain words with TeX; ids of claims become links."""
    return ID.sub(lambda m: _link(m[0]) if m[0] in claims() else m[0], tex_to_html(_greek(text)))


def _greek(text: str) -> str:
    """lambda and alpha as letters, outside TeX and code."""
    return re.sub(r"(?<![\\.`\w])(lambda|alpha)(?![`\w])", lambda m: GREEK[m[0]], text)
