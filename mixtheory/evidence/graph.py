"""A small layered drawing of a directed graph as HTML with inline SVG; knows nothing of claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Node", "draw", "layers"]

TALL, ROW, PASSING, GAP = 36, 48, 14, 64     # pixels: box, its row, an edge passing by, between columns
MARKER = ('<defs><marker id="mt-graph-tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
          'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>')
STYLE = """
.mt-graph-scroll { overflow-x: auto; max-width: 100% }
.mt-graph svg { display: block; max-width: none; font-family: var(--pst-font-family-base, sans-serif) }
.mt-graph-edge { fill: none; stroke: currentColor; stroke-opacity: .45; stroke-width: 1.2 }
.mt-graph-box { fill: var(--pst-color-background, Canvas); stroke-width: 2 }
.mt-graph a:hover .mt-graph-box, .mt-graph a:focus-visible .mt-graph-box { stroke-width: 4 }
.mt-graph text { fill: currentColor; font-size: 13px }
.mt-graph .mt-graph-small { font-size: 10.5px; opacity: .75 }
.mt-graph-key { border-left: .7em solid; padding: 0 .9em 0 .35em; font-size: .85em }
"""


@dataclass(frozen=True)
class Node:
    """A box with two lines of text, a tooltip, a link and the CSS colour of its border."""

    id: str
    text: str
    small: str
    title: str
    link: str
    colour: str


def layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The length of the longest path that leads to each node; a circle ends at the number of nodes."""
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for start, end in edges:
            depth[end] = max(depth[end], min(depth[start] + 1, len(depth) - 1))
    return depth


def routes(depth: dict[str, int], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Each edge as a chain that meets every layer on its way; places in between have names of their own."""
    return [[a, *(f"{a} > {b} {level}" for level in range(depth[a] + 1, depth[b])), b] for a, b in edges]


def columns(depth: dict[str, int], chains: Sequence[Sequence[str]]) -> list[list[str]]:
    """Nodes and places of passing edges by layer; in each, near the mean height of those that lead there."""
    levels = dict(depth)
    levels |= {n: depth[chain[0]] + i for chain in chains for i, n in enumerate(chain) if n not in depth}
    before: dict[str, list[str]] = {n: [] for n in levels}
    for chain in chains:
        for a, b in zip(chain, chain[1:], strict=False):
            before[b].append(a)
    height: dict[str, float] = {}
    result = []
    for level in range(max(levels.values(), default=-1) + 1):
        column = [n for n in levels if levels[n] == level]
        mean = {n: sum(height.get(a, 0.5) for a in before[n]) / max(1, len(before[n])) for n in column}
        column.sort(key=mean.__getitem__)
        height |= {n: (i + 1) / (len(column) + 1) for i, n in enumerate(column)}
        result.append(column)
    return result


def draw(nodes: Sequence[Node], edges: Sequence[tuple[str, str]], *, label: str,
         legend: Sequence[tuple[str, str]] = ()) -> str:
    """One HTML element: edges run from left to right, nodes without any stand in rows below.

    Args:
        nodes: the boxes.
        edges: pairs of their ids.
        label: what the graph is, for those who do not see it.
        legend: pairs (name, CSS colour).

    Text and edges take `currentColor`, boxes the page's background; a narrow screen scrolls sideways.
    """
    ends = {n for edge in edges for n in edge}
    depth = layers([n.id for n in nodes if n.id in ends], edges)
    chains = routes(depth, edges)
    grid = columns(depth, chains)
    alone = [n.id for n in nodes if n.id not in ends]
    width = 7 * max((len(n.text) for n in nodes), default=0) + 22
    share = {n: ROW if n in depth else PASSING for column in grid for n in column}
    tallest = max((sum(share[n] for n in column) for column in grid), default=0)
    place: dict[str, tuple[float, float]] = {}
    for x, column in enumerate(grid):
        y = (tallest - sum(share[n] for n in column)) / 2
        for n in column:
            place[n] = (x * (width + GAP), y)
            y += share[n]
    across = max(len(grid), 3)
    place |= {n: (i % across * (width + GAP), tallest + i // across * ROW + 24)
              for i, n in enumerate(alone)}
    right = max((x for x, _ in place.values()), default=0) + width + 4
    bottom = max((y for _, y in place.values()), default=0) + TALL + 4
    body = [_edge([place[n] for n in chain], width) for chain in chains]
    body += [_box(n, place[n.id], width) for n in nodes]
    keys = "".join(f'<span class="mt-graph-key" style="border-color: {colour}">{escape(name)}</span>'
                   for name, colour in legend)
    return (f'<div class="mt-graph"><style>{STYLE}</style><p>{keys}</p>'
            f'<div class="mt-graph-scroll" tabindex="0" role="group" aria-label="{escape(label)}">'
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 -2 {right:.0f} {bottom:.0f}" '
            f'width="{right:.0f}" height="{bottom:.0f}">{MARKER}{"".join(body)}</svg></div></div>')


def _edge(chain: Sequence[tuple[float, float]], width: float) -> str:
    """From the right of the first box, straight through each place between, to the left of the last box."""
    middle = [PASSING / 2 if 0 < i < len(chain) - 1 else TALL / 2 for i in range(len(chain))]
    heights = [y + m for (_, y), m in zip(chain, middle, strict=True)]
    path = f"M{chain[0][0] + width:.0f} {heights[0]:.1f}"
    for i in range(1, len(chain)):
        x0, y0, x1, y1 = chain[i - 1][0] + width, heights[i - 1], chain[i][0], heights[i]
        bend = max(30.0, (x1 - x0) / 2)
        path += f"C{x0 + bend:.0f} {y0:.1f} {x1 - bend:.0f} {y1:.1f} {x1:.0f} {y1:.1f}"
        path += f"h{width}" if i < len(chain) - 1 else ""
    return f'<path class="mt-graph-edge" marker-end="url(#mt-graph-tip)" d="{path}"/>'


def _box(node: Node, at: tuple[float, float], width: float) -> str:
    x, y = at
    return (f'<a href="{escape(node.link)}"><title>{escape(node.title)}</title>'
            f'<rect class="mt-graph-box" style="stroke: {node.colour}" x="{x:.0f}" y="{y:.1f}" '
            f'width="{width}" height="{TALL}" rx="5"/>'
            f'<text x="{x + 10:.0f}" y="{y + 15:.1f}">{escape(node.text)}</text>'
            f'<text class="mt-graph-small" x="{x + 10:.0f}" y="{y + 29:.1f}">{escape(node.small)}</text></a>')
