"""The page in a real Chromium: sorting, filter, slider, theme, keyboard, widths, and no request anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from simulated_runs import write_run

pytestmark = pytest.mark.slow
SIZE = 64
EVIL = "<img src=http://127.0.0.1:9/x onerror=document.title='owned'>"


def write_pictures(run: Path, grey: int) -> None:
    """A white square on black whose matte is off by ``grey`` everywhere inside."""
    (run / "pictures" / "test").mkdir(parents=True)
    alpha = np.zeros((SIZE, SIZE), np.uint8)
    alpha[16:48, 16:48] = 255
    matte = np.where(alpha == 255, 255 - grey, 0).astype(np.uint8)
    image = np.stack([alpha, alpha // 2, 255 - alpha], axis=-1)
    for number in range(3):
        for part, picture in (("image", image), ("alpha", alpha), ("matte", matte)):
            Image.fromarray(picture).save(run / "pictures" / "test" / f"{number:04d}_{part}.png")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from deepmatte.compare.comparison import compare
    from deepmatte.reports.report import PAGE, write_report

    directory = tmp_path_factory.mktemp("browser")
    rng = np.random.default_rng(0)
    for number, (loss, mean) in enumerate(
        {"alpha": 9.0, "composition": 10.5, "dice": 100.0, EVIL: 30.0}.items()
    ):
        for seed in range(3):
            scores = mean + np.repeat(rng.gamma(4, 1, 6), 4) + rng.normal(0, 0.2)
            run = write_run(directory / "sweep" / f"{number}-{seed}", [f"loss={loss}"], seed, scores)
            write_pictures(run, 40 * number)
    write_run(directory / "sweep" / "failed", [f"loss={EVIL}"], 9, None, {"status": "failed", "error": EVIL})
    write_report(compare([directory / "sweep"]), directory / "out")
    return directory / "out" / PAGE


Opener = Callable[..., object]


@pytest.fixture
def open_page(visit, page_file: Path) -> Iterator[Opener]:
    """Open the page; at the end, nothing but the file was requested and no error was logged."""
    address = page_file.as_uri()
    yield lambda **options: visit.open(address, **options)
    assert {url for url in visit.requests if not url.startswith("data:")} == {address}
    assert visit.errors == []


def column(page, number: int) -> list[str]:
    return page.locator(f"#ranking-table tbody tr:visible > :nth-child({number})").all_inner_texts()


def pixel(page, selector: str, x: int, y: int) -> list[int]:
    page.wait_for_timeout(300)
    return page.eval_on_selector(
        selector, f"canvas => [...canvas.getContext('2d').getImageData({x}, {y}, 1, 1).data]"
    )


def test_headings_sort_numbers_as_numbers_by_mouse_and_keyboard(open_page: Opener) -> None:
    page = open_page()
    assert column(page, 1) == ["1", "2", "3", "4"]
    heading = page.locator("#ranking-table thead th", has_text="sad /1000")
    heading.get_by_role("button").click()
    means = [float(text) for text in column(page, 3)]
    assert means == sorted(means)
    assert means[-1] > 100, "100 comes after 30, which it would not as text"
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert [float(text) for text in column(page, 3)] == means[::-1]
    assert heading.get_attribute("aria-sort") == "descending"


def test_filter_leaves_the_settings_that_match(open_page: Opener) -> None:
    page = open_page()
    page.get_by_label("Filter settings").fill("dice")
    assert len(column(page, 2)) == 1
    assert page.locator("#shown").inner_text() == "1 of 4 settings"
    assert page.locator("#tiles figcaption").count() == 2 + 3, "input, truth and the three seeds of dice"
    page.get_by_label("Filter settings").fill("")
    assert len(column(page, 2)) == 4


def test_slider_moves_the_border_between_two_runs(open_page: Opener, screenshot) -> None:
    page = open_page()
    page.locator("#left").select_option("alpha")
    page.locator("#right").select_option(label="dice, seed 0")
    assert pixel(page, "#over", 32, 32)[0] == pytest.approx(255, abs=3)
    assert pixel(page, "#under", 32, 32)[0] == pytest.approx(255 - 80, abs=3)
    slide = page.locator("#slide")
    slide.focus()
    before = page.eval_on_selector("#over", "canvas => canvas.style.clipPath")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert before == "inset(0px 50% 0px 0px)"
    assert page.eval_on_selector("#over", "canvas => canvas.style.clipPath") == "inset(0px 40% 0px 0px)"
    screenshot(page, "slider")


def test_error_and_plain_colour_are_computed_from_the_mattes(open_page: Opener) -> None:
    page = open_page()
    page.locator("#right").select_option(label="dice, seed 0")
    page.locator("#mode").select_option("error")
    red, green, blue, _ = pixel(page, "#under", 32, 32)  # too transparent by 80: blue
    assert (red, green, blue) == pytest.approx((255 - 160, 255 - 160, 255), abs=6)
    page.locator("#mode").select_option("colour")
    page.locator("#colour").fill("#00ff00")
    page.locator("#colour").dispatch_event("change")
    assert pixel(page, "#under", 2, 2)[:3] == pytest.approx([0, 255, 0], abs=6)
    expected = (175 * np.array([255, 127, 0]) + 80 * np.array([0, 255, 0])) / 255
    assert pixel(page, "#under", 32, 32)[:3] == pytest.approx(list(expected), abs=10)


def test_pictures_step_and_reorder(open_page: Opener) -> None:
    page = open_page()
    picture = page.locator("#picture")
    first = picture.input_value()
    page.get_by_role("button", name="Next").click()
    assert picture.input_value() != first
    page.get_by_role("button", name="Previous").click()
    assert picture.input_value() == first
    page.locator("#order").select_option("hard")
    assert picture.locator("option").count() == 3


def test_dark_mode_follows_the_system_and_the_button(open_page: Opener, screenshot) -> None:
    brightness = (
        "body => getComputedStyle(body).backgroundColor.match(/[\\d.]+/g).slice(0, 3)"
        ".reduce((a, b) => a + Number(b), 0) / 3"
    )
    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    assert light.eval_on_selector("body", brightness) > 200
    assert dark.eval_on_selector("body", brightness) < 60
    ink = dark.eval_on_selector("#figure-scores svg text", "text => getComputedStyle(text).fill")
    assert ink == dark.eval_on_selector("body", "body => getComputedStyle(body).color"), (
        "the figures take the page's ink"
    )
    light.locator("#theme").focus()
    light.keyboard.press("Enter")
    light.keyboard.press("Enter")
    assert light.locator("#theme").inner_text() == "Theme: dark"
    assert light.eval_on_selector("body", brightness) < 60
    screenshot(dark, "dark")


def test_phone_needs_no_sideways_scrolling(open_page: Opener, screenshot) -> None:
    page = open_page(viewport={"width": 360, "height": 740}, device_scale_factor=2, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#verdict h2").bounding_box()["y"] < 400, "the verdict is on the first screen"
    screenshot(page, "phone")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_column_is_cut_off_on_a_laptop(open_page: Opener, scheme: str, screenshot) -> None:
    page = open_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page.locator("#runs summary").click()
    cut = "all => all.filter(area => area.scrollWidth > area.clientWidth + 1).map(area => area.ariaLabel)"
    assert page.eval_on_selector_all(".scroll", cut) == []
    screenshot(page, f"laptop_{scheme}")


def test_text_from_configurations_is_text(open_page: Opener, screenshot) -> None:
    page = open_page()
    page.wait_for_timeout(300)
    assert "owned" not in page.title()
    assert page.locator("img").count() == 0
    assert EVIL in page.locator("#excluded").inner_text()
    assert any(EVIL in text for text in column(page, 2))
    screenshot(page, "light")
