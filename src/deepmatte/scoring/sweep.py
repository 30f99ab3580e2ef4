"""Evaluate every finished run of a sweep on a data set, in one process."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deepmatte.errors import InputError, one_line
from deepmatte.metrics.names import DEFAULT_SCORES, heading
from deepmatte.runs.directory import FINISHED, RunDir
from deepmatte.scoring.evaluate import carry_out, prepare
from deepmatte.scoring.known import warning


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its result and where it is, or why there is none."""

    run: Path
    what: str
    name: str = ""
    result: dict[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """Whether the evaluation was tried and broke off."""
        return self.what == "failed"


def runs_below(path: Path) -> list[Path]:
    """Return the run directories directly below a sweep directory; empty for a run or another folder."""
    if not path.is_dir() or (path / ".hydra" / "config.yaml").is_file():
        return []
    return sorted(child for child in path.iterdir() if (child / ".hydra" / "config.yaml").is_file())


def evaluate_sweep(config: DictConfig, runs: Sequence[Path]) -> list[Outcome]:
    """Evaluate ``runs`` one after the other as ``config`` says, print a line each, and a table at the end.

    What was evaluated before in the same way is skipped, and one bad run does not stop the others.

    Raises:
        InputError: ``config`` asks for what only a single evaluation can have.
    """
    if config.output is not None:
        raise InputError(
            "output: would be the same for all runs of the sweep; leave it out, or give name=NAME"
        )
    if (config.trainer.get("num_nodes") or 1) != 1 or config.trainer.devices not in (1, "1"):
        raise InputError(
            "trainer: a sweep is evaluated in one process; give trainer=cpu or trainer.devices=1"
        )
    outcomes = []
    for number, run in enumerate(runs, 1):
        outcome = evaluate_run(config, run)
        outcomes.append(outcome)
        print(f"{number}/{len(runs)} {run.name}: {_line(outcome, config.split)}", flush=True)
    Console().print(table(outcomes, config.split))
    return outcomes


def evaluate_run(config: DictConfig, run: Path) -> Outcome:
    """Evaluate a run of a sweep, or say why not; only what the user does, as Ctrl-C, is raised."""
    own = copy.deepcopy(config)
    own.run = str(run)
    try:
        status = (RunDir(run).result() or {"status": "unfinished"})["status"]
        if status != FINISHED:
            return Outcome(run, f"skipped: {status}")
        evaluation = prepare(own)
        name = evaluation.output.path.name
        if before := evaluation.reusable():
            return Outcome(run, "evaluated before", name, before)
        result, known = carry_out(evaluation)
        if known:
            print(warning(known, run, result["dataset"]))
        return Outcome(run, "evaluated", name, result)
    except Exception as error:  # whatever is wrong with this run, the next may be whole
        return Outcome(run, "failed", name=one_line(error) or type(error).__name__)


def table(outcomes: Sequence[Outcome], split: str) -> Table:
    """Return the scores of all evaluations, with what distinguishes the runs."""
    shown = [outcome for outcome in outcomes if outcome.result is not None]
    counts = Counter(outcome.what.partition(":")[0] for outcome in outcomes)
    summed = ", ".join(f"{count} {what}" for what, count in counts.items())
    names = ", ".join(dict.fromkeys(outcome.name for outcome in shown))
    title = f"{names}: {summed}" if names else summed
    width = len(title)  # else a narrow table would break it
    found = Table(title=escape(title), title_justify="left", min_width=width, box=SIMPLE_HEAD, pad_edge=False)
    found.add_column("run", no_wrap=True)
    found.add_column("setting", overflow="fold")
    for metric in DEFAULT_SCORES:
        # The unit stands below the name, so that settings have room in 80 columns.
        found.add_column(heading(metric).replace(" ", "\n", 1), justify="right", no_wrap=True)
    results = [outcome.result or {} for outcome in shown]
    common = (
        set.intersection(*(set(result["overrides"]) for result in results)) if len(results) > 1 else set()
    )
    for outcome, result in zip(shown, results, strict=True):
        own = [word for word in result["overrides"] if word not in common]
        scores = [f"{result['scores'][f'{split}/{metric}']:.4g}" for metric in DEFAULT_SCORES]
        found.add_row(escape(outcome.run.name), escape(" ".join(own)), *scores)
    return found


def _line(outcome: Outcome, split: str) -> str:
    """Return what became of a run, with its first score."""
    if outcome.result is None:
        return f"{outcome.what}: {outcome.name}" if outcome.failed else outcome.what
    metric = DEFAULT_SCORES[0]
    return f"{outcome.what}, {metric.upper()} {outcome.result['scores'][f'{split}/{metric}']:.4g}"
