"""Score mattes on disk, whoever made them, against true ones: a table, CSV and JSON."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepmatte.errors import InputError, visible
from deepmatte.files import check_folder, write_text
from deepmatte.metrics.functional import METRICS_VERSION, PROTOCOLS, SCORES, score_image
from deepmatte.metrics.names import DEFAULT_SCORES, heading, higher_is_better

if TYPE_CHECKING:
    from rich.table import Table

ALL = "all"
MOST_ROWS = 20
"""Of more images than this the table shows only the ten worst."""


@dataclass(frozen=True)
class Job:
    """One image to score: its files and how."""

    name: str
    prediction: Path
    alpha: Path
    trimap: Path | None
    protocols: Sequence[str]
    scores: Sequence[str]


@dataclass(frozen=True)
class Scored:
    """The scores of one image under each protocol; ``grey`` is its trimap's value for unknown, if any."""

    name: str
    scores: dict[str, dict[str, float]]
    grey: int | None


def main(argv: list[str]) -> int:
    """Score folders of mattes and return 0; InputError names the file at fault."""
    options = parser().parse_args(argv)
    for path in (options.json, options.csv):
        if path and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise InputError(
                f"{path}: is a folder, or its folder does not exist; give the name of a file to write"
            )
        if path and (path.is_file() or not path.exists()):  # not /dev/stdout
            check_folder(path.absolute().parent)
    jobs = find_jobs(options)
    scored = score_all(jobs, options.processes)
    records = [record(scored, protocol) for protocol in jobs[0].protocols]
    show(records, scored)

    if options.json:
        content = records[0] if options.protocol != ALL else {"protocols": records}
        write_text(options.json, json.dumps(content, indent=2, allow_nan=False) + "\n")
    if options.csv:
        write_text(options.csv, as_csv(records))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    protocols = "\n".join(f"  {name:<13} {protocol.description}" for name, protocol in PROTOCOLS.items())
    result = argparse.ArgumentParser(
        prog="deepmatte score",
        description="Score predicted mattes against true ones. Files match by name, whatever their suffix.",
        epilog=f"protocols:\n{protocols}\n  {ALL:<13} all of them, to find the one behind a published number",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "--pred",
        required=True,
        metavar="DIR",
        help="predicted mattes, 8 or 16 bit: a folder or a glob pattern",
    )
    result.add_argument("--alpha", required=True, metavar="DIR", help="true mattes")
    result.add_argument(
        "--trimap", metavar="DIR", help="trimaps (0, 128, 255; any one grey may mark unknown)"
    )
    result.add_argument(
        "--protocol",
        default="adobe",
        choices=(*PROTOCOLS, ALL),
        metavar="NAME",
        help="see below (default: adobe)",
    )
    result.add_argument(
        "--scores",
        type=_scores,
        default=DEFAULT_SCORES,
        metavar="A,B",
        help=f"of {','.join(SCORES)} (default: all but mad)",
    )
    result.add_argument(
        "--json", type=Path, metavar="FILE", help="write the means and the scores of every image as JSON"
    )
    result.add_argument("--csv", type=Path, metavar="FILE", help="write the scores of every image as CSV")
    result.add_argument(
        "--processes", type=int, metavar="N", help="how many images at once (default: one for each core)"
    )
    return result


def _scores(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in SCORES]
    if unknown:
        raise argparse.ArgumentTypeError(f"'{unknown[0]}' is not one of {', '.join(SCORES)}")
    return names


def find_jobs(options: argparse.Namespace) -> list[Job]:
    """Match the files of the folders; InputError names an empty folder or a file without a partner."""
    from deepmatte.data.sources.files import check_names, find_pictures

    protocols = tuple(PROTOCOLS) if options.protocol == ALL else (options.protocol,)
    if options.trimap is None and protocols != ("whole",):
        raise InputError(
            "--trimap: missing; give the folder of trimaps, or --protocol whole, which needs none"
        )
    predictions = find_pictures(".", options.pred, "--pred")
    alphas = find_pictures(".", options.alpha, "--alpha")
    check_names(predictions, alphas, "prediction", "true matte")
    trimaps = find_pictures(".", options.trimap, "--trimap") if options.trimap else {}
    if trimaps:
        check_names(predictions, trimaps, "prediction", "trimap")
    return [
        Job(name, file, alphas[name], trimaps.get(name), protocols, options.scores)
        for name, file in predictions.items()
    ]


def score_all(jobs: Sequence[Job], processes: int | None) -> list[Scored]:
    """Score the images with a progress bar on standard error; the results are in the order of the jobs."""
    import cv2

    from deepmatte.data.parallel import spread

    cv2.setNumThreads(1)  # one image per core; and a thread pool would not survive the fork
    # Compiled once here and inherited by forked workers; without fork they read it from numba's cache.
    blank = np.zeros((1, 1), np.uint8)
    for protocol in jobs[0].protocols:
        score_image(blank, blank, blank, protocol, jobs[0].scores)
    return list(spread(score_job, jobs, processes, "scoring"))


def score_job(job: Job) -> Scored:
    """Read the files of one image and score it."""
    from deepmatte.data.sources.images import read_alpha
    from deepmatte.files import printable

    prediction, alpha = read_alpha(job.prediction), read_alpha(job.alpha)
    trimap, grey = (None, 128) if job.trimap is None else read_any_trimap(job.trimap)
    for file, image in ((job.alpha, alpha), (job.trimap, trimap)):
        if file is not None and image is not None and image.shape != prediction.shape:
            sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (image, prediction)]
            raise InputError(
                f"{printable(file)}: has {sizes[0]} pixels, but {printable(job.prediction)} {sizes[1]}; "
                "give pictures of one size"
            )
    scores = {
        protocol: score_image(prediction, alpha, trimap, protocol, job.scores) for protocol in job.protocols
    }
    return Scored(job.name, scores, grey)


def read_any_trimap(path: Path) -> tuple[np.ndarray, int | None]:
    """Return a trimap of 0, 128 and 255, even one without unknown pixels, and its grey for unknown."""
    from deepmatte.data.sources.images import read_alpha
    from deepmatte.files import printable
    from deepmatte.metrics.functional.inputs import quantise
    from deepmatte.ops.trimap import normalise_trimap
    from deepmatte.ops.zones import UNKNOWN

    grey = quantise(read_alpha(path))
    try:
        trimap = normalise_trimap(grey)
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from None
    unknown = grey[trimap == UNKNOWN]
    return trimap, int(unknown[0]) if unknown.size else None


def record(scored: Sequence[Scored], protocol: str) -> dict[str, Any]:
    """Return the content of the JSON file for one protocol."""
    images = [{"image": image.name, **image.scores[protocol]} for image in scored]
    names = list(scored[0].scores[protocol])
    return {
        "protocol": protocol,
        "metrics_version": METRICS_VERSION,
        "num_images": len(images),
        "num_images_without_unknown": sum(image.grey is None for image in scored),
        "mean": {name: float(np.mean([image[name] for image in images])) for name in names},
        "images": images,
    }


def as_csv(records: Sequence[dict[str, Any]]) -> str:
    """Return one line per image, protocol by protocol."""
    rows = [
        {"image": image["image"], "protocol": record["protocol"], **image}
        for record in records
        for image in record["images"]
    ]
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def show(records: Sequence[dict[str, Any]], scored: Sequence[Scored]) -> None:
    """Print the table and what is unusual about the trimaps."""
    from rich.console import Console

    console = Console()
    console.print(protocol_table(records) if len(records) > 1 else image_table(records[0]))
    greys = [image.grey for image in scored if image.grey not in (None, 128)]
    if greys:
        listed = ", ".join(map(str, sorted(set(greys))))
        console.print(f"Unknown is marked by {listed} in {len(greys)} of {len(scored)} trimaps; read as 128.")
    empty = records[0]["num_images_without_unknown"]
    if empty:
        console.print(
            f"No pixel is unknown in {empty} of {len(scored)} trimaps; over that zone their error is 0."
        )


def image_table(record: dict[str, Any]) -> Table:
    """Return the table of one protocol: a row per image, then the mean."""
    images, names = record["images"], list(record["mean"])
    title = f"protocol {record['protocol']}, {len(images)} images"
    if len(images) > MOST_ROWS:
        title += f", the ten worst by {names[0]}"
        images = sorted(images, key=lambda image: image[names[0]], reverse=not higher_is_better(names[0]))[
            :10
        ]
    from rich.markup import escape

    table = _table(title, "image", names)
    for image in images:
        table.add_row(escape(visible(image["image"])), *(f"{image[name]:.5g}" for name in names))
    table.add_section()
    table.add_row("mean", *(f"{record['mean'][name]:.5g}" for name in names), style="bold")
    return table


def protocol_table(records: Sequence[dict[str, Any]]) -> Table:
    """Return the means under every protocol."""
    names = list(records[0]["mean"])
    table = _table(f"mean of {records[0]['num_images']} images", "protocol", names)
    for record in records:
        table.add_row(record["protocol"], *(f"{record['mean'][name]:.5g}" for name in names))
    return table


def _table(title: str, first: str, names: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for name in names:
        table.add_column(heading(name), justify="right")
    return table
