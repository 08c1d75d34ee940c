"""What several explorables share: a slider for alpha, its axis, and weights by quantile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy import special

from mixtheory.domain import check_alpha, check_lambda
from mixtheory.explorables.parts import Control

__all__ = ["ALPHAS", "alpha_axis", "alpha_slider", "named", "place", "quantile"]

ALPHAS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0,
          10.0, 15.0, 25.0, 50.0, np.inf)
TICKS = (0.0, 0.1, 0.3, 1.0, 4.0, np.inf)


def named(value: float, symbol: str = "α") -> str:
    """A value as it is shown and spoken: α = 0.2, α = ∞, no mixup for α = 0."""
    number = "∞" if np.isinf(value) else f"{value:g}".replace("-", "−")
    return f"{symbol} = {number}" + (" (no mixup)" if symbol == "α" and value == 0 else "")


def alpha_slider(alphas: Sequence[float] = ALPHAS, start: float = 1.0) -> Control:
    """The slider for alpha."""
    return Control("alpha", "Mixing strength", alphas, [named(a) for a in alphas], list(alphas).index(start))


def place(alpha: Any) -> Any:
    """alpha in [0, inf] on a finite axis: alpha / (alpha + 1)."""
    alpha = np.asarray(check_alpha(alpha), dtype=float)
    return 1 - 1 / (1 + alpha)


def alpha_axis(ax: Axes) -> None:
    """The horizontal axis for `place`."""
    ax.set_xticks(place(TICKS), ["∞" if np.isinf(a) else f"{a:g}" for a in TICKS])
    ax.set(xlim=(-0.03, 1.03), xlabel=r"$\alpha$")


def quantile(u: Any, alpha: float) -> np.ndarray:
    """The u-quantiles of lambda ~ Beta(alpha, alpha), so that the same u moves continuously with alpha.

    Args:
        u: in [0, 1], any shape.
        alpha: in [0, inf].

    Raises:
        DomainError: arguments outside these domains.
    """
    u = np.asarray(check_lambda(u, "u"), dtype=float)
    if check_alpha(alpha) == 0:
        return (u > 0.5).astype(float)
    return np.full(u.shape, 0.5) if np.isinf(alpha) else special.betaincinv(alpha, alpha, u)
