"""Matte photographs with a trained run: alpha, a cut-out with clean colours, and a new composite."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepmatte.scoring.predict import Output, Photo, Predictor

MOST_LINES = 10
"""More photographs than this, and their files are told in one line for all."""


def main(argv: list[str]) -> int:
    """Matte the photographs and return 0; InputError names the file at fault."""
    options = parser().parse_args(argv)
    from deepmatte.scoring.predict import Output, find_photos, predictor_of_method, predictor_of_run

    photos = find_photos(options.photo, options.trimap)
    output = Output(options.out, options.bits, options.background)
    output.check(photos)
    run = (options.run, options.checkpoint, options.tile)
    _predict(
        photos, predictor_of_method(options.method) if options.method else predictor_of_run(*run), output
    )
    print("\n".join(summary(photos, output)))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte predict",
        description="Matte photographs. For each, DIR gets NAME_alpha.png (the matte), NAME_cutout.png (RGBA, with the foreground's "
        "own colours estimated where the background shines through) and, with --background, NAME_composite.png.",
        epilog="The first call on a machine compiles the estimator of colours, which takes some ten seconds.",
    )
    result.add_argument(
        "photo", nargs="+", type=Path, metavar="PHOTO", help="photographs, or folders of them"
    )
    result.add_argument(
        "--trimap",
        required=True,
        type=Path,
        metavar="T",
        help="the trimap, or a folder of trimaps named like the photographs",
    )
    source = result.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, metavar="RUN", help="the run directory of the network")
    source.add_argument(
        "--method", metavar="NAME", help="a method that needs no network instead, such as trivial"
    )
    result.add_argument(
        "--checkpoint",
        default="best",
        metavar="best|last|PATH",
        help="which weights of the run (default: best)",
    )
    result.add_argument("--out", required=True, type=Path, metavar="DIR", help="the folder to write to")
    result.add_argument(
        "--background",
        type=Path,
        metavar="B",
        help="a picture to put the foreground before; it is scaled to cover",
    )
    result.add_argument(
        "--bits", type=int, default=8, choices=(8, 16), help="of matte and cut-out (default: 8)"
    )
    result.add_argument(
        "--tile",
        type=_tile,
        default=0,
        metavar="N",
        help="of a run: matte squares of N pixels, a multiple of 128, and blend them; choose N as large as the memory allows, for "
        "the network does not see beyond a square (default: 0, the whole picture, which takes about 0.25 GB a megapixel with "
        "dim_small and 1.2 GB with dim)",
    )
    return result


def _tile(text: str) -> int:
    if not text.isdecimal() or int(text) % 128:
        raise argparse.ArgumentTypeError(f"'{text}' is no multiple of 128, such as 1024")
    return int(text)


def _predict(photos: Sequence[Photo], predictor: Predictor, output: Output) -> None:
    """Matte the photographs; several get a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    from deepmatte.ops.foreground import estimator
    from deepmatte.scoring.predict import predict

    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    with console.status("loading the estimator of colours; at the first call on this machine it is compiled"):
        estimator()
    with Progress(console=console, transient=True, disable=len(photos) == 1) as progress:
        for _ in progress.track(predict(photos, predictor, output), total=len(photos), description="matting"):
            pass


def summary(photos: Sequence[Photo], output: Output) -> list[str]:
    """Return what was written: a line a photograph, or one for all if there are many."""
    if len(photos) > MOST_LINES:
        kinds = ", ".join(f"NAME_{kind}.png" for kind in output.kinds)
        return [f"{len(photos)} photographs: {kinds} in {output.folder}"]
    return [
        f"{photo.file}: {', '.join(str(file) for file in output.files(photo).values())}" for photo in photos
    ]
