"""Options of `deepmatte trimap` and `predict` that stand for a trimap: a box, a mask or strokes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deepmatte.errors import InputError

if TYPE_CHECKING:
    from deepmatte.classical.band import Width
    from deepmatte.classical.segmentation import Box
    from deepmatte.scoring.photographs.hints import Hint


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
    from deepmatte.scoring.photographs.hints import BoxHint, MaskHint, ScribblesHint

    if options.box is not None:
        return BoxHint(options.width, options.box)
    if options.mask is not None:
        return MaskHint(options.width, options.mask)
    if options.scribbles is not None:
        return ScribblesHint(options.width, options.scribbles)
    return None


def _box(text: str) -> Box:
    from deepmatte.classical.segmentation import Box

    try:
        return Box.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _width(text: str) -> Width:
    from deepmatte.classical.band import parse_width

    try:
        return parse_width(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
