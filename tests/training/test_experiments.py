"""The experiments, small: predictions from theory, power, streams, devices, records."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from scipy import special

from mixtheory.domain import DomainError
from mixtheory.evidence import claims
from mixtheory.evidence.record import Measurement, Record
from mixtheory.mixing import Beta
from mixtheory.theory import (
    covariance_batch,
    least_squares_descent,
    mixing_moments,
)
from mixtheory.theory import least_squares as least_squares_theory
from mixtheory.training import arms, experiments
from mixtheory.training.experiments import _layers as layers
from mixtheory.training.experiments import covariance, least_squares
from mixtheory.training.experiments import mixing_moments as moments
from mixtheory.training.experiments._layers import Inside
from mixtheory.training.experiments._trained import Training, networks
from mixtheory.training.models import cnn
from mixtheory.training.replicas import device_of, generators, images

SEEDS = experiments.SEEDS
QUICK = [e for e in experiments.EXPERIMENTS if "quick" in experiments.scales_of(e)]
BRIEF = Training(2, 1024)
INSIDE = Inside(BRIEF, Training(1, 2048), width=2, batches=8, small_batches=90)
TINY = {"mixing_moments": moments.Size(10_000, BRIEF, 100), "covariance": covariance.Size({8: 1024}, 4096, INSIDE),
        "least_squares": least_squares.Size(1500, BRIEF)}
ONCE = Training(1, 2048)
NOTHING = Inside(ONCE, ONCE, width=1, batches=2, small_batches=2)
TRAINED = ("hidden_factor", "linear_factor", "running_factor", "kept_factor", "between_factor")


def measure(experiment, dataset="digits", seeds=SEEDS, size=None):
    module = experiments._module(experiment)
    return module.measure(dataset, size=size or TINY[experiment], device="cpu", seeds=seeds)


@pytest.fixture(scope="module")
def tiny():
    return {(e, d): measure(e, d) for e, d in (("mixing_moments", "digits"), ("covariance", "digits"),
                                               ("least_squares", "digits"), ("least_squares", "diabetes"))}


@pytest.fixture(scope="module")
def small_network():
    return networks("digits", [arms.Arm(0.3), arms.Arm(1.0)], Training(1, 2048), device="cpu", seeds=(1, 2))


def verdicts(found, name):
    return {m.verdict for m in found[1] if m.name == name}


# --- what is measured ---------------------------------------------------------------------------------------

def test_small_runs_agree_wherever_they_can_tell(tiny):
    for key, (_, found, _) in tiny.items():
        assert all(m.verdict != "disagrees" for m in found), key
        agree = sum(m.verdict == "agrees" for m in found)
        assert agree >= 0.8 * len(found), key


def test_every_measurement_belongs_to_a_registered_claim(tiny):
    named = {m.claim for _, found, _ in tiny.values() for m in found}
    assert named <= set(claims()), named - set(claims())


def test_every_claim_that_names_an_experiment_is_measured_by_it(tiny):
    extra = covariance._batch_measurements({(128, *key): [1.0] * 16 for arm in covariance.ARMS for key in
                                            [(arm, "factor"), (arm, "correction"), (arm, "fluctuation")]},
                                           128, {"k": 1.0, "g": 0.1})
    measured = {m.claim for _, found, _ in tiny.values() for m in found} | {m.claim for m in extra}
    wanted = {claim.id for claim in claims().values() if claim.experiment in {e for e, _ in tiny}}
    assert wanted
    assert wanted <= measured, wanted - measured


def test_predictions_are_calls_of_the_theory(tiny):
    config, found, _ = tiny["covariance", "digits"]
    for m in found:
        scheme = {k: m.arm.get(k) for k in ("alpha", "n", "pairing", "sharing")}
        if m.name in ("factor", *TRAINED):
            assert m.predicted == covariance_batch.batch_factor(**scheme)
        elif m.name == "correction":
            s = mixing_moments.shrinkage(m.arm["alpha"])
            assert m.predicted == covariance_batch.batch_factor(**scheme) - s
        elif m.name == "fluctuation":
            alpha = math.inf if m.arm["alpha"] == "inf" else m.arm["alpha"]
            shape = config["shapes"][str(m.arm["n"])]
            assert m.predicted == covariance_batch.fluctuation(alpha, m.arm["n"], shape["k"], shape["g"],
                                                               m.arm["pairing"])
    for m in tiny["mixing_moments", "digits"][1]:
        assert m.predicted == (mixing_moments.shrinkage(m.arm["alpha"]) if m.name == "shrinkage" else 0)


def test_the_margins_tell_self_pairs_in_from_out():
    for n, share in covariance.CORRECTION_SHARE.items():
        assert 0 < share <= 0.5, n
    gap = min(mixing_moments.shrinkage(a) - covariance_batch.batch_factor(a, 8, "roll", "batch")
              for a in covariance.ALPHAS)
    assert covariance.FACTOR_MARGIN[8] < gap / 2


def test_traces_are_those_of_the_covariance():
    x = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0))
    trace, mean = covariance.moments(x)
    for i in range(3):
        assert float(trace[i]) == pytest.approx(np.trace(np.cov(x[i].numpy().T, bias=True)), rel=1e-5)
    assert torch.allclose(mean[:, 0], x.mean(1), atol=1e-6)


def test_a_fresh_order_keeps_the_pairing_and_the_sharing():
    rng = torch.Generator().manual_seed(1)
    partner, lam = covariance.draw((1.0, "flip", "pair"), 8, 50, rng, reorder=True)
    rows = torch.arange(8).expand(50, 8)
    assert torch.equal(partner.gather(1, partner), rows)
    assert not (partner == rows).any()
    assert torch.equal(lam.gather(1, partner), lam)
    assert len({tuple(p.tolist()) for p in partner}) > 20


def test_epochs_draw_batches_without_replacement():
    index = covariance.epochs(20, 8, 5, torch.Generator().manual_seed(0))
    assert index.shape == (5, 8)
    for first, second in zip(index[::2], index[1::2], strict=False):
        assert len({*first.tolist(), *second.tolist()}) == 16


def test_a_ridge_is_the_minimiser_that_the_theory_names():
    data = least_squares.problem("diabetes", torch.device("cpu"))
    pair = data.x.numpy(), data.y[:, 0].numpy()
    ridge = least_squares.RIDGE / least_squares_descent.batch_factor(1.0, 64, "roll")
    assert ridge == pytest.approx(least_squares_theory.effective_ridge(1.0, least_squares.RIDGE), rel=1e-15)
    slopes = least_squares.ridge_slopes(data, [ridge])[0][:, 0]
    expected = least_squares_descent.weight_decay(1.0, least_squares.RIDGE, pair, batch=64, pairing="roll")
    assert np.allclose(slopes, np.asarray(expected, float)[1:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dataset", ["digits", "diabetes"])
def test_exact_distances_of_the_wrong_theories_are_far(tiny, dataset):
    told = [o for o in tiny["least_squares", dataset][2] if o.name in ("no_intercept", "nominal_ridge")]
    assert len(told) == 12
    assert min(v for o in told for v in o.values) > 1e6 * least_squares.EXACT_MARGIN


def test_the_risk_of_an_affine_model_is_not_just_s_times_the_risk(tiny):
    _, found, told = tiny["least_squares", "digits"]
    for kept in (o for o in told if o.name == "risk_kept"):
        s = mixing_moments.shrinkage(kept.arm["alpha"])
        assert min(kept.values) - s > 1e3 * least_squares.RISK_MARGIN


def test_the_risk_over_pairs_is_that_of_a_double_loop():
    rng = torch.Generator().manual_seed(3)
    module = torch.nn.Linear(3, 2).double()
    x, y = (torch.randn(4, k, generator=rng, dtype=torch.float64) for k in (3, 2))
    risk = 0.0
    for i in range(4):
        for j in range(4):
            for p, weight in ((0.5 - 0.75**0.5 / 3, 0.5), (0.5 + 0.75**0.5 / 3, 0.5)):     # Gauss, uniform lambda
                error = module(p * x[i] + (1 - p) * x[j]) - p * y[i] - (1 - p) * y[j]
                risk += weight * float((error**2).sum().detach()) / 32
    with torch.no_grad():
        assert least_squares.pair_risk(module, x, y, 1.0) == pytest.approx(risk, rel=1e-12)


def test_margins_of_sgd_and_of_running_variances_tell_self_pairs_in_from_out():
    batch, _ = least_squares.PACE["images"]
    s, mixed = (least_squares_descent.batch_factor(1.0, batch, p) for p in ("roll", "permutation"))
    assert 2 * least_squares.THETA_MARGIN < 1 - (1 / mixed - 1) / (1 / s - 1)
    gap = mixing_moments.shrinkage(1.0) - covariance_batch.batch_factor(1.0, layers.SMALL, *layers.SCHEME)
    assert 2 * layers.RUNNING_MARGIN < gap


def test_strata_fill_every_slice_of_the_law_once():
    law = Beta(1.3, 0.3)
    lam = moments.strata(law, 50, torch.Generator().manual_seed(0))
    slices = special.betainc(law.a, law.b, lam.numpy()) * moments.STRATA
    assert np.array_equal(np.floor(slices), np.tile(np.arange(moments.STRATA), (50, 1)))
    assert (slices % 1).mean() == pytest.approx(0.5, abs=0.04)
    assert float(lam.mean()) == pytest.approx(1.3 / 1.6, abs=1e-3)


def test_losses_on_pairs_are_those_of_the_plain_networks(small_network):
    data, trained, _ = small_network
    trained.stacked.eval()
    i, j = torch.arange(12).view(4, 3), torch.arange(40, 52).view(4, 3)
    lam = torch.rand(4, 3, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own, other = moments._losses(trained, data, i, j, lam)
        for r in range(4):
            for p in range(3):
                for k in range(2):
                    x = lam[r, p, k] * data.x[i[r, p]] + (1 - lam[r, p, k]) * data.x[j[r, p]]
                    scores = trained.module(r)(x[None])
                    for loss, y in ((own, data.y[i[r, p]]), (other, data.y[j[r, p]])):
                        expected = torch.nn.functional.cross_entropy(scores, y[None])
                        assert float(loss[r, p, k]) == pytest.approx(float(expected), rel=1e-4, abs=1e-5)


def test_what_shrinks_behind_a_convolution_is_the_variance_between_examples():
    data, trained, _ = networks("digits", [arms.Arm(1.0)], Training(1, 2048), device="cpu", seeds=(1,), model=cnn(2))
    module, found = trained.module(0), {}
    batches = list(layers._batches(data, layers.SMALL, 5, torch.Generator().manual_seed(4)))
    layers._over_positions(module, batches, torch.Generator().manual_seed(5),
                           lambda value, key: found.update({key: value}))
    within, whole = [], []
    for part in (batches, layers._mixed(batches, torch.Generator().manual_seed(5))):
        z = torch.stack([module[1](x) for x in part]).detach().double()        # (batch, n, channel, h, w)
        within.append(float(z.var(1, correction=0).mean((0, 2, 3)).sum()))
        whole.append(float(z.transpose(1, 2).flatten(2).var(2, correction=0).mean(0).sum()))
    assert found["between_factor"] == pytest.approx(within[1] / within[0], rel=1e-4)
    assert found["convolution"] == pytest.approx(whole[1] / whole[0], rel=1e-4)
    assert found["mean_map"] == pytest.approx(1 - within[0] / whole[0], rel=1e-4)
    assert found["convolution"] > found["between_factor"] + 0.05


def test_statistics_that_training_left_are_those_of_mixed_batches(tiny):
    kept = next(m for m in tiny["covariance", "digits"][1] if m.name == "kept_factor")
    assert 1 - kept.interval[1] > layers.KEPT_MARGIN


# --- power: a wrong loop disagrees --------------------------------------------------------------------------

@pytest.mark.parametrize(("instead", "pairing"), [("roll", "permutation"), ("permutation", "roll")])
def test_another_pairing_is_seen(monkeypatch, instead, pairing):
    true = covariance.partners
    monkeypatch.setattr(covariance, "partners",
                        lambda p, n, **how: true(instead if p == pairing else p, n, **how))
    _, found, _ = measure("covariance", size=covariance.Size({8: 1024}, 256, NOTHING))
    wrong = [m for m in found if m.arm.get("pairing") == pairing and m.arm["sharing"] == "batch"
             and m.name == "correction"]
    assert wrong
    assert all(m.verdict == "disagrees" for m in wrong)


def test_another_law_of_lambda_is_seen(monkeypatch):
    monkeypatch.setattr(covariance, "ARMS", tuple(a for a in covariance.ARMS if a[0] == 0.2))
    monkeypatch.setattr(covariance, "symmetric", lambda alpha: Beta(2 * alpha, 2 * alpha))
    rows = images("digits", torch.device("cpu"))
    values = [covariance._replica(rows, 8, 256, rng)[(0.2, "roll", "batch"), "factor"]
              for rng in generators(SEEDS, rows.x.device)]
    predicted = covariance_batch.batch_factor(0.2, 8, "roll", "batch")
    margin = covariance.FACTOR_MARGIN[8]
    assert Measurement("", "", {}, tuple(values), predicted, margin).verdict == "disagrees"


def test_a_partner_that_is_the_example_itself_is_seen_by_sgd(monkeypatch):
    monkeypatch.setattr(arms, "partners", lambda p, n, *, rng, replicas: torch.arange(n).expand(replicas, n))
    assert verdicts(measure("least_squares"), "sgd") == {"disagrees"}


def test_decay_of_another_strength_is_seen_by_sgd(monkeypatch):
    true = least_squares.batch_factor
    monkeypatch.setattr(least_squares, "batch_factor", lambda *args: 1 / true(*args))
    assert verdicts(measure("least_squares"), "sgd") == {"disagrees"}


def test_an_untilted_lambda_is_seen(monkeypatch):
    monkeypatch.setattr(moments, "tilted", moments.symmetric)
    assert verdicts(measure("mixing_moments"), "untied_labels") == {"disagrees"}


def test_labels_that_are_folded_the_other_way_are_seen(monkeypatch):
    true = moments._losses
    monkeypatch.setattr(moments, "_losses", lambda *args: true(*args[:-1], 1 - args[-1] if args[-1].min() >= 0.5
                                                               else args[-1]))
    assert verdicts(measure("mixing_moments"), "folded") == {"disagrees"}


def test_the_factor_of_the_population_is_not_that_of_small_batches(monkeypatch):
    monkeypatch.setattr(layers, "batch_factor", lambda alpha, **_: mixing_moments.shrinkage(alpha))
    size = Inside(ONCE, ONCE, width=2, batches=2, small_batches=120)
    found = layers.inside("digits", size=size, device="cpu", seeds=SEEDS)
    for name in ("running_factor", "between_factor"):
        assert verdicts(found, name) == {"disagrees"}


# --- streams ------------------------------------------------------------------------------------------------

SMALL = {"mixing_moments": moments.Size(1_000, ONCE, 10), "covariance": covariance.Size({8: 16}, 256, NOTHING),
         "least_squares": least_squares.Size(50, ONCE)}


@pytest.mark.parametrize("experiment", SMALL)
def test_replicas_depend_on_their_own_seed_only(experiment):
    few, again, more = (measure(experiment, seeds=seeds, size=SMALL[experiment])[1]
                        for seeds in ((3, 5), (3, 5), (3, 5, 8)))
    for a, b, c in zip(few, again, more, strict=True):
        assert a.values == b.values
        assert np.allclose(a.values, c.values[:2], rtol=1e-4, atol=1e-5), a.name
        assert a.values[0] != a.values[1] or a.margin in (covariance.DRIFT_MARGIN, least_squares.RISK_MARGIN)


# --- devices, names, records --------------------------------------------------------------------------------

@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("experiment", QUICK)
def test_cuda_is_refused_clearly_where_there_is_none(experiment):
    with pytest.raises(DomainError, match="torch finds no CUDA device on this machine; use device = 'cpu'"):
        experiments.run(experiment, dataset=experiments.datasets_of(experiment)[0], device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("experiment", QUICK)
def test_the_same_code_runs_on_a_gpu(experiment):
    record = experiments.run(experiment, dataset=experiments.datasets_of(experiment)[0], device="cuda")
    assert {m.verdict for m in record.measurements} == {"agrees"}


@pytest.mark.parametrize(("arguments", "message"), [
    (("optics",), "experiment = 'optics'"), (("covariance", "diabetes"), "covariance runs on digits"),
    (("covariance", "digits", "huge"), "scale = 'huge'"),
    (("covariance", "digits", "quick", "tpu"), "device = 'tpu'")])
def test_unknown_names_are_refused(arguments, message):
    names = ("dataset", "scale", "device")
    with pytest.raises(DomainError, match=re.escape(message)):
        experiments.run(arguments[0], **dict(zip(names, arguments[1:], strict=False)))


def test_device_of_names_the_cpu():
    assert device_of("cpu") == torch.device("cpu")


def test_a_run_gives_a_record_that_survives_the_disk(monkeypatch, tmp_path):
    monkeypatch.setitem(least_squares.SIZES, "quick", least_squares.Size(100, ONCE))
    lines = []
    threads = torch.get_num_threads()
    record = experiments.run("least_squares", dataset="diabetes", progress=lines.append)
    assert torch.get_num_threads() == threads
    assert lines
    assert record.seeds == SEEDS
    assert not record.stale
    assert record.environment["threads"] == 1
    assert Record.load(record.save(tmp_path)).select("ols", alpha=1.0, pairs="all").verdict == "agrees"
