"""The experiments, small: predictions from theory, power, streams, devices, records."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from mixtheory.domain import DomainError
from mixtheory.evidence import claims
from mixtheory.evidence.record import Measurement, Record
from mixtheory.theory import (
    covariance_batch,
    least_squares_descent,
    mixing_moments,
)
from mixtheory.theory import least_squares as least_squares_theory
from mixtheory.training import experiments
from mixtheory.training.experiments import covariance, least_squares
from mixtheory.training.experiments import mixing_moments as moments
from mixtheory.training.replicas import device_of, generators, images

SEEDS = experiments.SEEDS
TINY = {"mixing_moments": moments.Size(10_000, 60, 5_000), "covariance": covariance.Size({8: 1024}, 4096),
        "least_squares": least_squares.Size(600)}


def measure(experiment, dataset="digits", seeds=SEEDS, size=None):
    module = experiments._module(experiment)
    return module.measure(dataset, size=size or TINY[experiment], device="cpu", seeds=seeds)


@pytest.fixture(scope="module")
def tiny():
    return {(e, d): measure(e, d) for e, d in (("mixing_moments", "digits"), ("covariance", "digits"),
                                               ("least_squares", "digits"), ("least_squares", "diabetes"))}


def verdicts(found, name):
    return {m.verdict for m in found[1] if m.name == name}


# --- what is measured ---------------------------------------------------------------------------------------

def test_small_runs_agree_wherever_they_can_tell(tiny):
    for key, (_, found) in tiny.items():
        assert all(m.verdict != "disagrees" for m in found), key
        agree = sum(m.verdict == "agrees" for m in found)
        assert agree >= 0.8 * len(found), key


def test_every_measurement_belongs_to_a_registered_claim(tiny):
    named = {m.claim for _, found in tiny.values() for m in found}
    assert named <= set(claims()), named - set(claims())


def test_every_claim_that_names_an_experiment_is_measured_by_it(tiny):
    extra = covariance._batch_measurements({(128, *key): [1.0] * 16 for arm in covariance.ARMS for key in
                                            [(arm, "factor"), (arm, "correction"), (arm, "fluctuation")]},
                                           128, {"k": 1.0, "g": 0.1})
    measured = {m.claim for _, found in tiny.values() for m in found} | {m.claim for m in extra}
    wanted = {claim.id for claim in claims().values() if claim.experiment in experiments.EXPERIMENTS}
    assert wanted
    assert wanted <= measured, wanted - measured


def test_predictions_are_calls_of_the_theory(tiny):
    config, found = tiny["covariance", "digits"]
    for m in found:
        scheme = {k: m.arm.get(k) for k in ("alpha", "n", "pairing", "sharing")}
        if m.name == "factor":
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
    ridge = least_squares.RIDGE / least_squares_descent.batch_factor(1.0, 64, least_squares.PAIRING)
    assert ridge == pytest.approx(least_squares_theory.effective_ridge(1.0, least_squares.RIDGE), rel=1e-15)
    slopes = least_squares.ridge_slopes(data, [ridge])[0][:, 0]
    expected = least_squares_descent.weight_decay(1.0, least_squares.RIDGE, pair, batch=64, pairing="roll")
    assert np.allclose(slopes, np.asarray(expected, float)[1:], rtol=1e-9, atol=1e-12)


def test_exact_distances_of_the_wrong_theories_are_far(tiny):
    contrast = tiny["least_squares", "diabetes"][0]["contrast"]
    assert min(v for arm in contrast.values() for v in arm.values()) > 1e6 * least_squares.EXACT_MARGIN


# --- power: a wrong loop disagrees --------------------------------------------------------------------------

@pytest.mark.parametrize(("instead", "pairing"), [("roll", "permutation"), ("permutation", "roll")])
def test_another_pairing_is_seen(monkeypatch, instead, pairing):
    true = covariance.partners
    monkeypatch.setattr(covariance, "partners",
                        lambda p, n, **how: true(instead if p == pairing else p, n, **how))
    config, found = measure("covariance", size=covariance.Size({8: 1024}, 256))
    wrong = [m for m in found if m.arm.get("pairing") == pairing and m.arm["sharing"] == "batch"
             and m.name == "correction"]
    assert wrong
    assert all(m.verdict == "disagrees" for m in wrong)


def test_another_law_of_lambda_is_seen(monkeypatch):
    from mixtheory.mixing import Beta
    monkeypatch.setattr(covariance, "ARMS", tuple(a for a in covariance.ARMS if a[0] == 0.2))
    monkeypatch.setattr(covariance, "symmetric", lambda alpha: Beta(2 * alpha, 2 * alpha))
    rows = images("digits", torch.device("cpu"))
    values = [covariance._replica(rows, 8, 256, rng)[(0.2, "roll", "batch"), "factor"]
              for rng in generators(SEEDS, rows.x.device)]
    predicted = covariance_batch.batch_factor(0.2, 8, "roll", "batch")
    margin = covariance.FACTOR_MARGIN[8]
    assert Measurement("", "", {}, tuple(values), predicted, margin).verdict == "disagrees"


def test_a_partner_that_is_the_example_itself_is_seen_by_sgd(monkeypatch):
    monkeypatch.setattr(least_squares, "partners",
                        lambda p, n, *, rng, replicas: torch.arange(n).expand(replicas, n))
    assert verdicts(measure("least_squares"), "sgd") == {"disagrees"}


def test_decay_of_another_strength_is_seen_by_sgd(monkeypatch):
    true = least_squares.batch_factor
    monkeypatch.setattr(least_squares, "batch_factor", lambda *args: 1 / true(*args))
    assert verdicts(measure("least_squares"), "sgd") == {"disagrees"}


def test_an_untilted_lambda_is_seen(monkeypatch):
    monkeypatch.setattr(moments, "tilted", moments.symmetric)
    assert verdicts(measure("mixing_moments"), "untied_labels") == {"disagrees"}


# --- streams ------------------------------------------------------------------------------------------------

SMALL = {"mixing_moments": moments.Size(1_000, 10, 1_000), "covariance": covariance.Size({8: 16}, 256),
         "least_squares": least_squares.Size(50)}


@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS)
def test_replicas_depend_on_their_own_seed_only(experiment):
    state = torch.get_rng_state()
    few, again, more = (measure(experiment, seeds=seeds, size=SMALL[experiment])[1]
                        for seeds in ((3, 5), (3, 5), (3, 5, 8)))
    assert torch.equal(state, torch.get_rng_state())
    for a, b, c in zip(few, again, more, strict=True):
        assert a.values == b.values
        assert np.allclose(a.values, c.values[:2], rtol=1e-4, atol=1e-5), a.name
        assert a.values[0] != a.values[1] or a.margin == covariance.DRIFT_MARGIN


# --- devices, names, records --------------------------------------------------------------------------------

@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS)
def test_cuda_is_refused_clearly_where_there_is_none(experiment):
    with pytest.raises(DomainError, match="torch finds no CUDA device on this machine; use device = 'cpu'"):
        experiments.run(experiment, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS)
def test_the_same_code_runs_on_a_gpu(experiment):
    record = experiments.run(experiment, device="cuda")
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
    monkeypatch.setitem(least_squares.SIZES, "quick", least_squares.Size(100))
    lines = []
    threads = torch.get_num_threads()
    record = experiments.run("least_squares", dataset="diabetes", progress=lines.append)
    assert torch.get_num_threads() == threads
    assert lines
    assert record.seeds == SEEDS
    assert not record.stale
    assert record.environment["threads"] == 1
    assert Record.load(record.save(tmp_path)).select("ols", alpha=1.0, pairs="all").verdict == "agrees"
