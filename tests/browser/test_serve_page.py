"""The page of `deepmatte serve` in a real Chromium: every way to a cut-out, and no request elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import Server, serving

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytestmark = pytest.mark.slow
Opener = Callable[..., object]
WAIT = 120_000
"""Milliseconds that a matte may take on a busy machine."""


def disc(size: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """An orange disc with a soft edge on blue noise, and its mask."""
    y, x = np.mgrid[:size, :size] - size / 2
    alpha = np.clip((size * 0.3 - np.hypot(y, x)) / 6 + 0.5, 0, 1)[..., None]
    noise = np.random.default_rng(0).normal(0, 4, (size, size, 1))
    colours = alpha * (230, 140, 40) + (1 - alpha) * (40, 70, 150) + noise
    return colours.clip(0, 255).astype(np.uint8), alpha[..., 0] > 0.5


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    image, mask = disc()
    Image.fromarray(image).save(folder / "disc.png")
    Image.fromarray(mask).save(folder / "mask.png")
    Image.fromarray(image).resize((1200, 1200)).save(folder / "large.jpg")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--megapixels", "1") as running:
        yield running


@pytest.fixture
def open_page(visit, server: Server) -> Iterator[Opener]:
    """Open the page; at the end, nothing but the server was asked and no error was logged."""
    home = f"http://127.0.0.1:{server.port}/"

    def open_it(**options: object):
        page = visit.open(home, **options)
        page.wait_for_selector("#examples button")
        return page

    yield open_it
    assert [url for url in visit.requests if not url.startswith((home, f"blob:{home}", "data:"))] == []
    assert [text for text in visit.errors if "422" not in text] == []


def give(page, file: Path) -> None:
    page.locator("#photo").set_input_files(file)
    page.wait_for_selector("#editor", state="visible")
    page.wait_for_selector(f"#photo-note:has-text('{'1000x1000' if file.stem == 'large' else file.name}')")


def cut(page) -> None:
    page.get_by_role("button", name="Cut out").click()
    page.wait_for_selector("#status:text-is('done')", timeout=WAIT)


def status(page) -> str:
    page.wait_for_selector("#status.wrong", timeout=WAIT)
    return page.locator("#status").inner_text()


def saved(page, name: str) -> np.ndarray:
    """Return the picture that a button of the downloads saves."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name).click()
    return np.asarray(Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes())))


def drag(page, *points: tuple[float, float]) -> None:
    """Draw on the photograph; points are shares of its sides."""
    page.locator("#editor").scroll_into_view_if_needed()
    area = page.locator("#editor").bounding_box()
    places = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def overlap(alpha: np.ndarray) -> float:
    """Return intersection over union of the matte's light half and the disc."""
    found, true = alpha > 127, disc(len(alpha))[1]
    return (found & true).sum() / (found | true).sum()


def test_a_box_that_is_dragged_leads_to_cut_out_matte_and_composite(open_page, files: Path) -> None:
    page = open_page()
    give(page, files / "disc.png")
    drag(page, (0.15, 0.15), (0.5, 0.4), (0.85, 0.85))
    box = [int(page.locator(f"#box-{i}").input_value()) for i in range(4)]
    assert box == pytest.approx([24, 24, 112, 112], abs=2)
    cut(page)
    cutout, alpha = saved(page, "starter: Cut-out"), saved(page, "starter: Matte")
    assert cutout.shape == (160, 160, 4)
    assert (alpha[..., 0] == cutout[..., 3]).all(), "the page's matte is the server's, to the last bit"
    assert overlap(cutout[..., 3]) > 0.95
    page.locator("#view").select_option("colour")
    page.locator("#colour").fill("#00ff00")
    shown = saved(page, "starter: As shown")
    assert shown[2, 2, :3].tolist() == [0, 255, 0]
    assert shown[80, 80, :3] == pytest.approx(disc()[0][80, 80], abs=3)


def test_strokes_and_the_brush_on_the_trimap(open_page, files: Path) -> None:
    page = open_page()
    give(page, files / "disc.png")
    page.get_by_text("Strokes", exact=True).click()
    drag(page, (0.45, 0.5), (0.55, 0.5))
    page.get_by_text("Background", exact=True).click()
    drag(page, (0.05, 0.05), (0.95, 0.05), (0.95, 0.95))
    page.get_by_role("button", name="Make the trimap").click()
    page.wait_for_selector("#status:has-text('Correct the trimap')", timeout=WAIT)
    drag(page, (0.5, 0.35), (0.5, 0.65))  # the middle of the disc becomes background
    cut(page)
    alpha = saved(page, "starter: Matte")[..., 0]
    assert alpha[80, 80] == 0
    assert overlap(alpha) > 0.7
    assert (alpha[:, 80] > 200).any()


def test_strokes_boxes_and_clearing_are_taken_back_one_by_one(open_page, files: Path) -> None:
    page = open_page()
    give(page, files / "disc.png")
    pixels = "document.querySelector('#editor').getContext('2d').getImageData(0, 0, 160, 160).data.join()"
    states = [page.evaluate(pixels)]
    drag(page, (0.3, 0.3), (0.6, 0.6))
    assert page.evaluate(pixels) != states[0]
    drag(page, (0.5, 0.5))  # a click alone is no box
    page.keyboard.press("Control+z")
    assert page.evaluate(pixels) == states[0]
    assert [page.locator(f"#box-{i}").input_value() for i in range(4)] == ["20", "20", "120", "120"]
    page.get_by_text("Strokes", exact=True).click()
    states = [page.evaluate(pixels)]
    for change in (
        lambda: drag(page, (0.45, 0.5), (0.55, 0.5)),
        lambda: drag(page, (0.1, 0.1), (0.9, 0.1)),
        page.get_by_role("button", name="Clear").click,
    ):
        change()
        states.append(page.evaluate(pixels))
    assert len(set(states)) == 3, "cleared is as before the first stroke"
    page.get_by_role("button", name="Undo").click()
    assert page.evaluate(pixels) == states[2]
    page.keyboard.press("Control+z")
    assert page.evaluate(pixels) == states[1]
    for _ in range(3):
        page.get_by_role("button", name="Undo").click()
    assert page.evaluate(pixels) == states[0]
    page.get_by_text("Trimap", exact=True).click()
    drag(page, (0.45, 0.5), (0.55, 0.5))
    page.get_by_role("button", name="Undo").click()
    assert page.evaluate(pixels) == states[0], "no trimap is left"


def test_a_mask_file_and_two_methods_side_by_side(open_page, files: Path, screenshot) -> None:
    page = open_page()
    give(page, files / "disc.png")
    page.get_by_text("Mask", exact=True).click()
    page.locator("#hint-file").set_input_files(files / "mask.png")
    page.locator("#second").select_option("trivial")
    cut(page)
    assert [page.locator(f"#{side}").input_value() for side in ("left", "right")] == [
        "starter",
        "trivial",
    ]
    page.locator("#view").select_option("matte")
    greys = [np.unique(saved(page, f"{name}: Matte")[..., 0]) for name in ("trivial", "starter")]
    assert greys[0].tolist() == [0, 128, 255]
    assert len(greys[1]) > 3
    slide = page.locator("#slide")
    slide.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    clip = page.eval_on_selector("#over", "canvas => canvas.style.clipPath")
    assert clip == "inset(0px 60% 0px 0px)"
    screenshot(page, "serve_compare")


def test_a_new_background_is_seen_through_the_hole(open_page, files: Path, tmp_path: Path) -> None:
    Image.new("RGB", (50, 30), (200, 10, 10)).save(tmp_path / "red.png")
    page = open_page()
    give(page, files / "disc.png")
    cut(page)
    page.locator("#view").select_option("picture")
    page.locator("#background").set_input_files(tmp_path / "red.png")
    page.wait_for_function(
        "() => document.getElementById('over').getContext('2d').getImageData(2, 2, 1, 1).data[0] === 200"
    )
    assert saved(page, "starter: As shown")[2, 2, :3].tolist() == [200, 10, 10]


def test_a_large_photograph_is_made_smaller_and_the_page_says_so(open_page, files: Path) -> None:
    page = open_page()
    give(page, files / "large.jpg")
    assert "1200x1200 pixels, made 1000x1000" in page.locator("#photo-note").inner_text()
    page.locator("#first").select_option("trivial")
    cut(page)
    alpha = saved(page, "trivial: Cut-out")[..., 3]
    assert (alpha.shape, alpha[500, 500], alpha[5, 5]) == ((1000, 1000), 255, 0)


def test_what_is_wrong_is_said_and_the_page_goes_on(open_page, files: Path) -> None:
    page = open_page()
    page.locator("#photo").set_input_files(files / "broken.png")
    assert "cannot read the photograph" in status(page)
    give(page, files / "disc.png")
    page.get_by_text("Mask", exact=True).click()
    page.get_by_role("button", name="Cut out").click()
    assert status(page) == "choose a mask first"
    page.locator("#hint-file").set_input_files(files / "large.jpg")
    page.wait_for_selector("#status:has-text('1200x1200')")
    page.get_by_text("Box", exact=True).click()
    page.locator("#box-2").fill("900")
    page.locator("#box-2").dispatch_event("change")
    page.get_by_role("button", name="Make the trimap").click()
    page.wait_for_selector("#status:has-text('reaches beyond the picture')")
    page.locator("#box-2").fill("120")
    page.locator("#box-2").dispatch_event("change")
    cut(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_an_example_fits_every_window(open_page, screenshot, scheme: str, width: int) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.get_by_role("button", name="astronaut").click()
    page.wait_for_selector("#photo-note:has-text('astronaut')")
    page.locator("#first").select_option("trivial")
    cut(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = (
        page.eval_on_selector("body", f"body => getComputedStyle(body).{key}").strip("rgb()").split(",")
        for key in ("color", "backgroundColor")
    )
    assert (sum(map(int, ink)) > sum(map(int, paper))) == (scheme == "dark")
    screenshot(page, f"serve_{scheme}_{width}")
