"""The report in a real browser: one file, so that one worker starts one browser."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# Contrast of every visible text with what lies behind it, half-transparent grounds mixed.
CONTRAST = """() => {
  const parse = (text) => {
    const one = text.match(/[\\d.]+/g).map(Number);
    if (text.startsWith("color(srgb")) { one[0] *= 255; one[1] *= 255; one[2] *= 255; }
    return [one[0], one[1], one[2], one.length > 3 ? one[3] : 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * below[i]);
  const ground = (node) => {
    const layers = [];
    for (let one = node; one; one = one.parentElement) {
      layers.push(parse(getComputedStyle(one).backgroundColor));
      if (layers[layers.length - 1][3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const luminance = (rgb) => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (!text || !node.checkVisibility() || node.closest("script, title")) continue;
    const style = getComputedStyle(node), svg = node.namespaceURI.endsWith("svg");
    const below = ground(svg ? node.closest("figure") : node);
    const ink = over(parse(svg ? style.fill : style.color), below);
    const [low, high] = [luminance(ink), luminance(below)].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), node.tagName, text.slice(0, 40)]);
  }
  return found;
}"""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; skips where there is none, but fails with ``ZSLBENCH_REQUIRE_BROWSER``."""

    def lacking(reason: str) -> None:
        if os.environ.get("ZSLBENCH_REQUIRE_BROWSER"):  # as in CI, where a skip would hide that nothing ran
            pytest.fail(reason)
        pytest.skip(reason)

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright is not installed: pip install 'zslbench[dev]'")
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        lacking(f"no browser found: one of {', '.join(NAMES)} must be on the PATH")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(quick_html: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(quick_html, encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Any]:
    """Open the page at a width and in a mode; it may log and request nothing."""
    contexts, wrong = [], []

    def open_page(width: int = 1280, mode: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode)
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda message: wrong.append(f"console: {message.text}"))
        shown.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        shown.on(
            "request",
            lambda request: (
                None
                if request.url == address or request.url.startswith("data:image/")
                else wrong.append(f"request: {request.url}")
            ),
        )
        shown.goto(address)
        return shown

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def open_all(page: Any) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def column(page: Any, name: str) -> list[float]:
    """Means of the main rows, in the order shown, group by group."""
    return page.evaluate(
        """(name) => {
            const table = document.querySelector("#results table");
            const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
            const place = heads.findIndex((one) => one.textContent.trim() === name);
            return [...table.querySelectorAll("tbody tr:not(.group):not(.below)")]
                .map((row) => parseFloat(row.cells[place].textContent));
        }""",
        name,
    )


def labels(page: Any) -> list[str]:
    return page.evaluate(
        "() => [...document.querySelectorAll('#results tbody tr')].map((o) => o.cells[0].textContent.trim())"
    )


def test_a_click_sorts_within_groups_and_rows_below_stay_with_theirs(opened: Any) -> None:
    page = opened()
    before = labels(page)
    header = page.locator("#results thead th", has_text=re.compile("^H$"))
    assert header.get_attribute("aria-sort") == "none"
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    generative = column(page, "H")[1:]
    assert generative == sorted(generative, reverse=True) and len(set(generative)) == 3
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(page, "H")[1:] == generative[::-1]
    assert page.locator("#announcement").inner_text() == "sorted by H, ascending"
    after = labels(page)
    assert sorted(after) == sorted(before)
    assert [one for one in after if one in ("embedding", "generative")] == ["embedding", "generative"]
    assert after[2::2] and all(
        after[at + 1].startswith("oracle") for at, one in enumerate(after) if "egg" in one
    )


def test_the_keyboard_sorts_too(opened: Any) -> None:
    page = opened()
    page.locator("#results th button.sort").first.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Acc"
    page.keyboard.press("Enter")
    assert page.locator("#results th[aria-sort=descending]").inner_text() == "Acc"
    assert column(page, "Acc")[1:] == sorted(column(page, "Acc")[1:], reverse=True)
    page.keyboard.press("Space")
    assert page.locator("#results th[aria-sort=ascending]").count() == 1
    assert column(page, "Acc")[1:] == sorted(column(page, "Acc")[1:])
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_missing_values_are_last_in_both_directions(opened: Any) -> None:
    page = opened()
    button = page.locator("#runs th button", has_text="H_cal")
    for order in ("descending", "ascending"):
        button.click()
        texts = page.evaluate(
            """() => {
                const table = document.querySelector("#runs table");
                const heads = [...table.tHead.rows[0].cells];
                const place = heads.findIndex((one) => one.ariaSort && one.ariaSort !== "none");
                return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent.trim());
            }"""
        )
        values = [float(one) for one in texts if one != "–"]
        assert values == sorted(values, reverse=order == "descending") and len(values) == 12
        assert texts[len(values) :] == ["–"] * 12


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_nothing_is_wider_than_the_page(opened: Any, width: int) -> None:
    page = opened(width)
    open_all(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") == width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("figure, svg, h1, h2, p, ul, .scroll")]
            .filter((one) => one.checkVisibility() && !one.closest(".hidden, .skip"))
            .filter((one) => !one.parentElement.closest(".scroll"))
            .filter((one) => {
                const box = one.getBoundingClientRect();
                return box.width && (box.right > innerWidth + 1 || box.left < -1);
            })
            .map((one) => `${one.tagName} ${one.className.baseVal ?? one.className}`)"""
    )
    assert wide == []


def test_text_of_charts_can_be_read_on_a_phone(opened: Any) -> None:
    page = opened(375)
    open_all(page)
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("svg[role=img]")].flatMap((svg) => {
            const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
            const texts = [...svg.querySelectorAll("text")];
            return texts.map((one) => scale * parseFloat(getComputedStyle(one).fontSize));
        })"""
    )
    assert len(sizes) > 100 and min(sizes) >= 7.0


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_all_text_is_legible(opened: Any, mode: str) -> None:
    page = opened(mode=mode)
    open_all(page)
    found = page.evaluate(CONTRAST)
    assert len(found) > 1000
    assert [one for one in found if one[0] < 4.5] == []


def test_dark_follows_the_system_and_the_button_decides(opened: Any) -> None:
    ground = "() => getComputedStyle(document.body).backgroundColor"
    line = (
        "() => getComputedStyle(document.querySelector('#curves svg[role=img] path[style*=\"--m1\"]')).stroke"
    )
    light, dark = opened(mode="light"), opened(mode="dark")
    assert light.evaluate(ground) != dark.evaluate(ground)
    assert light.evaluate(line) != dark.evaluate(line)
    button = light.locator("#mode")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert light.evaluate(ground) == dark.evaluate(ground)
    assert light.evaluate(line) == dark.evaluate(line)
    assert button.get_attribute("aria-pressed") == "true"
    light.reload()
    assert light.evaluate(ground) == dark.evaluate(ground)


@pytest.mark.slow
def test_screenshots_are_not_blank(opened: Any) -> None:
    pictures = {}
    for mode in ("light", "dark"):
        page = opened(mode=mode)
        for section in ("results", "curves", "classes", "training", "attention"):
            shot = page.locator(f"#{section}").screenshot()
            pictures[mode, section] = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=float)
    for (mode, section), picture in pictures.items():
        assert picture.std() > 8, (mode, section)
        assert len(np.unique(picture @ [65536, 256, 1])) > 50, (mode, section)
        # A page is light or dark for the most part.
        assert (np.median(picture) > 200) == (mode == "light"), (mode, section)
    for _, section in pictures:
        assert np.abs(pictures["light", section] - pictures["dark", section]).mean() > 50


def test_a_link_opens_a_closed_part(opened: Any) -> None:
    page = opened()
    audit = page.locator("#audits details").first
    assert audit.get_attribute("open") is None
    page.locator("#results a.chip").first.click()
    page.wait_for_function("() => document.querySelector('#audits details').open")
    assert audit.locator("ul").is_visible()


def test_the_layout_does_not_shift(opened: Any) -> None:
    page = opened(375)
    moved = page.evaluate(
        """() => new Promise((done) => {
            let sum = 0;
            new PerformanceObserver((list) => list.getEntries().forEach((one) => { sum += one.value; }))
                .observe({ type: "layout-shift", buffered: true });
            setTimeout(() => done(sum), 300);
        })"""
    )
    assert moved < 0.05


def test_without_scripts_everything_is_visible(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#results table").is_visible()
    assert not page.locator("#mode").is_visible()
    assert page.locator("nav a").first.is_visible()
    context.close()


def test_print_is_black_on_white(opened: Any) -> None:
    page = opened(mode="dark")
    page.emulate_media(media="print")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav.contents").is_visible()
    assert page.evaluate("() => getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"


def test_words_of_a_header_are_in_order(opened: Any) -> None:
    page = opened()
    orders = page.evaluate("""() => [...document.querySelectorAll("th .sort")].map((button) => {
        const words = [...button.querySelectorAll(".nb")].map((word) => word.getBoundingClientRect());
        return words.slice(1).every((one, i) => one.top > words[i].top + 2 || one.left > words[i].left);
    })""")
    assert len(orders) > 10
    assert all(orders)
