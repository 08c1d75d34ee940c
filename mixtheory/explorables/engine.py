"""A figure that a reader can move: every picture and every number of it is computed ahead, here.

An `Explorable` has a few controls with finitely many values each. For every combination a function says what is drawn
and what is read off; both go into the page as JSON. The player (`player.js`) looks up the state of the controls, maps
coordinates to pixels and writes texts. It computes nothing, so that what a reader sees is what `mixtheory` returned.

Without JavaScript and in print the same SVG stands still.
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mixtheory.domain import DomainError
from mixtheory.evidence import claims
from mixtheory.explorables.drawing import draw, path
from mixtheory.explorables.parts import Control, Panel, State
from mixtheory.plotting import tex_to_html

__all__ = ["Explorable", "Table"]

PLAYER = Path(__file__).with_name("player.js")


class Table(NamedTuple):
    """One entry for each combination of those controls on which it depends.

    Attributes:
        strides: the entry of a state is sum(stride * index) over the controls; 0: it does not depend on that one.
        values: the entries.
    """

    strides: list[int]
    values: list[Any]


@dataclass(frozen=True)
class Explorable:
    """An interactive figure with all its states.

    Attributes:
        name: in lower case, as in `page.explorable(name)`.
        controls: at least one.
        panels: from left to right.
        readouts: name -> words for the reader; TeX allowed.
        state: takes the controls' values by name and returns what is seen.
        claims: ids of the claims that it illustrates.
        caption: states the finding; TeX and **bold** allowed.

    Raises:
        DomainError: a claim that is not registered, or texts that are not one a value.
    """

    name: str
    controls: Sequence[Control]
    panels: Sequence[Panel]
    readouts: dict[str, str]
    state: Callable[..., State]
    claims: Sequence[str]
    caption: str

    def __post_init__(self) -> None:
        for name in self.claims:
            if name not in claims():
                raise DomainError(f"claims = {name!r}: explorable {self.name!r} illustrates a claim that is not there")
        for control in self.controls:
            if not 0 <= control.start < len(control.values) == len(control.texts):
                raise DomainError(f"{control.name} = {len(control.texts)} texts, start {control.start}: explorable "
                                  f"{self.name!r} needs a text for each of {len(control.values)} values, start in them")

    def html(self, link: Callable[[str], str]) -> str:
        """The figure: pictures, controls, readouts, data and the player. `link` turns a claim's id into HTML."""
        data, pictures = self._compute()
        start = [c.start for c in self.controls]
        tables = {r["name"]: Table(**r["texts"]) for r in data["readouts"]}
        shown = {name: table.values[_entry(table, start)] for name, table in tables.items()}
        readouts = "".join(f"<div><dt>{tex_to_html(words)}</dt><dd><output data-readout=\"{name}\">"
                           f"{html.escape(shown[name])}</output></dd></div>" for name, words in self.readouts.items())
        at = "; ".join(c.said[c.start] for c in self.controls)
        return (f'<figure class="mt-figure mt-explorable" data-explorable="{self.name}">'
                f'<div class="mt-explorable-panels">{"".join(pictures)}</div>'
                f'<div class="mt-explorable-controls" hidden>{"".join(map(self._control, self.controls))}</div>'
                f'<p class="mt-explorable-at">Shown: <span data-at>{html.escape(at)}</span></p>'
                f'<dl class="mt-explorable-readouts" aria-live="polite">{readouts}</dl>'
                "<noscript><p>With JavaScript this figure moves.</p></noscript>"
                f'<script type="application/json">{_json(data)}</script>'
                f'<script type="module">{PLAYER.read_text(encoding="utf-8")}</script>'
                f"<figcaption>{tex_to_html(self.caption)} "
                f'<span class="mt-explorable-claims">Illustrates {" ".join(map(link, self.claims))}</span></figcaption>'
                "</figure>")

    def states(self) -> dict[tuple[int, ...], State]:
        """Everything that can be seen, by the indices of the controls' values."""
        found = {}
        for index in itertools.product(*(range(len(c.values)) for c in self.controls)):
            found[index] = self.state(**{c.name: c.values[i] for c, i in zip(self.controls, index, strict=True)})
        return found

    def _compute(self) -> tuple[dict[str, Any], list[str]]:
        states, shape = self.states(), [len(c.values) for c in self.controls]
        start, layers, pictures = tuple(c.start for c in self.controls), [], []
        for panel in self.panels:
            svg, scales = draw(panel, states[start])
            for layer in panel.layers:
                x, y = (_table([s.layers[layer.name][axis] for s in states.values()], shape, scales[axis].rounded)
                        for axis in (0, 1))
                made = {"name": layer.name, "kind": layer.kind, "map": [*scales[0].map, *scales[1].map],
                        "decimals": [s.decimals for s in scales], "x": x._asdict(), "y": y._asdict()}
                layers.append(made)
                first = path(layer.kind, x.values[_entry(x, start)], y.values[_entry(y, start)], made["map"])
                svg, count = re.subn(rf'<g id="[^"]*layer-{layer.name}">\s*<path d="[^"]*"',
                                     f'<g><path data-layer="{layer.name}" d="{first}"', svg)
                if count != 1:
                    raise DomainError(f"layer = {layer.name!r}: {count} paths in explorable {self.name!r}, must be one")
            pictures.append(f'<div class="mt-explorable-panel" style="flex-grow: {panel.size[0]:g}; flex-basis: '
                            f'{panel.size[0] * 5.2:.1f}rem; max-width: {panel.size[0] * 6.6:.1f}rem">{svg}</div>')
        readouts = [{"name": name, "texts": _table([s.readouts[name] for s in states.values()], shape)._asdict()}
                    for name in self.readouts]
        controls = [{"name": c.name, "texts": list(c.texts), "said": c.said} for c in self.controls]
        return {"controls": controls, "layers": layers, "readouts": readouts}, pictures

    def _control(self, c: Control) -> str:
        label, text = html.escape(c.label), html.escape(c.texts[c.start])
        if not c.choice:
            return (f'<div class="mt-explorable-slider"><label><span>{label}</span>'
                    f'<input type="range" min="0" max="{len(c.values) - 1}" value="{c.start}" step="1" '
                    f'data-control="{c.name}" aria-valuetext="{text}" autocomplete="off"></label>'
                    f'<span data-value="{c.name}" aria-hidden="true">{text}</span></div>')
        buttons = "".join(
            f'<label><input type="radio" name="explorable-{self.name}-{c.name}" value="{i}" data-control="{c.name}"'
            f'{" checked" if i == c.start else ""}><span>{html.escape(t)}</span></label>'
            for i, t in enumerate(c.texts))
        return f'<fieldset class="mt-explorable-choice"><legend>{label}</legend><div>{buttons}</div></fieldset>'


def _table(entries: Sequence[Any], shape: Sequence[int], change: Callable[[Any], Any] = lambda entry: entry) -> Table:
    """All entries of a grid (last control fastest) without the controls on which they do not depend."""
    grid = np.empty(len(entries), dtype=object)
    for i, entry in enumerate(entries):
        grid[i] = change(entry)
    grid = grid.reshape(tuple(shape))
    for axis in range(grid.ndim):
        first = grid.take([0], axis=axis)
        repeated = np.broadcast_to(first, grid.shape)
        if all(np.array_equal(a, b) for a, b in zip(grid.ravel(), repeated.ravel(), strict=True)):
            grid = first
    strides, step = [], 1
    for n in reversed(grid.shape):
        strides.append(0 if n == 1 else step)
        step *= n
    return Table(strides[::-1], grid.ravel().tolist())


def _entry(table: Table, index: Sequence[int]) -> int:
    return sum(s * i for s, i in zip(table.strides, index, strict=True))


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
