"""Every number in the page is what the theory says, computed here once more, by another route where one is cheap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mixtheory.explorables import EXPLORABLES, shrinkage
from mixtheory.explorables.mixing import ALPHAS, place, quantile
from mixtheory.theory import covariance
from mixtheory.theory import mixing_moments as mm
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
            np.testing.assert_allclose(got, np.asarray(expected, dtype=float), rtol=0, atol=half)


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
        for name, centre, shape in (("predicted", shrinkage.CENTRES.mean(0), covariance.covariance(alpha, shrinkage.SIGMA)),
                                    ("own", cloud.mean(0), own)):
            off = np.stack(drawn[name], axis=1) - centre
            distance = np.sqrt(np.einsum("ij,jk,ik->i", off, np.linalg.inv(shape), off))
            np.testing.assert_allclose(distance, 2, atol=seen.half[name].sum() / np.sqrt(np.linalg.eigvalsh(shape)[0]))
            turn = np.unwrap(np.arctan2(off[:, 1], off[:, 0]))
            assert abs(abs(turn[-1] - turn[0]) - 2 * np.pi) < 0.01                       # all the way round
        seen.agree("now", drawn["now"], [place(alpha)], [s])
        seen.agree("sample", drawn["sample"], [place(alpha)], [ratio])
        assert read == {"s": f"{mm.shrinkage(alpha):.3f}", "width": f"{np.sqrt(s):.3f}", "cloud": f"{ratio:.3f}"}
        assert 0.9 < ratio / s < 1.1                                                      # a typical cloud


def test_the_population_of_the_cloud_is_that_of_the_ellipse() -> None:
    rng = np.random.default_rng(3)
    x = shrinkage.CENTRES[rng.integers(3, size=200_000)] + shrinkage.SPREAD * rng.standard_normal((200_000, 2))
    np.testing.assert_allclose(np.cov(x.T), shrinkage.SIGMA, atol=0.03)


def test_the_slider_reaches_both_ends() -> None:
    assert ALPHAS[0] == 0
    assert ALPHAS[-1] == np.inf
    assert list(ALPHAS) == sorted(set(ALPHAS))
    np.testing.assert_allclose(place([0, 1, 3, np.inf]), [0, 0.5, 0.75, 1])
