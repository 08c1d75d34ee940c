"""Pictures follow the page's colours, do not clash, and show what the store holds."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mixtheory import paths
from mixtheory.domain import DomainError
from mixtheory.evidence import Claim, cases, evidence_for, predicts, scratch_registry
from mixtheory.evidence.record import Measurement
from mixtheory.plotting import (
    COLOURS,
    VARIABLES,
    figure,
    measured_against_predicted,
    picture,
    prediction_against_monte_carlo,
    tex_to_html,
)


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "BUILD", tmp_path)
    with scratch_registry():
        yield


def drawn(slope=1.0, **text):
    with figure() as (fig, axes):
        for i in range(len(COLOURS)):
            axes.plot([0, 1], [0, slope * (i + 1)], label=f"line {i}", marker="o")
        axes.legend()
    return picture(fig, **{"caption": "It **rises** as $x < 1$.", "alt": 'a "line" & more <up>', **text})


def test_colours_become_variables_of_the_page():
    svg = drawn().svg
    for colour, variable in VARIABLES.items():
        assert variable in svg, colour
        assert colour not in svg.replace(variable, "")
    assert len(set(VARIABLES.values())) == len(VARIABLES)


def test_ids_are_unique_on_a_page_and_all_references_resolve():
    pictures = [drawn(), drawn(2.0)]
    ids = [set(re.findall(r'\bid="([^"]+)"', p.svg)) for p in pictures]
    assert ids[0]
    assert not ids[0] & ids[1]
    for p, own in zip(pictures, ids, strict=True):
        assert len(re.findall(r'\bid="', p.svg)) == len(own)
        used = re.findall(r'(?:href="|url\()#([^")]+)', p.svg)
        assert used
        assert set(used) <= own


def test_the_same_figure_gives_the_same_bytes():
    assert drawn().svg == drawn().svg


def test_it_is_well_formed_and_says_what_it_shows():
    shown = drawn()
    root = ET.fromstring(shown.svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a "line" & more <up>'
    assert "<metadata" not in shown.svg
    assert shown._repr_html_().endswith(
        r'<figcaption>It <b>rises</b> as <span class="math">\(x &lt; 1\)</span>.</figcaption></figure>'
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("**bold** not $**x**$", r'<b>bold</b> not <span class="math">\(**x**\)</span>'),
        ("$a<b$ and $c$", r'<span class="math">\(a&lt;b\)</span> and <span class="math">\(c\)</span>'),
        ("", ""),
    ],
)
def test_words_with_tex(text, html):
    assert tex_to_html(text) == html


# ---- a claim -----------------------------------------------------------------------------------------------


def ramp(a, k):
    return np.array([a, a / 2]) * k


def make(**fields):
    return Claim(
        **{
            "id": "toy.ramp",
            "title": "Ramp",
            "statement": "a",
            "kind": "numerical",
            "predict": ramp,
            "simulate": lambda size, *, rng, a, k: 2 * rng.random((size, 1)) * ramp(a, k),
            "cases": cases(a=(0.0, 0.5, 1.0, 2.0), k=(1, 3)),
            "scale": lambda p, a, k: 1.0,
            "wrong": {"twice": predicts(lambda a, k: 2 * ramp(a, k))},
            **fields,
        }
    )


def test_line_points_and_bars_are_prediction_estimates_and_limits():
    make()
    stored = evidence_for(["toy.ramp"])["toy.ramp"].monte_carlo
    with figure() as (_, axes):
        prediction_against_monte_carlo(
            "toy.ramp",
            axes,
            x="a",
            entry=(1,),
            where={"k": 3},
            mutants=("twice",),
            colour=2,
            transform=lambda values, case: values * 10,
        )
    line, mutant = axes.lines[:2]
    np.testing.assert_allclose(line.get_ydata(), 15 * line.get_xdata())
    np.testing.assert_allclose(mutant.get_ydata(), 30 * mutant.get_xdata())
    assert (line.get_xdata().min(), line.get_xdata().max()) == (0.5, 2.0)
    assert to_hex(line.get_color()) == COLOURS[2]
    assert [t.get_label() for t in (line, mutant)] == ["prediction", "wrong: twice"]
    points, _, (bars,) = axes.containers[0]
    picked = [
        e
        for case, e in zip(make().cases, stored["estimates"], strict=True)
        if case["k"] == 3 and case["a"] > 0
    ]
    np.testing.assert_allclose(
        points.get_xydata(), [[a, 10 * e["mean"][1]] for a, e in zip((0.5, 1, 2), picked, strict=True)]
    )
    heights = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(heights, [20 * stored["limit"] * e["se"][1] for e in picked])


def test_claims_that_cannot_be_drawn():
    make(id="toy.quiet", simulate=None, exact=ramp)
    with figure() as (_, axes):
        with pytest.raises(DomainError, match=r"toy\.nowhere"):
            prediction_against_monte_carlo("toy.nowhere", axes)
        with pytest.raises(DomainError, match=r"toy\.quiet.*not simulated"):
            prediction_against_monte_carlo("toy.quiet", axes, x="a")


def test_measurements_with_their_intervals():
    rng = np.random.default_rng(0)
    rows = [Measurement("m", "toy.ramp", {}, tuple(rng.normal(mu, 0.1, 16)), mu, 0.2) for mu in (1.0, 2.0)]
    with figure() as (_, axes):
        measured_against_predicted(axes, rows, ["one", "two"])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["one", "two"]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[1.0, 1], [2.0, 0]])
    points, _, (bars,) = axes.containers[0]
    np.testing.assert_allclose(points.get_xdata(), [m.mean for m in rows])
    np.testing.assert_allclose([s[:, 0] for s in bars.get_segments()], [m.interval for m in rows])
