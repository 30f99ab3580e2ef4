"""`deepmatte data compose`: the images of a benchmark, bit for bit as its own script makes them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from deepmatte.cli.data.options import positive
from deepmatte.errors import InputError

_ADOBE = {
    "test": ("Test_set/Adobe-licensed images/{}/*", "Test_set/test_{}_names.txt", 20),
    "train": ("Training_set/*/{}/*", "Training_set/training_{}_names.txt", 100),
}
"""Folders and lists of the archive of Adobe Image Matting, and the number of backgrounds per foreground."""


def main(argv: list[str]) -> int:
    """Compose what is missing of the images and write the manifest."""
    result = argparse.ArgumentParser(
        prog="deepmatte data compose",
        description="Compose the images of a benchmark as Adobe's script does, bit for bit, and write "
        "manifest.json with the SHA-256 of their pixels. The same command resumes what was interrupted.",
    )
    split = (
        "the layout of Adobe Image Matting: test is 50 x 20 images over Pascal VOC, "
        "train is 431 x 100 over COCO train2014"
    )
    result.add_argument("split", nargs="?", choices=tuple(_ADOBE), help=split)
    add_inputs(result)
    result.add_argument(
        "--foreground-names", type=Path, metavar="FILE", help="names of the foregrounds, in order"
    )
    result.add_argument(
        "--background-names",
        type=Path,
        metavar="FILE",
        help="names of the backgrounds, K for each foreground in turn",
    )
    result.add_argument(
        "--per-foreground", type=positive, metavar="K", help="backgrounds for each foreground"
    )
    name = "name of an image: {foreground}, {k} = 0 … K - 1, {n} = 0 … all (default: {foreground}_{k})"
    result.add_argument("--name", default="{foreground}_{k}", metavar="NAME", help=name)
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write to")
    result.add_argument(
        "--processes", type=positive, metavar="N", help="how many at once (default: one for each core)"
    )
    options = result.parse_intermixed_args(argv)
    from deepmatte.data.composition1k.manifest import MANIFEST, compose
    from deepmatte.data.composition1k.plan import plan

    inputs = inputs_of(options)
    _, names, of_split = _ADOBE[options.split or "test"]
    lists = [getattr(options, f"{kind}_names") for kind in ("foreground", "background")]
    if options.split is not None:
        lists = [
            path or options.root / names.format(short)
            for path, short in zip(lists, ("fg", "bg"), strict=True)
        ]
    num = options.per_foreground or (of_split if options.split else None)
    foregrounds, backgrounds = lists
    if foregrounds is None or backgrounds is None or num is None:
        raise InputError(
            "--foreground-names, --background-names, --per-foreground: needed unless test or train is named"
        )
    try:
        images = plan(inputs, foregrounds, backgrounds, num, options.name)
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--name {options.name}: may use only {{foreground}}, {{k}} and {{n}}") from None
    manifest = compose(images, inputs, options.out, options.processes)
    print(f"{manifest['num_composed']} images composed, {manifest['num_images']} in {options.out}")
    print(f"manifest: {options.out / MANIFEST} (sha256 {manifest['sha256'][:16]})")
    return 0


def add_inputs(result: argparse.ArgumentParser) -> None:
    """Add the options that say where foregrounds, mattes and backgrounds are."""
    result.add_argument(
        "--root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the folder of foregrounds and mattes",
    )
    result.add_argument("--background", type=Path, metavar="DIR", help="the folder of the backgrounds")
    result.add_argument(
        "--foreground",
        metavar="PLACE",
        help="folder or pattern of the foregrounds (default: that of Adobe's archive)",
    )
    result.add_argument("--alpha", metavar="PLACE", help="folder or pattern of their mattes")


def inputs_of(options: argparse.Namespace) -> Any:
    """Find the files of foregrounds, mattes and backgrounds."""
    from deepmatte.data.composition1k.plan import find_inputs

    if options.background is None:
        raise InputError(
            "--background: missing; give the folder of the backgrounds, such as VOCdevkit/VOC2012/JPEGImages"
        )
    pattern = _ADOBE[getattr(options, "split", None) or "test"][0]
    return find_inputs(
        options.root,
        options.foreground or pattern.format("fg"),
        options.alpha or pattern.format("alpha"),
        options.background,
    )
