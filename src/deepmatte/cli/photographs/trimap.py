"""Make trimaps of a box, a mask or strokes."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepmatte.cli.photographs.hints import add_hints, add_width, hint_of


def main(argv: list[str]) -> int:
    """Write a trimap a photograph and return 0; InputError names the file at fault."""
    options = parser().parse_intermixed_args(argv)
    from deepmatte.data.sources.images import read_image, write_png
    from deepmatte.ops.zones import UNKNOWN
    from deepmatte.scoring.photographs.photos import check_outputs, find_photos, inputs_of

    hint = hint_of(options)
    assert hint is not None
    photos = find_photos(options.photo, hint)
    outputs = [options.out / f"{photo.name}_trimap.png" for photo in photos]
    check_outputs(options.out, outputs, inputs_of(photos))
    for photo, file in zip(photos, outputs, strict=True):
        trimap = photo.read_guide(read_image(photo.file))
        write_png(file, trimap, cure="make room or give another --out")
        print(f"{photo.file}: {file}, {100 * (trimap == UNKNOWN).mean():.1f} % unknown", flush=True)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte trimap",
        usage="deepmatte trimap PHOTO ... (--box X,Y,W,H | --mask M | --scribbles S) [options]",
        description="Make trimaps: black is background, white foreground, and grey (128) the band along the "
        "foreground's edge where alpha is unknown. DIR gets NAME_trimap.png of each photograph.",
        epilog="`deepmatte predict PHOTO --mask M` makes the trimap and the matte in one go.",
    )
    add = result.add_argument
    add("photo", nargs="+", type=Path, metavar="PHOTO", help="photographs, or folders of them")
    add_hints(result.add_mutually_exclusive_group(required=True).add_argument)
    add_width(add)
    add("--out", type=Path, default=Path(), metavar="DIR", help="the folder to write to (default: this one)")
    return result
