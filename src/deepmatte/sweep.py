"""Sweeps: one job is one fresh process tree, and lives where its configuration says. Nothing here imports torch."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console

from deepmatte.config import config_hash, run_dir
from deepmatte.errors import InputError
from deepmatte.rundir import FINISHED, RunDir, checked_run_dir, write_text

OUTPUT_FILE = "output.log"
_RUN_NAME = "run.txt"


def run_job(config: DictConfig) -> float:
    """Run one job of a multirun in a process of its own, unless it is finished already, and return its objective.

    Lightning's DDP launcher starts the other ranks by repeating the command line; in the sweep's own process that would
    repeat the whole sweep. Never raises for a job that fails: the sweep goes on, and `SweepEnd` sets the exit code.
    """
    console = Console(stderr=True, highlight=False)
    hydra = HydraConfig.get()
    path, overrides = run_dir(config), list(hydra.overrides.task)
    label = f"[{path.name}] {' '.join(_own(overrides)) or 'defaults'}"
    try:
        run = checked_run_dir(path, config_hash(config))
        result = run.result()
    except InputError as error:
        console.print(f"failed    {label}: {error}", style="red", markup=False)
        write_text(Path(hydra.runtime.output_dir) / _RUN_NAME, f"{path}\n")
        return math.inf
    write_text(Path(hydra.runtime.output_dir) / _RUN_NAME, f"{path}\n")
    if result is not None and result["status"] == FINISHED and not config.force:
        console.print(f"finished  {label} (before; force=true runs it anew)", style="dim", markup=False)
        return _objective(config, result)
    run.write_config(config, overrides)
    console.print(f"start     {label}", markup=False)
    start = time.monotonic()
    code = _run_child(run, console, f"[{path.name}]")
    result = run.result() or {}
    if code == 0 and result.get("status") == FINISHED:
        console.print(f"finished  {label} in {time.monotonic() - start:.0f} s", style="green", markup=False)
        return _objective(config, result)
    if result.get("status") in (None, "running"):
        reason = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        result = run.update(
            status="failed", config_hash=config_hash(config), overrides=overrides, error=f"the process {reason}; see {OUTPUT_FILE}"
        )
    console.print(f"failed    {label}: {result.get('error')} (see {path / OUTPUT_FILE})", style="bold red", markup=False)
    return math.inf


def child_command(run: RunDir) -> list[str]:
    """Return the command that runs the configuration of ``run`` in that directory, without writing it again."""
    return [
        sys.executable,
        "-m",
        "deepmatte.cli.train",
        f"--config-path={(run.path / '.hydra').resolve()}",
        "--config-name=config",
        f"hydra.run.dir='{run.path.resolve()}'",
        "hydra.output_subdir=null",
        "hydra.mode=RUN",
    ]


def _run_child(run: RunDir, console: Console, prefix: str) -> int:
    """Run the job, its output in ``output.log`` and its epochs on the terminal; return its exit code."""
    child = subprocess.Popen(child_command(run), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", bufsize=1)
    try:
        assert child.stdout is not None
        with (run.path / OUTPUT_FILE).open("a", encoding="utf-8") as log:
            for line in child.stdout:
                log.write(line)
                log.flush()
                if line.startswith("epoch "):
                    console.print(f"          {prefix} {line.rstrip()}", style="dim", markup=False)
        return child.wait()
    except BaseException:
        child.terminate()
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
        raise


def _objective(config: DictConfig, result: dict[str, Any]) -> float:
    value = result.get("scores", {}).get(config.objective)
    if value is None:
        names = ", ".join(result.get("scores", {}))
        raise InputError(f"objective={config.objective}: the run has no such score; it has {names}")
    return float(value)


def _own(overrides: list[str]) -> list[str]:
    """Leave out what every job of the sweep has in common with the command line's choice of experiment."""
    return [override for override in overrides if not override.startswith(("experiments=", "budget=", "trainer=", "output_root="))]


def _print_comparison(runs: list[Path]) -> None:
    from deepmatte.compare.comparison import compare
    from deepmatte.compare.table import print_comparison

    try:
        print_comparison(compare([str(run) for run in runs]), Console())
    except InputError as error:
        Console(stderr=True).print(f"no comparison: {error}", style="yellow", markup=False)


class SweepEnd(Callback):
    """Ends a multirun with the ranking of its runs, and with exit code 1 where one of them failed."""

    def __init__(self) -> None:
        self.start = time.time()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember when this sweep began: job folders of earlier sweeps in the same directory are older."""
        self.start = time.time()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table of the runs of this sweep, then leave with 1 if one of them is not finished."""
        jobs = Path(config.hydra.sweep.dir)
        files = [file for file in jobs.rglob(_RUN_NAME) if file.stat().st_mtime >= self.start - 1]
        runs = sorted({Path(file.read_text().strip()) for file in files}, key=os.fspath)
        if not runs:
            return
        _print_comparison(runs)
        failed = [run for run in runs if (RunDir(run).result() or {}).get("status") != FINISHED]
        if failed:
            message = f"{len(failed)} of {len(runs)} runs failed; the same command runs only them again"
            Console(stderr=True).print(message, style="bold red", markup=False)
            sys.exit(1)
