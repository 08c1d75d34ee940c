"""Explorable: a cloud shrinks as alpha grows, and its ellipse by the factor s."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from mixtheory.explorables.engine import Explorable
from mixtheory.explorables.mixing import ALPHAS, alpha_axis, alpha_slider, place, quantile
from mixtheory.explorables.parts import Layer, Panel, State
from mixtheory.mixup import blend
from mixtheory.plotting import AXIS, INK
from mixtheory.theory import covariance
from mixtheory.theory import mixing_moments as mm

__all__ = ["CENTRES", "SHRINKAGE", "SIGMA", "SPREAD", "cloud", "ellipse", "pairs"]

CENTRES = np.array([[-1.6, -1.0], [1.5, -1.2], [0.2, 1.7]])  # of three equally frequent clusters
SPREAD = 0.35  # standard deviation within each
MEAN = CENTRES.mean(0)
SIGMA = SPREAD**2 * np.eye(2) + np.cov(CENTRES.T, bias=True)
PAIRS = 150


def pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Independent pairs of the population and a uniform number each, the same at every alpha."""
    rng = np.random.default_rng(7)
    first, second = (CENTRES[rng.integers(3, size=PAIRS)] + SPREAD * rng.standard_normal((PAIRS, 2)) for _ in range(2))
    return first, second, rng.random((PAIRS, 1))


def cloud(alpha: float) -> np.ndarray:
    """The mixed points, (PAIRS, 2); only lambda changes with alpha."""
    first, second, u = pairs()
    return blend(quantile(u, alpha), first, second)


def ellipse(centre: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two standard deviations in every direction."""
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, 73)
    return tuple(centre[:, None] + 2 * vectors @ (np.sqrt(values)[:, None] * np.stack([np.cos(angle), np.sin(angle)])))


def _state(alpha: float) -> State:
    points, predicted = cloud(alpha), covariance.covariance(alpha, SIGMA)
    own, s = np.cov(points.T), float(mm.shrinkage(alpha))
    ratio = np.trace(own) / np.trace(SIGMA)
    return State(
        {
            "points": points.T,
            "own": ellipse(points.mean(0), own),
            "predicted": ellipse(MEAN, predicted),
            "now": ([place(alpha)], [s]),
            "sample": ([place(alpha)], [ratio]),
        },
        {"s": f"{s:.3f}", "width": f"{np.sqrt(s):.3f}", "cloud": f"{ratio:.3f}"},
    )


def _plane(ax: Axes) -> None:
    ax.plot(*ellipse(MEAN, SIGMA), ":", color=AXIS, linewidth=1.4, label="before mixing")
    ax.plot(*MEAN, "+", color=INK, markersize=11)
    ax.set(xlim=(-3.1, 3.1), ylim=(-3.1, 3.1), aspect="equal", xlabel="first feature", ylabel="second feature")


def _factor(ax: Axes) -> None:
    ax.plot(place(ALPHAS), mm.shrinkage(np.array(ALPHAS)), color=AXIS, linewidth=1.4)
    alpha_axis(ax)
    ax.set(ylim=(0.4, 1.1), ylabel="covariance after / before")


SHRINKAGE = Explorable(
    name="shrinkage",
    controls=[alpha_slider()],
    panels=[
        Panel(
            [
                Layer("points", "dots", 0, 4.2, opacity=0.5),
                Layer("own", colour=0, dash="dashed", width=1.6, label="of this cloud"),
                Layer("predicted", colour=1, width=2.2, label="predicted"),
            ],
            _plane,
            size=(3.6, 3.7),
            legend={
                "loc": "lower center",
                "bbox_to_anchor": (0.43, 1.0),
                "ncols": 3,
                "fontsize": 8.5,
                "handlelength": 1.5,
                "columnspacing": 1.0,
            },
            alt="A cloud of mixed points with its own ellipse and the predicted one, which nearly agree; both lie "
                "inside the dotted ellipse of the data before mixing.",
        ),
        Panel(
            [Layer("sample", "dots", 0, 9, label="this cloud"), Layer("now", "dots", 1, 9, label="predicted, $s$")],
            _factor,
            size=(3.1, 3.7),
            alt="The factor s falls from 1 at alpha 0 to one half at alpha infinity. Two dots on it mark the "
                "prediction and this cloud.",
        ),
    ],
    readouts={
        "s": "covariance is multiplied by $s$",
        "width": r"widths by $\sqrt{s}$",
        "cloud": "this cloud's covariance by",
    },
    state=_state,
    claims=["covariance.population", "mixing_moments.shrinkage"],
    caption=rf"**The centre stays, the ellipse shrinks, its covariance never below half.** {PAIRS} pairs of points of "
            rf"three clusters, the same pairs at every $\alpha$; only $\lambda$ moves. Ellipses are two standard "
            rf"deviations wide.",
)
