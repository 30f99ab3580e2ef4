"""Matte photographs with a run: matte, cut-out with clean colours, new composite."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from deepmatte.cli.photographs.hints import add_hints, add_width, hint_of
from deepmatte.cli.photographs.matting import (
    Faults,
    default_weights,
    matte_photos,
    matte_video,
    predictor_of,
    solver_of,
)
from deepmatte.errors import InputError

GREEN = (0, 255, 0)
"""The colour behind the cut-out of a video, where none is chosen."""


def main(argv: list[str]) -> int:
    """Matte the photographs and return 0, or 1 where some could not be; InputError names what is wrong."""
    options = parser().parse_intermixed_args(argv)
    photographs, run = _photos_and_run(options)
    if options.onnx is not None and options.tile:
        raise InputError("--tile: goes with a run, not with --onnx; give smaller pictures")
    if options.captured is not None:
        return _with_plate(options, photographs, run)
    run = run or default_weights(options)
    from deepmatte.scoring.photographs.photos import find_photos
    from deepmatte.scoring.photographs.predict import Output

    refuse_videos(photographs)
    check_video_options(options, [])
    faults = Faults(photographs)
    hint = hint_of(options)
    photos = find_photos(photographs, hint or options.trimap, faults)
    solver = solver_of(options, run)
    output = Output(options.out, options.bits, options.background, hint is not None, solver)
    output.check(photos)
    matte_photos(photos, lambda: predictor_of(options, run, "trimap"), output, options.overwrite, faults)
    return faults.report()


def _with_plate(options: argparse.Namespace, photographs: list[Path], run: Path | None) -> int:
    """Matte photographs, frames or videos by a model that reads a plate of the background."""
    from deepmatte.scoring.photographs.plates import find_captures
    from deepmatte.scoring.photographs.predict import Output
    from deepmatte.scoring.photographs.video import VideoOutput, check_video, plates_of

    if run is None and options.onnx is None:
        raise InputError("--captured: methods read trimaps; give --trimap T, or a run of model=bgmv2")
    videos = [file for file in photographs if is_video(file)]
    stills = [file for file in photographs if file not in videos]
    check_video_options(options, videos)
    faults = Faults(photographs)
    photos, warnings = find_captures(stills, options.captured, faults) if stills else ([], [])
    solver = solver_of(options, run)
    output = Output(options.out, options.bits, options.background, solver=solver)
    output.check(photos)
    colour = options.colour or GREEN
    footage = VideoOutput(options.out, options.frames, colour, options.bits, options.background, solver)
    footage.check(videos)
    plates = plates_of(videos, options.captured)
    for video, plate in plates.items():
        warnings += check_video(video, plate)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    predictor = functools.cache(lambda: predictor_of(options, run, "captured_background"))
    if stills:
        matte_photos(photos, predictor, output, options.overwrite, faults)
    for video, plate in plates.items():
        print(matte_video(video, plate, predictor, footage, options.overwrite))
    return faults.report()


def is_video(file: Path) -> bool:
    """Return whether the name of a file is that of a video."""
    from deepmatte.scoring.photographs.video import SUFFIXES

    return file.suffix.lower() in SUFFIXES and not file.is_dir()


def refuse_videos(photographs: Sequence[Path]) -> None:
    """Refuse videos where there is one trimap: it fits one frame.

    Raises:
        InputError: it names the first video.
    """
    for file in photographs:
        if is_video(file):
            raise InputError(
                f"{file}: a trimap fits one frame; give --captured PLATE and a run of model=bgmv2, "
                "or the frames as pictures with a trimap each"
            )


def check_video_options(options: argparse.Namespace, videos: Sequence[Path]) -> None:
    """Refuse what would change nothing: options of videos without one, and those that exclude another.

    Raises:
        InputError: it names the option.
    """
    if not videos:
        for option, given in (("--frames", options.frames), ("--colour", options.colour is not None)):
            if given:
                raise InputError(f"{option}: is for videos, but none is given; leave it out")
    elif options.frames and options.colour is not None:
        raise InputError("--colour: --frames writes transparent PNG files; leave one of the two out")
    elif options.bits != 8 and not options.frames:
        raise InputError(f"--bits {options.bits}: a video has 8; add --frames, which writes PNG files")


def _photos_and_run(options: argparse.Namespace) -> tuple[list[Path], Path | None]:
    """Return the photographs and the run directory: the first path, unless that is a photograph already."""
    if options.method is not None or options.onnx is not None:
        return options.path, None
    if options.run is not None:
        print(
            f"deepmatte: --run is the old spelling, for one more release; "
            f"write `deepmatte predict {options.run} PHOTO …`",
            file=sys.stderr,
        )
        return options.path, options.run
    run, *photos = options.path
    if _is_photograph(run):
        return options.path, None
    if not photos:
        raise InputError(
            f"{run}: which photographs? they follow the run, as in `deepmatte predict {run} PHOTO …`"
        )
    return photos, run


def _is_photograph(place: Path) -> bool:
    """Return whether a path is that of a photograph or of a folder of them, not of a run."""
    from deepmatte.data.sources.decoding import SUFFIXES

    if not place.is_dir():
        return place.is_file() or place.suffix.lower() in SUFFIXES
    if (place / ".hydra").exists():
        return False
    return any(file.suffix.lower() in SUFFIXES for file in place.iterdir())


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte predict",
        usage="deepmatte predict [RUN] PHOTO ... --trimap T [options]\n"
        "       deepmatte predict [RUN] PHOTO ... (--mask M | --box X,Y,W,H | --scribbles S) [options]\n"
        "       deepmatte predict RUN PHOTO|VIDEO ... --captured PLATE [options]\n"
        "       deepmatte predict (--method NAME | --onnx FILE) PHOTO ... --trimap T [options]",
        description="Matte photographs with a network, or with a classical method. For each, DIR gets "
        "NAME_alpha.png (the matte), NAME_cutout.png (RGBA, with estimated foreground colours, so that the "
        "background no longer shines through) and, with --background, NAME_composite.png. A video gets "
        "NAME_alpha.mp4, NAME_cutout.mp4, over --colour, and NAME_composite.mp4, or PNG files of its frames "
        "(--frames).",
        epilog="The first call on a machine compiles the colour estimator, which takes some ten seconds.",
    )
    add = result.add_argument
    add(
        "path",
        nargs="+",
        type=Path,
        metavar="RUN PHOTO",
        help="the run directory, or a name of weights that come with deepmatte (without one: starter); "
        "photographs, or folders of them",
    )
    guide = result.add_mutually_exclusive_group(required=True)
    trimap = "the trimap, or a folder of trimaps with the photographs' names"
    guide.add_argument("--trimap", type=Path, metavar="T", help=trimap)
    plate = (
        "for runs of model=bgmv2: a photograph of the background without the subject, from the same place "
        "and of the same size; or a folder of such plates with the names of the photographs or videos"
    )
    guide.add_argument("--captured", type=Path, metavar="PLATE", help=plate)
    add_hints(guide.add_argument)
    add_width(add)
    source = result.add_mutually_exclusive_group()
    source.add_argument("--run", type=Path, metavar="RUN", help=argparse.SUPPRESS)
    method = "a method without a network, such as closed_form, in place of RUN"
    source.add_argument("--method", metavar="NAME", help=method)
    onnx = "a network that `deepmatte export` has written, in place of RUN; needs no PyTorch (extra onnx)"
    source.add_argument("--onnx", type=Path, metavar="FILE", help=onnx)
    weights = "which weights of the run (default: best)"
    add("--checkpoint", default="best", metavar="best|last|PATH", help=weights)
    add("--out", type=Path, default=Path(), metavar="DIR", help="the folder to write to (default: this one)")
    background = "composite the foreground over this picture, scaled to cover"
    add("--background", type=Path, metavar="B", help=background)
    overwrite = "matte again what is done: by default, files of the same inputs and weights are kept"
    add("--overwrite", action="store_true", help=overwrite)
    add("--frames", action="store_true", help="of a video: PNG files of its frames, NAME/000000_alpha.png …")
    colour = "behind the cut-out of a video: red, green and blue (default: 0,255,0)"
    add("--colour", type=_colour, metavar="R,G,B", help=colour)
    add("--bits", type=int, default=8, choices=(8, 16), help="of matte and cut-out (default: 8)")
    tile = (
        "of a run: matte tiles of N pixels, a multiple of 128, and blend them. The network sees nothing "
        "beyond its tile, so choose N as large as memory allows (default: 0, the whole picture: about "
        "0.25 GB a megapixel with dim_small, 1.2 GB with dim; of weights that come with deepmatte: 768)"
    )
    add("--tile", type=_tile, metavar="N", help=tile)
    return result


def _tile(text: str) -> int:
    if not text.isdecimal() or int(text) % 128:
        raise argparse.ArgumentTypeError(f"'{text}' is not a multiple of 128, such as 1024")
    return int(text)


def _colour(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) <= 255 for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not three numbers up to 255, such as 0,255,0")
    red, green, blue = (int(part) for part in parts)
    return red, green, blue
