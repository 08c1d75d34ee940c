"""One look for all figures: inline SVG that follows the page's colours, in light and in dark."""

from __future__ import annotations

import contextlib
import hashlib
import html
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixtheory.domain import DomainError
from mixtheory.evidence import claims, evidence_for
from mixtheory.evidence.record import Measurement

__all__ = ["COLOURS", "Picture", "figure", "measured_against_predicted", "picture", "prediction_against_monte_carlo"]

COLOURS = ("#0072b2", "#c04c00", "#007d5a", "#a8497f", "#8a5c00", "#4d4d4d")     # Okabe and Ito, darkened for text
INK, AXIS, GRID = "#24292f", "#6b7280", "#e3e6ea"
MARKERS = "osD^vP"
STYLE: dict[str, Any] = {
    "axes.prop_cycle": mpl.cycler(color=COLOURS), "axes.edgecolor": AXIS, "axes.labelcolor": INK,
    "axes.titlecolor": INK, "axes.titlesize": 11, "axes.labelsize": 11, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.8, "axes.axisbelow": True,
    "text.color": INK, "xtick.color": AXIS, "ytick.color": AXIS, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "legend.frameon": False, "legend.fontsize": 9.5, "font.size": 10.5, "lines.linewidth": 1.8, "lines.markersize": 5,
    "figure.figsize": (6.8, 3.7), "figure.constrained_layout.use": True, "savefig.transparent": True,
    "svg.fonttype": "path", "svg.hashsalt": "mixtheory", "mathtext.fontset": "cm"}
VARIABLES = {**{c: f"var(--mt-c{i}, {c})" for i, c in enumerate(COLOURS)},
             INK: f"var(--mt-ink, {INK})", AXIS: f"var(--mt-axis, {AXIS})", GRID: f"var(--mt-grid, {GRID})"}


class Picture:
    """A finished figure; in a notebook it shows itself as SVG with caption and a text for screen readers."""

    def __init__(self, svg: str, caption: str, alt: str) -> None:
        self.svg, self.caption, self.alt = svg, caption, alt

    def _repr_html_(self) -> str:
        return f'<figure class="mt-figure">{self.svg}<figcaption>{tex_to_html(self.caption)}</figcaption></figure>'


@contextlib.contextmanager
def figure(columns: int = 1, **size: Any) -> Iterator[tuple[Figure, Any]]:
    """Open a figure in the style of the book, for a `with` block; keyword arguments go to `Figure.subplots`."""
    with mpl.rc_context(STYLE):
        height = size.pop("height", 3.6)
        fig = Figure(figsize=(6.8 if columns == 1 else 3.6 * columns, height))
        if columns > 1:
            fig.get_layout_engine().set(wspace=0.08)
        yield fig, fig.subplots(1, columns, **size)


def picture(fig: Figure, *, caption: str, alt: str) -> Picture:
    """Turn a figure into inline SVG whose colours are the page's variables.

    Args:
        fig: made by `figure`.
        caption: states the finding; TeX between dollar signs; **bold** allowed.
        alt: what somebody who cannot see the picture needs to know.
    """
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8] + "-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}", svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" ', 1)
    return Picture(svg, caption, alt)


def prediction_against_monte_carlo(
        name: str, axes: Axes, *, x: str = "alpha", along: np.ndarray | None = None,
        entry: tuple[int, ...] = (), where: Mapping[str, Any] | None = None, label: str = "prediction",
        mutants: Sequence[str] = (), colour: int = 0,
        transform: Callable[[np.ndarray, Mapping[str, Any]], np.ndarray] | None = None) -> None:
    """Draw a claim: `predict` as a line, stored estimates with their z1 error bars, formula mutants dashed.

    Args:
        name: claim id.
        axes: where to draw.
        x: the parameter on the horizontal axis; cases with x = 0 or inf are left out on a logarithmic one.
        along: values of x for the line; default: the span of the cases.
        entry: which entry of an array prediction.
        where: only cases with these values of other parameters.
        label: legend text of the line.
        mutants: names of formula mutants to draw.
        colour: index into COLOURS.
        transform: applied to values (and interval ends) with their case, for instance division by a unit.

    Raises:
        DomainError: a claim that is not registered or not simulated.
    """
    evidence, claim = evidence_for([name])[name], claims()[name]
    if evidence.monte_carlo is None:
        raise DomainError(f"name = {name!r}: this claim is not simulated, there is no Monte Carlo to draw")
    change = transform or (lambda values, case: values)
    picked = [(case, e) for case, e in zip(claim.cases, evidence.monte_carlo["estimates"], strict=True)
              if all(np.array_equal(case[k], v) for k, v in (where or {}).items()) and 0 < case[x] < np.inf]
    base = picked[0][0]
    points = np.array([float(case[x]) for case, _ in picked])
    line = np.geomspace(points.min(), points.max(), 120) if along is None else np.asarray(along)
    whole = isinstance(base[x], (int, np.integer))

    def curve(mutant: str | None = None) -> np.ndarray:
        wrong = claim.wrong[mutant] if mutant else None
        varied = [{**base, x: int(v) if whole else float(v)} for v in line]
        return np.array([change(claim.prediction(case, wrong)[entry], case) for case in varied])

    axes.plot(line, curve(), color=COLOURS[colour], label=label)
    for i, mutant in enumerate(mutants):
        axes.plot(line, curve(mutant), color=COLOURS[1 + i], linestyle=(0, (5, 2 + i)), label=f"wrong: {mutant}")
    mean = np.array([change(np.asarray(e["mean"])[entry], case) for case, e in picked])
    half = evidence.monte_carlo["limit"] * np.array([change(np.asarray(e["se"])[entry], case) for case, e in picked])
    axes.errorbar(points, mean, yerr=half, fmt=MARKERS[colour % len(MARKERS)], color=COLOURS[colour], capsize=3,
                  markerfacecolor="none", label="Monte Carlo" if label == "prediction" else None)


def measured_against_predicted(axes: Axes, measurements: Sequence[Measurement], labels: Sequence[str]) -> None:
    """Replica means with their 99 % intervals (dots) on the predicted values (bars), one row a measurement."""
    rows = np.arange(len(measurements))[::-1]
    axes.scatter([m.predicted for m in measurements], rows, marker="|", s=220, linewidths=2.2, color=COLOURS[1],
                 label="predicted", zorder=2)
    mean = np.array([m.mean for m in measurements])
    half = np.array([(m.interval[1] - m.interval[0]) / 2 for m in measurements])
    axes.errorbar(mean, rows, xerr=half, fmt="o", color=COLOURS[0], capsize=3, label="measured, 99 % interval",
                  markerfacecolor="none", zorder=3)
    axes.set_yticks(rows, labels)
    axes.grid(axis="y", visible=False)
    axes.margins(y=0.08)


def tex_to_html(text: str) -> str:
    """Plain words with $TeX$ and **bold** as HTML."""
    formulas = re.findall(r"\$(.+?)\$", html.escape(text, quote=False))
    words = re.sub(r"\$(.+?)\$", "\0", html.escape(text, quote=False))        # bold may span a formula
    words = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", words)
    spans = iter(rf'<span class="math">\({formula}\)</span>' for formula in formulas)
    return re.sub("\0", lambda _: next(spans), words)
