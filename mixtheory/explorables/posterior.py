"""Explorable: what mixup teaches about two Gaussian classes, against the truth."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from scipy.special import expit

from mixtheory.explorables.engine import Explorable
from mixtheory.explorables.mixing import alpha_slider, named
from mixtheory.explorables.parts import Control, Layer, Panel, State
from mixtheory.plotting import AXIS, INK
from mixtheory.theory import calibration_gaussian as two
from mixtheory.theory.calibration_mixture import bayes_posterior

__all__ = ["ALPHAS", "POSTERIOR", "SEPARATIONS", "X"]

X = np.linspace(-3, 3, 49)
RIGHT = X >= 0  # where the right-hand class is the likelier one
SEPARATIONS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
ALPHAS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0, np.inf)


def _state(m: float, alpha: float) -> State:
    eta = bayes_posterior(X, np.array([-m, m]), 1.0, np.array([0.5, 0.5]))[:, 1]
    g, at_mean = expit(two.mixup_log_odds(X, m, alpha)), float(expit(two.mixup_log_odds(m, m, alpha)))
    lacking = -two.confidence_gap(m, alpha)
    return State(
        {"truth": (X, eta), "answer": (X, g), "means": ([-m, m], [0, 1]), "reliability": (g[RIGHT], eta[RIGHT])},
        {
            "truth": f"{100 * float(two.bayes_confidence(m, m)):.1f} %",
            "answer": f"{100 * at_mean:.1f} %",
            "lacking": f"{100 * abs(lacking):.1f} points",
        },
    )


def _answers(ax: Axes) -> None:
    ax.set(xlim=(-3, 3), ylim=(-0.03, 1.03), xlabel="$x$", ylabel="probability of the right-hand class")


def _reliability(ax: Axes) -> None:
    ax.plot([0.5, 1], [0.5, 1], "--", color=AXIS, linewidth=1.4)
    ax.text(0.515, 0.97, "too little\nconfidence", va="top", color=INK, fontsize=9.5)
    ax.text(0.985, 0.53, "too much", ha="right", color=INK, fontsize=9.5)
    ax.set(xlim=(0.5, 1.01), ylim=(0.5, 1.01), xlabel="what mixup answers", ylabel="what is true")


POSTERIOR = Explorable(
    name="posterior",
    controls=[
        alpha_slider(ALPHAS),
        Control("m", "Half the distance", SEPARATIONS, [named(m, "m") for m in SEPARATIONS], SEPARATIONS.index(1.5)),
    ],
    panels=[
        Panel(
            [
                Layer("truth", colour=5, width=2.2, label=r"truth $\eta$"),
                Layer("answer", colour=2, width=2.4, dash="dashed", label="mixup $g$"),
                Layer("means", "dots", 3, 7, label="class means"),
            ],
            _answers,
            size=(3.6, 3.5),
            legend={"loc": "upper left", "fontsize": 9, "handlelength": 2.5},
            alt="Two curves from 0 to 1 along x: the true probability of the right-hand class and, flatter, what "
                "mixup teaches. Two dots mark the means of the classes.",
        ),
        Panel(
            [Layer("reliability", colour=2, width=2.4)],
            _reliability,
            size=(3.3, 3.5),
            alt="Reliability diagram: truth against answer. The curve lies on or above the diagonal at every setting.",
        ),
    ],
    readouts={
        "truth": "truth at a class mean",
        "answer": "mixup's answer there",
        "lacking": "confidence lacking, on average",
    },
    state=_state,
    claims=["calibration.posterior", "calibration.underconfident", "calibration.confidence_gap"],
    caption=r"**Never too confident, whatever you set.** Classes $N(\pm m, 1)$, equally frequent; what a perfectly "
            r"trained network answers, exactly. The reliability curve touches the diagonal and does not cross it.",
)
