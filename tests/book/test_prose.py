"""Sentences of the book that no glued number carries: they must be true of the runs that the page shows."""

from __future__ import annotations

import pytest

from mixtheory import page


@pytest.fixture(scope="module")
def headline():
    return page.quick_run("headline")


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
