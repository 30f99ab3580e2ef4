"""Carry a study out: its sweep first, then the methods without a network on the very test sets of the sweep. No torch here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from deepmatte.compare.records import Run, find_run_dirs, lookup, read_run
from deepmatte.config.compose import compose, conf_dir, explained, quoted
from deepmatte.errors import InputError
from deepmatte.files import write_text
from deepmatte.runs.directory import FINISHED, RunDir
from deepmatte.runs.parent_watch import PARENT
from deepmatte.runs.provenance import stopwatch
from deepmatte.sweeps import plan, search
from deepmatte.sweeps.devices import cores, launcher_name, processes, uses_gpus

SAME = ("dataset.digest", "protocol", "metrics_version")
"""What the runs of one table have in common; a sweep over sizes has a table for each."""

OPTIONS: dict[str, Any] = {
    "metric": "sad",  # the primary one, which alone decides
    "screening": False,  # let one in twenty finds be chance instead of one family in twenty
    "equal_within": 3.0,  # per cent of difference that count as equal
    "reference": None,  # the setting that the claim names, with which the others are compared; all pairs without it
    "pairs": {},  # settings that are compared each with the one of their own, besides
    "losses": {},  # named recipes, for the sweep to choose from
    "steps": {},  # the same of training plans
    "baselines": [],  # methods without a network, as words for `deepmatte evaluate`
    "kinds": {},  # categories of test pictures, with titles, of which the page shows where each setting fails
    "scenes": None,  # pictures of several objects: count, size, instances, seed, methods
    "pictures": 4,  # rows of the sheet of mattes
    "text": "",  # Markdown for the page
    "published": "",  # and what was published
}
"""What an experiment may say under ``study``, and what holds where it does not."""

MOST_AT_ONCE = 8
"""Jobs that a study runs side by side at most, unless it is told otherwise: each takes its share of the memory."""


@dataclass(frozen=True)
class Study:
    """An experiment of ``experiments/NAME.yaml`` with its configuration, and Hydra's own, as the command line makes them."""

    name: str
    file: Path
    config: DictConfig
    hydra: DictConfig
    overrides: tuple[str, ...]

    @property
    def sweep(self) -> Path:
        """The sweep's directory."""
        return Path(self.config.output_root) / str(self.config.name)

    @property
    def options(self) -> dict[str, Any]:
        """What the experiment says under ``study``, with defaults for what it does not."""
        given = OmegaConf.to_container(self.config.study or OmegaConf.create({}), resolve=True)
        assert isinstance(given, dict)
        return OPTIONS | given

    @property
    def clock(self) -> Path:
        """The file that keeps how many seconds went by while the study was at work."""
        return self.sweep / "study.json"

    @property
    def seconds(self) -> float:
        """Seconds on the clock in which the study was at work, all its starts together, but not those that were killed."""
        return (
            float(json.loads(self.clock.read_text(encoding="utf-8"))["seconds"])
            if self.clock.is_file()
            else 0.0
        )

    def clock_covers(self, seconds: float) -> bool:
        """Say whether work of ``seconds``, as many jobs at once as the sweep has, fits into the time in which the study was at work.

        It does not where the sweep was run without the study, or a start of the study was killed.
        """
        return self.seconds * int(plan.read(self.sweep).get("parallel", 1)) >= seconds

    @contextmanager
    def active(self) -> Iterator[None]:
        """Add the time spent inside to ``seconds``, also where it ends in an error."""
        record = {"seconds": self.seconds}
        try:
            with stopwatch(record, "seconds"):
                yield
        finally:
            if self.sweep.is_dir():
                write_text(self.clock, json.dumps(record) + "\n")


def header(file: Path) -> list[str]:
    """Return the comment at the top of an experiment's file: claim, cost and command."""
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    comment = lines[
        : next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    ]
    return [line.removeprefix("#").strip() for line in comment]


def find_study(name: str, overrides: Sequence[str] = ()) -> Study:
    """Return the study of this name.

    Raises:
        InputError: there is no such experiment, it is no sweep, or an override does not fit it.
    """
    folders = [
        Path("experiments"),
        conf_dir().parent / "experiments",
    ]  # in the order in which Hydra looks for them
    file = next((folder / f"{name}.yaml" for folder in folders if (folder / f"{name}.yaml").is_file()), None)
    if file is None:
        names = ", ".join(sorted({other.stem for folder in folders for other in folder.glob("*.yaml")}))
        raise InputError(f"EXPERIMENT={name}: there is no experiments/{name}.yaml; choose one of {names}")
    search.register_resolvers()
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        single = [
            override.input_line for override in parsed if not override.is_sweep_override()
        ]  # lists of values are the jobs' own
        config = compose("train", [f"experiments={name}", *single], hydra=True)
    except HydraException as error:
        raise InputError(f"{name}: {explained(error)}") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    with open_dict(config):
        own = config.pop("hydra")
    if own.mode != RunMode.MULTIRUN or not (own.sweeper.get("params") or len(single) < len(parsed)):
        raise InputError(
            f"{file}: has no grid to study; give it hydra.mode: MULTIRUN and hydra.sweeper.params, as the other experiments have"
        )
    return Study(name, file, config, own, tuple(overrides))


def run_sweep(study: Study) -> int:
    """Run what is missing of the sweep, which ends with this process; return its exit code: 1 where a job failed."""
    command = [
        sys.executable,
        "-m",
        "deepmatte.cli.train",
        f"experiments={study.name}",
        *study.overrides,
        *side_by_side(study),
    ]
    return subprocess.run(command, env=os.environ | {PARENT: str(os.getpid())}, check=False).returncode


def side_by_side(study: Study) -> list[str]:
    """Return overrides by which every core has a job, and say so; none where a launcher was chosen, or jobs use GPUs or several cores.

    A job of one thread trains a small network nearly as fast as one that has all cores.
    """
    chosen = launcher_name(study.hydra) != "BasicLauncher" or any(
        word.startswith("hydra/launcher") for word in study.overrides
    )
    count = min(len(cores()), MOST_AT_ONCE)
    if chosen or count < 2 or uses_gpus(study.config) or processes(study.config) > 1:
        return []
    if find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        print(f"one job at a time; with pip install 'deepmatte[joblib]' this machine runs {count}")
        return []
    words = ["hydra/launcher=workstation", f"hydra.launcher.n_jobs={count}"]
    print(
        f"{count} jobs at once, a core each ({' '.join(words)}; hydra/launcher=basic runs one at a time)",
        flush=True,
    )
    return words


def tables(study: Study) -> list[list[Run]]:
    """Return the finished runs, those that were scored on one test set together, in the order of their directories.

    Raises:
        InputError: none is finished.
    """
    found = [read_run(path) for path in (find_run_dirs([study.sweep]) if study.sweep.is_dir() else [])]
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in found:
        if isinstance(run, Run):
            groups.setdefault(tuple(lookup(run.result, key) for key in SAME), []).append(run)
    if not groups:
        raise InputError(
            f"{study.sweep}: holds no finished run to write a page of; `deepmatte study {study.name}` runs what is missing"
        )
    return list(groups.values())


def unfinished(study: Study) -> str:
    """Say in a line which jobs of the sweep's last command are not finished; empty where all are, and for a search."""
    jobs = plan.read(study.sweep).get("jobs", []) if study.sweep.is_dir() else []
    results = [RunDir(study.sweep / job["run"]).result() or {} for job in jobs]
    left = Counter(
        str(result.get("status", "not begun")) for result in results if result.get("status") != FINISHED
    )
    if not left:
        return ""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(left.items()))
    return f"{len(jobs) - left.total()} of {len(jobs)} jobs of {study.sweep} are finished ({counts})"


def score_baselines(study: Study, runs: Sequence[Run]) -> list[Path]:
    """Score the study's methods on the test set of ``runs``, unless that is done; return the directories of those that finished.

    Where the networks' mattes are scored as they were written, without the trimap's known zones, so are those
    of the methods.
    """
    raw = not study.config.impose_trimap
    digest = str(lookup(runs[0].result, "dataset.digest"))[:8]
    homes = []
    for words in study.options["baselines"]:
        home = (
            study.sweep
            / "baselines"
            / digest
            / (re.sub(r"[^\w=.-]+", "_", words.replace("method=", "")) + ("_raw" if raw else ""))
        )
        if (RunDir(home).result() or {}).get("status") != FINISHED:
            options = [
                f"like={quoted(runs[0].path)}",
                f"output={quoted(home)}",
                f"num_pictures={study.config.num_pictures}",
            ]
            options += ["impose_trimap=false"] if raw else []
            subprocess.run(
                [sys.executable, "-m", "deepmatte.cli.evaluate", *words.split(), *options], check=False
            )
        if (RunDir(home).result() or {}).get("status") == FINISHED:
            homes.append(home)
    return homes
