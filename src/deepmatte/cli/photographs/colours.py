"""Cut photographs out by anybody's mattes, with colours free of the old background."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepmatte.cli.photographs.estimator import load_estimator


def main(argv: list[str]) -> int:
    """Write a cut-out a photograph and return 0; InputError names the file at fault."""
    options = parser().parse_intermixed_args(argv)
    from deepmatte.scoring.photographs.cutouts import ENCODERS, CutoutFormat, find_mattes, write_cutout
    from deepmatte.scoring.photographs.photos import check_outputs, inputs_of

    bits = ENCODERS[options.format].bits[0] if options.bits is None else options.bits
    stored = CutoutFormat(options.format, bits, options.premultiplied, options.linear)
    stored.check()
    photos = find_mattes(options.photo, options.alpha)
    outputs = [options.out / f"{photo.name}_cutout.{stored.name}" for photo in photos]
    check_outputs(options.out, outputs, inputs_of(photos))
    load_estimator()
    for photo, file in zip(photos, outputs, strict=True):
        write_cutout(photo, file, stored)
        print(f"{photo.file}: {file}", flush=True)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte colours",
        usage="deepmatte colours PHOTO ... --alpha A [options]",
        description="Cut photographs out by mattes that somebody else has made. Where a pixel is but partly "
        "foreground, the photograph's colour has some of the background in it, which shows as a fringe over "
        "a new one; the cut-out, NAME_cutout.png, has the foreground's own colours, estimated.",
    )
    add = result.add_argument
    add("photo", nargs="+", type=Path, metavar="PHOTO", help="photographs, or folders of them")
    alpha = (
        "the matte: a grey picture, or one with an alpha channel, such as another program's cut-out; or a "
        "folder of such files with the photographs' names"
    )
    add("--alpha", required=True, type=Path, metavar="A", help=alpha)
    add("--out", type=Path, default=Path(), metavar="DIR", help="the folder to write to (default: this one)")
    add("--format", default="png", choices=("png", "tiff", "exr"), help="of the cut-out (default: png)")
    bits = "of a channel; 32 are floats, in TIFF and EXR alone (default: 8, of EXR 32)"
    add("--bits", type=int, choices=(8, 16, 32), help=bits)
    premultiplied = "multiply colours by alpha, as compositing programs want them (default: straight)"
    add("--premultiplied", action="store_true", help=premultiplied)
    linear = "colours in linear light, which is what EXR files usually hold (default: sRGB)"
    add("--linear", action="store_true", help=linear)
    return result
