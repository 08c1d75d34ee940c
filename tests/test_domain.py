"""A refusal names the parameter, its value and the assumption; what is valid comes back unchanged."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

from mixtheory import domain
from mixtheory.domain import DomainError

ALPHA = sp.Symbol("alpha", positive=True)


@pytest.mark.parametrize(
    "value", [0, 0.0, 0.37, np.inf, 4, np.array([0.0, 1.0, np.inf]), ALPHA, sp.Rational(1, 2)]
)
def test_alpha_in_zero_to_infinity(value):
    assert domain.check_alpha(value) is value


@pytest.mark.parametrize(
    "value", [-1e-300, -1, np.nan, -np.inf, np.array([1.0, -1.0]), np.array([1.0, np.nan]), sp.Integer(-2)]
)
def test_alpha_negative_or_nan(value):
    with pytest.raises(DomainError, match=r"^beta0 = .*\[0, inf\]"):
        domain.check_alpha(value, "beta0")


@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan, np.array([1.0, 0.0])])
def test_positive(value):
    assert domain.check_positive(1e-300, "a") == 1e-300
    with pytest.raises(DomainError, match="^a = .*finite and greater than 0"):
        domain.check_positive(value, "a")


@pytest.mark.parametrize("value", [1, 0, -3, 2.5, True, np.nan, np.inf])
def test_counts(value):
    with pytest.raises(DomainError, match="^n = .*integer of at least 2"):
        domain.check_count(value)


def test_counts_that_are_fine():
    for value in (2, 3.0, np.int64(7), sp.Symbol("n", integer=True), sp.Integer(4)):
        assert domain.check_count(value) is value
    assert domain.check_count(1, least=1) == 1
    assert domain.check_count(4, even="pairs") == 4
    with pytest.raises(DomainError, match="^n = 5: must be even: pairs"):
        domain.check_count(5, even="pairs")


@pytest.mark.parametrize("kind", [float, np.array, torch.tensor])
def test_weights(kind):
    for good in (0.0, 0.5, 1.0):
        assert domain.check_lambda(kind(good)) == good
    for bad in (-1e-9, 1 + 1e-9, float("nan")):
        value = torch.tensor(bad, dtype=torch.float64) if kind is torch.tensor else kind(bad)
        with pytest.raises(DomainError, match=r"^lam = .*\[0, 1\]"):
            domain.check_lambda(value)


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_one_bad_weight_among_many_and_none_at_all(make):
    assert len(domain.check_lambda(make([]))) == 0
    assert len(domain.check_lambda(make([0.0, 1.0]))) == 2
    with pytest.raises(DomainError, match=r"^lam = .*1\.5"):
        domain.check_lambda(make([0.2, 1.5, 0.1]))


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_simplex(make):
    for good in ([[0.3, 0.7]], [[1.0, 0.0], [0.5, 0.5]]):
        assert domain.check_simplex(make(good)).shape == make(good).shape
    for bad in ([[0.3, 0.6]], [[1.1, -0.1]], [[0.5, 0.5], [float("nan"), 1.0]], [[0.0, 0.0]]):
        with pytest.raises(DomainError, match="^y = .*simplex"):
            domain.check_simplex(make(bad))
    for shape in ([0.3, 0.7], [[[0.3, 0.7]]], [[]]):
        with pytest.raises(DomainError, match="^y = .*shape"):
            domain.check_simplex(make(shape))
    with pytest.raises(DomainError, match="^y = .*int64.*floating"):
        domain.check_simplex(make([[1, 0]]))


def test_simplex_knows_the_rounding_of_its_dtype():
    y = torch.full((1, 10), 0.1)
    assert domain.check_simplex(y.bfloat16()).dtype == torch.bfloat16
    with pytest.raises(DomainError):
        domain.check_simplex(y * 1.001)
    with pytest.raises(DomainError):
        domain.check_simplex((y * 1.5).bfloat16())


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (np.ones((2, 3)), "square"),
        (np.ones(4), "square"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "negative eigenvalue"),
        (np.array([[np.nan]]), "finite"),
        (np.array([[-1.0]]), "negative eigenvalue"),
    ],
)
def test_covariance(value, why):
    with pytest.raises(DomainError, match=f"(?s)^Sigma = .*{why}"):
        domain.check_covariance(value)


def test_covariances_that_are_fine():
    for value in (
        np.eye(3),
        np.zeros((2, 2)),
        np.array([[1.0, 1.0], [1.0, 1.0]]),
        [[2.0]],
        sp.Symbol("Sigma"),
        sp.Matrix([[sp.Symbol("q")]]),
    ):
        assert domain.check_covariance(value) is value


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_partners(make):
    assert domain.check_partner(make([1, 0, 0]), 3) is not None
    for bad in ([0, 1], [[0, 1, 2]], [0.0, 1.0, 2.0], [True, False, True]):
        with pytest.raises(DomainError, match="^partner = .*integers of shape"):
            domain.check_partner(make(bad), 3)
    for bad in ([0, 1, 3], [-1, 0, 1]):
        with pytest.raises(DomainError, match=r"^partner = .*0 \.\. 2"):
            domain.check_partner(make(bad), 3)


def test_words_and_lengths():
    assert domain.check_member("roll", ("roll", "flip"), "pairing") == "roll"
    with pytest.raises(DomainError, match="^pairing = 'rol': must be one of roll, flip"):
        domain.check_member("rol", ("roll", "flip"), "pairing")
    assert domain.check_same_length(x=np.zeros((3, 2)), y=[1, 2, 3]) == 3
    with pytest.raises(DomainError, match=r"^x, y = \(3, 2\)"):
        domain.check_same_length(x=[1, 2, 3], y=[1, 2])


def test_what_is_symbolic():
    assert domain.is_symbolic(1.0, ALPHA)
    assert domain.is_symbolic(sp.Matrix([[ALPHA]]))
    assert not domain.is_symbolic(1.0, np.eye(2), sp.Rational(1, 3), sp.pi)


def test_a_domain_error_is_a_value_error():
    assert issubclass(DomainError, ValueError)


def test_finite_numbers_of_a_shape():
    good = np.zeros((2, 3))
    assert domain.check_finite(good, "mu", (2, 3)) is good
    with pytest.raises(DomainError, match=r"^mu = \(2, 3\): must have shape \(3, 2\)"):
        domain.check_finite(good, "mu", (3, 2))
    for bad in (np.nan, np.array([0.0, np.inf])):
        with pytest.raises(DomainError, match="^mu = .*must be finite"):
            domain.check_finite(bad, "mu")


@pytest.mark.parametrize("bad", [np.diag([1.0, 0.0]), np.ones((2, 2)), np.diag([1.0, -1.0])])
def test_definite_covariances(bad):
    good = np.diag([1.0, 1e-12])
    assert domain.check_definite(good) is good
    with pytest.raises(DomainError, match=r"^Sigma = (.|\n)*(positive definite|negative eigenvalue)"):
        domain.check_definite(bad)


def test_probabilities():
    good = np.array([0.2, 0.8, 0.0])
    assert domain.check_probabilities(good, "priors") is good
    for bad, words in (([0.2, 0.7], "sum to one, these sum to 0.9"), ([1.2, -0.2], "at least 0"),
                       ([[1.0]], r"shape \(K,\)"), ([], r"shape \(K,\)"), ([np.nan, 1.0], "at least 0")):
        with pytest.raises(DomainError, match=f"^priors = .*{words}"):
            domain.check_probabilities(bad, "priors")
    with pytest.raises(DomainError, match="^priors = .*greater than 0"):
        domain.check_probabilities(good, "priors", positive=True)
