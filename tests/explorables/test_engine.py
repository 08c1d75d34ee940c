"""The engine: what it refuses, what it leaves out of the data, where it puts things in the picture."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest

from mixtheory import page
from mixtheory.domain import DomainError
from mixtheory.explorables import EXPLORABLES, Explorable
from mixtheory.explorables.drawing import draw, path
from mixtheory.explorables.parts import KINDS, Control, Layer, Panel, State
from tests.explorables.reading import data_of, layers, look, pixels, points, readouts, states

VOID = ("input", "use", "br")


class Tags(HTMLParser):
    """All tags with their attributes; what opens must close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


X = np.linspace(-1, 1, 5)


def state(height: float, word: str) -> State:
    return State(
        {
            "curve": (X, height * X**2),
            "marks": ([0.0, 1.0], [1.0, height]),
            "nothing": ([], []),
            "box": ([0, 1, 1], [0, 0, height]),
        },
        {"height": f"{height:g} </script> & so", "word": word},
    )


def toy(**changed: object) -> Explorable:
    panel = Panel(
        [Layer("curve", label="a curve"), Layer("marks", "dots"), Layer("nothing", "segments"), Layer("box", "area")],
        lambda ax: ax.set(xlim=(-2, 2), ylim=(-1, 5)),
        alt='a "curve"',
    )
    made = Explorable(
        "toy",
        [
            Control("height", "How high", (1.0, 2.0, 3.0), ("1", "2", "3"), start=1),
            Control("word", "Which", ("a", "b"), ("a", "b"), choice=True),
        ],
        [panel],
        {"height": "height of $x^2$", "word": "word"},
        state,
        ["covariance.population"],
        "It **moves**.",
    )
    return replace(made, **changed)


def test_a_claim_must_be_registered() -> None:
    with pytest.raises(DomainError, match=r"covariance\.nowhere.*'toy'"):
        toy(claims=["covariance.nowhere"])


def test_every_value_needs_a_text() -> None:
    for texts, start in ((("1", "2"), 0), (("1", "2", "3"), 3)):
        with pytest.raises(DomainError, match="a text for each of 3 values"):
            toy(controls=[Control("height", "How high", (1.0, 2.0, 3.0), texts, start=start)])


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(DomainError, match="there are shrinkage"):
        page.explorable("nothing")


def test_a_state_is_found_again_and_nothing_is_stored_twice() -> None:
    made = toy()
    data = data_of(made.html(str))
    for index, values in states(made):
        expected = made.state(**values)
        assert readouts(data, index) == expected.readouts
        for name, (x, y) in layers(data, index).items():
            np.testing.assert_allclose(x, expected.layers[name][0], atol=5e-4)
            np.testing.assert_allclose(y, expected.layers[name][1], atol=5e-4)
    curve, marks = data["layers"][:2]
    assert curve["x"] == {"strides": [0, 0], "values": [[-1, -0.5, 0, 0.5, 1]]}
    assert curve["y"]["strides"] == [1, 0]
    assert len(marks["y"]["values"]) == 3
    assert [len(r["texts"]["values"]) for r in data["readouts"]] == [3, 2]


def test_text_is_escaped_and_the_data_stay_inside_their_script() -> None:
    html = toy().html(str)
    assert html.count("</script>") == 2
    assert "2 &lt;/script&gt; &amp; so" in html
    assert 'aria-label="a &quot;curve&quot;"' in html


def test_pictures_are_in_place() -> None:
    """Our map puts the initial state exactly where matplotlib drew it."""
    made = toy()
    drawn = draw(made.panels[0], made.state(2.0, "a"))[0]
    for layer in data_of(made.html(str))["layers"]:
        own = re.search(rf'layer-{layer["name"]}">\s*<path d="([^"]*)"', drawn)[1]
        expected = points(re.sub(r"\s+", " ", own).replace("M ", "M").replace("L ", "L"))
        if layer["name"] in ("curve", "marks", "box"):
            ours = pixels(layer, (1, 0))
            np.testing.assert_allclose(ours, expected[: len(ours)], atol=0.06)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("line", "M3.00 10.00L5.00 9.00L7.00 8.00L9.00 7.00"),
        ("area", "M3.00 10.00L5.00 9.00L7.00 8.00L9.00 7.00Z"),
        ("dots", "M3.00 10.00h0M5.00 9.00h0M7.00 8.00h0M9.00 7.00h0"),
        ("segments", "M3.00 10.00L5.00 9.00M7.00 8.00L9.00 7.00"),
    ],
)
def test_paths(kind: str, expected: str) -> None:
    assert path(kind, [1, 2, 3, 4], [0, 1, 2, 3], (2, 1, -1, 10)) == expected
    assert path(kind, [], [], (2, 1, -1, 10)) == ""
    assert kind in KINDS


def test_a_logarithmic_axis_is_transformed_beforehand() -> None:
    def decorate(ax: object) -> None:
        ax.set(xscale="log", xlim=(0.1, 10), ylim=(0, 1))

    made = toy(
        panels=[Panel([Layer("curve")], decorate, "")],
        controls=[Control("height", "", (1.0,), ("1",))],
        readouts={},
        state=lambda height: State({"curve": ([0.1, 1, 10], [0, 0.5, 1])}, {}),
    )
    (layer,) = data_of(made.html(str))["layers"]
    assert look(layer["x"], (0,)) == [-1, 0, 1]
    spots = pixels(layer, (0,))
    np.testing.assert_allclose(np.diff(spots, n=2, axis=0), 0, atol=1e-6)


def test_the_player_is_packaged() -> None:
    assert "play(figure)" in files("mixtheory.explorables").joinpath("player.js").read_text()


@pytest.mark.parametrize("name", list(EXPLORABLES))
def test_the_page_gets_sound_html(shown: dict[str, str], name: str) -> None:
    html = shown[name]
    data = data_of(html)
    assert len(html) < 260_000
    assert name == EXPLORABLES[name].name
    for claim in EXPLORABLES[name].claims:
        assert f'#{claim}"' in html
    tags = Tags(html)
    assert tags.open == []
    svgs = [a for tag, a in tags.found if tag == "svg"]
    assert len(svgs) == len(EXPLORABLES[name].panels)
    assert all(len(a["aria-label"]) > 40 for a in svgs)
    drawn = {a["data-layer"]: a["d"] for tag, a in tags.found if "data-layer" in a}
    start = tuple(c.start for c in EXPLORABLES[name].controls)
    assert set(drawn) == {layer["name"] for layer in data["layers"]}
    for layer in data["layers"]:
        np.testing.assert_allclose(points(drawn[layer["name"]]), pixels(layer, start), atol=0.0051)
