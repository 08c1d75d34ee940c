r"""Models fitted to few examples are too confident; mixup shrinks their scores by s, too little or too much.

Linear discriminant analysis with known covariance: x = y mu + N(0, I_d), y = +-1, mu estimated by the mean of
y x over n examples. Its score on a new input is too steep by a factor 1/kappa > 1 that grows with d/n, and mixup
multiplies it by s. Whether that helps, and what a temperature can repair afterwards, is computed here. Claims of
the chapter `calibration`. Close to the model of Zhang et al. (2022; from memory).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from mixtheory.domain import DomainError, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, gaussian, predicts, simulates
from mixtheory.mixup import blend
from mixtheory.theory import _calibration_shrinkage_routes as routes
from mixtheory.theory import calibration_gaussian as cg
from mixtheory.theory import calibration_temperature as ct
from mixtheory.theory import mixing_moments as mm

__all__ = ["best_alpha", "link_ece", "link_ece_scaled", "mixed_direction", "overshoot", "plug_in", "plug_in_ece",
           "plug_in_moments"]


def mixed_direction(alpha: Any, cross: Any, mean: Any, mean_y: Any) -> Any:
    """E[y~ x~] over all pairs of a data set and lambda: s mean(y x) + (1 - s) mean(y) mean(x).

    For a balanced data set, mean(y) = 0, the estimate of mu is s times the one without mixup.

    Args:
        alpha: in [0, inf]; float or symbol.
        cross: mean of y x, a number or (d,).
        mean: mean of x, a number or (d,).
        mean_y: mean of y.

    Returns:
        The shape of `cross`, in feature units.

    Raises:
        DomainError: alpha negative or NaN.
    """
    s = mm.shrinkage(alpha)
    return s * cross + (1 - s) * mean_y * mean


def plug_in_moments(mean: Any, ratio: Any) -> Any:
    """E|mu^|^2 and E[mu . mu^] of the estimated mean: |mu|^2 + d/n and |mu|^2.

    Args:
        mean: |mu|, half the distance of the classes in standard deviations, > 0.
        ratio: d/n, dimensions an example, > 0.

    Returns:
        (2,): in squared standard deviations. The first over the second is by how much scores are too steep.

    Raises:
        DomainError: mean or ratio not positive.
    """
    check_positive(mean, "mean")
    check_positive(ratio, "ratio")
    pair = [mean**2 + ratio, mean**2]
    return sp.Matrix(pair) if is_symbolic(mean, ratio) else np.array(pair)


def plug_in(mean: Any, ratio: Any) -> tuple[Any, Any]:
    """k = |mu^| and a = mu . mu^/|mu^| in high dimension: projected on mu^, classes lie at +-a, the score is 2 k u.

    Arguments and errors as in `plug_in_moments`. kappa = a/k < 1 is what the score must be multiplied by.
    """
    square, inner = plug_in_moments(mean, ratio)
    root = sp.sqrt(square) if is_symbolic(mean, ratio) else np.sqrt(square)
    return root, inner / root


def best_alpha(kappa: Any) -> Any:
    """The alpha with s(alpha) = kappa: mixup that undoes overconfidence exactly, (1 - kappa)/(2 kappa - 1).

    Args:
        kappa: true over fitted slope, in (1/2, 1]; mixup can at most halve a slope.

    Returns:
        alpha in [0, inf).

    Raises:
        DomainError: kappa outside (1/2, 1].
    """
    if not is_symbolic(kappa) and not np.all((np.asarray(kappa) > 0.5) & (np.asarray(kappa) <= 1)):
        raise DomainError(f"kappa = {kappa!r}: must lie in (1/2, 1]; mixup shrinks a slope by at most one half")
    return (1 - kappa) / (2 * kappa - 1)


def plug_in_ece(n: Any, mean: float, ratio: float, factor: float) -> float:
    """Expected calibration error of LDA with mixup as n and d = ratio n grow: E|sigma(2 s k u) - sigma(2 a u)|.

    Args:
        n: examples; the limit does not depend on it.
        mean: |mu|, > 0.
        ratio: d/n, > 0.
        factor: s, what scores are multiplied by: `mixing_moments.shrinkage(alpha)`.

    Returns:
        A difference of probabilities; 0 where s = kappa.

    Raises:
        DomainError: arguments outside these domains.
    """
    k, a = plug_in(mean, ratio)
    slope = 2 * check_positive(factor, "factor") * k
    return ct.score_ece(lambda u: slope * u, float(a))


def overshoot(mean: float, ratio: float) -> float:
    """The alpha up to which mixup improves the calibration of LDA in high dimension; beyond it is worse than none.

    Args:
        mean: |mu|, > 0.
        ratio: d/n, > 0.

    Returns:
        alpha; inf where every alpha improves.

    Raises:
        DomainError: mean or ratio not positive.
    """
    k, a = plug_in(mean, ratio)

    def worse(s: float) -> float:
        return ct.score_ece(lambda u: 2 * s * k * u, float(a)) - ct.score_ece(lambda u: 2 * k * u, float(a))

    if worse(0.5) <= 0:
        return np.inf
    s = brentq(worse, 0.5, float(a / k), xtol=1e-13)
    return float(best_alpha(s))


def link_ece(mean: float, ratio: float, alpha: float) -> float:
    """Calibration error of a flexible link on the fitted direction: mixup's target for projections N(+-k, 1).

    The training projections lie at +-k, those of new inputs at +-a (n large). At alpha = 0 it is sigma(2 k u).

    Args:
        mean: |mu|, > 0.
        ratio: d/n, > 0.
        alpha: in [0, inf].

    Returns:
        A difference of probabilities.

    Raises:
        DomainError: arguments outside these domains.
    """
    k, a = plug_in(mean, ratio)
    return ct.score_ece(lambda u: cg.mixup_log_odds(u, float(k), alpha), float(a))


def link_ece_scaled(mean: float, ratio: float, alpha: float) -> float:
    """The same after the best temperature on new data. Arguments and errors as in `link_ece`."""
    k, a = plug_in(mean, ratio)
    T = ct.score_temperature(lambda u: cg.mixup_log_odds(u, float(k), alpha), float(a))
    return ct.score_ece(lambda u: cg.mixup_log_odds(u, float(k), alpha) / T, float(a))


# --- derivations --------------------------------------------------------------------------------------------

def derive_direction() -> Derivation:
    """Two independent draws from the data set; the mean of y x, of x and of y are those of the data."""
    x_i, y_i, x_j, y_j = sp.symbols("x_i y_i x_j y_j", real=True)
    cross, x_bar, y_bar = sp.Symbol(r"\overline{yx}"), sp.Symbol(r"\bar{x}"), sp.Symbol(r"\bar{y}")
    laws = [routes.data_law(x_i, y_i, x_bar, y_bar, cross), routes.data_law(x_j, y_j, x_bar, y_bar, cross)]
    lam = beta(mm.LAM, mm.ALPHA)
    chain = Derivation(r"\mathbb{E}[\tilde y\,\tilde x]", Mean(blend(mm.LAM, x_i, x_j) * blend(mm.LAM, y_i, y_j),
                                                               *laws, lam),
                       {"alpha": mm.ALPHA, "cross": cross, "mean": x_bar, "mean_y": y_bar})
    S = Mean(mm.S, lam)
    chain = chain.equals(S * cross + (1 - S) * y_bar * x_bar, "the members are independent draws from the data")
    return chain.equals(mixed_direction(mm.ALPHA, cross, x_bar, y_bar), "the shrinkage factor", claim=mm.SHRINKAGE_ID)


def derive_moments() -> Derivation:
    """mu^ = mu + z/sqrt(n): one coordinate along mu, and the other d - 1, of which one stands for all."""
    z, e = sp.symbols("z e", real=True)
    mean, n, d = sp.symbols("mu n d", positive=True)
    along, across = gaussian((z,), [[1]]), gaussian((e,), [[1]])
    fitted = mean + z / sp.sqrt(n)
    chain = Derivation(r"(\mathbb{E}|\hat\mu|^2, \mathbb{E}[\mu\cdot\hat\mu])", sp.Matrix([
        Mean(fitted**2, along) + (d - 1) * Mean((e / sp.sqrt(n)) ** 2, across), Mean(mean * fitted, along)]),
        {"mean": mean, "ratio": d / n})
    return chain.equals(plug_in_moments(mean, d / n), r"$y_i x_i = \mu + $ noise: the estimate is off by "
                        r"$\mathcal{N}(0, I_d/n)$")


def derive_best_alpha() -> Derivation:
    """Insert the solution into the shrinkage factor."""
    kappa, alpha = sp.Symbol("kappa", positive=True), mm.ALPHA
    s = mm.shrinkage(alpha)
    # one Newton step on (2 alpha + 1)(s - kappa) = 0, linear in alpha, from any alpha
    step = alpha + (2 * alpha + 1) * (s - kappa) / (2 * kappa - 1)
    chain = Derivation(r"\alpha^\ast", step, {"kappa": kappa})
    return chain.equals(best_alpha(kappa), r"$s(\alpha^\ast) = \kappa$ makes the second term 0; and the sum is the "
                                           r"same for "
                        "every alpha", claim=mm.SHRINKAGE_ID)


# --- claims -------------------------------------------------------------------------------------------------

MODEL = r"$x = y\mu + \mathcal{N}(0, I_d)$, $y = \pm1$ equally likely, covariance known, $\hat\mu$ the mean of $yx$"
LITERATURE = "zhang2022when: the setting (from memory)"
XS = np.array([[1.2, -0.3], [0.4, 2.0], [-1.5, 0.7], [-0.2, -0.9], [0.8, 0.1]])
YS = np.array([1.0, 1.0, -1.0, -1.0, 1.0])
DATA = {"cross": (YS[:, None] * XS).mean(axis=0), "mean": XS.mean(axis=0), "mean_y": float(YS.mean())}

Claim(
    id="calibration.lda_mean", title="Mixup shrinks the estimated mean difference by s",
    statement=r"\mathbb{E}[\tilde y\,\tilde x] = s\,\overline{yx} + (1 - s)\,\bar y\,\bar x",
    assumptions=("all ordered pairs of a data set, self-pairs included, all of lambda",),
    fails_when="self-pairs are left out: then $s$ becomes $(ns - 1)/(n - 1)$",
    predict=mixed_direction, derive=derive_direction,
    exact=lambda alpha, cross, mean, mean_y: routes.enumerated_direction(alpha, XS, YS),
    simulate=lambda size, *, rng, alpha, cross, mean, mean_y: routes.drawn_direction(size, alpha, XS, YS, rng=rng),
    cases=tuple({"alpha": a, **DATA} for a in (0.0, 0.37, 1.0, np.inf)), scale=lambda value, **_: 1.0,
    wrong={"no shrinkage": predicts(lambda alpha, cross, mean, mean_y: cross + 0 * mean),
           "root of s": predicts(lambda alpha, cross, mean, mean_y: mm.shrinkage(alpha) ** 0.5 * cross
                                 + (1 - mm.shrinkage(alpha) ** 0.5) * mean_y * mean),
           "balanced": predicts(lambda alpha, cross, mean, mean_y: mm.shrinkage(alpha) * cross),
           "lambda swapped on the labels": simulates(
               lambda size, *, rng, alpha, cross, mean, mean_y: routes.drawn_direction(
                   size, alpha, XS, YS, rng=rng, swapped=True))},
    references=(LITERATURE,))

Claim(
    id="calibration.plug_in_moments", title="Few examples make scores too steep",
    statement=r"\mathbb{E}|\hat\mu|^2 = |\mu|^2 + \frac dn,\quad \mathbb{E}[\mu\cdot\hat\mu] = |\mu|^2,\quad "
              r"\frac1\kappa \approx 1 + \frac{d}{n|\mu|^2}",
    assumptions=(MODEL,), fails_when="the covariance is estimated too, or the features are not Gaussian",
    predict=plug_in_moments, derive=derive_moments, exact=routes.fitted_moments, simulate=routes.fitted_draws,
    cases=cases(mean=(0.7, 1.2), ratio=(0.1, 0.5, 1.5)), resolution=0.03,
    wrong={"hard labels do no harm": predicts(lambda mean, ratio: sp.Matrix([mean**2, mean**2])
                                              if is_symbolic(mean, ratio) else np.array([mean**2, mean**2])),
           "n for d": predicts(lambda mean, ratio: sp.Matrix([mean**2 + 1 / ratio, mean**2])
                               if is_symbolic(mean, ratio) else np.array([mean**2 + 1 / ratio, mean**2]))},
    references=(LITERATURE,))

Claim(
    id="calibration.best_alpha", title="The alpha that undoes a given overconfidence",
    statement=r"s(\alpha^\ast) = \kappa \iff \alpha^\ast = \frac{1 - \kappa}{2\kappa - 1} = \frac{\rho}{1 - \rho} "
              r"\text{ for } \kappa = \frac{1}{1 + \rho},\ \rho = \frac{d}{n|\mu|^2} < 1",
    assumptions=("scores too steep by $1/\\kappa$, and mixup multiplies them by $s$",),
    fails_when=r"$\kappa \le \frac12$: scores too steep by two or more stay overconfident at every $\alpha$",
    predict=best_alpha, derive=derive_best_alpha, exact=routes.solved_alpha, cases=cases(kappa=(0.53, 0.7, 0.9, 1.0)),
    scale=lambda value, **_: 1.0 + value, tolerance=1e-9,
    wrong={"alpha = 1": predicts(lambda kappa: 1.0 + 0 * kappa),
           "root of s": predicts(lambda kappa: (1 - kappa**2) / (2 * kappa**2 - 1))},
    references=(LITERATURE,))

Claim(
    id="calibration.plug_in_ece", title="LDA with mixup: better, or past the mark",
    kind="numerical",
    statement=r"\begin{gathered}\mathrm{ECE} \to \mathbb{E}\,\bigl|\sigma(2 s k u) - \sigma(2 a u)\bigr|,\quad "
              r"u \sim \mathcal{N}(\pm a, 1),\\ k^2 = |\mu|^2 + \tfrac dn,\quad a = \tfrac{|\mu|^2}{k}\end{gathered}",
    assumptions=(MODEL, "balanced classes, $n$ and $d$ large; checked at $n = 4000$ against the exact mean over "
                 r"$\hat\mu$, from which it differs by $O(1/n)$ away from $s = \kappa$"),
    fails_when=r"$s$ is close to $\kappa$: there the error of order $n^{-1/2}$ of $\hat\mu$ is all that is left",
    predict=plug_in_ece, exact=routes.mean_ece,
    simulate=routes.drawn_ece, cases=(*cases(n=4000, mean=1.2, ratio=(0.1, 1.5), factor=(1.0, 2 / 3, 11 / 21)),
                                      *cases(n=4000, mean=1.2, ratio=0.5, factor=(1.0, 11 / 21))),
    scale=lambda value, **_: 0.05, tolerance=0.02, model_error=0.02, resolution=0.1,
    wrong={"root of s": predicts(lambda n, mean, ratio, factor: routes.ece_of(factor**0.5, *plug_in(mean, ratio))),
           "no shrinkage": predicts(lambda n, mean, ratio, factor: routes.ece_of(1.0, *plug_in(mean, ratio))),
           "fitted as true": predicts(lambda n, mean, ratio, factor: routes.ece_of(factor, mean, mean))},
    references=(LITERATURE,), experiment="calibration")

Claim(
    id="calibration.overshoot", title="Beyond this alpha calibration is worse than without",
    kind="numerical",
    statement=r"\mathrm{ECE}(\alpha) < \mathrm{ECE}(0) \iff 0 < \alpha < \alpha_{\max}\Bigl(|\mu|, \frac dn\Bigr)",
    assumptions=(MODEL, "balanced classes, $n$ and $d$ large"),
    fails_when="the plug-in is so overconfident that every alpha improves it",
    predict=overshoot, exact=routes.crossing, cases=cases(mean=(1.2, 2.0), ratio=(0.1, 0.4)), tolerance=1e-8,
    wrong={"the best alpha": predicts(lambda mean, ratio: best_alpha(1 / (1 + ratio / mean**2))),
           "every alpha helps": predicts(lambda mean, ratio: 1e6)},
    references=(LITERATURE,))

Claim(
    id="calibration.link_ece", title="A flexible score: mixup against overconfidence",
    kind="numerical",
    statement=r"\mathbb{E}\,\bigl|g_\alpha(u; k) - \sigma(2 a u)\bigr|,\quad u \sim \mathcal{N}(\pm a, 1)",
    assumptions=(MODEL, "a flexible function of the fitted projection, trained on projections $\\mathcal{N}(\\pm k, "
                        "1)$ and "
                 "used on $\\mathcal{N}(\\pm a, 1)$; $n$ and $d$ large"),
    fails_when="the score is linear in the projection: calibration.plug_in_ece",
    predict=link_ece, exact=routes.link, cases=cases(mean=1.5, ratio=(0.1, 1.5), alpha=(0.0, 0.2, 1.0)),
    scale=lambda value, **_: 0.05, tolerance=1e-8,
    wrong={"a linear score times s": predicts(lambda mean, ratio, alpha: plug_in_ece(
               1, mean, ratio, mm.shrinkage(alpha))),
           "classes where they were trained": predicts(lambda mean, ratio, alpha: abs(cg.confidence_gap(
               float(plug_in(mean, ratio)[0]), alpha)))},
    references=("thulasidasan2019mixup: better raw calibration (from memory)", LITERATURE))

Claim(
    id="calibration.link_scaled", title="A flexible score: temperature helps plain training more",
    kind="numerical",
    statement=r"\mathbb{E}\,\bigl|\sigma(\operatorname{logit} g_\alpha(u; k)/T^\ast) - \sigma(2 a u)\bigr|\ "
              r"\begin{cases} = 0, & \alpha = 0\\ > 0, & \alpha > 0 \end{cases}",
    assumptions=(MODEL, "as in calibration.link_ece; the temperature is fitted on unlimited new data",
                 "that plain training ends at 0 is built into the model: its score is linear"),
    fails_when="the plain score is not linear either; with overlapping classes the opposite has been reported",
    predict=link_ece_scaled, exact=routes.link_scaled, cases=cases(mean=1.5, ratio=(0.1, 1.5), alpha=(0.0, 0.2, 1.0)),
    scale=lambda value, **_: 0.01, tolerance=1e-6,
    wrong={"a linear score times s": predicts(lambda mean, ratio, alpha: 0.0),
           "not scaled": predicts(lambda mean, ratio, alpha: link_ece(mean, ratio, alpha))},
    references=("wang2023pitfall: worse after temperature scaling (from memory)",
                "chidambaram2024limitations: the opposite where classes overlap (from memory)"))
