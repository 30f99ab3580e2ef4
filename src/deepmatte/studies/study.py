"""Run a study: its sweep first, then its baselines on the same test sets. No torch here."""

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

from deepmatte.compare.records.races import RACE_FILE, read_race
from deepmatte.compare.records.reading import Run, find_run_dirs, lookup, read_run
from deepmatte.config.compose import compose, quoted
from deepmatte.config.places import conf_dir
from deepmatte.config.unknown_keys import explained
from deepmatte.errors import InputError, visible
from deepmatte.files import read_json, write_text
from deepmatte.runs.context import SweepContext
from deepmatte.runs.directory import FINISHED, RunDir
from deepmatte.runs.provenance import stopwatch
from deepmatte.sweeps import sweep_file
from deepmatte.sweeps.devices import cores, launcher_name, processes, uses_gpus

SAME = ("dataset.digest", "protocol", "metrics_version")
"""Runs that agree in these are compared in one table; a sweep over image sizes gets one table per size."""

OPTIONS: dict[str, Any] = {
    "metric": "sad",  # the primary metric, which alone decides
    "screening": False,  # control the false discovery rate instead of the family-wise error rate
    "equal_within": 3.0,  # per cent; smaller differences count as equal
    "reference": None,  # the setting to compare the others with; null: all pairs
    "tune": None,  # {key, values, seeds}: of each setting before its race (studies/tuning.py)
    "pairs": {},  # further comparisons: setting -> the setting to compare it with
    "losses": {},  # named losses, for the sweep to choose from
    "steps": {},  # named training schedules, likewise
    "baselines": [],  # methods without a network, as arguments of `deepmatte evaluate`
    "kinds": {},  # categories of test images, with titles, for a table and figure of errors by category
    "scenes": None,  # scenes of several objects: count, size, instances, seed, methods
    "pictures": 4,  # rows of the figure of mattes
    "text": "",  # Markdown for the page
    "published": "",  # Markdown: published results
}
"""Keys of ``study`` in an experiment, with their defaults."""

MOST_AT_ONCE = 8
"""Most jobs that a study runs in parallel if no launcher is chosen, since each needs its share of memory."""


@dataclass(frozen=True)
class Study:
    """An experiment, ``experiments/NAME.yaml``, with its configuration and Hydra's own."""

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
        """The experiment's ``study``, with defaults for missing keys."""
        given = OmegaConf.to_container(self.config.study or OmegaConf.create({}), resolve=True)
        assert isinstance(given, dict)
        return OPTIONS | {str(key): value for key, value in given.items()}

    @property
    def clock(self) -> Path:
        """The file that accumulates the seconds during which the study ran."""
        return self.sweep / "study.json"

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all calls of the study, without those that were killed."""
        if not self.clock.is_file():
            return 0.0
        try:
            return float(read_json(self.clock)["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.clock}: holds no seconds ({visible(error)[:80]}); remove it, the clock starts anew"
            ) from error

    def clock_covers(self, seconds: float) -> bool:
        """Return whether ``seconds`` of machine time, in parallel jobs, fit into the time of the calls.

        They do not if the sweep was also run without the study, or a call of the study was killed.
        """
        return self.seconds * int(sweep_file.read(self.sweep).get("parallel", 1)) >= seconds

    @contextmanager
    def active(self) -> Iterator[None]:
        """Add the time spent in the block to ``seconds``, even if it ends in an error."""
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
        InputError: there is no such experiment, it is not a sweep, or an override is invalid.
    """
    folders = [Path("experiments"), conf_dir().parent / "experiments"]  # in Hydra's order of search
    file = next((folder / f"{name}.yaml" for folder in folders if (folder / f"{name}.yaml").is_file()), None)
    if file is None:
        names = ", ".join(sorted({other.stem for folder in folders for other in folder.glob("*.yaml")}))
        raise InputError(f"EXPERIMENT={name}: there is no experiments/{name}.yaml; choose one of {names}")
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        # Lists of values belong to the jobs.
        single = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
        config = compose("train", [f"experiments={name}", *single], hydra=True)
    except HydraException as error:
        raise InputError(f"{name}: {explained(error)}") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    with open_dict(config):
        own = config.pop("hydra")
    if own.mode != RunMode.MULTIRUN or not (own.sweeper.get("params") or len(single) < len(parsed)):
        raise InputError(
            f"{file}: has no grid; give it hydra.mode: MULTIRUN and hydra.sweeper.params, "
            "as the other experiments have"
        )
    return Study(name, file, config, own, tuple(overrides))


def run_sweep(study: Study) -> int:
    """Run the unfinished jobs of the sweep, which ends with this process; return 1 if a job failed."""
    command = [
        sys.executable,
        "-m",
        "deepmatte.cli.train",
        f"experiments={study.name}",
        *study.overrides,
        *side_by_side(study),
    ]
    return subprocess.run(
        command, env=os.environ | SweepContext.read().but(parent=os.getpid()).environment(), check=False
    ).returncode


def side_by_side(study: Study) -> list[str]:
    """Return overrides that run one job per core, and print them.

    None where a launcher was chosen, or jobs use GPUs or several processes. A job of one thread trains a
    small network nearly as fast as one that has all cores.
    """
    chosen = launcher_name(study.hydra) != "BasicLauncher" or any(
        word.startswith("hydra/launcher") for word in study.overrides
    )
    count = min(len(cores()), MOST_AT_ONCE)
    if chosen or count < 2 or uses_gpus(study.config) or processes(study.config) > 1:
        return []
    if find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        print(f"one job at a time; after pip install 'deepmatte[joblib]', {count} at a time on this machine")
        return []
    words = ["hydra/launcher=workstation", f"hydra.launcher.n_jobs={count}"]
    print(
        f"{count} jobs at a time, one per core ({' '.join(words)}; hydra/launcher=basic: one at a time)",
        flush=True,
    )
    return words


def tables(study: Study) -> list[list[Run]]:
    """Return the finished runs in the order of their directories, grouped by test set.

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
            f"{study.sweep}: holds no finished run to write a page of; run `deepmatte study {study.name}`"
        )
    return list(groups.values())


def unfinished(study: Study) -> str:
    """Return a line on unfinished jobs of the sweep's last command; empty where none is, or for a search.

    Nor is there one for a race that has ended: its rounds are whole, and one that was begun after them counts
    nowhere.
    """
    if (study.sweep / RACE_FILE).is_file() and read_race(study.sweep).ended:
        return ""
    jobs = sweep_file.read(study.sweep).get("jobs", []) if study.sweep.is_dir() else []
    results = [RunDir(study.sweep / job["run"]).result() or {} for job in jobs]
    left = Counter(
        str(result.get("status", "not started")) for result in results if result.get("status") != FINISHED
    )
    if not left:
        return ""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(left.items()))
    return f"{len(jobs) - left.total()} of {len(jobs)} jobs of {study.sweep} are finished ({counts})"


def score_baselines(study: Study, runs: Sequence[Run]) -> list[Path]:
    """Score the study's baselines on the test set of ``runs``; return the directories of those that finished.

    What is scored already is not scored again. Where the mattes of the networks are scored without imposing
    the trimap's known zones, so are those of the baselines.
    """
    raw = not study.config.impose_trimap
    digest = str(lookup(runs[0].result, "dataset.digest"))[:8]
    homes = []
    for words in study.options["baselines"]:
        name = re.sub(r"[^\w=.-]+", "_", words.replace("method=", "")) + ("_raw" if raw else "")
        home = study.sweep / "baselines" / digest / name
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
