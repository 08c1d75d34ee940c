"""The experiment on calibration, small: predictions from theory, power, mixing as it should be, streams."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mixtheory.domain import DomainError
from mixtheory.evidence import claims
from mixtheory.mixing import symmetric
from mixtheory.theory import calibration_temperature as temperature
from mixtheory.training.experiments import calibration
from mixtheory.training.replicas import generators

SEEDS = tuple(range(16))
SMALL = calibration.Size(slope_steps=500, slope_batch=64, target_steps=300, target_batch=128, width=16, test=100_000)


def generator(seed):
    return generators([seed], torch.device("cpu"))


@pytest.fixture(scope="module")
def found():
    return calibration.measure("synthetic", size=SMALL, device="cpu", seeds=SEEDS)


def test_small_runs_agree_wherever_they_can_tell(found):
    assert {m.verdict for m in found[1]} <= {"agrees", "inconclusive"}
    assert sum(m.verdict == "agrees" for m in found[1]) >= 6


def test_measurements_cover_the_claims_that_name_the_experiment(found):
    named = {c.id for c in claims().values() if c.experiment == "calibration"}
    assert named == {m.claim for m in found[1]}
    assert all(len(m.values) == len(SEEDS) for m in found[1])


def test_the_network_ends_nearer_the_target_than_the_truth(found):
    near = next(m for m in found[1] if m.name == "target").mean
    told = {o.name: o.mean for o in found[2]}
    assert near < 0.4 * told["from_bayes"]
    assert told["signed_gap"] < -0.05
    assert calibration.TARGET_MARGIN < 0.5 * told["bayes_expected"]


def test_margins_tell_wrong_slopes_apart():
    for alpha in calibration.ALPHAS:
        right = temperature.restricted_slope(alpha, calibration.HALF_GAP)
        s = (alpha + 1) / (2 * alpha + 1)
        for wrong in (2 * calibration.HALF_GAP, 2 * calibration.HALF_GAP * s):
            assert abs(wrong - right) > 3 * calibration.SLOPE_MARGIN * right


def test_labels_are_mixed_like_inputs():
    rng = generator(3)
    x, y = calibration.three_classes(rng, 64)
    mixed, label = calibration.mixed(torch.cat([x, y], 2), y, 1.0, rng)
    torch.testing.assert_close(mixed[:, :, 2:], label)
    assert 0.2 < ((label > 0) & (label < 1)).any(2).float().mean() < 0.9


def test_another_law_of_lambda_is_seen(monkeypatch, found):
    monkeypatch.setattr(calibration, "symmetric", lambda alpha: symmetric(4 * alpha))
    other, _ = calibration.slopes(SMALL, torch.device("cpu"), SEEDS)
    assert [m.verdict for m in other if m.name == "slope"].count("disagrees") >= 2


def test_three_classes_are_those_of_the_theory():
    x, y = calibration.three_classes(generator(1), 200_000)
    x, k = x[0].double().numpy(), y[0].argmax(1).numpy()
    for c in range(3):
        assert (k == c).mean() == pytest.approx(calibration.PRIORS[c], abs=0.005)
        np.testing.assert_allclose(x[k == c].mean(axis=0), calibration.MEANS[c], atol=0.02)
        np.testing.assert_allclose(np.cov(x[k == c].T), calibration.COVARIANCES[c], atol=0.03)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_the_mixed_mean_is_that_of_a_double_loop(alpha):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((7, 3)), rng.choice([-1.0, 1.0], size=7)
    lam, w = symmetric(alpha).quadrature(nodes=20)
    naive = sum(weight * (a * y[i] + (1 - a) * y[j]) * (a * x[i] + (1 - a) * x[j]) / 49
                for i, j in itertools.product(range(7), repeat=2) for a, weight in zip(lam, w, strict=True))
    mean = calibration.mixed_mean(torch.as_tensor(x), torch.as_tensor(y), alpha)
    np.testing.assert_allclose(mean.numpy(), naive, rtol=1e-12)


def test_the_binned_error_is_that_of_a_loop():
    rng = np.random.default_rng(4)
    p, y = rng.random(5000), rng.integers(2, size=5000)
    bins = np.minimum((p * calibration.BINS).astype(int), calibration.BINS - 1)
    naive = sum((bins == b).mean() * abs(p[bins == b].mean() - y[bins == b].mean()) for b in range(calibration.BINS))
    assert calibration.binned_error(torch.as_tensor(p), torch.as_tensor(y)) == pytest.approx(naive, rel=1e-12)


def test_replicas_depend_on_their_own_seed_only():
    tiny = calibration.Size(20, 8, 5, 8, 4, 1000)
    both = calibration.measure("synthetic", size=tiny, device="cpu", seeds=(3, 5))
    alone = calibration.measure("synthetic", size=tiny, device="cpu", seeds=(5,))
    for two, one in zip(both[1], alone[1], strict=True):
        assert two.values[1] == pytest.approx(one.values[0], rel=1e-4, abs=1e-5)


def test_a_gpu_that_is_not_there_is_refused():
    if not torch.cuda.is_available():
        with pytest.raises(DomainError, match="cuda"):
            calibration.measure("synthetic", size=SMALL, device="cuda", seeds=(0, 1))
