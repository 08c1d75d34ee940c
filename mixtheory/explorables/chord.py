"""Explorable: one kink stays, another moves, and the chord penalty goes up or down."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mixtheory.explorables.engine import Explorable
from mixtheory.explorables.mixing import alpha_slider, named
from mixtheory.explorables.parts import Control, Layer, Panel, State
from mixtheory.plotting import AXIS, INK
from mixtheory.theory import geometry
from mixtheory.theory.geometry_kinks import chord_penalty

__all__ = ["ALPHAS", "CHORD", "FIRST", "JUMPS", "PLACES", "penalty"]

FIRST = 0.3  # place of the kink that stays, with jump 1
PLACES = tuple((np.arange(1, 20) / 20).tolist())
JUMPS = tuple((np.arange(-7, 4) / 4).tolist())
ALPHAS = (0.1, 0.2, 0.4, 1.0, 2.0, 4.0, 10.0, np.inf)
FINE = np.linspace(JUMPS[0], JUMPS[-1], 31)


def penalty(place: float, jump: Any, alpha: float) -> np.ndarray:
    """E D^2 of a kink of jump 1 at FIRST and another one, of one or several jumps."""
    jumps = np.stack([np.ones(np.shape(jump)), jump], axis=-1)
    return chord_penalty(np.broadcast_to([FIRST, place], jumps.shape), jumps, alpha)


@functools.cache
def _alone(alpha: float) -> float:
    """E D^2 of the first kink by itself."""
    return float(chord_penalty(np.array([FIRST]), np.array([1.0]), alpha))


@functools.cache
def _prices(place: float, alpha: float) -> tuple[float, ...]:
    """The same for the jumps FINE, over that of the first kink alone."""
    return tuple((penalty(place, FINE, alpha) / _alone(alpha)).tolist())


def _sum(at: np.ndarray, place: float, jump: float) -> np.ndarray:
    """The deviation D of both kinks."""
    return geometry.deviation(at, np.tile([FIRST, place], (len(at), 1)), np.tile([1.0, jump], (len(at), 1)))


@functools.cache
def _tents(place: float, jump: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The tent of the second kink, and the sum of both along the segment and at the kinks."""
    second, at, kinks = np.array([0, place, 1]), np.unique([0.0, FIRST, place, 1.0]), np.array([FIRST, place])
    both = (at, _sum(at, place, jump))
    return {
        "moving": (second, -jump * geometry.tent(second, place)),
        "sum": both,
        "shade": both,
        "kinks": (kinks, _sum(kinks, place, jump)),
    }


def _state(place: float, jump: float, alpha: float) -> State:
    cost, alone = float(penalty(place, jump, alpha)), _alone(alpha)
    return State(
        {
            **_tents(place, jump),
            "price": (FINE, _prices(place, alpha)),
            "now": ([jump], [cost / alone]),
        },
        {"pair": f"{1000 * cost:.3f}", "alone": f"{1000 * alone:.3f}", "ratio": f"{cost / alone:.2f}"},
    )


def _deviations(ax: Axes) -> None:
    at = np.array([0, FIRST, 1])
    ax.axhline(0, color=AXIS, linewidth=1.2)
    ax.plot(at, -geometry.tent(at, FIRST), ":", color=INK, linewidth=1.6, label="tent of the kink that stays")
    ax.set(xlim=(0, 1), ylim=(-0.42, 0.6), xlabel=r"$\lambda$ along the segment", ylabel="deviation from the chord")


def _price(ax: Axes) -> None:
    ax.axhline(1, color=INK, linestyle=":", linewidth=1.6, label="first kink alone")
    ax.set(
        xlim=(JUMPS[0], JUMPS[-1]),
        ylim=(0, 5.2),
        xlabel="jump of the second kink",
        ylabel="penalty, units of the first kink's",
    )


CHORD = Explorable(
    name="chord",
    controls=[
        Control("place", "Second kink, place", PLACES, [named(v, "k") for v in PLACES], PLACES.index(0.6)),
        Control("jump", "Second kink, jump", JUMPS, [named(v, "J") for v in JUMPS], JUMPS.index(-0.75)),
        alpha_slider(ALPHAS),
    ],
    panels=[
        Panel(
            [
                Layer("shade", "area", 0, opacity=0.14),
                Layer("moving", colour=1, dash="dashed", width=1.6, label="tent of the second"),
                Layer("sum", colour=0, width=2.4, label="their sum $D$"),
                Layer("kinks", "dots", 1, 7),
            ],
            _deviations,
            size=(3.6, 3.5),
            legend={"fontsize": 8.5, "handlelength": 2.4, "loc": "upper right"},
            alt="Along the segment: the dotted tent of the kink that stays, the dashed tent of the second one, and "
                "their sum, which is the deviation from the chord.",
        ),
        Panel(
            [Layer("price", colour=0), Layer("now", "dots", 0, 9)],
            _price,
            size=(3.2, 3.5),
            legend={"fontsize": 9, "loc": "upper center"},
            alt="The penalty against the jump of the second kink, a parabola that dips below the line of the first "
                "kink alone for some negative jumps; a dot marks the chosen jump.",
        ),
    ],
    readouts={
        "pair": r"$\mathbb{E}D^2$ of the pair, thousandths",
        "alone": "of the first kink alone",
        "ratio": "ratio",
    },
    state=_state,
    claims=["geometry.tents", "geometry.penalty", "geometry.second_kink"],
    caption=rf"**A second kink can make the first one cheaper.** A kink of jump 1 stays at {FIRST:g}; place and jump "
            rf"of the second are yours. Where it bends back, the deviations cancel in part; in full at the same place "
            rf"only. At $\alpha = \infty$ only the midpoint counts, and there other places can cost nothing too.",
)
