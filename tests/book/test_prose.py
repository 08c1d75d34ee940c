"""Sentences of the book that no glued number carries: they must be true of the runs that the page shows."""

from __future__ import annotations

from statistics import stdev

import pytest

from mixtheory import page
from mixtheory.evidence import claims, ledger
from mixtheory.theory import membership_attack, membership_logistic
from mixtheory.theory.covariance_batch import batch_factor
from mixtheory.theory.mixing_moments import shrinkage
from mixtheory.training.experiments import membership


@pytest.fixture(scope="module")
def headline():
    return page.quick_run("headline")


@pytest.fixture(scope="module")
def larger():
    return next(r for r in page.records_of("headline") if (r.dataset, r.scale, r.device) == ("fashion_mnist", "full",
                                                                                              "cpu"))


def change(record, name, arm="mixup"):
    return page.difference(record, name, arm, "ERM", networks="mlp").interval


def test_mixup_makes_the_function_straighter(headline):
    for name in ("chord_deviation", "slope_variation"):
        assert change(headline, name)[1] < 0, name


def test_its_minimum_is_not_flatter_and_predictions_are_less_sure(headline):
    for name in ("sharpness", "hessian_trace", "end_entropy"):
        assert change(headline, name)[0] > 0, name


def test_a_temperature_takes_most_of_the_calibration_error_away(headline):
    for arm in {o.arm["arm"] for o in headline.observations if "arm" in o.arm} - {"ERM"}:
        raw, scaled, bias = (headline.observation(name, arm=arm, networks="mlp").mean
                             for name in ("ece", "ece_scaled", "ece_bias_scaled"))
        assert scaled < raw / 2, arm
        assert abs(scaled - bias) < (raw - bias) / 4, arm


def test_labels_reappear_as_doubt(headline):
    for arm in ("mixup", "smoothing (mean)", "smoothing (entropy)"):
        assert change(headline, "overconfidence", arm)[1] < 0, arm


def test_on_fashion_mnist_doubt_is_welcome_until_a_temperature_is_fitted(larger):
    assert larger.observation("overconfidence", arm="ERM", networks="mlp").interval[0] > 0
    assert larger.observation("overconfidence", arm="mixup", networks="mlp").interval[1] < 0
    assert change(larger, "ece", "mixup 0.2")[1] < 0
    for arm in ("mixup", "mixup 0.2"):
        assert change(larger, "ece_scaled", arm)[0] > 0
    scaled, bias = (larger.observation(name, arm="ERM", networks="mlp") for name in ("ece_scaled", "ece_bias_scaled"))
    assert scaled.interval[0] < bias.mean < scaled.interval[1]


def test_attacks_get_stronger_on_digits_and_weaker_on_fashion_mnist_at_alpha_one(headline, larger):
    gap = page.difference(larger, "loss_gap", "mixup", "ERM", networks="mlp")
    assert gap.interval[1] < -larger.observation("loss_gap", arm="ERM", networks="mlp").mean / 2
    for name in ("threshold_auc", "lira_auc"):
        assert change(headline, name)[0] > 0
        assert change(larger, name)[1] < 0
    assert change(larger, "lira_auc", "mixup 0.2")[0] > 0
    assert change(larger, "lira_auc", "smoothing (mean)")[0] > 0


def test_the_hidden_factor_is_neither_that_of_self_pairs_nor_s(headline, larger):
    """The declared margin is wider than these gaps; the intervals are not."""
    for record in (headline, larger):
        m = record.select("hidden_factor")
        alpha, n = m.arm["alpha"], m.arm["n"]
        low, high = m.interval
        assert low < m.predicted < high
        assert high < min(shrinkage(alpha), batch_factor(alpha, n, "permutation", "element"))


def test_running_variances_tell_the_pairings_apart_at_small_batches():
    record = page.quick_run("covariance")
    for name in ("running_factor", "between_factor"):
        m = record.select(name)
        assert m.interval[1] < batch_factor(m.arm["alpha"], m.arm["n"], "permutation", "batch")
    inside = {"hidden_factor", "linear_factor", "running_factor", "kept_factor", "between_factor"}
    assert {m.verdict for m in record.measurements if m.name in inside} == {"agrees"}


def test_every_claim_that_names_an_experiment_is_measured_by_it():
    measured = {(r.experiment, m.claim) for r in ledger.records() if not r.stale for m in r.measurements}
    named = {(c.experiment, c.id) for c in claims().values() if c.experiment}
    assert named
    assert named <= measured, named - measured


@pytest.fixture(scope="module")
def survivors():
    return [r for r in ledger.records() if r.experiment == "real_networks" and not r.stale]


def test_what_is_safe_to_expect_came_out_on_every_data_set(survivors):
    assert survivors
    for record in survivors:
        for name in ("overconfidence", "temperature", "loss_gap", "chord_deviation", "floor", "clean"):
            seen = next(o for o in record.observations if o.name == "foretold" and o.arm["what"] == name)
            assert page.sign_verdict(seen, seen.arm["sign"]) == "as foretold", (record.name, name)
        assert {m.verdict for m in record.measurements if m.name != "head_gap"} == {"agrees"}


def test_on_digits_calibration_errors_stand_on_their_floor_and_mixup_between_erm_and_smoothing():
    record = page.quick_run("real_networks")
    for arm in ("ERM", "mixup"):
        low, high = record.observation("ece_scaled", arm=arm).interval
        assert low < record.observation("ece_bias_scaled", arm=arm).mean < high + (high - low) / 2
    smoothed, mixed, plain = (record.observation("clean_confidence", arm=arm) for arm in ("smoothing", "mixup", "ERM"))
    assert smoothed.interval[1] < mixed.interval[0] < mixed.interval[1] < plain.interval[0]


def test_where_classes_overlap_two_signs_are_the_opposite(survivors):
    record = next(r for r in survivors if r.dataset == "cifar10")
    assert record.observation("error", arm="ERM").interval[0] > 0.5
    for name in ("ece_scaled", "threshold_auc"):
        seen = next(o for o in record.observations if o.name == "foretold" and o.arm["what"] == name)
        assert page.sign_verdict(seen, seen.arm["sign"]) == "the opposite"


def test_the_gap_falls_to_a_third_and_the_attack_gets_almost_twice_as_good():
    assert (membership.M, membership.D) == (1.6, 10)        # as the page says
    gap = [float(membership_logistic.gap_logistic(a, membership.M, membership.D)) for a in (0.0, float("inf"))]
    attack = [float(membership_attack.auc_logistic(a, membership.M, membership.D)) for a in (0.0, float("inf"))]
    assert gap[1] / gap[0] == pytest.approx(1 / 3, abs=0.02)
    assert 1.9 < attack[1] / attack[0] < 2


def test_every_change_in_membership_is_more_than_five_standard_errors_from_none():
    record = page.quick_run("membership")
    for alpha in membership.ALPHAS[1:]:
        for name, sign in (("gap_change", -1), ("auc_change", 1)):
            values = record.select(name, alpha=alpha).values
            mean, sd = sum(values) / len(values), stdev(values)
            assert sign * mean > 5 * sd / len(values) ** 0.5, (name, alpha)
