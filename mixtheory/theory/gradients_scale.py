r"""Is a mixed gradient a better signal? Thresholds, the floor of large batches, the noise scale, and tails.

The noise scale N = tr Cov(g) / |E g|^2 is the batch size at which noise and signal are equal: a smaller one is a
better signal. Mixing shrinks the signal too, by s, and this chapter keeps the account. Claims of the chapter
`gradients`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_finite, check_member, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, MomentLaw, beta, cases, gaussian, predicts, simulates
from mixtheory.mixing import elementary
from mixtheory.mixup import blend
from mixtheory.theory import _gradients_scale_routes as routes
from mixtheory.theory import gradients_noise as noise
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory import mixing_moments_bounds as bounds
from mixtheory.theory._gradients_symbols import Variance, of_lambda

__all__ = ["elliptical_fourth", "floor", "gaussian_covariance", "gaussian_noise_scale", "independent_fourth",
           "noise_scale", "noise_scale_ceiling", "noise_scale_floor", "noise_scale_tails", "tail_ratio", "threshold"]

ALPHA, LAM = mm.ALPHA, mm.LAM
SIGMA, OMEGA2, M = noise.SIGMA, noise.OMEGA2, noise.M
A, TAIL = sp.Symbol("A", positive=True), sp.Symbol("K", real=True)
SHRINK, GAUSS = "mixing_moments.shrinkage", "isserlis1918: the fourth moment of a Gaussian (from memory)"


# ---- fourth moments of common laws -------------------------------------------------------------------------------

def elliptical_fourth(Sigma: Any, delta: Any, kappa: Any = 3) -> Any:
    """E[x x^T (delta^T x)^2] of an elliptical law, for `gradient_covariance(fourth=...)`.

    (kappa/3) ((delta^T Sigma delta) Sigma + 2 m m^T), m = Sigma delta; Gaussian for kappa = 3.

    Args:
        Sigma: (d, d) covariance.
        delta: (d,) direction.
        kappa: kurtosis of every one-dimensional projection; above 3 d/(d + 2).

    Returns:
        (d, d), fourth power of feature units times squared units of delta.

    Raises:
        DomainError: shapes that do not fit; a kurtosis that no law of this dimension has.

    Example: a Student t with nu degrees of freedom has kappa = 3 + 6/(nu - 4).

        >>> elliptical_fourth(np.eye(1), [1.0], kappa=9.0).item()
        9.0
    """
    Sigma, m, square = noise._moments(Sigma, delta, 0)
    least = 3 * len(Sigma) / (len(Sigma) + 2)
    if not is_symbolic(kappa) and not (np.isfinite(kappa) and kappa >= least):
        raise DomainError(f"kappa = {kappa!r}: an elliptical law in {len(Sigma)} dimensions has a kurtosis of at least "
                          f"{least:.4g}")
    return kappa * (square * Sigma + 2 * noise._outer(m)) / 3


def independent_fourth(L: Any, delta: Any, kappa: Any) -> Any:
    """E[x x^T (delta^T x)^2] of x = L zeta with independent standard components zeta.

    (delta^T Sigma delta) Sigma + 2 m m^T + L diag((kappa_k - 3) (L^T delta)_k^2) L^T, Sigma = L L^T.

    Args:
        L: (d, k) mixing matrix.
        delta: (d,) direction.
        kappa: kurtosis of the components, one number or (k,), at least 1.

    Returns:
        (d, d), as `elliptical_fourth`.

    Raises:
        DomainError: shapes that do not fit, a kurtosis below 1.
    """
    L = np.asarray(L) if is_symbolic(*np.ravel(L)) else np.asarray(check_finite(L, "L"), dtype=float)
    if L.ndim != 2:
        raise DomainError(f"L = {L.shape}: must have shape (d, k)")
    if not is_symbolic(*np.ravel(kappa)) and not np.all(np.asarray(kappa, dtype=float) >= 1):
        raise DomainError(f"kappa = {kappa}: a kurtosis is at least 1")
    delta = np.asarray(delta) if L.dtype == object else np.asarray(check_finite(delta, "delta", shape=(len(L),)))
    Sigma, along = L @ L.T, L.T @ delta
    m = Sigma @ delta
    return (delta @ m) * Sigma + 2 * np.outer(m, m) + (L * ((np.asarray(kappa) - 3) * along**2)) @ L.T


def gaussian_covariance(alpha: Any, Sigma: Any, delta: Any, noise_variance: Any = 0.0) -> Any:
    """Cov g~ of one mixed example with Gaussian features: E[S^2] omega^2 Sigma + (2 E[S^2] - s^2) m m^T.

    Args:
        alpha: in [0, inf].
        Sigma: (d, d) covariance of the features.
        delta: (d,) distance of the parameters from w_*.
        noise_variance: of the labels, squared target units.

    Returns:
        (d, d), the squared unit of the gradient.

    Raises:
        DomainError: as `gradients_noise.gradient_covariance`, whose special case it is.
    """
    Sigma, m, square = noise._moments(Sigma, delta, noise_variance)
    S2 = mm.shrinkage_square(alpha)
    return S2 * square * Sigma + (2 * S2 - mm.shrinkage(alpha) ** 2) * noise._outer(m)


# ---- thresholds and the floor ------------------------------------------------------------------------------------

THRESHOLDS = {"roll": (10, 19, 2, -3), "flip": (8, 16, 2, -3), "tails": (2, 3, -1)}


def threshold(which: str) -> float:
    """The alpha at which a comparison with ERM turns.

    Args:
        which: `roll` or `flip`: with a lambda for each element and partners from the batch, the gradient at w_* is
            noisier than without mixup below this alpha; `tails`: q4 < s^2 above it, so that heavy tails count for
            less.

    Returns:
        The positive root of 10 a^3 + 19 a^2 + 2 a - 3, of 8 a^3 + 16 a^2 + 2 a - 3, or of 2 a^2 + 3 a - 1.

    Raises:
        DomainError: another word.
    """
    roots = np.roots(THRESHOLDS[check_member(which, tuple(THRESHOLDS), "which")])
    return float(max(roots[np.isreal(roots)].real))


def floor(alpha: Any, Sigma: Any, delta: Any, pairing: str = "roll", n: Any = None) -> Any:
    """lim Cov(batch gradient) = V_S m m^T as n grows with one lambda a batch: noise that no batch averages away.

    Args:
        alpha: in [0, inf].
        Sigma: (d, d) covariance of the features.
        delta: (d,) distance of the parameters from w_*; at w_* the floor is 0.
        pairing: the same for all.
        n: batch size; the limit does not depend on it, the rest is of order 1/n.

    Raises:
        DomainError: shapes that do not fit, an unknown pairing.
    """
    check_member(pairing, noise.PAIRINGS, "pairing")
    return mm.shrinkage_variance(alpha) * noise._outer(noise._moments(Sigma, delta, 0)[1])


# ---- the noise scale ---------------------------------------------------------------------------------------------

def noise_scale(alpha: Any, Sigma: Any, delta: Any, noise_variance: float = 0.0, fourth: Any = None, **scheme: Any
                ) -> float:
    """tr Cov / |mean|^2 of a mixed gradient of linear regression: the simple noise scale; 0 is a perfect signal.

    Args:
        alpha: in [0, inf].
        Sigma: (d, d) covariance of the features.
        delta: (d,) distance of the parameters from w_*, not 0.
        noise_variance: of the labels, squared target units.
        fourth: as in `gradients_noise.gradient_covariance`; None: Gaussian.
        scheme: pairing, sharing, n, folded; with n the noise of the batch mean.

    Returns:
        Dimensionless; for one example, the batch size at which noise and signal are equal.

    Raises:
        DomainError: there is no signal (Sigma delta = 0); arguments outside their domains.

    Source: McCandlish et al. (2018), the simple noise scale.

    Example: one Gaussian feature without label noise. Mixing makes the signal worse, by 8 % at most.

        >>> round(noise_scale(0, np.eye(1), [1.0]), 6), round(noise_scale(0.57, np.eye(1), [1.0]), 4)
        (2.0, 2.1676)
    """
    plain = {k: v for k, v in scheme.items() if k in ("pairing", "n")}
    mean = np.asarray(noise.gradient_mean(alpha, Sigma, delta, **plain))
    if not np.any(mean):
        raise DomainError(f"delta = {delta}: Sigma delta = 0, there is no signal to compare the noise with")
    covariance = noise.gradient_covariance(alpha, Sigma, delta, noise_variance, fourth=fourth, **scheme)
    return float(np.trace(covariance) / (mean @ mean))


def gaussian_noise_scale(alpha: Any, A: Any) -> Any:
    """Noise scale of one mixed example with Gaussian features: rho (A + 2) - 1; A + 1 without mixup.

    Args:
        alpha: in [0, inf].
        A: omega^2 tr(Sigma) / |Sigma delta|^2, never below 1.

    Returns:
        Dimensionless.

    Raises:
        DomainError: A below 1, which no regression has.
    """
    return mm.noise_ratio(alpha) * (_check_A(A) + 2) - 1


def noise_scale_floor(A: Any) -> Any:
    """Noise scale with mixup over that without, Gaussian features: never below 1. A as in `gaussian_noise_scale`."""
    return 1 + 0 * _check_A(A)


def noise_scale_ceiling(A: Any) -> Any:
    """The same ratio is at most 1 + (rho_max - 1)(A + 2)/(A + 1), rho_max = 1.0559: 8.4 % at A = 1, then less."""
    rho = bounds.noise_ratio_upper()
    return 1 + ((rho if is_symbolic(A) else float(rho)) - 1) * (_check_A(A) + 2) / (A + 1)


def noise_scale_tails(alpha: Any, A: Any, K: Any) -> Any:
    """How much mixing raises the noise scale: (rho - 1)(A + 2) + (q4/s^2 - 1) K; negative: a better signal.

    Args:
        alpha: in [0, inf].
        A: as in `gaussian_noise_scale`.
        K: tr(M_4 - G)/|Sigma delta|^2, the excess fourth moment over that of Gaussian features; with one feature
            the excess kurtosis.

    Returns:
        Dimensionless.

    Raises:
        DomainError: A below 1.
    """
    return (mm.noise_ratio(alpha) - 1) * (_check_A(A) + 2) + (tail_ratio(alpha) - 1) * K


@elementary
def tail_ratio(alpha: Any) -> Any:
    """q4/s^2, what mixing makes of the excess fourth moment beside the signal: in (1/2, 1.0091]. alpha in [0, inf].

    Below 1 only for alpha > (sqrt(17) - 3)/4 = 0.2808.
    """
    return mm.fourth(alpha) / mm.shrinkage(alpha) ** 2


def _check_A(A: Any) -> Any:
    if not is_symbolic(A) and np.any(np.asarray(check_positive(A, "A")) < 1):
        raise DomainError(f"A = {A!r}: omega^2 tr(Sigma) is at least |Sigma delta|^2")
    return A


# ---- derivations -------------------------------------------------------------------------------------------------

def derive_elliptical() -> Derivation:
    """x = R z with Gaussian z and a common radius R: E R^2 = 1, E R^4 = kappa/3."""
    a, b, c, p, q, R = sp.symbols("a b c p q R", real=True)
    z, kappa = np.array(sp.symbols("z_1 z_2", real=True)), sp.Symbol("kappa", positive=True)
    Sigma, delta = np.array([[a, b], [b, c]]), np.array([p, q])
    radius = MomentLaw((R,), lambda k: {0: sp.S.One, 2: sp.S.One, 4: kappa / 3}[k[0]])
    normal, along = gaussian(tuple(z), Sigma), delta @ z
    entries = [(0, 0), (0, 1), (1, 1)]

    def table(entry: Any) -> sp.Matrix:
        first, cross, last = (entry(i, j) for i, j in entries)
        return sp.Matrix([[first, cross], [cross, last]])

    d = Derivation(r"\mathbb{E}\bigl[xx^\top(\delta^\top x)^2\bigr]",
                   table(lambda i, j: Mean(R**4 * z[i] * z[j] * along**2, radius, normal)),
                   {"Sigma": Sigma, "delta": delta, "kappa": kappa})
    d = d.equals(table(lambda i, j: kappa / 3 * Mean(z[i] * z[j] * along**2, normal)),
                 "$x = R z$: Gaussian $z$, a radius $R$ common to all coordinates, $\\mathbb{E}R^2 = 1$ and "
                 "$\\mathbb{E}R^4 = \\kappa/3$")
    return d.equals(sp.Matrix(elliptical_fourth(Sigma, delta, kappa)), "Wick: three ways to pair four factors")


def derive_independent() -> Derivation:
    """Two components."""
    a, b, c, e, p, q, kappa = sp.symbols("a b c e p q kappa", positive=True)
    z1, z2 = sp.symbols("zeta_1 zeta_2", real=True)
    laws = [MomentLaw((z,), lambda k: sp.sympify({0: 1, 1: 0, 2: 1, 3: 0, 4: kappa}[k[0]])) for z in (z1, z2)]
    L = np.array([[a, b], [c, e]], dtype=object)
    x = L @ np.array([z1, z2])
    along = p * x[0] + q * x[1]
    rows = [[Mean(x[i] * x[j] * along**2, *laws) for j in range(2)] for i in range(2)]
    d = Derivation(r"\mathbb{E}\bigl[x x^\top(\delta^\top x)^2\bigr]", sp.Matrix(rows),
                   {"L": L, "delta": np.array([p, q], dtype=object), "kappa": kappa})
    return d.equals(sp.Matrix(independent_fourth(L, np.array([p, q], dtype=object), kappa)),
                    "two components, every power counted: Gaussian pairings, and $\\kappa - 3$ where all four meet")


def derive_gaussian_covariance() -> Derivation:
    """M_4 by Wick in the general formula."""
    x1, r1, x2, r2 = sp.symbols("x_1 r_1 x_2 r_2", real=True)
    moments = [[SIGMA, M], [M, OMEGA2]]
    laws = gaussian((x1, r1), moments), gaussian((x2, r2), moments), beta(LAM, ALPHA)
    S, _, law = of_lambda()
    d = Derivation(r"\operatorname{Var}(v^\top\tilde g)", Variance(blend(LAM, x1, x2) * blend(LAM, r1, r2), *laws),
                   {"alpha": ALPHA, "Sigma": SIGMA, "delta": M / SIGMA, "noise_variance": OMEGA2 - M**2 / SIGMA})
    d = d.equals(Mean(S**2, law) * (OMEGA2 * SIGMA + 2 * M**2) - Mean(S, law) ** 2 * M**2,
                 "given $\\lambda$, $(v^\\top\\tilde x, \\tilde r)$ is Gaussian with $S$ times the moments; Wick")
    return d.equals(gaussian_covariance(**d.parameters), "moments of $\\lambda$", claim=SHRINK)


def derive_floor() -> Derivation:
    n = noise.N
    symbols = noise._symbols(n=n, pairing="roll", sharing="batch")
    d = Derivation(r"\lim_{n\to\infty}\operatorname{Var}(v^\top\tilde g)",
                   sp.Limit(noise.gradient_covariance(**symbols), n, sp.oo),
                   {"alpha": ALPHA, "Sigma": SIGMA, "delta": M / SIGMA, "pairing": "roll", "n": n})
    return d.equals(floor(ALPHA, SIGMA, M / SIGMA), "all but $V_S\\,m^2$ is divided by $n$",
                    claim="gradients.batch_roll")


def derive_gaussian_noise_scale() -> Derivation:
    """Trace over squared mean: with |m|^2 = p and omega^2 tr Sigma = A p."""
    p, (S, _, law) = sp.Symbol("p", positive=True), of_lambda()
    d = Derivation(r"\frac{\operatorname{tr}\operatorname{Cov}\tilde g}{|\mathbb{E}\tilde g|^2}",
                   (Mean(S**2, law) * (A * p + 2 * p) - Mean(S, law) ** 2 * p) / (Mean(S, law) ** 2 * p),
                   {"alpha": ALPHA, "A": A})
    d = d.equals(Mean(S**2, law) / Mean(S, law) ** 2 * (A + 2) - 1,
                 "$\\omega^2\\operatorname{tr}\\Sigma = A\\,p$ with $p = |m|^2$, which cancels",
                 claim="gradients.gaussian_covariance")
    return d.equals(gaussian_noise_scale(ALPHA, A), r"$\rho = \mathbb{E}[S^2]/s^2$", claim=SHRINK)


def _ratio() -> tuple[Any, Any]:
    rho = mm.noise_ratio(ALPHA)
    return (rho * (A + 2) - 1) / (A + 1), 1 + (rho - 1) * (A + 2) / (A + 1)


def derive_lower() -> Derivation:
    start, apart = _ratio()
    d = Derivation(r"\tilde N / N", start, {"A": A}).equals(apart, "divide", claim="gradients.noise_scale_gaussian")
    return d.appeal(noise_scale_floor(A), r"$\rho \ge 1$", claim="mixing_moments.noise_ratio_lower")


def derive_upper() -> Derivation:
    start, apart = _ratio()
    d = Derivation(r"\tilde N / N", start, {"A": A}).equals(apart, "divide", claim="gradients.noise_scale_gaussian")
    return d.appeal(noise_scale_ceiling(A), r"$\rho \le \rho_{\max}$", claim="mixing_moments.noise_ratio_upper")


def derive_tails() -> Derivation:
    """The trace of the general formula, in units of p = |m|^2; M_4 = G + K."""
    S, u, law = of_lambda()
    C_g, C_h = A + 1 + TAIL, 2 * A + 2
    covariance = Mean(S**2 - 2 * u**2, law) * C_g + Mean(u**2, law) * C_h + Variance(S, law)
    d = Derivation(r"\tilde N - N", covariance / Mean(S, law) ** 2 - C_g, {"alpha": ALPHA, "A": A, "K": TAIL})
    rho, tail = Mean(S**2, law) / Mean(S, law) ** 2, Mean(S**2 - 2 * u**2, law) / Mean(S, law) ** 2
    d = d.equals((rho - 1) * (A + 2) + (tail - 1) * TAIL,
                 "traces over $|m|^2$: $C_g \\to A + 1 + K$, $C_h \\to 2A + 2$, $mm^\\top \\to 1$",
                 claim="gradients.covariance")
    return d.equals(noise_scale_tails(ALPHA, A, TAIL), r"$\rho = \mathbb{E}[S^2]/s^2$, $q_4 = \mathbb{E}[S^2 - 2u^2]$",
                    claim=SHRINK)


def derive_tail_ratio() -> Derivation:
    law, S = beta(LAM, ALPHA), LAM**2 + (1 - LAM) ** 2
    d = Derivation(r"\frac{q_4}{s^2}", Mean(LAM**4 + (1 - LAM) ** 4, law) / Mean(S, law) ** 2, {"alpha": ALPHA})
    d = d.equals(1 - ALPHA * (2 * ALPHA**2 + 3 * ALPHA - 1) / (2 * (2 * ALPHA + 3) * (ALPHA + 1) ** 2),
                 "moments of $\\lambda$; the sign is that of $1 - 3\\alpha - 2\\alpha^2$",
                 claim="mixing_moments.moments")
    return d.equals(tail_ratio(ALPHA), "a common denominator", claim=SHRINK)


# ---- claims ------------------------------------------------------------------------------------------------------

SIGMA_2, DELTA_2 = noise.SIGMA_2, noise.DELTA_2
L_2 = np.array([[1.0, 0.0], [0.4, 0.7]])
SOURCE = noise.SOURCE

ELLIPTICAL = Claim(
    id="gradients.fourth_elliptical", title="Fourth moments of an elliptical law",
    statement=r"\mathbb{E}\bigl[xx^\top(\delta^\top x)^2\bigr] = "
              r"\frac{\kappa}{3}\bigl[(\delta^\top\Sigma\delta)\,\Sigma + 2mm^\top\bigr]",
    assumptions=("$x$ is centred and elliptical (Gaussian: $\\kappa = 3$)", "finite fourth moments"),
    fails_when="coordinates are independent and not Gaussian (gradients.fourth_independent)",
    predict=elliptical_fourth, derive=derive_elliptical, exact=routes.exact_elliptical,
    simulate=routes.simulate_elliptical, cases=cases(Sigma=SIGMA_2, delta=DELTA_2, kappa=(3.0, 3.6)),
    wrong={"no factor 2": predicts(lambda Sigma, delta, kappa: kappa / 3 * (
               noise._moments(Sigma, delta, 0)[2] * Sigma + noise._outer(noise._moments(Sigma, delta, 0)[1]))),
           "Gaussian always": predicts(lambda Sigma, delta, kappa: elliptical_fourth(Sigma, delta)),
           "a radius for each coordinate": simulates(routes.simulate_own_radii)}, references=(GAUSS,))

INDEPENDENT = Claim(
    id="gradients.fourth_independent", title="Fourth moments of independent components",
    statement=r"\mathbb{E}\bigl[xx^\top(\delta^\top x)^2\bigr] = (\delta^\top\Sigma\delta)\,\Sigma + 2mm^\top + "
              r"L\operatorname{diag}\bigl((\kappa-3)(L^\top\delta)_k^2\bigr)L^\top",
    assumptions=("$x = L\\zeta$ with independent standard components of kurtosis $\\kappa$",),
    fails_when="the components are uncorrelated but not independent",
    predict=independent_fourth, derive=derive_independent, exact=routes.exact_independent,
    simulate=routes.simulate_independent, cases=cases(L=L_2, delta=DELTA_2, kappa=(1.5, 4.0)),
    wrong={"elliptical": predicts(lambda L, delta, kappa: elliptical_fourth(
               L @ L.T, delta, kappa) if kappa >= 1.5 and L.dtype != object else 0 * (L @ L.T), symbolic=False),
           "Gaussian": predicts(lambda L, delta, kappa: independent_fourth(L, delta, 3))})

GAUSSIAN = Claim(
    id="gradients.gaussian_covariance", title="Gradient noise of one mixed Gaussian example",
    statement=r"\operatorname{Cov}\tilde g = \mathbb{E}[S^2]\,\omega^2\,\Sigma + "
              r"\bigl(2\,\mathbb{E}[S^2] - s^2\bigr)mm^\top",
    assumptions=("Gaussian features, $\\mathbb{E}[\\varepsilon \\mid x] = 0$ and the same variance everywhere",),
    fails_when="the features are not Gaussian (gradients.covariance)",
    predict=gaussian_covariance, derive=derive_gaussian_covariance, exact=routes.exact_gaussian,
    cases=cases(alpha=(0.0, 0.2, 1.0, np.inf), Sigma=SIGMA_2, delta=DELTA_2, noise_variance=0.7),
    wrong={"s^2 for E S^2": predicts(lambda alpha, Sigma, delta, noise_variance: mm.shrinkage(alpha) ** 2 * (
               gaussian_covariance(0, Sigma, delta, noise_variance))),
           "no mixing": predicts(lambda alpha, Sigma, delta, noise_variance: gaussian_covariance(
               0, Sigma, delta, noise_variance))}, references=(GAUSS,))

THRESHOLD = Claim(
    id="gradients.threshold", title="Below these alphas mixing adds gradient noise", kind="numerical",
    statement=r"\begin{gathered}\varphi > 1 \iff \alpha < 0.32499\ (\text{roll}),\ \alpha < 0.34981\ (\text{flip});\\ "
              r"q_4 < s^2 \iff \alpha > \tfrac{\sqrt{17}-3}{4} = 0.28078\end{gathered}",
    assumptions=("a lambda for each element, partners from the batch, not folded", "at $w_*$, homoscedastic noise"),
    fails_when="lambda is folded or shared, or partners are fresh: then mixing never adds noise at $w_*$",
    predict=threshold, exact=routes.exact_threshold, cases=cases(which=("roll", "flip", "tails")),
    wrong={"1/3": predicts(lambda which: 1 / 3), "one for both": predicts(lambda which: threshold("roll"))})

FLOOR = Claim(
    id="gradients.floor", title="One lambda a batch: a noise that no batch size removes",
    kind="asymptotic", along=("n", -1),
    statement=r"\operatorname{Cov}\tilde g \to V_S\,mm^\top\quad(n\to\infty)",
    assumptions=("one lambda a batch", "linear regression with centred features"),
    fails_when="lambda is drawn for each element, or $w = w_*$, where the floor is 0",
    predict=floor, derive=derive_floor, exact=routes.exact_stationary,
    cases=cases(alpha=(0.37, 1.0), Sigma=SIGMA_2, delta=DELTA_2, pairing=("roll", "flip"), n=(16, 64, 256)),
    wrong={"it averages out": predicts(lambda alpha, Sigma, delta, pairing, n=None: 0 * floor(alpha, Sigma, delta)),
           "half of it": predicts(lambda alpha, Sigma, delta, pairing, n=None: floor(alpha, Sigma, delta) / 2)},
    references=SOURCE)

NOISE_SCALE = Claim(
    id="gradients.noise_scale_gaussian", title="The noise scale of mixed Gaussian examples",
    statement=r"\tilde N = \frac{\operatorname{tr}\operatorname{Cov}\tilde g}{|\mathbb{E}\tilde g|^2} = "
              r"\rho\,(A+2) - 1,\quad A = \frac{\omega^2\operatorname{tr}\Sigma}{|\Sigma\delta|^2}",
    assumptions=("Gaussian features, homoscedastic noise", "one example, or fresh partners"),
    predict=gaussian_noise_scale, derive=derive_gaussian_noise_scale, exact=routes.exact_noise_scale,
    cases=cases(alpha=(0.0, 0.2, 0.57, 4.2), A=(1.0, 2.3, 40.0)),
    wrong={"noise and signal shrink alike": predicts(lambda alpha, A: A + 1 + 0 * mm.shrinkage(alpha)),
           "only the noise shrinks": predicts(lambda alpha, A: mm.shrinkage_square(alpha) * (A + 2) - 1)},
    references=SOURCE, experiment="gradients")
RATIO_GIVEN = ("Gaussian features, homoscedastic noise", "any $\\alpha$ in $[0, \\infty]$")
LOWER = Claim(
    id="gradients.noise_scale_floor", title="Mixing never improves the signal of Gaussian data",
    kind="bound", side="lower", tight=1e-9, statement=r"\frac{\tilde N}{N} \ge 1",
    assumptions=RATIO_GIVEN,
    fails_when="the features have heavy tails and $\\alpha > 0.281$ (gradients.noise_scale_tails)",
    predict=noise_scale_floor, derive=derive_lower, exact=routes.ratios, cases=cases(A=(1.0, 5.0)),
    wrong={"never worse": predicts(lambda A: 1.05 + 0 * A), "half": predicts(lambda A: 0.5 + 0 * A)})
UPPER = Claim(
    id="gradients.noise_scale_ceiling", title="Nor does it spoil the signal of Gaussian data by much",
    kind="bound", side="upper", tight=1e-7,
    statement=r"\frac{\tilde N}{N} \le 1 + (\rho_{\max}-1)\frac{A+2}{A+1} \le 1.084",
    assumptions=RATIO_GIVEN, predict=noise_scale_ceiling, derive=derive_upper, exact=routes.ratios,
    cases=cases(A=(1.0, 5.0)),
    wrong={"rho_max alone": predicts(lambda A: 1.0558640 + 0 * A), "twice": predicts(
        lambda A: 2 * noise_scale_ceiling(A) - 1)})
TAILS = Claim(
    id="gradients.noise_scale_tails", title="Heavy tails are where mixing can help the signal",
    statement=r"\tilde N - N = (\rho-1)(A+2) + \Bigl(\frac{q_4}{s^2} - 1\Bigr)K,\quad "
              r"K = \frac{\operatorname{tr}(M_4 - G)}{|\Sigma\delta|^2}",
    assumptions=("centred features of any law with four moments; $G$ is what $M_4$ would be for Gaussian ones",
                 "homoscedastic noise"),
    predict=noise_scale_tails, derive=derive_tails, exact=routes.exact_tails,
    cases=cases(alpha=(0.1, 1.0, 4.2), A=(1.0, 3.0), K=(-1.5, 0.7, 27.0)), scale=lambda value, alpha, A, K: 1.0,
    wrong={"tails do not matter": predicts(lambda alpha, A, K: (mm.noise_ratio(alpha) - 1) * (A + 2)),
           "tails as everything else": predicts(lambda alpha, A, K: (mm.noise_ratio(alpha) - 1) * (A + 2 + K))},
    experiment="gradients", references=SOURCE)
TAIL_RATIO = Claim(
    id="gradients.tail_ratio", title="What mixing makes of excess fourth moments",
    statement=r"\frac{q_4}{s^2} = 1 - \frac{\alpha\,(2\alpha^2 + 3\alpha - 1)}{2(2\alpha+3)(\alpha+1)^2}",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$, or its limit",),
    predict=tail_ratio, derive=derive_tail_ratio, exact=routes.exact_tail_ratio,
    cases=cases(alpha=(0.0, 0.1222, 0.28, 1.0, 4.2, np.inf)),
    wrong={"rho": predicts(mm.noise_ratio), "q4": predicts(mm.fourth)})
