"""All explorables on one page from file://, in a real browser: by keyboard, on a phone, printed, without JavaScript."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mixtheory.explorables import EXPLORABLES
from tests.book.browser import DESKTOP, PHONE, ROOT
from tests.book.test_browser import CONTRAST, OVERFLOW, listen
from tests.explorables.reading import data_of, pixels, points, readouts

NAMES = list(EXPLORABLES)
THEMES = ("light", "dark")

# What a figure shows now.
SEEN = """figure => ({
    layers: Object.fromEntries([...figure.querySelectorAll('[data-layer]')].map(
        n => [n.dataset.layer, n.getAttribute('d')])),
    readouts: Object.fromEntries([...figure.querySelectorAll('[data-readout]')].map(
        n => [n.dataset.readout, n.textContent])),
    spoken: Object.fromEntries([...figure.querySelectorAll('input[type=range]')].map(
        n => [n.dataset.control, n.getAttribute('aria-valuetext')])),
    values: Object.fromEntries([...figure.querySelectorAll('[data-value]')].map(n => [n.dataset.value, n.textContent])),
    at: figure.querySelector('[data-at]').textContent,
})"""


@pytest.fixture(scope="session")
def sheet(shown: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with all explorables."""
    css = (ROOT / "book" / "_static" / "custom.css").as_uri()
    path = tmp_path_factory.mktemp("explorables") / "all.html"
    path.write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Explorables</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="{css}">'
        '<style>html { background: #fff } html[data-theme="dark"] { background: #121212; color: #ced6dd }</style>'
        f'<main><article class="bd-article">{"".join(shown.values())}</article></main></html>',
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.fixture
def page(browser: Any, sheet: str) -> Iterator[Any]:
    opened = browser.new_page(viewport=DESKTOP)
    heard = listen(opened, "file://")
    opened.goto(sheet)
    yield opened
    assert heard == []
    opened.close()


def figure(page: Any, name: str) -> Any:
    return page.locator(f'figure[data-explorable="{name}"]')


def check(page: Any, name: str, index: list[int], data: dict[str, Any]) -> None:
    """Pictures and words are those of the state."""
    seen, controls = figure(page, name).evaluate(SEEN), EXPLORABLES[name].controls
    for layer in data["layers"]:
        np.testing.assert_allclose(
            points(seen["layers"][layer["name"]]), pixels(layer, tuple(index)), rtol=0, atol=0.0051
        )
    assert seen["readouts"] == readouts(data, tuple(index))
    words = {c.name: c.texts[i] for c, i in zip(controls, index, strict=True)}
    sliders = {c.name: words[c.name] for c in controls if not c.choice}
    assert seen["spoken"] == seen["values"] == sliders
    assert seen["at"] == "; ".join(c.said[i] for c, i in zip(controls, index, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_control_by_keyboard(page: Any, shown: dict[str, str], name: str) -> None:
    data, controls = data_of(shown[name]), EXPLORABLES[name].controls
    index = [c.start for c in controls]
    check(page, name, index, data)
    others = {other: figure(page, other).evaluate(SEEN) for other in NAMES if other != name}
    for i, control in enumerate(controls):
        inputs, count = figure(page, name).locator(f'[data-control="{control.name}"]'), len(control.values)
        if control.choice:
            inputs.nth(index[i]).focus()
            for _ in range(count):
                page.keyboard.press("ArrowRight")
                index[i] = (index[i] + 1) % count
                check(page, name, index, data)
            continue
        inputs.focus()
        before = figure(page, name).evaluate(SEEN)
        for key, value in (
            ("Home", 0),
            ("ArrowRight", 1),
            ("ArrowRight", 2),
            ("End", count - 1),
            ("ArrowLeft", count - 2),
        ):
            page.keyboard.press(key)
            index[i] = value
            check(page, name, index, data)
            if value != control.start:
                after = figure(page, name).evaluate(SEEN)
                assert after["spoken"] != before["spoken"]
                assert (after["layers"], after["readouts"]) != (before["layers"], before["readouts"])
    assert {other: figure(page, other).evaluate(SEEN) for other in others} == others


def test_nothing_collides_and_the_player_may_stand_there_twice(page: Any, shown: dict[str, str]) -> None:
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(n => n.id)")
    assert ids
    assert len(ids) == len(set(ids))
    assert page.locator('script[type="module"]').count() == len(NAMES)
    name = NAMES[0]
    count = page.evaluate(
        """name => {
        const figure = document.querySelector(`figure[data-explorable="${name}"]`);
        let changes = 0;
        new MutationObserver(list => { changes += list.filter(m => m.attributeName === 'aria-valuetext').length; })
            .observe(figure, {subtree: true, attributes: true});
        const slider = figure.querySelector('input[type=range]');
        slider.stepUp();
        slider.dispatchEvent(new Event('input', {bubbles: true}));
        return Promise.resolve().then(() => changes);
    }""",
        name,
    )
    assert count == len([c for c in EXPLORABLES[name].controls if not c.choice])


@pytest.mark.parametrize("theme", THEMES)
def test_on_a_phone(page: Any, theme: str) -> None:
    page.set_viewport_size(PHONE)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    assert page.evaluate(OVERFLOW) == []
    assert page.evaluate(CONTRAST) == []
    small = page.evaluate("""[...document.querySelectorAll(
        '.mt-explorable input[type=range], .mt-explorable-choice label')].filter(
        n => n.getBoundingClientRect().height < 44).map(n => n.outerHTML)""")
    assert small == []
    for name in NAMES:
        box = figure(page, name).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]


def test_focus_can_be_seen(page: Any) -> None:
    for name in NAMES:
        figure(page, name).locator("input").first.focus()
        page.keyboard.press("ArrowRight")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2


def test_names_and_values_for_a_screen_reader(page: Any) -> None:
    for name in NAMES:
        for control in EXPLORABLES[name].controls:
            if control.choice:
                group = figure(page, name).get_by_role("group", name=control.label)
                for text in control.texts:
                    assert group.get_by_role("radio", name=text, exact=True).count() == 1
            else:
                assert figure(page, name).get_by_role("slider", name=control.label, exact=True).count() == 1
        assert figure(page, name).locator('[aria-live="polite"] output').count() == len(EXPLORABLES[name].readouts)


def test_printed_it_stands_still_in_its_state(page: Any, shown: dict[str, str]) -> None:
    for name in NAMES:
        figure(page, name).locator("input").first.focus()
        page.keyboard.press("ArrowRight")
    page.emulate_media(media="print")
    for name in NAMES:
        shape = figure(page, name)
        assert shape.locator("input:visible").count() == 0
        assert shape.locator("[data-at]").is_visible()
        first = EXPLORABLES[name].controls[0]
        assert first.texts[(first.start + 1) % len(first.texts)] in shape.locator("[data-at]").inner_text()
        for still in shape.locator("svg").all() + shape.locator("output").all():
            assert still.is_visible()


def test_without_javascript(browser: Any, sheet: str, shown: dict[str, str]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(sheet)
    for name in NAMES:
        shape = figure(page, name)
        assert shape.locator("input:visible").count() == 0
        assert shape.locator("noscript p").is_visible()
        assert shape.locator("[data-at]").inner_text() == "; ".join(
            c.said[c.start] for c in EXPLORABLES[name].controls
        )
        for still in shape.locator("svg").all():
            assert still.is_visible()
            assert still.bounding_box()["height"] > 120
    context.close()


def test_a_wrong_picture_is_found(page: Any, shown: dict[str, str]) -> None:
    name = NAMES[0]
    data = data_of(shown[name])
    index = [c.start for c in EXPLORABLES[name].controls]
    check(page, name, index, data)
    wrong = json.loads(json.dumps(data))
    values = wrong["layers"][0]["y"]["values"]
    values[index[0]][3] += 0.01
    with pytest.raises(AssertionError):
        check(page, name, index, wrong)
    with pytest.raises(AssertionError):
        check(page, name, [index[0] + 1, *index[1:]], data)
