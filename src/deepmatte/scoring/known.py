"""Images on which a run is scored although it was trained on their mattes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepmatte.data.inspection.fingerprints import fingerprints
from deepmatte.data.inspection.leaks import trained_on
from deepmatte.data.sources.protocols import Split
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.runs.directory import TRAINED_ON_FILE, RunDir
from deepmatte.training.datamodule import MattingData

MOST_PAIRS = 3
"""How many images a warning names of those that the run was trained on."""


def known_images(run: RunDir, data: MattingData, split: Split) -> dict[str, str] | None:
    """Return the images whose mattes the run was trained on, with their names in training; None if unknown.

    Raises:
        InputError: the run's record of its mattes can't be used.
    """
    record = run.trained_on()
    if record is None:
        return None
    prints = fingerprints(
        data.shown(split), f"{split}: fingerprints of the mattes", skip=data.on_error == "skip"
    )
    try:
        return trained_on(record, data.source, split, prints)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        cure = "remove it; without it, it is unknown what the run was trained on"
        raise InputError(
            f"{run.path / TRAINED_ON_FILE}: not a record of mattes ({str(error)[:80]}); {cure}"
        ) from None


def warning(known: dict[str, str], run: Path, dataset: dict[str, Any]) -> str:
    """Return the warning that a run was trained on images that it is scored on."""
    pairs = [
        printable(name) if name == trained else f"{printable(name)} (as {printable(trained)})"
        for name, trained in known.items()
    ]
    some = ", ".join(pairs[:MOST_PAIRS]) + (
        f" and {len(pairs) - MOST_PAIRS} more" if len(pairs) > MOST_PAIRS else ""
    )
    return (
        f"warning: {run} was trained on mattes of {dataset['name']} {dataset['split']}, "
        f"{len(pairs)} in all: {some}; its scores do not show how it performs on new images"
    )
