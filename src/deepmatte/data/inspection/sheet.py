"""Contact sheets: what a data set looks like, on one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from deepmatte.data.samples import Sample
from deepmatte.data.sources.protocols import Layers, Picture
from deepmatte.errors import InputError
from deepmatte.ops.zones import full_scale

CELL = 192
_MARGIN, _LINE = 6, 16
_PAPER, _INK = (250, 250, 250), (30, 30, 30)

Row = tuple[str, Sequence[np.ndarray]]
"""A caption and the pictures above it, uint8 (H, W) or (H, W, 3)."""


def contact_sheet(rows: Sequence[Row], columns: int = 2, cell: int = CELL) -> np.ndarray:
    """Return the groups of pictures side by side in ``columns``, each in a square of ``cell`` pixels."""
    width = max(len(pictures) for _, pictures in rows) * (cell + _MARGIN) + _MARGIN
    height = cell + _LINE + 2 * _MARGIN
    columns = min(columns, len(rows))
    sheet = Image.new("RGB", (columns * (width + _MARGIN), -(-len(rows) // columns) * height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, (caption, pictures) in enumerate(rows):
        left, top = i % columns * (width + _MARGIN) + _MARGIN, i // columns * height + _MARGIN
        for k, pixels in enumerate(pictures):
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
        printable = (
            "".join(letter if letter.isprintable() else "?" for letter in caption)
            .encode("latin-1", "replace")
            .decode("latin-1")
        )
        draw.text((left, top + cell + 1), _fitting(printable, font, width - _MARGIN), _INK, font)
    return np.asarray(sheet)


def _fitting(text: str, font: Any, width: int) -> str:
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
                rows.append((f"{split} backgrounds {', '.join(group)}", [chosen[name] for name in group]))
            continue
        for name, loaded in chosen.items():
            pictures = _of_layers(Layers(*loaded)) if what == "foregrounds" else _of_picture(Picture(*loaded))
            rows.append((f"{split} {what.removesuffix('s')} {name}", pictures))
    return rows, problems


def _of_layers(layers: Layers) -> list[np.ndarray]:
    return [layers.foreground, grey(layers.alpha), over_squares(layers.foreground, layers.alpha)]


def _of_picture(picture: Picture) -> list[np.ndarray]:
    captured = [] if picture.captured_background is None else [picture.captured_background]
    return [picture.image, picture.trimap, grey(picture.alpha), *captured]


def row_of_sample(sample: Sample) -> Row:
    """Return the row of a sample as the network gets it: image, trimap, matte, foreground if known."""
    keys = [key for key in ("image", "trimap", "alpha", "foreground") if key in sample]
    pictures = []
    for key in keys:
        values = sample[key].numpy()
        pixels = (
            values if values.dtype == np.uint8 else np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
        )
        pictures.append(
            pixels[0] if pixels.shape[0] == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
        )
    return f"{sample['index']}: {sample['name']}", pictures
