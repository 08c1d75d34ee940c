"""Every number in the page is what the theory says, computed here once more, by another route where one is cheap."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from mixtheory.explorables import EXPLORABLES, attack, chord, pairing_schemes, posterior, shrinkage, weight_law
from mixtheory.explorables.mixing import ALPHAS, place, quantile
from mixtheory.pairing import enumerate_partners
from mixtheory.theory import (
    calibration_gaussian,
    covariance,
    covariance_batch,
    geometry,
    membership_attack,
    membership_logistic,
)
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory.calibration_mixture import bayes_posterior, mixup_posterior
from mixtheory.theory.geometry_kinks import chord_penalty, kink_moment
from tests.explorables.reading import data_of, halves, layers, readouts, states


class Seen:
    """The states of an explorable, compared with what is expected within the declared rounding."""

    def __init__(self, name: str, html: str) -> None:
        self.explorable, self.data = EXPLORABLES[name], data_of(html)
        self.half = halves(self.data)

    def __iter__(self) -> Any:
        for index, values in states(self.explorable):
            yield values, layers(self.data, index), readouts(self.data, index)

    def agree(self, name: str, drawn: tuple[np.ndarray, np.ndarray], x: Any, y: Any) -> None:
        for got, expected, half in zip(drawn, (x, y), self.half[name], strict=True):
            expected = np.asarray(expected, dtype=float)
            assert got.shape == expected.shape, name
            assert (np.abs(got - expected) <= half).all(), f"{name} is off by {np.abs(got - expected).max()}"


@pytest.fixture
def seen(request: pytest.FixtureRequest, shown: dict[str, str]) -> Seen:
    return Seen(request.param, shown[request.param])


def test_quantiles_are_those_of_the_law() -> None:
    u = np.linspace(0.001, 0.999, 57)
    for alpha in (0.1, 1.0, 4.2):
        np.testing.assert_allclose(quantile(u, alpha), stats.beta(alpha, alpha).ppf(u), atol=1e-9)
    assert set(quantile(u, 0.0)) == {0.0, 1.0}
    assert set(quantile(u, np.inf)) == {0.5}
    np.testing.assert_allclose(quantile(u, 1e5), 0.5, atol=0.01)


@pytest.mark.parametrize("seen", ["shrinkage"], indirect=True)
def test_shrinkage(seen: Seen) -> None:
    first, second, u = shrinkage.pairs()
    for v, drawn, read in seen:
        alpha = v["alpha"]
        lam = stats.beta(alpha, alpha).ppf(u) if 0 < alpha < np.inf else (u > 0.5) if alpha == 0 else 0.5
        cloud = lam * first + (1 - lam) * second
        seen.agree("points", drawn["points"], *cloud.T)
        s = (alpha + 1) / (2 * alpha + 1) if alpha < np.inf else 0.5
        own = (cloud - cloud.mean(0)).T @ (cloud - cloud.mean(0)) / (len(cloud) - 1)
        ratio = np.trace(own) / np.trace(shrinkage.SIGMA)
        for name, centre, shape in (
            ("predicted", shrinkage.CENTRES.mean(0), covariance.covariance(alpha, shrinkage.SIGMA)),
            ("own", cloud.mean(0), own),
        ):
            off = np.stack(drawn[name], axis=1) - centre
            distance = np.sqrt(np.einsum("ij,jk,ik->i", off, np.linalg.inv(shape), off))
            np.testing.assert_allclose(distance, 2, atol=seen.half[name].sum() / np.sqrt(np.linalg.eigvalsh(shape)[0]))
            turn = np.unwrap(np.arctan2(off[:, 1], off[:, 0]))
            assert abs(abs(turn[-1] - turn[0]) - 2 * np.pi) < 0.01  # all the way round
        seen.agree("now", drawn["now"], [place(alpha)], [s])
        seen.agree("sample", drawn["sample"], [place(alpha)], [ratio])
        assert read == {"s": f"{mm.shrinkage(alpha):.3f}", "width": f"{np.sqrt(s):.3f}", "cloud": f"{ratio:.3f}"}
        assert 0.9 < ratio / s < 1.1  # a typical cloud


def test_the_population_of_the_cloud_is_that_of_the_ellipse() -> None:
    rng = np.random.default_rng(3)
    x = shrinkage.CENTRES[rng.integers(3, size=200_000)] + shrinkage.SPREAD * rng.standard_normal((200_000, 2))
    np.testing.assert_allclose(np.cov(x.T), shrinkage.SIGMA, atol=0.03)


def test_the_slider_reaches_both_ends() -> None:
    assert ALPHAS[0] == 0
    assert ALPHAS[-1] == np.inf
    assert list(ALPHAS) == sorted(set(ALPHAS))
    np.testing.assert_allclose(place([0, 1, 3, np.inf]), [0, 0.5, 0.75, 1])


@pytest.mark.parametrize("seen", ["weight_law"], indirect=True)
def test_weight_law(seen: Seen) -> None:
    middle = (weight_law.EDGES[1:] + weight_law.EDGES[:-1]) / 2
    for v, drawn, read in seen:
        alpha = v["alpha"]
        if 0 < alpha < np.inf:
            law = stats.beta(alpha, alpha)
            bars, near = np.diff(law.cdf(weight_law.EDGES)), 2 * law.cdf(0.05)
            larger = 2 * law.expect(lambda t: t, lb=0.5, ub=1) if alpha >= 1 else float(mm.mean_maximum(alpha))
            spread = np.sqrt(
                sum(w * law.moment(k) for k, w in enumerate((1, -4, 8, -8, 4))) - ((alpha + 1) / (2 * alpha + 1)) ** 2
            )
        else:
            bars, near = np.zeros(len(middle)), float(alpha == 0)
            bars[[0, -1] if alpha == 0 else [len(middle) // 2]] = 0.5 if alpha == 0 else 1
            larger, spread = (1, 0) if alpha == 0 else (0.5, 0)
        assert bars.sum() == pytest.approx(1)
        seen.agree("law", drawn["law"], np.repeat(middle, 2), np.stack([0 * bars, np.sqrt(bars)], axis=1).ravel())
        expected = {
            "s": (alpha + 1) / (2 * alpha + 1) if alpha < np.inf else 0.5,
            "larger": larger,
            "deviation": spread,
        }
        for name, value in expected.items():
            seen.agree(name, drawn[name], [place(alpha)], [value])
            assert float(read[name]) == pytest.approx(value, abs=5.1e-4)
        assert read["s"] == f"{mm.shrinkage(alpha):.3f}"
        assert read["larger"] == f"{mm.mean_maximum(alpha):.3f}"
        assert read["deviation"] == f"{np.sqrt(mm.shrinkage_variance(alpha)):.3f}"
        assert read["near"] == f"{100 * near:.0f} %"


@pytest.mark.parametrize("seen", ["pairing"], indirect=True)
def test_pairing(seen: Seen) -> None:
    for v, drawn, read in seen:
        pairing, sharing, n, alpha = v["pairing"], v["sharing"], v["n"], v["alpha"]
        x = pairing_schemes.feature(n)
        np.testing.assert_allclose([x.mean(), x.var()], [0, 1], atol=1e-12)
        s, mean = float(mm.shrinkage(alpha)), float(covariance_batch.batch_factor(alpha, n, pairing, sharing))
        ratio = pairing_schemes.ratios(pairing, sharing, n, alpha)
        ends = [0.5, pairing_schemes.BATCHES + 0.5]
        seen.agree("batches", drawn["batches"], np.arange(1, 61), ratio)
        seen.agree("mean", drawn["mean"], ends, [mean, mean])
        seen.agree("population", drawn["population"], ends, [s, s])
        assert read["mean"] == f"{mean:.3f}"
        assert read["own_mean"] == f"{ratio.mean():.3f}"
        assert read["own_deviation"] == f"{ratio.std(ddof=1):.3f}"
        if sharing == "batch" and pairing in ("permutation", "roll", "flip"):
            half = np.sqrt(covariance_batch.fluctuation(alpha, n, np.mean(x**4) / np.mean(x**2) ** 2, 1.0, pairing))
            seen.agree(
                "band", drawn["band"], [ends[0], ends[1], ends[1], ends[0]], [mean - half] * 2 + [mean + half] * 2
            )
            assert read["deviation"] == f"{half:.3f}"
        else:
            assert drawn["band"][0].size == 0
            assert read["deviation"] == pairing_schemes.NO_FORMULA


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """So many batches that their mean and spread tell a right scheme from a wrong one."""
    monkeypatch.setattr(pairing_schemes, "BATCHES", 20_000)
    pairing_schemes._draws.cache_clear()
    yield 20_000
    pairing_schemes._draws.cache_clear()


@pytest.mark.parametrize("alpha", [0.1, 1.0])
@pytest.mark.parametrize("n", [4, 16])
@pytest.mark.parametrize("pairing", pairing_schemes.PAIRINGS)
def test_batches_are_drawn_by_their_scheme(many: int, pairing: str, n: int, alpha: float) -> None:
    """More batches of the same stream have the predicted mean and, where there is a formula, the predicted variance."""
    k = np.mean(pairing_schemes.feature(n) ** 4)
    for sharing in pairing_schemes.SHARINGS:
        ratio = pairing_schemes.ratios(pairing, sharing, n, alpha)
        error = ratio.std() / many**0.5
        mean = covariance_batch.batch_factor(alpha, n, pairing, sharing)
        assert abs(ratio.mean() - mean) < 4.5 * error
        if sharing == "batch" and pairing in pairing_schemes.KNOWN:
            squares = (ratio - ratio.mean()) ** 2
            expected = covariance_batch.fluctuation(alpha, n, k, 1.0, pairing)
            assert abs(squares.mean() - expected) < 4.5 * squares.std() / many**0.5
            assert squares.std() / many**0.5 < 0.03 * expected  # it would see an error of a sixth


def test_the_drawn_batches_are_those_of_the_theory() -> None:
    """All orders of a batch of four with the weights of alpha = 4: the mean and spread that the picture shows."""
    x, (lam, w) = (
        pairing_schemes.feature(4),
        (lambda t: ((t[0] + 1) / 2, t[1] / 2))(np.polynomial.legendre.leggauss(24)),
    )
    w = w * stats.beta(4, 4).pdf(lam)
    for pairing in pairing_schemes.KNOWN:
        each = np.array([[np.var(t * x + (1 - t) * x[p]) for t in lam] for p in enumerate_partners(pairing, 4)])
        mean, square = (each @ w).mean(), (each**2 @ w).mean()
        assert mean == pytest.approx(covariance_batch.batch_factor(4.0, 4, pairing, "batch"), rel=1e-9)
        assert square - mean**2 == pytest.approx(
            covariance_batch.fluctuation(4.0, 4, np.mean(x**4), 1.0, pairing), rel=1e-9
        )


@pytest.mark.parametrize("seen", ["pairing"], indirect=True)
def test_arcs_lead_from_each_to_its_partner(seen: Seen) -> None:
    for v, drawn, _ in seen:
        x, y = drawn["arcs"]
        per, partner = len(x) // 8, pairing_schemes.met(v["pairing"])
        np.testing.assert_allclose(x[::per], np.arange(1, 9), atol=1e-3)
        np.testing.assert_allclose(x[per - 1 :: per], partner + 1, atol=1e-3)
        middle = y.reshape(8, per)[:, per // 2]
        np.testing.assert_array_equal(np.sign(np.round(middle, 2)), np.sign(partner - np.arange(8)))
        np.testing.assert_array_equal(drawn["self"][0], np.flatnonzero(partner == np.arange(8)) + 1)
        if v["pairing"] != "independent":
            assert sorted(partner) == list(range(8))
        if v["pairing"] in ("roll", "flip", "derangement"):
            assert drawn["self"][0].size == 0


@pytest.mark.parametrize("seen", ["chord"], indirect=True)
def test_chord(seen: Seen) -> None:
    first, fine, prices, moment = chord.FIRST, chord.FINE, {}, functools.cache(lambda *at: float(kink_moment(*at)))
    for v, drawn, read in seen:
        k, J, alpha = v["place"], v["jump"], v["alpha"]
        shared = [moment(alpha, *pair) for pair in ((first, first), (first, k), (k, k))]  # another route
        cost, alone = shared[0] + 2 * J * shared[1] + J**2 * shared[2], shared[0]
        at = np.unique([0, first, k, 1])
        tents = -geometry.tent(at, first) - J * geometry.tent(at, k)
        seen.agree("sum", drawn["sum"], at, tents)
        seen.agree("shade", drawn["shade"], at, tents)
        seen.agree("moving", drawn["moving"], [0, k, 1], [0, -J * k * (1 - k), 0])
        seen.agree("kinks", drawn["kinks"], [first, k], [np.interp(p, at, tents) for p in (first, k)])
        seen.agree("now", drawn["now"], [J], [cost / alone])
        seen.agree("price", drawn["price"], fine, (alone + 2 * fine * shared[1] + fine**2 * shared[2]) / alone)
        penalty = chord_penalty(np.array([first, k]), np.array([1.0, J]), alpha)
        assert read["pair"] == f"{1000 * penalty:.3f}"
        assert read["alone"] == f"{1000 * alone:.3f}"
        assert float(read["ratio"]) == pytest.approx(cost / alone, abs=5.1e-3)
        prices[k, J, alpha] = float(read["ratio"])
    assert prices[first, -1.0, 1.0] == 0
    assert min(price for (k, _, alpha), price in prices.items() if k != first and alpha == 1.0) > 0
    assert min(price for (k, _, alpha), price in prices.items() if abs(k - first) > 0.15 and alpha == np.inf) < 0.05


def test_the_penalty_is_the_mean_square_of_what_is_drawn() -> None:
    for k, J, alpha in ((0.6, -0.75, 1.0), (0.15, 0.5, 4.0), (0.9, -1.75, 2.0)):
        value = integrate.quad(
            lambda t, k=k, J=J, alpha=alpha: (
                (geometry.tent(t, chord.FIRST) + J * geometry.tent(t, k)) ** 2 * stats.beta(alpha, alpha).pdf(t)
            ),
            0,
            1,
            points=[chord.FIRST, k],
        )[0]
        assert chord.penalty(k, J, alpha) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("seen", ["posterior"], indirect=True)
def test_posterior(seen: Seen) -> None:
    x = posterior.X
    for v, drawn, read in seen:
        m, alpha = v["m"], v["alpha"]
        eta = 1 / (1 + np.exp(-2 * m * x))
        g = mixup_posterior(x, np.array([-m, m]), 1.0, np.array([0.5, 0.5]), alpha)[:, 1]
        seen.agree("truth", drawn["truth"], x, eta)
        seen.agree("answer", drawn["answer"], x, g)
        seen.agree("means", drawn["means"], [-m, m], [0, 1])
        seen.agree("reliability", drawn["reliability"], g[x >= 0], eta[x >= 0])
        np.testing.assert_allclose(
            bayes_posterior(x, np.array([-m, m]), 1.0, np.array([0.5, 0.5]))[:, 1], eta, atol=1e-12
        )
        assert (
            drawn["reliability"][1] >= drawn["reliability"][0] - seen.half["reliability"].sum()
        ).all()  # never too confident
        assert read["truth"] == f"{100 / (1 + np.exp(-2 * m * m)):.1f} %"
        own = mixup_posterior(np.array([m]), np.array([-m, m]), 1.0, np.array([0.5, 0.5]), alpha)[0, 1]
        assert read["answer"] == f"{100 * own:.1f} %"
        assert read["lacking"] == f"{abs(100 * calibration_gaussian.confidence_gap(m, alpha)):.1f} points"


def test_the_answer_is_the_mean_label_at_a_point() -> None:
    """A plain Bayes' rule by quadrature over lambda: the posterior of mixed labels, alpha = 1, m = 1.5."""
    m, x = 1.5, 0.75

    def density(lam: float, a: int, b: int) -> float:
        return stats.norm(m * (lam * a + (1 - lam) * b), np.sqrt(lam**2 + (1 - lam) ** 2)).pdf(x)

    whole = sum(integrate.quad(density, 0, 1, args=(a, b))[0] for a in (-1, 1) for b in (-1, 1))
    right = sum(
        integrate.quad(lambda t, a=a, b=b: density(t, a, b) * (t * (a > 0) + (1 - t) * (b > 0)), 0, 1)[0]
        for a in (-1, 1)
        for b in (-1, 1)
    )
    e = EXPLORABLES["posterior"]
    drawn = e.state(m=m, alpha=1.0).layers["answer"]
    assert drawn[1][list(drawn[0]).index(x)] == pytest.approx(right / whole, rel=1e-7)


@pytest.mark.parametrize("seen", ["attack"], indirect=True)
def test_attack(seen: Seen) -> None:
    peaks, lowest = {}, {}
    for v, drawn, read in seen:
        alpha, m, d = v["alpha"], v["m"], v["d"]
        gap, power = membership_logistic.gap_logistic(alpha, m, d), membership_attack.auc_logistic(alpha, m, d)
        now = {
            "gap": gap / (d + 1),
            "attack": power / membership_attack.auc_logistic(0.0, m, d),
            "rescaled": model.slope(alpha, m) / (2 * m),
        }
        at = attack.ALPHAS.index(alpha)
        for name, value in now.items():
            seen.agree(f"{name}_now", drawn[f"{name}_now"], [place(alpha)], [value])
            curve = drawn[name][1]
            assert curve[at] == pytest.approx(value, abs=seen.half[name][1])  # with all alphas: the whole curve
            np.testing.assert_allclose(drawn[name][0], place(attack.ALPHAS), atol=seen.half[name][0])
            assert len(curve) == len(attack.ALPHAS)
        assert read["gap"] == f"{gap:.2f} nats (× {now['gap']:.2f})"
        assert read["attack"] == f"{power:.3f} (× {now['attack']:.2f})"
        assert read["slope"] == f"× {now['rescaled']:.2f}"
        if m >= 0.7 and d >= 3:  # membership.direction
            assert (np.diff(drawn["gap"][1]) <= 0).all()
            assert (np.diff(drawn["attack"][1]) >= 0).all()
        peaks[m, d] = float(drawn["attack"][1].max() - drawn["attack"][1][-1])
        lowest[m, d] = float(drawn["attack"][1].min())
    assert peaks[2.0, 1] > 0.1  # the exceptions to which the chapter sends its readers
    assert 0.99 < lowest[0.3, 1] < 1
