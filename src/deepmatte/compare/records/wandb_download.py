"""Runs of a Weights & Biases group, downloaded as run directories."""

from __future__ import annotations

import json
from pathlib import Path

from deepmatte.errors import InputError
from deepmatte.files import write_text

PREFIX = "wandb:"
FILES = ("result.json", "per_image.csv", "metrics.csv")
"""What a run has to have uploaded to be compared; the curves are welcome."""


def fetch_group(source: str, cache: Path) -> Path:
    """Download the records of a W&B group's training runs, a folder a run, and return their directory.

    A run without the files gets an empty record, so that it is listed as excluded. InputError where the group
    can't be read.
    """
    parts = source.removeprefix(PREFIX).split("/")
    if len(parts) != 3 or not all(parts):
        raise InputError(f"{source}: not of the form wandb:ENTITY/PROJECT/GROUP; give all three parts")
    entity, project, group = parts
    import wandb

    try:
        runs = [
            run
            for run in wandb.Api().runs(f"{entity}/{project}", filters={"group": group})
            if run.job_type != "comparison"
        ]
        directory = cache / group
        for run in runs:
            folder = directory / run.id
            folder.mkdir(parents=True, exist_ok=True)
            present = {file.name: file for file in run.files() if file.name in FILES}
            for file in present.values():
                file.download(root=str(folder), replace=True)
            if "result.json" not in present:
                missing = {"status": run.state, "error": "no result.json was uploaded"}
                write_text(folder / "result.json", json.dumps(missing))
    except (wandb.errors.Error, ValueError, OSError) as error:  # ValueError: there is no such project
        reason = " ".join(str(error).split())
        raise InputError(
            f"{source}: W&B can't read it ({reason}); check the name, WANDB_API_KEY and the network"
        ) from error
    if not runs:
        raise InputError(f"{source}: the group has no runs; check its name")
    return directory
