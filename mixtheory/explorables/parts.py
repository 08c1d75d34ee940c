"""What an explorable is made of: controls, panels with layers, and states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from matplotlib.axes import Axes

__all__ = ["DASHES", "KINDS", "Control", "Layer", "Panel", "State"]

KINDS = {"line": None, "area": None, "dots": 1, "segments": 2}       # points in a stroke; None: all in one
DASHES = {"solid": "-", "dashed": (0, (5, 2.4)), "dotted": (0, (1, 1.9))}


@dataclass(frozen=True)
class Control:
    """Something a reader sets: a slider, or a choice between words.

    Attributes:
        name: of the argument of `Explorable.state`.
        label: what it is, for the reader.
        values: in order, as the argument takes them.
        texts: the same as they are shown and spoken, for instance "α = 0.2".
        start: index of the value at the beginning.
        choice: radio buttons instead of a slider.
    """

    name: str
    label: str
    values: Sequence[Any]
    texts: Sequence[str]
    start: int = 0
    choice: bool = False

    @property
    def said(self) -> list[str]:
        """The texts as they stand by themselves, where nobody sees the label: under the still."""
        return [f"{self.label} {text}" for text in self.texts] if self.choice else list(self.texts)


@dataclass(frozen=True)
class Layer:
    """A part of a panel that moves.

    Attributes:
        name: unique in its explorable.
        kind: one of KINDS: a line through all points, an area that they enclose, a dot at each, or a segment from each
            even point to the next.
        colour: index into COLOURS.
        width: of the stroke or the dots, in points; the areas have none.
        dash: key of DASHES.
        opacity: from 0 to 1.
        label: for the legend; TeX allowed.
    """

    name: str
    kind: str = "line"
    colour: int = 0
    width: float = 1.8
    dash: str = "solid"
    opacity: float = 1.0
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture of an explorable; panels stand side by side, or below one another on a phone.

    Attributes:
        layers: from back to front.
        draw: puts limits, labels and all that does not move on the axes.
        alt: what the picture shows, for those who do not see it.
        size: width and height in inches.
        legend: keyword arguments of the legend; None: no legend.
    """

    layers: Sequence[Layer]
    draw: Callable[[Axes], None]
    alt: str
    size: tuple[float, float] = (3.7, 3.3)
    legend: dict[str, Any] | None = field(default_factory=dict)


class State(NamedTuple):
    """What is seen for one combination of values.

    Attributes:
        layers: name -> (x, y), in the units of the axes.
        readouts: name -> text.
    """

    layers: dict[str, tuple[Any, Any]]
    readouts: dict[str, str]
