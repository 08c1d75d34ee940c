"""What stands in a page: the data of an explorable, and what a state shows, looked up without the player."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from mixtheory.explorables import Explorable


def data_of(html: str) -> dict[str, Any]:
    """The JSON inside the HTML."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])


def look(table: dict[str, Any], index: tuple[int, ...]) -> Any:
    return table["values"][int(np.dot(table["strides"], index))]


def readouts(data: dict[str, Any], index: tuple[int, ...]) -> dict[str, str]:
    return {r["name"]: look(r["texts"], index) for r in data["readouts"]}


def layers(data: dict[str, Any], index: tuple[int, ...]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {la["name"]: (np.array(look(la["x"], index)), np.array(look(la["y"], index))) for la in data["layers"]}


def halves(data: dict[str, Any]) -> dict[str, np.ndarray]:
    """By how much a coordinate may be rounded: half a unit of its last declared decimal."""
    return {la["name"]: 0.5 * 10.0 ** -np.array(la["decimals"]) + 1e-12 for la in data["layers"]}


def states(e: Explorable) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """Every index with the values of the controls."""
    for index in itertools.product(*(range(len(c.values)) for c in e.controls)):
        yield index, {c.name: c.values[i] for c, i in zip(e.controls, index, strict=True)}


def points(d: str) -> np.ndarray:
    """The points of an SVG path of straight strokes, (k, 2)."""
    return np.array([[float(v) for v in pair] for pair in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", d)]).reshape(-1, 2)


def pixels(layer: dict[str, Any], index: tuple[int, ...]) -> np.ndarray:
    """Where the points of a layer must be drawn, (k, 2)."""
    a, b, c, d = layer["map"]
    x, y = np.array(look(layer["x"], index), dtype=float), np.array(look(layer["y"], index), dtype=float)
    return np.stack([a * x + b, c * y + d], axis=1)
