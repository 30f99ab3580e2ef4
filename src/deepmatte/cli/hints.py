"""Options of `deepmatte trimap` and `predict` that stand for a trimap: a box, a mask or strokes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepmatte.scoring.hints import Hint


def add_hints(add: Callable[..., object]) -> None:
    """Add the options of which one is to be given, by ``add_argument`` of their group."""
    box = "a box around the foreground, in pixels from the upper left corner: GrabCut cuts out what is in it"
    add("--box", type=_box, metavar="X,Y,W,H", help=box)
    mask = "a mask, white on the foreground; or a folder of masks with the photographs' names"
    add("--mask", type=Path, metavar="M", help=mask)
    scribbles = (
        "white strokes on the foreground and black ones beside it, on grey or on a transparent layer, or a "
        "folder of such pictures: GrabCut continues them"
    )
    add("--scribbles", type=Path, metavar="S", help=scribbles)


def add_width(add: Callable[..., object]) -> None:
    """Add the option of how wide the unknown band is."""
    width = (
        "of the unknown band to either side of the mask's edge, in pixels; auto (default) is narrow along "
        "sharp edges, and wide where they are blurred or hair-like"
    )
    add("--width", type=_width, default="auto", metavar="auto|N", help=width)


def hint_of(options: argparse.Namespace) -> Hint | None:
    """Return what was given of these options."""
    from deepmatte.classical.segmentation import Box
    from deepmatte.scoring.hints import BoxHint, MaskHint, ScribblesHint

    if options.box is not None:
        return BoxHint(options.width, Box(*options.box))
    if options.mask is not None:
        return MaskHint(options.width, options.mask)
    if options.scribbles is not None:
        return ScribblesHint(options.width, options.scribbles)
    return None


def _box(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.lstrip("-").isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not X,Y,WIDTH,HEIGHT in pixels, such as 40,10,300,200")
    return tuple(int(part) for part in parts)


def _width(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        width = float(text)
    except ValueError:
        width = -1
    if not 0 < width < 10_000:
        raise argparse.ArgumentTypeError(f"'{text}' is neither auto nor a number of pixels, such as 12")
    return width
