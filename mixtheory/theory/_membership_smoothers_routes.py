"""Second routes for smoothers of features of mixed inputs: every pair, nodes of lambda, drawn noise."""

from __future__ import annotations

import functools

import numpy as np
from numpy.polynomial import legendre
from scipy import optimize

from mixtheory.mixing import symmetric
from mixtheory.mixup import blend

SEVEN = (-0.913, -0.910, -0.905, -0.896, 0.177, 0.325, 0.530)
GRID = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
CURVES = {"sine": lambda x: np.sin(np.pi * x), "fast sine": lambda x: np.sin(3 * np.pi * x), "line": lambda x: 0.5 + x}
NODES = 24                              # exact for polynomials in lambda up to degree 47


def points(design: str) -> np.ndarray:
    """Inputs (n,): `seven` clustered ones, or `equispaced n` from -1 to 1."""
    name, *sizes = design.split()
    return np.linspace(-1, 1, int(sizes[0])) if sizes else np.array(SEVEN)


def moments(alpha: float, design: str, degree: int, label: str = "mixed") -> np.ndarray:
    """Means (P, P + n) of phi phi^T and of phi times the share of each target, by adding up all mixed points.

    `label` other than mixed: `first` keeps the first target of a pair, `features` mixes powers instead of inputs.
    """
    x = points(design)
    n = len(x)
    i, j = np.divmod(np.arange(n * n), n)
    total, targets = 0.0, np.eye(n)
    for lam, weight in zip(*symmetric(alpha).quadrature(nodes=NODES), strict=True):
        if label == "features":
            rows = blend(lam, powers(x[i], degree), powers(x[j], degree))
        else:
            rows = powers(blend(lam, x[i], x[j]), degree)
        y = targets[i] if label == "first" else blend(lam, targets[i], targets[j])
        total = total + weight / n**2 * (rows.T @ np.hstack([rows, y]))
    return total


@functools.lru_cache(256)
def weights(alpha: float, design: str, degree: int, label: str = "mixed") -> np.ndarray:
    """Coefficients (degree + 1, n) of powers of x as a map of targets; `label` as in `moments`."""
    G = moments(alpha, design, degree, label)
    return np.linalg.solve(G[:, :degree + 1], G[:, degree + 1:])


def powers(x: np.ndarray, degree: int) -> np.ndarray:
    """(len(x), degree + 1) powers of x."""
    return np.vander(x, degree + 1, increasing=True)


def smoothed(alpha: float, design: str, degree: int, label: str = "mixed") -> np.ndarray:
    """Fitted values (n, n) at the unmixed inputs."""
    return powers(points(design), degree) @ weights(alpha, design, degree, label)


def trace(alpha: float, design: str, degree: int) -> float:
    """Trace of the enumerated smoother."""
    return float(np.trace(smoothed(alpha, design, degree)))


def losses(alpha: float, design: str, degree: int, curve: str, sigma: float) -> np.ndarray:
    """Losses of members and outsiders from moments of uncorrelated noise, entry by entry of the smoother."""
    M, f = smoothed(alpha, design, degree), CURVES[curve](points(design))
    n = len(f)
    miss = f - M @ f
    member, outsider = 0.0, 0.0
    for i in range(n):
        seen = -M[i]
        outsider += miss[i] ** 2 + sigma**2 * (1 + (seen**2).sum())
        seen = seen.copy()
        seen[i] += 1
        member += miss[i] ** 2 + sigma**2 * (seen**2).sum()
    return np.array([member, outsider]) / n


def drawn_losses(size: int, *, rng: np.random.Generator, alpha: float, design: str, degree: int, curve: str,
                 sigma: float, label: str = "mixed") -> np.ndarray:
    """(size, 2): losses of one draw of uniform noise, that of outsiders averaged given the fit."""
    M, f = smoothed(alpha, design, degree, label), CURVES[curve](points(design))
    y = f + sigma * np.sqrt(12) * (rng.random((size, len(f))) - 0.5)
    fitted = y @ M.T
    return np.stack([((y - fitted) ** 2).mean(axis=1), sigma**2 + ((f - fitted) ** 2).mean(axis=1)], axis=1)


def rises(design: str, degree: int) -> float:
    """How many steps of the grid of alphas the trace rises on, by enumeration."""
    df = np.array([trace(alpha, design, degree) for alpha in GRID])
    return float((np.diff(df) > 1e-9).sum())


# --- a ridge on Legendre polynomials ------------------------------------------------------------------------

def enumerated_mixup(alpha: float, degree: int, n: int, curve: str, sigma: float) -> np.ndarray:
    """Test error (without the noise of the targets) at uniform x in (-1, 1) and gap of the enumerated smoother."""
    nodes, w = legendre.leggauss(40)
    design, f = f"equispaced {n}", CURVES[curve]
    T = powers(nodes, degree) @ weights(alpha, design, degree)
    error = w / 2 @ ((T @ f(points(design)) - f(nodes)) ** 2 + sigma**2 * (T**2).sum(axis=1))
    return np.array([error, 2 * sigma**2 * trace(alpha, design, degree) / n])


def appended(log_strength: float, degree: int, n: int, curve: str, sigma: float, power: int,
             orthonormal: bool) -> np.ndarray:
    """Test error and gap of a Legendre ridge: least squares with one row appended for each penalised coefficient."""
    k, f = np.arange(degree + 1.0), CURVES[curve]
    nodes, w = legendre.leggauss(40)
    unit = np.sqrt(2 * k + 1) if orthonormal else 1.0
    x = points(f"equispaced {n}")
    phi, basis = legendre.legvander(x, degree) * unit, legendre.legvander(nodes, degree) * unit
    rows = np.vstack([phi, np.diag(np.sqrt(n * np.exp(log_strength) * k**power))])
    W = np.linalg.lstsq(rows, np.eye(len(rows))[:, :n], rcond=None)[0]
    T = basis @ W
    error = w / 2 @ ((T @ f(x) - f(nodes)) ** 2 + sigma**2 * (T**2).sum(axis=1))
    return np.array([error, 2 * sigma**2 * np.trace(phi @ W) / n])


def searched_path(alpha: float, degree: int, n: int, curve: str, sigma: float, power: int,
                  orthonormal: bool) -> tuple[float, float]:
    """Least test error along the path, and the gap at the strongest ridge that tests as well as mixup (or NaN)."""
    how = {"degree": degree, "n": n, "curve": curve, "sigma": sigma, "power": power, "orthonormal": orthonormal}
    grid = np.linspace(-16, 5, 43)
    errors = np.array([appended(v, **how)[0] for v in grid])
    best = int(np.argmin(errors))
    found = optimize.minimize_scalar(lambda v: appended(v, **how)[0], bounds=(grid[best - 1], grid[best + 1]),
                                     method="bounded", options={"xatol": 1e-10})
    target = enumerated_mixup(alpha, degree, n, curve, sigma)[0]
    if found.fun > target:
        return float(found.fun), float("nan")
    edge = optimize.brentq(lambda v: appended(v, **how)[0] - target, found.x, grid[-1], xtol=1e-14)
    return float(found.fun), float(appended(edge, **how)[1])
