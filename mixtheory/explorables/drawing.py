"""From a panel to SVG: the picture of a state, and where its layers lie in it.

Coordinates are rounded to a thousandth of their axis or finer, a fraction of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from mixtheory.explorables.parts import DASHES, KINDS, Layer, Panel, State
from mixtheory.plotting import COLOURS, figure, picture

__all__ = ["Scale", "draw", "path"]

STEPS = 1000                                             # of an axis, between which a coordinate is rounded, at least


class Scale(NamedTuple):
    """An axis: coordinates are rounded to `decimals` (after their logarithm was taken if `log`), then mapped."""

    log: bool
    decimals: int
    map: tuple[float, float]

    def rounded(self, values: Any) -> list[float]:
        values = np.asarray(values, dtype=float)
        return [int(v) if v == int(v) else v
                for v in (np.round(np.log10(values) if self.log else values, self.decimals) + 0.0).ravel().tolist()]


def draw(panel: Panel, state: State) -> tuple[str, tuple[Scale, Scale]]:
    """The panel's SVG, its layers as matplotlib draws them, and how its axes map to it."""
    with figure(height=panel.size[1]) as (fig, ax):
        fig.set_size_inches(*panel.size)
        for layer in panel.layers:
            _add(ax, layer, *state.layers[layer.name])
        panel.draw(ax)
        if panel.legend is not None and ax.get_legend_handles_labels()[1]:
            ax.legend(**panel.legend)
        svg = picture(fig, caption="", alt=panel.alt).svg
        (left, bottom), (right, top) = ax.get_position().get_points() * fig.get_size_inches() * 72
        height = fig.get_figheight() * 72
        return svg, (_scale(ax.get_xlim(), ax.get_xscale(), left, right),
                     _scale(ax.get_ylim(), ax.get_yscale(), height - bottom, height - top))


def _add(ax: Axes, layer: Layer, x: Any, y: Any) -> None:
    colour, gid = COLOURS[layer.colour], f"layer-{layer.name}"
    x, y = (np.asarray(v, dtype=float) if len(v) else np.ones(1) for v in (x, y))   # there must be a path
    look = {"alpha": layer.opacity, "gid": gid, "label": layer.label or None}
    if layer.kind == "area":
        ax.fill(x, y, color=colour, linewidth=0, **look)
        return
    if KINDS[layer.kind] == 1:                            # a dot is a stroke of no length with a round cap
        look["label"] = None
        ax.plot([], [], "o", color=colour, markersize=layer.width, alpha=layer.opacity, label=layer.label or None)
    ax.plot(x, y, color=colour, linewidth=layer.width, linestyle=DASHES[layer.dash],
            solid_capstyle="round" if KINDS[layer.kind] == 1 else "butt", **look)


def _scale(limits: tuple[float, float], kind: str, low: float, high: float) -> Scale:
    a, b = np.log10(limits) if kind == "log" else limits
    slope = (high - low) / (b - a)
    return Scale(kind == "log", int(np.ceil(np.log10(STEPS / abs(b - a)))),
                  (float(f"{slope:.9g}"), float(f"{low - slope * a:.9g}")))


def path(kind: str, x: Sequence[float], y: Sequence[float], to: Sequence[float]) -> str:
    """The data of an SVG path, as the player makes it too.

    Args:
        kind: one of KINDS.
        x: coordinates, as in the JSON.
        y: of the same length.
        to: (a, b, c, d) of the pixels a x + b and c y + d.
    """
    a, b, c, d = to
    parts = []
    for i, (u, v) in enumerate(zip(x, y, strict=True)):
        first = i == 0 if KINDS[kind] is None else i % KINDS[kind] == 0
        parts.append(f"{'M' if first else 'L'}{a * u + b:.2f} {c * v + d:.2f}{'h0' if kind == 'dots' else ''}")
    return "".join(parts) + ("Z" if kind == "area" and parts else "")
