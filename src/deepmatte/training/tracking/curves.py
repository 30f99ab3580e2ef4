"""The curves of a run, ``metrics.csv``: whole at every instant, and exact in a run that was resumed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from deepmatte.errors import InputError, visible
from deepmatte.files import write_text


class Curves(CSVLogger):
    """Lightning's CSV logger, writing ``metrics.csv`` into the run directory; a resumed run continues it."""

    _experiment: Rows | None

    def __init__(self, directory: Path) -> None:
        super().__init__(save_dir=directory, name="", version="", flush_logs_every_n_steps=50)
        self.file = directory / "metrics.csv"

    @property
    @rank_zero_experiment
    def experiment(self) -> Rows:
        """The writer of the rows."""
        if self._experiment is None:
            self._experiment = Rows(self.file)
        return self._experiment

    @property
    def num_rows(self) -> int:
        """How many rows there are, restored ones included; 0 in processes other than the first."""
        return self._experiment.num_rows if self._experiment is not None else 0

    @rank_zero_only
    def keep_until(self, step: int, num_rows: int | None = None) -> None:
        """Restore the rows that a checkpoint at optimiser step ``step`` has seen: the first ``num_rows``.

        All of them are of earlier steps. Later ones will be computed again. ``num_rows`` is None for
        checkpoints that don't know it.
        """
        rows: list[dict[str, str]] = []
        if self.file.exists():  # a full disk may have cut the last row off
            whole = [row for row in self._read() if None not in (*row, *row.values())]
            rows = [{key: value for key, value in row.items() if value} for row in whole]
        self.experiment.restore(
            [row for row in rows[:num_rows] if row.get("step", "").isdecimal() and int(row["step"]) < step]
        )

    def _read(self) -> list[dict[str, str]]:
        """Return the rows of the file."""
        try:
            with self.file.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except (OSError, ValueError, csv.Error) as error:
            cure = "remove it; the curves then begin where the run is resumed"
            raise InputError(f"{self.file}: not readable as CSV ({visible(error)}); {cure}") from error


class Rows(ExperimentWriter):
    """Writes a CSV file that is whole at every instant: appends rows, or replaces it for a new column.

    Lightning's writer deletes the file first, and writes it in place.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(log_dir=str(file.parent))
        self.file, self.num_rows = file, 0

    def _check_log_dir_exists(self) -> None:
        """Leave what is there, which `restore` reads."""

    def restore(self, rows: list[dict[str, str]]) -> None:
        """Replace the file by these rows, or remove it where there is none."""
        self.metrics_keys = sorted(set().union(*rows))
        self.num_rows = len(rows)
        if rows:
            self._replace(rows)
        else:
            self.file.unlink(missing_ok=True)

    def log_metrics(self, metrics_dict: dict[str, float], step: int | None = None) -> None:
        """Record a row."""
        super().log_metrics(metrics_dict, step)
        self.num_rows += 1

    def save(self) -> None:
        """Write the rows that are new."""
        if not self.metrics:
            return
        if self._record_new_keys() or not self.file.exists():
            with self.file.open(encoding="utf-8", newline="") if self.file.exists() else StringIO() as file:
                rows: list[Mapping[str, Any]] = list(csv.DictReader(file))
            self._replace([*rows, *self.metrics])
        else:
            with self.file.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, self.metrics_keys).writerows(self.metrics)
        self.metrics = []

    def _replace(self, rows: list[Any]) -> None:
        buffer = StringIO(newline="")
        writer = csv.DictWriter(buffer, self.metrics_keys)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.file, buffer.getvalue(), parents=False)
