"""Pruning: Optuna judges a running trial by its validations, and one that falls behind ends early."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from deepmatte.runs.directory import PRUNED, RunDir
from deepmatte.sweeps import search
from deepmatte.sweeps.process import Stop
from deepmatte.sweeps.strategies import make_pruner, pruner_name

EVERY_SECONDS = 1.0
"""How often a running trial's curves are looked at."""


class Watch:
    """Reports the validations of one running trial to Optuna, and asks whether it may continue.

    It is a `deepmatte.sweeps.process.Stopper`: called, it returns a reason to stop, or None.

    Args:
        hydra: Hydra's own configuration of the job.
        name: of the search.
        metric: what is minimised, as ``val/sad``.
        run: the trial's run.

    Raises:
        InputError: the search has no such running trial.
    """

    def __init__(self, hydra: DictConfig, name: str, metric: str, run: RunDir) -> None:
        self.metric, self.file, self.rule = metric, run.path / "metrics.csv", pruner_name(hydra)
        pruner = make_pruner(hydra.sweeper)
        self.trial = search.load_trial(Path(hydra.sweep.dir), name, int(hydra.job.num), pruner)
        self.reported: set[int] = set()
        self.next = 0.0

    def __call__(self) -> Stop | None:
        """Look at the curves, unless that was done a moment ago."""
        if time.monotonic() < self.next:
            return None
        self.next = time.monotonic() + EVERY_SECONDS
        for epoch, value in self._report():
            if self.trial.should_prune():
                by = f"pruned by hydra.sweeper.pruner.name={self.rule}"
                return Stop(PRUNED, f"{by}: {self.metric} {value:.4g} after epoch {epoch + 1}")
        return None

    def _report(self) -> Iterator[tuple[int, float]]:
        """Yield epoch and value of each validation since the last call, once Optuna knows it."""
        for epoch, value in sorted(validations(self.file, self.metric).items()):
            if epoch not in self.reported:
                self.reported.add(epoch)
                self.trial.report(value, epoch)
                yield epoch, value

    def end(self, status: str) -> None:
        """Report what is left once the run has ended, and, where it was pruned, that it was."""
        from optuna.trial import TrialState

        for _ in self._report():
            pass
        if status == PRUNED:
            self.trial.study.tell(self.trial.number, state=TrialState.PRUNED)


def watch(config: DictConfig, hydra: DictConfig, run: RunDir) -> Watch | None:
    """Return the watch over a job of a search; None for a grid, and where no pruner is chosen."""
    if pruner_name(hydra) == "none":
        return None
    return Watch(hydra, str(config.name), search.objectives(config)[0], run)


def validations(file: Path, metric: str) -> dict[int, float]:
    """Return the finite values of a metric in a run's curves by epoch, which count from 0.

    A row that is being written is left for the next time.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return {}
    found: dict[int, float] = {}
    for row in csv.DictReader(line for line in lines if line.endswith("\n")):
        epoch, value = row.get("epoch") or "", _number(row.get(metric))
        if epoch.isdecimal() and value is not None:
            found[int(epoch)] = value
    return found


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
