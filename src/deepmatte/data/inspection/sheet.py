"""Contact sheets: what a data set looks like, on one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from deepmatte.data.samples import Sample
from deepmatte.data.sources.protocols import Layers, Picture
from deepmatte.errors import InputError
from deepmatte.ops.zones import full_scale

CELL = 192
_MARGIN, _LINE = 6, 16
_PAPER, _INK, _GREY = (250, 250, 250), (30, 30, 30), (110, 110, 110)

Row = tuple[str, Mapping[str, np.ndarray]]
"""A caption and the pictures above it by their titles, uint8 (H, W) or (H, W, 3)."""


@cache
def _font() -> tuple[Any, frozenset[int]]:
    """Return matplotlib's own font, which has Latin, Greek and Cyrillic letters, and its codes."""
    import matplotlib as mpl
    from matplotlib.ft2font import FT2Font

    file = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(file), 11), frozenset(FT2Font(str(file)).get_charmap())


def contact_sheet(rows: Sequence[Row], columns: int = 2, cell: int = CELL) -> np.ndarray:
    """Return the groups of pictures side by side in ``columns``, each in a square of ``cell`` pixels.

    The title of a picture stands below it; letters that the font does not have are question marks.
    """
    width = max(len(pictures) for _, pictures in rows) * (cell + _MARGIN) + _MARGIN
    height = cell + 2 * _LINE + 2 * _MARGIN
    columns = min(columns, len(rows))
    sheet = Image.new("RGB", (columns * (width + _MARGIN), -(-len(rows) // columns) * height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), _font()[0]
    for i, (caption, pictures) in enumerate(rows):
        left, top = i % columns * (width + _MARGIN) + _MARGIN, i // columns * height + _MARGIN
        for k, (title, pixels) in enumerate(pictures.items()):
            picture = Image.fromarray(pixels).convert("RGB")
            shrinks = max(picture.size) > cell
            picture = ImageOps.contain(
                picture, (cell, cell), Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST
            )
            sheet.paste(
                picture,
                (
                    left + k * (cell + _MARGIN) + (cell - picture.width) // 2,
                    top + (cell - picture.height) // 2,
                ),
            )
            draw.text((left + k * (cell + _MARGIN), top + cell + 1), _fitting(title, cell), _GREY, font)
        draw.text((left, top + cell + _LINE + 1), _fitting(caption, width - _MARGIN), _INK, font)
    return np.asarray(sheet)


def _fitting(caption: str, width: int) -> str:
    """Return what the font has of a caption, shortened to ``width`` pixels."""
    font, codes = _font()
    text = "".join(letter if letter.isprintable() and ord(letter) in codes else "?" for letter in caption)
    while text and font.getlength(text) > width:
        text = text[:-4] + "..." if len(text) > 4 else ""
    return text


def over_squares(colours: np.ndarray, alpha: np.ndarray, side: int = 24) -> np.ndarray:
    """Return a cut-out, uint8 (H, W, 3) and (H, W), over squares of two greens."""
    rows, columns = (np.arange(length) // side for length in alpha.shape)
    light = ((rows[:, None] + columns) % 2).astype(bool)
    squares = np.where(light[..., None], np.array([60, 220, 90]), np.array([20, 150, 60]))
    share = (alpha / np.float32(full_scale(alpha)))[..., None]
    return np.round(share * colours + (1 - share) * squares).astype(np.uint8)


def grey(alpha: np.ndarray) -> np.ndarray:
    """Return a matte of uint8 or uint16 as uint8."""
    return alpha if alpha.dtype == np.uint8 else (alpha // 257).astype(np.uint8)


def rows_of_sets(sets: Mapping[str, Any], split: str, num: int) -> tuple[list[Row], list[str]]:
    """Return rows of up to ``num`` items of each set, evenly spread, and the problems of the rest.

    A row has layers and cut-out of a foreground, three backgrounds, or image, trimap and matte of a finished
    picture.
    """
    rows: list[Row] = []
    problems: list[str] = []
    for what, items in sets.items():
        wanted = min(num, len(items))
        chosen = {}
        for index in (i * len(items) // wanted for i in range(wanted)):
            try:
                chosen[items.names[index]] = items.load(index)
            except InputError as error:
                problems.append(str(error))
        if what == "backgrounds":
            drawn = list(chosen)
            for group in (drawn[i : i + 3] for i in range(0, len(drawn), 3)):
                rows.append((f"{split} backgrounds", {name: chosen[name] for name in group}))
            continue
        for name, loaded in chosen.items():
            pictures = _of_layers(Layers(*loaded)) if what == "foregrounds" else _of_picture(Picture(*loaded))
            rows.append((f"{split} {what.removesuffix('s')} {name}", pictures))
    return rows, problems


def _of_layers(layers: Layers) -> dict[str, np.ndarray]:
    cutout = over_squares(layers.foreground, layers.alpha)
    return {"colours": layers.foreground, "matte": grey(layers.alpha), "cut-out": cutout}


def _of_picture(picture: Picture) -> dict[str, np.ndarray]:
    captured = picture.captured_background
    plate = {} if captured is None else {"captured background": captured}
    return {"image": picture.image, "trimap": picture.trimap, "matte": grey(picture.alpha), **plate}


def row_of_sample(sample: Sample) -> Row:
    """Return the row of a sample as the network gets it: image, trimap, matte, foreground if known."""
    keys = [key for key in ("image", "trimap", "alpha", "foreground") if key in sample]
    pictures: dict[str, np.ndarray] = {}
    for key in keys:
        values = sample[key].numpy()
        pixels = (
            values if values.dtype == np.uint8 else np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
        )
        pictures["matte" if key == "alpha" else key] = (
            pixels[0] if pixels.shape[0] == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
        )
    return f"{sample['index']}: {sample['name']}", pictures
