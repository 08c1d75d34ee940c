"""Explorable: the law of lambda from no mixing to plain averaging, and the moments that matter."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from mixtheory.explorables.engine import Explorable
from mixtheory.explorables.mixing import ALPHAS, alpha_axis, alpha_slider, place
from mixtheory.explorables.parts import Layer, Panel, State
from mixtheory.mixing import Beta, symmetric
from mixtheory.plotting import COLOURS
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory.mixing_moments_beta import partial_moment

__all__ = ["EDGES", "WEIGHT_LAW", "share"]

EDGES = np.linspace(0, 1, 26)  # an odd number of bins: 1/2 is the middle of one
NEAR = 0.05  # so close to one of its two examples a mixed one is almost that example
MOMENTS = {
    "s": (mm.shrinkage, r"$s = \mathbb{E}S$"),
    "larger": (mm.mean_maximum, r"$\mathbb{E}\max(\lambda, 1-\lambda)$"),
    "deviation": (lambda alpha: np.sqrt(mm.shrinkage_variance(alpha)), r"$\sqrt{V_S}$"),
}


def share(alpha: float, low: float, high: float) -> float:
    """P(low <= lambda <= high), at the ends of the range of alpha too; ends that are no atom of theirs."""
    law = symmetric(alpha)
    if isinstance(law, Beta):
        return float(partial_moment(alpha, alpha, 0, 0, low, high))
    return float(sum(w for p, w in zip(law.points, law.weights, strict=True) if low <= p <= high))


def _state(alpha: float) -> State:
    bars = np.array([share(alpha, low, high) for low, high in zip(EDGES, EDGES[1:], strict=False)])
    middle = (EDGES[:-1] + EDGES[1:]) / 2
    values = {name: float(moment(alpha)) for name, (moment, _) in MOMENTS.items()}
    near = share(alpha, 0, NEAR) + share(alpha, 1 - NEAR, 1)
    return State(
        {
            "law": (np.repeat(middle, 2), np.stack([0 * bars, np.sqrt(bars)], axis=1).ravel()),
            **{name: ([place(alpha)], [value]) for name, value in values.items()},
        },
        {**{name: f"{value:.3f}" for name, value in values.items()}, "near": f"{100 * near:.0f} %"},
    )


def _law(ax: Axes) -> None:
    ticks = (0, 1, 4, 10, 25, 50, 100)
    ax.set_yticks(np.sqrt(np.array(ticks) / 100), [f"{t} %" for t in ticks])
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=r"$\lambda$", ylabel="share of the pairs (root scale)")


def _moments(ax: Axes) -> None:
    for i, (moment, label) in enumerate(MOMENTS.values()):
        ax.plot(
            place(ALPHAS), moment(np.array(ALPHAS)), ("-", "--", "-.")[i], color=COLOURS[i], label=label, linewidth=1.5
        )
    alpha_axis(ax)
    ax.set(ylim=(0, 1.02), ylabel="moment")


WEIGHT_LAW = Explorable(
    name="weight_law",
    controls=[alpha_slider(start=0.2)],
    panels=[
        Panel(
            [Layer("law", "segments", 3, 7.4, opacity=0.85)],
            _law,
            size=(3.6, 3.3),
            alt="Bars: which share of the pairs has a weight in each of 25 intervals from 0 to 1. For small alpha "
                "they pile up at 0 and 1, at alpha 1 all are alike, for large alpha they pile up at one half.",
        ),
        Panel(
            [Layer(name, "dots", i, 8.5) for i, name in enumerate(MOMENTS)],
            _moments,
            size=(3.3, 3.3),
            legend={"fontsize": 9, "loc": "center left", "bbox_to_anchor": (0.0, 0.36)},
            alt="Three moments against alpha, with a dot on each at the chosen alpha: s and the mean larger share "
                "fall from 1 to one half, the standard deviation of S rises a little and falls back to 0.",
        ),
    ],
    readouts={
        "s": r"$s = \mathbb{E}[\lambda^2 + (1-\lambda)^2]$",
        "larger": "mean share of the larger part",
        "deviation": "standard deviation of $S$",
        "near": rf"pairs mixed by less than {100 * NEAR:.0f} %",
    },
    state=_state,
    claims=[
        "mixing_moments.shrinkage",
        "mixing_moments.mean_maximum",
        "mixing_moments.shrinkage_variance",
        "mixing_moments.partial_moment",
    ],
    caption=r"**A small $\alpha$ leaves most pairs almost unmixed.** Left: which share of the pairs has which weight, "
            r"from no mixing to plain averaging. Right: three moments which the other chapters use.",
)
