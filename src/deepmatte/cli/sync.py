"""Upload what runs have logged offline to Weights & Biases."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from deepmatte.errors import InputError
from deepmatte.runs.locks import holder

OFFLINE = "offline-run-*"
"""What W&B calls the folder of a run that it has written offline."""

SYNCED = "*.wandb.synced"
"""The marker that `wandb sync` leaves in it."""


def main(argv: list[str]) -> int:
    """List the offline runs below the given folders, and upload those that are not yet; return W&B's code."""
    options = parser().parse_args(argv)
    for root in options.folders:
        if not root.is_dir():
            raise InputError(f"{root}: no such directory; give a run, a sweep or the output root")
    folders = list(offline_runs(options.folders))
    fresh = [folder for folder in folders if not is_synced(folder)]
    waiting = [folder for folder in fresh if is_busy(folder)]
    ready = [folder for folder in fresh if folder not in waiting]
    print(
        f"{len(folders)} offline runs: {len(folders) - len(fresh)} are synced, {len(waiting)} are still "
        f"training, {len(ready)} {'would be' if options.dry_run else 'are'} uploaded"
    )
    for folder in ready:
        print(folder)
    if options.dry_run or not ready:
        return 0
    environment = {key: value for key, value in os.environ.items() if key != "WANDB_MODE"}
    command = [sys.executable, "-m", "wandb", "sync", *map(str, ready)]
    return subprocess.run(command, env=environment, check=False).returncode


def offline_runs(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield W&B's folders of offline runs at and below ``roots``, each once, in the order of their names.

    A run that was resumed has several; W&B joins them by their id.
    """
    found = {folder.resolve(): folder for root in roots for folder in root.rglob(OFFLINE) if folder.is_dir()}
    yield from (found[place] for place in sorted(found) if any(place.glob("*.wandb")))


def is_synced(folder: Path) -> bool:
    """Return whether `wandb sync` has marked an offline run as uploaded."""
    return any(folder.glob(SYNCED))


def is_busy(folder: Path) -> bool:
    """Return whether a process is working on the run to which ``RUN/wandb/offline-run-*`` belongs."""
    return holder(folder.parents[1]) is not None


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte sync",
        description="Upload runs that were logged offline to Weights & Biases. Runs that are uploaded "
        "already or still training are left out, so the command can be repeated while a sweep goes on.",
    )
    folders = "runs, sweeps, or the output root (default: runs)"
    result.add_argument("folders", nargs="*", type=Path, default=[Path("runs")], metavar="DIR", help=folders)
    result.add_argument("--dry-run", action="store_true", help="only list what would be uploaded")
    return result
