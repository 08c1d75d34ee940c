"""Explorable: who meets whom in a batch, and how the spread of batch after batch comes out."""

from __future__ import annotations

import functools

import numpy as np
from matplotlib.axes import Axes
from scipy.special import ndtri

from mixtheory.explorables.engine import Explorable
from mixtheory.explorables.mixing import alpha_slider, named, quantile
from mixtheory.explorables.parts import Control, Layer, Panel, State
from mixtheory.mixup import blend
from mixtheory.pairing import partners
from mixtheory.plotting import INK
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory.covariance_batch import batch_factor, fluctuation

__all__ = ["ALPHAS", "BATCHES", "KNOWN", "PAIRING", "PAIRINGS", "SHARINGS", "SIZES", "arcs", "feature", "met", "ratios"]

PAIRINGS = ("permutation", "roll", "flip", "derangement", "independent")
SHARINGS = ("batch", "element")
KNOWN = ("permutation", "roll", "flip")  # with one lambda: the fluctuation has a formula
SIZES = (4, 8, 16, 64, 256)
ALPHAS = (0.1, 0.3, 1.0, 4.0, np.inf)
BATCHES = 60
MEMBERS, SEED = 8, 16  # of the batch whose pairs are drawn: one self-pair by permutation
NO_FORMULA = "no formula here"


def feature(n: int) -> np.ndarray:
    """One feature of a fixed batch of n: normal quantiles of mean 0 and variance 1, (n,)."""
    x = ndtri((np.arange(n) + 0.5) / n)
    return x / x.std()


@functools.cache
def _draws(pairing: str, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The batch in BATCHES random orders, partners in each, uniform numbers; the same for every alpha and sharing."""
    rng = np.random.default_rng([SEED, n, PAIRINGS.index(pairing)])
    order = rng.permuted(np.tile(feature(n), (BATCHES, 1)), axis=1)
    return order, partners(pairing, n, rng=rng, replicas=BATCHES), rng.random((BATCHES, n))


def ratios(pairing: str, sharing: str, n: int, alpha: float) -> np.ndarray:
    """Variance after mixing over variance before, of one batch after another, (BATCHES,)."""
    x, partner, u = _draws(pairing, n)
    lam = quantile(u[:, :1] if sharing == "batch" else u, alpha)
    return blend(lam, x, np.take_along_axis(x, partner, axis=1)).var(axis=1)


def met(pairing: str) -> np.ndarray:
    """Whom each of MEMBERS meets, in one draw; (MEMBERS,)."""
    return partners(pairing, MEMBERS, rng=np.random.default_rng(SEED))


def arcs(pairing: str) -> tuple[np.ndarray, np.ndarray]:
    """From each of MEMBERS to its partner: above to the right, below to the left, a dot for itself; segments."""
    angle = np.linspace(0, np.pi, 19)
    x, y = [], []
    for i, j in enumerate(met(pairing)):
        along, height = i + (j - i) * (1 - np.cos(angle)) / 2, np.sign(j - i) * abs(j - i) * np.sin(angle) / 2
        x.append(np.stack([along[:-1], along[1:]], axis=1).ravel() + 1)
        y.append(np.stack([height[:-1], height[1:]], axis=1).ravel())
    return np.concatenate(x), np.concatenate(y)


def _state(pairing: str, sharing: str, n: int, alpha: float) -> State:
    drawn, mean = ratios(pairing, sharing, n, alpha), float(batch_factor(alpha, n, pairing, sharing))
    band, deviation = ([], []), NO_FORMULA
    if sharing == "batch" and pairing in KNOWN:
        half = np.sqrt(fluctuation(alpha, n, float(np.mean(feature(n) ** 4)), 1.0, pairing))
        band = ([0.5, BATCHES + 0.5, BATCHES + 0.5, 0.5], [mean - half, mean - half, mean + half, mean + half])
        deviation = f"{half:.3f}"
    self_pairs = np.flatnonzero(met(pairing) == np.arange(MEMBERS)) + 1
    return State(
        {
            "arcs": arcs(pairing),
            "self": (self_pairs, 0.0 * self_pairs),
            "band": band,
            "mean": ([0.5, BATCHES + 0.5], [mean, mean]),
            "population": ([0.5, BATCHES + 0.5], [mm.shrinkage(alpha)] * 2),
            "batches": (np.arange(1, BATCHES + 1), drawn),
        },
        {
            "mean": f"{mean:.3f}",
            "own_mean": f"{drawn.mean():.3f}",
            "deviation": deviation,
            "own_deviation": f"{drawn.std(ddof=1):.3f}",
        },
    )


def _pairs(ax: Axes) -> None:
    ax.plot(np.arange(1, MEMBERS + 1), np.zeros(MEMBERS), "o", color=INK, markersize=6, zorder=3)
    ax.set_xticks(range(1, MEMBERS + 1))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False)
    ax.set(xlim=(0.4, MEMBERS + 0.6), ylim=(-3.9, 3.9), xlabel="place in the batch", title="who meets whom")


def _batches(ax: Axes) -> None:
    ax.set(xlim=(0, BATCHES + 1), ylim=(0, 1.6), xlabel="batch after batch", ylabel="variance after / before")


PAIRING = Explorable(
    name="pairing",
    controls=[
        Control("pairing", "Partner by", PAIRINGS, PAIRINGS, 0, choice=True),
        Control("sharing", "One λ for", SHARINGS, ("the batch", "each element"), 0, choice=True),
        Control("n", "Batch size", SIZES, [named(n, "n") for n in SIZES], SIZES.index(64)),
        alpha_slider(ALPHAS),
    ],
    panels=[
        Panel(
            [Layer("arcs", "segments", 3, 1.6), Layer("self", "dots", 3, 12)],
            _pairs,
            size=(2.6, 3.3),
            legend=None,
            alt="Eight places in a row with an arc from each to its partner: above towards the right, below towards "
                "the left; a large dot on a place that meets itself.",
        ),
        Panel(
            [
                Layer("band", "area", 1, opacity=0.16, label="predicted, ± one s.d."),
                Layer("population", colour=5, width=1.6, dash="dotted", label="population, $s$"),
                Layer("mean", colour=1, width=2.2, label="predicted mean"),
                Layer("batches", "dots", 0, 5, label="batches drawn"),
            ],
            _batches,
            size=(4.4, 3.3),
            legend={"fontsize": 8.5, "ncols": 2, "loc": "upper center", "handlelength": 1.8},
            alt="Dots: the ratio of variances of 60 batches, one after another, around the line of the predicted "
                "mean. With one lambda a batch they scatter widely at every batch size; with a lambda each they "
                "settle as the batch grows.",
        ),
    ],
    readouts={
        "mean": "mean, predicted",
        "own_mean": f"mean, {BATCHES} batches",
        "deviation": "s.d., predicted",
        "own_deviation": f"s.d., {BATCHES} batches",
    },
    state=_state,
    claims=[
        "covariance.batch_permutation",
        "covariance.batch_distinct",
        "covariance.fluctuation_permutation",
        "covariance.fluctuation_limit",
    ],
    caption=r"**One $\lambda$ a batch: a larger batch does not calm it. A $\lambda$ each: it does.** One feature, "
            r"normal quantiles, the same batch in random order each time. Left: one draw for a batch of 8; an arc "
            r"above leads to a partner on the right, below to one on the left, a large dot is an example that meets "
            r"itself.",
)
