"""Calibration: hand-computed cases, naive loops, calibrated models by construction, and wrong versions that fail."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import optimize, special, stats

from mixtheory.domain import DomainError
from mixtheory.training.measurements import calibration as cal
from mixtheory.training.measurements.binning import absolute_deviation, bin_of

# Top probabilities .9, .6, .8, .55 of classes 0, 1, 0, 1; the labels make the third and fourth wrong.
P = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.45, 0.55]], dtype=torch.float64)
Y = torch.tensor([0, 1, 1, 0])


def random_logits(*shape, seed=0, spread=2.0):
    return spread * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draw(logits, seed=0):
    """Labels from the softmax of the logits, by NumPy's own multinomial."""
    p = logits.softmax(-1).numpy()
    return torch.as_tensor(np.random.default_rng(seed).multinomial(1, p).argmax(-1))


def naive_ece(p, y, bins, binning):
    """One example after the other, bins by their definition; p (n, K)."""
    rows = []
    for row, label in zip(p.tolist(), y.tolist(), strict=True):
        top = max(row)
        rows.append((top, float(row.index(top) == label)))
    if binning == "mass":
        rows.sort(key=lambda r: r[0])
        cuts = [math.ceil(b * len(rows) / bins) for b in range(bins + 1)]
        cells = [rows[a:b] for a, b in itertools.pairwise(cuts)]
    else:
        cells = [[r for r in rows if b / bins < r[0] <= (b + 1) / bins] for b in range(bins)]
    return sum(abs(sum(r[0] for r in cell) - sum(r[1] for r in cell)) for cell in cells) / len(rows)


def brute_deviation(p):
    """E|N - EN| over all outcomes of independent events."""
    total = 0.0
    for outcome in itertools.product((0, 1), repeat=len(p)):
        total += math.prod(q if o else 1 - q for q, o in zip(p, outcome, strict=True)) * abs(sum(outcome) - sum(p))
    return total


# --- scores -------------------------------------------------------------------------------------------------

def test_scores_by_hand():
    z = P.log()
    assert float(cal.error(z, Y)) == 0.5
    assert float(cal.nll(z, Y)) == pytest.approx(-math.log(0.9 * 0.6 * 0.2 * 0.45) / 4, rel=1e-14)
    # two classes: 2 (1 - p_y)^2 each
    assert float(cal.brier(z, Y)) == pytest.approx(2 * (0.01 + 0.16 + 0.64 + 0.3025) / 4, rel=1e-14)
    assert float(cal.overconfidence(z, Y)) == pytest.approx((0.9 + 0.6 + 0.8 + 0.55) / 4 - 0.5, rel=1e-14)


@pytest.mark.parametrize("wrong", [
    lambda z, y: cal.nll(z, y) / math.log(2),
    lambda z, y: -(z.log_softmax(-1).mean((-2, -1))),
    lambda z, y: -z.softmax(-1).gather(-1, y[:, None]).mean().log()], ids=["base 2", "over classes", "log of the mean"])
def test_scores_by_hand_see_a_wrong_likelihood(wrong):
    assert abs(float(wrong(P.log(), Y)) + math.log(0.9 * 0.6 * 0.2 * 0.45) / 4) > 0.05


def test_likelihood_and_brier_split_into_entropy_and_distance():
    """Labels in exact proportions eta: nll = H(eta) + KL(eta, p); brier = 1 - |eta|^2 + |p - eta|^2."""
    eta = torch.tensor([5, 2, 1], dtype=torch.float64) / 8
    y = torch.tensor([0] * 5 + [1] * 2 + [2])
    z = torch.tensor([0.3, -1.1, 0.4], dtype=torch.float64)
    p = z.softmax(-1)
    entropy, divergence = stats.entropy(eta), stats.entropy(eta, p)
    assert float(cal.nll(z.expand(8, 3), y)) == pytest.approx(entropy + divergence, rel=1e-13)
    distance = float((p - eta).square().sum())
    assert float(cal.brier(z.expand(8, 3), y)) == pytest.approx(float(1 - eta.square().sum()) + distance, rel=1e-13)


def test_replicas_numpy_and_label_shapes_agree():
    z = random_logits(2, 3, 50, 4)
    y = torch.stack([draw(z[0, 0], seed) for seed in range(6)]).reshape(2, 3, 50)
    shared = y[0, 0]
    for measure in (cal.error, cal.nll, cal.brier, cal.overconfidence, cal.ece, cal.debiased_ece, cal.squared_ece,
                    lambda z, y: cal.temperature(z, y, clip=(0.01, 100))):
        assert measure(z, y).shape == (2, 3)
        assert measure(z, y).dtype == torch.float64
        torch.testing.assert_close(measure(z, y)[1, 2], measure(z[1, 2], y[1, 2]), rtol=1e-12, atol=1e-15)
        torch.testing.assert_close(measure(z, shared)[1, 2], measure(z[1, 2], shared), rtol=1e-12, atol=1e-15)
        frozen = z.numpy().copy()
        frozen.setflags(write=False)
        torch.testing.assert_close(measure(frozen, y.numpy().astype(np.uint8)), measure(z, y), rtol=1e-12, atol=1e-15)


def test_float32_logits_of_a_network_are_summed_in_float64():
    z = random_logits(400, 5).float().requires_grad_()
    y = draw(z.detach())
    assert cal.nll(z, y).dtype == torch.float64
    assert not cal.nll(z, y).requires_grad
    assert float(cal.nll(z, y)) == pytest.approx(float(cal.nll(z.detach().double(), y)), rel=1e-14)


# --- ECE ----------------------------------------------------------------------------------------------------

def test_ece_by_hand():
    """Width, 5 bins: (.4, .6] holds .55 and .6 with one hit, (.6, .8] holds .8, a miss, (.8, 1] holds .9, a hit."""
    parts = [abs(1.15 - 1), 0.8, 0.1]
    assert float(cal.ece(P, Y, 5, of="probabilities")) == pytest.approx(sum(parts) / 4, rel=1e-13)
    assert float(cal.ece(P.log(), Y, 5)) == pytest.approx(sum(parts) / 4, rel=1e-13)
    # mass, 2 bins: {.55, .6} one hit, {.8, .9} one hit
    assert float(cal.ece(P, Y, 2, "mass", of="probabilities")) == pytest.approx((0.15 + 0.7) / 4, rel=1e-13)
    assert float(cal.ece(P, Y, 1, of="probabilities")) == pytest.approx((2.85 - 2) / 4, rel=1e-13)
    # all classes, one bin: class 1 has mean probability 1.45 / 4 and half of the labels, class 0 the reverse
    assert float(cal.ece(P, Y, 1, label="all", of="probabilities")) == pytest.approx(0.55 / 4, rel=1e-13)
    seen = cal.reliability(P, Y, 5, of="probabilities")
    torch.testing.assert_close(seen.count, torch.tensor([0.0, 0, 2, 1, 1], dtype=torch.float64))
    torch.testing.assert_close(seen.confidence, torch.tensor([0, 0, 0.575, 0.8, 0.9], dtype=torch.float64))
    torch.testing.assert_close(seen.accuracy, torch.tensor([0, 0, 0.5, 0, 1], dtype=torch.float64))


@pytest.mark.parametrize("binning", cal.BINNINGS)
@pytest.mark.parametrize(("n", "bins"), [(1, 4), (7, 3), (100, 15), (101, 15), (5, 9)])
def test_ece_agrees_with_a_loop(binning, n, bins):
    z = random_logits(n, 4, seed=n)
    y = draw(z / 2, n)
    assert float(cal.ece(z, y, bins, binning)) == pytest.approx(naive_ece(z.softmax(-1), y, bins, binning), rel=1e-12)


def test_the_case_by_hand_sees_wrong_eces():
    """Bins not weighted, bins of positions in the data, gaps before the mean: each is its own number, far away."""
    seen = cal.reliability(P, Y, 5, of="probabilities")
    unweighted = float((seen.confidence - seen.accuracy).abs().sum() / 3)
    assert unweighted == pytest.approx((0.075 + 0.8 + 0.1) / 3)
    by_position = (abs(0.9 + 0.6 - 2) + abs(0.8 + 0.55)) / 4
    before_the_mean = (0.1 + 0.4 + 0.8 + 0.55) / 4
    for wrong in (unweighted, by_position, before_the_mean):
        assert abs(wrong - float(cal.ece(P, Y, 5, of="probabilities"))) > 0.05
        assert abs(wrong - float(cal.ece(P, Y, 2, "mass", of="probabilities"))) > 0.05


@pytest.mark.parametrize(("n", "bins"), [(30, 15), (31, 4), (100, 7), (6, 9)])
@pytest.mark.parametrize("values", [1, 2, 1000])
def test_mass_bins_have_equal_mass_also_with_ties(n, bins, values):
    """Sizes differ by at most one and bins are in order, with 1, 2 or many different confidences."""
    rng = np.random.default_rng(n)
    p = torch.as_tensor(rng.choice(np.linspace(0.2, 0.9, values), n))
    index = bin_of(p, bins, "mass")
    sizes = torch.bincount(index, minlength=bins)
    assert int(sizes.max() - sizes.min()) <= 1
    assert int(sizes.sum()) == n
    assert (index[p.argsort(stable=True)].diff() >= 0).all()


def test_width_bins_are_closed_above():
    p = torch.tensor([0.0, 0.2, 0.2 + 1e-12, 0.6, 1.0], dtype=torch.float64)
    assert bin_of(p, 5, "width").tolist() == [0, 0, 1, 2, 4]


@pytest.mark.parametrize("binning", cal.BINNINGS)
def test_ece_is_the_same_in_any_order_and_with_classes_renamed(binning):
    z = random_logits(97, 5, seed=4)
    y = draw(z / 3, 4)
    order, names = torch.randperm(97), torch.randperm(5)
    for label in cal.LABELS:
        first = cal.ece(z, y, 10, binning, label=label)
        torch.testing.assert_close(cal.ece(z[order], y[order], 10, binning, label=label), first, rtol=1e-12, atol=0)
        renamed = z[:, names.argsort()]
        torch.testing.assert_close(cal.ece(renamed, names[y], 10, binning, label=label), first, rtol=1e-12, atol=0)
        torch.testing.assert_close(cal.ece(z + 3.7, y, 10, binning, label=label), first, rtol=1e-11, atol=0)


# --- bias ---------------------------------------------------------------------------------------------------

def test_absolute_deviation_by_enumeration():
    rng = np.random.default_rng(0)
    groups = [[0.3], [0.5, 0.5], rng.random(9).tolist(), [0.0, 1.0, 0.2], rng.beta(0.2, 0.2, 10).tolist()]
    p = torch.tensor([q for group in groups for q in group], dtype=torch.float64)
    index = torch.tensor([b for b, group in enumerate(groups) for _ in group])
    found = absolute_deviation(p, index, len(groups) + 1).tolist()
    assert found == pytest.approx([*map(brute_deviation, groups), 0.0], rel=1e-12, abs=1e-14)
    assert found[0] == pytest.approx(2 * 0.3 * 0.7)


@pytest.mark.parametrize(("n", "shape"), [
    (150, (1, 1)), (300, (5, 5)), (500, (1, 20)), (900, (0.3, 0.3)), (2900, (1, 99)), (400, (0.5, 0.1))])
def test_absolute_deviation_of_large_groups(n, shape):
    """Against the convolution of all n laws: 1e-12 up to variance 25, 2e-5 beyond; the plain normal is worse."""
    p = np.random.default_rng(n).beta(*shape, n)
    law = np.ones(1)
    for q in p:
        law = np.convolve(law, [1 - q, q])
    exact, variance = np.abs(np.arange(n + 1) - p.sum()) @ law, (p * (1 - p)).sum()
    found = float(absolute_deviation(torch.as_tensor(p), torch.zeros(n, dtype=torch.long), 1)[0])
    assert found == pytest.approx(exact, rel=1e-12 if variance <= 25 else 2e-5)
    if variance > 25:
        assert abs(math.sqrt(2 * variance / math.pi) / exact - 1) > 4 * abs(found / exact - 1)


@pytest.mark.parametrize("binning", cal.BINNINGS)
@pytest.mark.parametrize("label", cal.LABELS)
def test_bias_agrees_with_redrawn_labels(binning, label):
    """Closed form against Monte Carlo, 6000 draws at five standard errors, resolution 5 %."""
    z = random_logits(2, 60, 3, seed=8)
    options = {"bins": 8, "binning": binning, "label": label}
    draws = cal.ece_null(z, **options, draws=6000, rng=np.random.default_rng(1))
    se = draws.std(0) / math.sqrt(6000)
    bias = cal.ece_bias(z, **options)
    assert ((draws.mean(0) - bias).abs() < 5 * se).all()
    assert (10 * se < 0.05 * bias).all()
    # the law under which labels are uniform is another one
    assert ((cal.ece(z, torch.zeros(60, dtype=torch.long), **options) - bias) > 20 * se).all()


def test_null_draws_follow_torch_generators_too():
    z = random_logits(40, 3)
    one, two = (cal.ece_null(z, draws=5, rng=torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (5,)
    assert len(set(one.tolist())) > 1


@pytest.mark.parametrize("binning", cal.BINNINGS)
@pytest.mark.parametrize("label", cal.LABELS)
def test_a_calibrated_model_looks_miscalibrated_by_the_predicted_bias(binning, label):
    """True ECE 0, plug-in many standard errors above it, at the predicted size; debiased 0; sqrt(n) decay."""
    sizes = (40, 400, 4000)
    options = {"label": label, "repetitions": 200, "classes": 10 if label == "top" else 3}
    curve = cal.bias_curve(sizes, binning=binning, **options, rng=np.random.default_rng(6))
    assert (curve.plug_in > 30 * curve.plug_in_error).all()
    assert (curve.debiased.abs() < 5 * curve.debiased_error).all()
    assert (10 * curve.debiased_error < 0.3 * curve.predicted).all()
    torch.testing.assert_close(curve.plug_in - curve.predicted, curve.debiased, rtol=0, atol=1e-13)
    slope = np.polyfit(np.log(sizes[1:]), curve.predicted[1:].log().numpy(), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.07)
    # a prediction that forgets the number of bins (one bin) is rejected by the same rule
    one_bin = cal.bias_curve(sizes, 1, **options, rng=np.random.default_rng(7))
    assert ((curve.plug_in - one_bin.predicted).abs() > 5 * curve.debiased_error).all()


def test_squared_ece_is_unbiased_where_the_plug_in_is_not():
    """Fixed confidences, true chances off by .1 and 0: all label patterns of 6 examples in two bins, exactly."""
    confidence, truth = [0.7, 0.7, 0.7, 0.9, 0.9, 0.9], [0.6, 0.6, 0.6, 0.9, 0.9, 0.9]
    p = torch.tensor([[c, 1 - c] for c in confidence], dtype=torch.float64)
    mean = plug_in = 0.0
    for wrong in itertools.product((0, 1), repeat=6):
        weight = math.prod(1 - t if w else t for w, t in zip(wrong, truth, strict=True))
        y = torch.tensor(wrong)
        mean += weight * float(cal.squared_ece(p, y, 5, of="probabilities"))
        seen = cal.reliability(p, y, 5, of="probabilities")
        plug_in += weight * float((seen.count / 6 * (seen.confidence - seen.accuracy).square()).sum())
    assert mean == pytest.approx(0.5 * 0.1**2, rel=1e-12)
    assert plug_in == pytest.approx(0.5 * (0.1**2 + 0.24 / 3) + 0.5 * 0.09 / 3, rel=1e-12)


# --- temperature --------------------------------------------------------------------------------------------

def test_temperature_of_two_logits_by_hand():
    """One logit gap g, a share a correct: sigmoid(g / T) = a, so T = g / log(a / (1 - a))."""
    z = torch.tensor([[1.7, 0.0]]).expand(10, 2)
    y = torch.tensor([0] * 8 + [1] * 2)
    assert float(cal.temperature(z.double(), y)) == pytest.approx(float(z[0, 0].double()) / math.log(4), rel=1e-14)


def test_temperature_is_the_minimum_of_the_likelihood():
    """Against SciPy's bounded search, and by the slope; a minimum of the Brier score or of the ECE is elsewhere."""
    z = random_logits(3, 300, 5, seed=2, spread=4)
    y = torch.stack([draw(row / t, 5) for row, t in zip(z, (0.5, 1.5, 3.0), strict=True)])
    T = cal.temperature(z, y)
    for row, label, found in zip(z.numpy(), y.numpy(), T.tolist(), strict=True):
        def loss(t, row=row, label=label):
            return np.mean(special.logsumexp(row / t, axis=1) - row[np.arange(300), label] / t)
        best = optimize.minimize_scalar(loss, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-10})
        assert found == pytest.approx(best.x, rel=1e-6)
        assert loss(found) <= best.fun + 1e-15
        brier = optimize.minimize_scalar(lambda t, row=row, label=label: float(cal.brier(row / t, label)),
                                         bounds=(0.1, 20), method="bounded")
        assert abs(brier.x / found - 1) > 1e-3


def test_temperature_is_recovered():
    """Logits T times the true log-probabilities: within five standard errors (inverse Fisher information) of T."""
    truth = random_logits(20_000, 4, seed=9)
    y = draw(truth, 9)
    p = truth.softmax(-1)
    information = ((p * truth.square()).sum(-1) - (p * truth).sum(-1).square()).sum()
    factors = torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)
    T = cal.temperature(factors[:, None, None] * truth, y)
    assert ((T / factors - 1).abs() < 5 / information.sqrt()).all()
    assert 5 / information.sqrt() < 0.06
    assert ((1 / T / factors - 1).abs() > 5 / information.sqrt())[[0, 2]].all()      # 1 / T is not T


@pytest.mark.parametrize("c", [0.25, 8.0, 3.7, 1e-9, 1e9])
def test_temperature_scales_with_the_logits(c):
    z = random_logits(200, 3, seed=1)
    y = draw(z, 1)
    T = float(cal.temperature(z, y))
    assert float(cal.temperature(c * z, y)) == pytest.approx(c * T, rel=1e-12)
    if c in (0.25, 8.0):
        assert float(cal.temperature(c * z, y)) == c * T
    shifted = z + torch.linspace(-5, 5, 200, dtype=torch.float64)[:, None]
    assert float(cal.temperature(shifted, y)) == pytest.approx(T, rel=1e-11)


def test_temperature_of_nearly_separable_logits():
    """One wrong example with a margin of 1e-6: tiny T, found all the same; the loss rises on both sides."""
    z = random_logits(200, 3, seed=5)
    y = z.argmax(-1)
    z[0], y[0] = torch.tensor([1.0, 1.0 - 1e-6, -2.0]), 1
    T = cal.temperature(z, y)
    assert 0 < float(T) < 1e-2
    assert all(cal.nll(z / (f * T), y) > cal.nll(z / T, y) for f in (0.99, 1.01))


def test_temperature_without_a_minimum():
    z = random_logits(3, 50, 3, seed=6)
    y = torch.stack([z[0].argmax(-1), z[1].argmin(-1), draw(z[2], 6)])
    with pytest.raises(DomainError, match="2 of 3 replicas; 1 predict every example correctly .* 1 do no better"):
        cal.temperature(z, y)
    T = cal.temperature(z, y, clip=(0.05, 20))
    assert T[:2].tolist() == [0.05, 20.0]
    assert float(T[2]) == float(cal.temperature(z[2], y[2]))
    flat, label = random_logits(40, 1, seed=7).expand(40, 7), torch.arange(40) % 7     # equal within each row
    with pytest.raises(DomainError, match="1 do no better"):
        cal.temperature(flat, label)
    assert float(cal.temperature(flat, 0 * label, clip=(0.5, 2))) == 2
    for clip in ((0, 1), (2, 1), (1, math.inf)):
        with pytest.raises(DomainError, match="clip"):
            cal.temperature(z, y, clip=clip)


def test_report_fits_and_evaluates_on_different_examples():
    truth = random_logits(2, 3000, 4, seed=12)
    y = torch.stack([draw(row, 12) for row in truth])
    z = torch.tensor([3.0, 0.4], dtype=torch.float64)[:, None, None] * truth
    held = torch.arange(3000) % 3 == 0
    found = cal.report(z, y, held_out=held, bins=10, binning="mass")
    torch.testing.assert_close(found.temperature, cal.temperature(z[:, held], y[:, held]))
    torch.testing.assert_close(found.raw.nll, cal.nll(z[:, ~held], y[:, ~held]))
    scaled = z[:, ~held] / found.temperature[:, None, None]
    torch.testing.assert_close(found.scaled.ece, cal.ece(scaled, y[:, ~held], 10, "mass"))
    assert torch.equal(found.raw.error, found.scaled.error)                # the prediction is the same
    assert (found.scaled.nll < found.raw.nll).all()
    assert found.raw.overconfidence[0] > 0.05
    assert found.raw.overconfidence[1] < -0.05
    assert (found.raw.ece > 3 * found.raw.ece_bias).all()
    assert (found.scaled.ece < 2 * found.scaled.ece_bias).all()
    by_index = cal.report(z, y, held_out=held.nonzero()[:, 0].numpy(), bins=10, binning="mass")
    assert torch.equal(by_index.temperature, found.temperature)
    # fitting on the evaluated examples is another number
    assert (cal.temperature(z[:, ~held], y[:, ~held]) - found.temperature).abs().max() > 1e-4


# --- domain -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("call", "message"), [
    (lambda: cal.nll(P.log(), torch.tensor([0, 1, 2, 0])), "labels must lie in 0 .. 1"),
    (lambda: cal.nll(P.log(), torch.tensor([0, -1, 1, 0])), "labels must lie in 0 .. 1"),
    (lambda: cal.nll(P.log(), Y.double()), "integers"),
    (lambda: cal.nll(P.log(), Y[:3]), "one label an example"),
    (lambda: cal.nll(P.log()[None], Y[None, None]), "one label an example"),
    (lambda: cal.nll(P[:, :1], Y), "K >= 2"),
    (lambda: cal.nll(P[0], Y), "K >= 2"),
    (lambda: cal.nll(P[:0], Y[:0]), "n >= 1"),
    (lambda: cal.nll(torch.where(P > 0.5, math.nan, P), Y), "NaN"),
    (lambda: cal.brier((P > 0.5).double().log(), Y), "finite"),
    (lambda: cal.ece(P, Y, 0, of="probabilities"), "bins"),
    (lambda: cal.ece(P, Y, 2.5, of="probabilities"), "bins"),
    (lambda: cal.ece(P, Y, binning="count"), "binning"),
    (lambda: cal.ece(P, Y, label="best"), "label"),
    (lambda: cal.ece(P, Y, of="odds"), "of = "),
    (lambda: cal.ece(P.log(), Y, of="probabilities"), "logits need"),
    (lambda: cal.ece(2 * P, Y, of="probabilities"), "logits need"),
    (lambda: cal.ece_null(P.log(), draws=0, rng=np.random.default_rng(0)), "draws"),
    (lambda: cal.bias_curve([0], rng=np.random.default_rng(0)), "sizes"),
    (lambda: cal.bias_curve([5], rng=np.random.default_rng(0), spread=0), "spread"),
    (lambda: cal.bias_curve([5], rng=np.random.default_rng(0), repetitions=1), "repetitions"),
    (lambda: cal.report(P.log(), Y, held_out=[]), "fitted on some examples"),
    (lambda: cal.report(P.log(), Y, held_out=[0, 1, 2, 3]), "fitted on some examples"),
    (lambda: cal.report(P.log(), Y, held_out=[False] * 4), "fitted on some examples"),
    (lambda: cal.report(P.log(), Y, held_out=[4]), "indices in 0 .. 3"),
    (lambda: cal.report(P.log(), Y, held_out=[True, False]), "mask"),
])
def test_outside_the_domain(call, message):
    with pytest.raises(DomainError, match=message):
        call()
