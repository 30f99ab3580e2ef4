"""Every reader of files that strangers may have written, with right files to start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from simulated_runs import write_run

from campaigns.readers.binaries import binaries
from campaigns.readers.pictures import pictures
from campaigns.readers.reader import Reader
from campaigns.readers.runs import of_runs
from campaigns.readers.sweeps import of_sweeps
from campaigns.readers.tables import tables, words

__all__ = ["Reader", "readers"]


def readers(folder: Path) -> dict[str, Reader]:
    """Return all readers by name; ``folder`` becomes a finished run, in which each try replaces a file."""
    write_run(folder, ["loss=alpha"], 0, np.linspace(1, 2, 8), parts=True)
    (folder / "checkpoints").mkdir()
    return {**pictures(), **of_runs(folder), **of_sweeps(), **tables(folder), **binaries(), **words()}
