"""The work of `deepmatte predict`: what mattes, which photographs are not done, and what is said of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deepmatte.cli.photographs.estimator import load_estimator
from deepmatte.errors import one_line

if TYPE_CHECKING:
    from deepmatte.scoring.photographs.photos import Photo
    from deepmatte.scoring.photographs.predict import Output
    from deepmatte.scoring.photographs.prediction import Predictor
    from deepmatte.scoring.photographs.video import VideoOutput

MOST_LINES = 10
"""Of more photographs than this the files are summarised in one line."""


class Faults:
    """What is wrong with single photographs: collected, and raised where there is but one photograph."""

    def __init__(self, photographs: Sequence[Path]) -> None:
        self.alone = len(photographs) == 1 and not photographs[0].is_dir()
        self.errors: list[Exception] = []

    def __call__(self, error: Exception) -> None:
        """Keep an error for the end, unless nothing else is to be done."""
        if self.alone:
            raise error
        self.errors.append(error)

    def report(self) -> int:
        """List the errors on standard error and return the exit code."""
        if self.errors:
            print(f"could not be matted: {len(self.errors)}", file=sys.stderr)
        for error in self.errors:
            print(f"  {one_line(error)}", file=sys.stderr)
        return 1 if self.errors else 0


def default_weights(options: argparse.Namespace) -> Path | None:
    """Return the file of the weights that matte where nothing is chosen; None if something is."""
    if options.method is not None or options.onnx is not None:
        return None
    from deepmatte.models.shipped import STARTER, shipped

    return shipped().get(STARTER)


def solver_of(options: argparse.Namespace, run: Path | None) -> str:
    """Return the digest of what mattes: the version, and the method or the weights with their settings."""
    from deepmatte import __version__
    from deepmatte.scoring.photographs.notebook import DEFAULT
    from deepmatte.scoring.photographs.predict import digest_of

    if options.onnx is not None:
        return digest_of(__version__, *filter(Path.is_file, [options.onnx]))
    if run is None:
        return digest_of(__version__, options.method or DEFAULT)
    from deepmatte.models.shipped import shipped_file

    if (file := shipped_file(run)) is not None:
        return digest_of(__version__, options.tile, file)
    named = options.checkpoint in ("best", "last")
    weights = run / "checkpoints" / f"{options.checkpoint}.ckpt" if named else Path(options.checkpoint)
    files = (weights, run / ".hydra" / "config.yaml")  # what is missing is named where it is read
    return digest_of(__version__, options.tile, *filter(Path.is_file, files))


def predictor_of(options: argparse.Namespace, run: Path | None, guide: str) -> Predictor:
    """Return what mattes, and say so where nothing was chosen; of an ONNX file it needs no torch."""
    if options.onnx is not None:
        from deepmatte.scoring.photographs.onnx_file import predictor_of_onnx

        return predictor_of_onnx(options.onnx, guide)
    from deepmatte.models.shipped import shipped
    from deepmatte.scoring.photographs.notebook import DEFAULT
    from deepmatte.scoring.photographs.predictors import predictor_of_method, predictor_of_run

    if options.method is None and (run is None or run in shipped().values()):
        what = f"method {DEFAULT}" if run is None else f"the weights {run.stem}, which come with deepmatte"
        print(f"matted by {what}; RUN or --method NAME chooses another", file=sys.stderr)
    if run is not None:
        return predictor_of_run(run, options.checkpoint, options.tile, guide)
    return predictor_of_method(options.method or DEFAULT)


def matte_photos(
    photos: Sequence[Photo],
    predictor: Callable[[], Predictor],
    output: Output,
    overwrite: bool,
    faults: Faults,
) -> None:
    """Matte the photographs that aren't done, and say what was written; several get a progress bar.

    ``predictor`` makes what mattes, if there is anything to do.
    """
    from rich.console import Console
    from rich.progress import Progress

    from deepmatte.scoring.photographs.predict import predict

    todo = [photo for photo in photos if overwrite or not output.is_done(photo)]
    if len(todo) < len(photos):
        num = len(photos) - len(todo)
        what = "1 photograph is" if num == 1 else f"{num} photographs are"
        print(f"{what} done already, by the same weights; --overwrite mattes again")
    if not todo:
        return
    solve = predictor()
    load_estimator()
    written = []
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    with Progress(console=console, transient=True, disable=len(todo) == 1) as progress:
        task = progress.add_task("matting", total=len(todo))
        for photo in predict(todo, solve, output, faults):
            written.append(photo)
            progress.advance(task)
    for line in summary(written, output):
        print(line)


def matte_video(
    video: Path, plate: Path, predictor: Callable[[], Predictor], output: VideoOutput, overwrite: bool
) -> str:
    """Matte a video that isn't done, with a progress bar on standard error; return what was written."""
    from rich.console import Console
    from rich.progress import Progress

    from deepmatte.scoring.photographs.video import predict_video

    mark = output.mark(video, plate)
    if not overwrite and output.is_done(video, mark):
        return f"{video}: is done already, by the same weights; --overwrite mattes again"
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    with Progress(console=console, transient=True) as progress:
        steps = predict_video(video, plate, predictor(), output, mark)
        task = progress.add_task(f"matting {video.name}", total=next(steps) or None)
        for _ in steps:
            progress.advance(task)
        num = int(progress.tasks[task].completed)
    return f"{video}: {num} frames: {', '.join(str(place) for place in output.places(video))}"


def summary(photos: Sequence[Photo], output: Output) -> list[str]:
    """Return what was written: one line per photograph, or one for all of many."""
    if len(photos) > MOST_LINES:
        kinds = ", ".join(f"NAME_{kind}.png" for kind in output.kinds)
        return [f"{len(photos)} photographs: {kinds} in {output.folder}"]
    return [
        f"{photo.file}: {', '.join(str(file) for file in output.files(photo).values())}" for photo in photos
    ]
