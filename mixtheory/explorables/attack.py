"""Explorable: the loss gap and the attack by the loss, as alpha, separation and dimension move."""

from __future__ import annotations

import functools

import numpy as np
from matplotlib.axes import Axes

from mixtheory.explorables.engine import Explorable
from mixtheory.explorables.mixing import alpha_axis, alpha_slider, named, place
from mixtheory.explorables.parts import Control, Layer, Panel, State
from mixtheory.plotting import AXIS
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory.membership_attack import auc_erm, auc_logistic
from mixtheory.theory.membership_logistic import gap_erm, gap_logistic, rescaled_erm

__all__ = ["ALPHAS", "ATTACK", "DIMENSIONS", "SEPARATIONS"]

ALPHAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 1.5, 2.5, 4.0, 8.0, 25.0, np.inf)
SEPARATIONS = (0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0)
DIMENSIONS = (1, 2, 3, 5, 10, 30)


@functools.cache
def _multiples(alpha: float, m: float, d: int) -> dict[str, float]:
    """Gap, attack and rescaled gap over their values without mixup."""
    scale = model.slope(alpha, m) / (2 * m)
    return {
        "attack": float(auc_logistic(alpha, m, d) / auc_erm(d, m)),
        "gap": float(gap_logistic(alpha, m, d) / gap_erm(d)),
        "rescaled": float(rescaled_erm(d, scale) / gap_erm(d)),
    }


def _state(alpha: float, m: float, d: int) -> State:
    curves = [_multiples(a, m, d) for a in ALPHAS]
    now = _multiples(alpha, m, d)
    lines = {name: (place(ALPHAS), [c[name] for c in curves]) for name in now}
    dots = {f"{name}_now": ([place(alpha)], [value]) for name, value in now.items()}
    gap, power = float(gap_logistic(alpha, m, d)), float(auc_logistic(alpha, m, d))
    return State(
        {**lines, **dots},
        {
            "gap": f"{gap:.2f} nats (× {now['gap']:.2f})",
            "attack": f"{power:.3f} (× {now['attack']:.2f})",
            "slope": f"× {now['rescaled']:.2f}",
        },
    )


def _draw(ax: Axes) -> None:
    ax.axhline(1, color=AXIS, linestyle=":", linewidth=1.2)
    alpha_axis(ax)
    ax.set(ylim=(0, 3.8), ylabel="multiple of the value without mixup")


ATTACK = Explorable(
    name="attack",
    controls=[
        alpha_slider(ALPHAS),
        Control("m", "Half the distance", SEPARATIONS, [named(m, "m") for m in SEPARATIONS], SEPARATIONS.index(1.6)),
        Control("d", "Dimension", DIMENSIONS, [named(d, "d") for d in DIMENSIONS], DIMENSIONS.index(10)),
    ],
    panels=[
        Panel(
            [
                Layer("rescaled", colour=5, width=1.6, dash="dotted", label="gap, logits only made smaller"),
                Layer("gap", colour=0, width=2.4, label="gap under mixup"),
                Layer("attack", colour=1, width=2.4, dash="dashed", label="attack under mixup"),
                Layer("rescaled_now", "dots", 5, 7),
                Layer("gap_now", "dots", 0, 9),
                Layer("attack_now", "dots", 1, 9),
            ],
            _draw,
            size=(4.8, 3.5),
            legend={"loc": "upper left", "fontsize": 9.5, "handlelength": 2.5},
            alt="Three curves against alpha, each with a dot at the chosen one, in multiples of their value without "
                "mixup: the gap falls, and falls like the gap of logits that are only made smaller; the power of the "
                "attack rises.",
        )
    ],
    readouts={"gap": r"$n\cdot\text{gap}$", "attack": r"$n\,(\text{AUC} - \frac12)$", "slope": "size of the logits"},
    state=_state,
    claims=["membership.gap_logistic", "membership.auc_logistic", "membership.rescaled_erm", "membership.direction"],
    caption=r"**The gap falls in large part because the logits do, and the attack does not see that.** Limits for "
            r"logistic regression on two Gaussian classes $N(\pm m e_1, I_d)$. Dotted: the gap without mixup when all "
            r"logits are divided by a constant so that they have the size that mixup gives them; no attack by a "
            r"threshold on the loss is any the weaker for it.",
)
