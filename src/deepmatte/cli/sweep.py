"""Watch a sweep: which jobs are finished, running or failed; or repeat one of them."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import suppress
from pathlib import Path


def main(argv: list[str]) -> int:
    """Run ``status`` or ``repeat``; return 1 if a job has failed."""
    options = parser().parse_args(argv)
    return options.function(options)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte sweep",
        description="Watch a sweep that `deepmatte train` started, or repeat one of its jobs.",
    )
    words = result.add_subparsers(required=True, metavar="status|repeat")
    status = words.add_parser("status", help="a table of a sweep's jobs, refreshed while one is running")
    status.add_argument(
        "directory", type=Path, metavar="DIR", help="the sweep's directory, such as runs/loss_combinations"
    )
    status.add_argument("--once", action="store_true", help="print the table once, even on a terminal")
    status.add_argument("--json", action="store_true", help="print JSON, for programs")
    status.add_argument(
        "--every",
        type=seconds,
        default=2.0,
        metavar="SECONDS",
        help="interval between refreshes (default: 2)",
    )
    status.set_defaults(function=_status)
    again = words.add_parser("repeat", help="run one job alone, from its last checkpoint if it has one")
    again.add_argument("run", type=Path, metavar="RUN", help="the run directory of the job")
    again.set_defaults(function=_repeat)
    return result


def seconds(text: str) -> float:
    """Return an interval between refreshes."""
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: give 0.1 to 3600 seconds")
    return value


def _status(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.live import Live

    from deepmatte.sweeps.status import read_sweep, view

    state, console = read_sweep(options.directory), Console()
    if options.json:
        print(json.dumps(state.as_record(), indent=2))
    elif options.once or not console.is_terminal:
        console.print(view(state), crop=False)
    else:
        with Live(console=console, auto_refresh=False, transient=True) as live, suppress(KeyboardInterrupt):
            while not state.is_over:
                live.update(view(state, console.height), refresh=True)
                time.sleep(options.every)
                state = read_sweep(options.directory)
        console.print(
            view(state), crop=False
        )  # in full at the end and upon Ctrl-C, so that commands can be copied
    return 1 if any(job.has_failed for job in state.jobs) else 0


def _repeat(options: argparse.Namespace) -> int:
    from rich.console import Console

    from deepmatte.runs.directory import FINISHED, RunDir
    from deepmatte.sweeps.ending import repeat

    result = repeat(RunDir(options.run), Console(stderr=True, highlight=False, soft_wrap=True))
    return 0 if result["status"] == FINISHED else 1
