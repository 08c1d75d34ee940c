"""The picture that stands for the book where somebody shares a link.

`make social` draws it anew, book/_static/social.png; it is committed, so that a build needs not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mixtheory import mixup, paths, plotting

__all__ = ["draw", "main"]

FORMULA = r"$\tilde{x} = \lambda\,x_1 + (1-\lambda)\,x_2$"
PROMISE = "Every statement derived,\ncomputed twice, simulated,\nattacked, measured."


def draw(target: Path) -> None:
    """Two classes, and what mixing makes of them, with the name of the book; 1200 x 630 pixels, light."""
    rng = np.random.default_rng(3)
    x = rng.multivariate_normal([0, 0], [[0.06, 0.03], [0.03, 0.16]], 240) + np.repeat([[-1, -0.3], [1, 0.3]], 120, 0)
    y = np.repeat([[1.0, 0.0], [0.0, 1.0]], 120, axis=0)
    mixed = mixup.mixup(x, y, alpha=1.0, rng=rng, sharing="element")
    with mpl.rc_context({**plotting.STYLE, "savefig.transparent": False, "figure.constrained_layout.use": False}):
        figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="white")
        axes = figure.add_axes((0.5, 0.05, 0.48, 0.9))
        axes.set_axis_off()
        blue, orange = (np.array(mpl.colors.to_rgb(c)) for c in plotting.COLOURS[:2])
        axes.scatter(*mixed.x.T, s=46, c=mixed.y[:, :1] * blue + mixed.y[:, 1:] * orange, alpha=0.75, linewidths=0)
        for colour, group in zip((blue, orange), (x[:120], x[120:]), strict=True):
            axes.scatter(*group.T, s=46, facecolors="none", edgecolors=[colour], linewidths=1.1, alpha=0.8)
        axes.set_aspect("equal", adjustable="datalim")
        figure.text(0.05, 0.68, "Mixup, verified", fontsize=42, weight="bold", color=plotting.INK, va="center")
        figure.text(0.05, 0.52, FORMULA, fontsize=34, color=plotting.INK, va="center")
        figure.text(0.05, 0.33, PROMISE, fontsize=23, color=plotting.AXIS, va="center", linespacing=1.35)
        figure.savefig(target, metadata={"Software": None})


def main() -> int:
    """Draw the picture into the checkout."""
    if paths.ROOT is None:
        sys.stderr.write("social: the package is installed without the book\n")
        return 2
    draw(paths.ROOT / "book" / "_static" / "social.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
