"""Where the time of one job of an experiment goes, measured in the job itself.

Run: python benchmarks/phases.py [--experiment NAME] [--before SRC] [OVERRIDE ...]. It runs the same jobs with
an interpreter of their own and as forks; ``--before`` adds a column for another checkout's ``src`` folder. At
the end it says whether the scores of every test image are equal in all columns, digit for digit.
Seconds and CPU seconds are the mean over the jobs after the first, each phase without the phases inside it.
On a busy machine CPU seconds say more.

Claim: 1.2 times as many runs an hour as at ea250a1 (alone on two cores: 1.23, 1.22, and 1.03 in a run whose
launcher took 1.7 s a job), nearly all of it by not starting an interpreter for each, with scores that are
equal to the bit; 2 times was the goal. It is out of reach with equal bits: what makes the scores takes
12.8 of the 19.8 CPU seconds of a job (forward and backward 6.8, optimiser 0.8, validation 1.4, test 3.0,
metrics 0.8), and half of a job of ea250a1 is 12.2. Of one run of this benchmark, seconds and CPU seconds:

    start: interpreter, imports      0.36     0.34     (with an interpreter of its own 3.25)
    weights, losses, data            0.09     0.09
    checks and caches of data        0.12     0.12
    records, fingerprint             0.07     0.07
    curves, W&B                      1.23     1.01
    fit: loop, loading               1.28     0.97
    fit: forward, losses             2.85     2.84
    fit: backward                    3.96     3.96
    fit: optimiser                   0.77     0.77
    validation                       1.40     1.40
    test                             3.12     3.04
    metrics                          0.75     0.75
    pictures                         0.47     0.47
    checkpoints                      0.05     0.05
    the rest of train()              0.12     0.12
    loader processes                          3.53
    launcher, end                    0.16     0.26
    a job                           16.80    19.79
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUT = "DEEPMATTE_PHASES"
"""The folder into which a job writes its phases; where it is set, `install` measures."""

RUN = "deepmatte.training.run"
"""The module whose import begins the measurement: it imports all others."""

PHASES = {
    "weights, losses, data": [f"{RUN}:_Job.__init__"],
    "checks and caches of data": ["deepmatte.training.datamodule:MattingData.check"],
    "records, fingerprint": [f"{RUN}:_Job.begin"],
    "curves, W&B": [f"{RUN}:Tracker.__init__", f"{RUN}:Tracker.finish"],
    "fit: loop, loading": ["pytorch_lightning:Trainer.fit"],
    "fit: forward, losses": ["deepmatte.training.module:MattingModule.training_step"],
    "fit: backward": ["pytorch_lightning.strategies:Strategy.backward"],
    "fit: optimiser": ["pytorch_lightning.core.optimizer:LightningOptimizer.step"],
    "validation": ["deepmatte.training.module:MattingModule.validation_step"],
    "test": [f"{RUN}:score"],
    "metrics": [
        "deepmatte.metrics:MattingMetrics.update",
        "deepmatte.metrics:MattingMetrics.compute",
        "deepmatte.metrics:MattingDiagnostics.update",
        "deepmatte.metrics:MattingDiagnostics.compute",
    ],
    "pictures": [
        "deepmatte.training.callbacks:PictureGrids.on_validation_batch_end",
        "deepmatte.training.callbacks:PictureGrids.on_validation_epoch_end",
        "deepmatte.training.callbacks:PictureGrids.on_validation_end",  # there before 0.1.0
        "deepmatte.training.callbacks:TestPictures.on_test_batch_end",
        "deepmatte.training.score:Scored.draw",
    ],
    "checkpoints": ["pytorch_lightning.callbacks:ModelCheckpoint._save_checkpoint"],
    "the rest of train()": [f"{RUN}:train"],
}
"""Phase -> ``module:name`` of the functions in which it takes place; what a version lacks is left out.

A test sees that today's version lacks only what is marked as of another (`tests/test_benchmarks.py`).
"""

START, LOADERS, AROUND, WHOLE = "start: interpreter, imports", "loader processes", "launcher, end", "a job"


class Clock:
    """Adds up wall and CPU seconds of phases, each without those inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.inner: list[list[float]] = []

    def wrap(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """Return ``function``, measured as part of ``phase``."""

        @functools.wraps(function, updated=())
        def measured(*arguments: Any, **options: Any) -> Any:
            start = now()
            self.inner.append([0.0, 0.0])
            try:
                return function(*arguments, **options)
            finally:
                took = [end - begin for end, begin in zip(now(), start, strict=True)]
                inside = self.inner.pop()
                self.add(phase, [a - b for a, b in zip(took, inside, strict=True)])
                if self.inner:
                    self.inner[-1] = [a + b for a, b in zip(self.inner[-1], took, strict=True)]

        return measured

    def add(self, phase: str, took: list[float]) -> None:
        """Add wall and CPU seconds."""
        before = self.seconds.setdefault(phase, [0.0, 0.0])
        self.seconds[phase] = [a + b for a, b in zip(before, took, strict=True)]


def now() -> list[float]:
    """Return wall and CPU seconds since this process began, or was forked."""
    began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return [time.clock_gettime(time.CLOCK_BOOTTIME) - began, time.process_time()]


def install() -> None:
    """Measure this process, once it imports `RUN`; called by the benchmark's ``sitecustomize``."""
    if OUT in os.environ:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds `RUN` as usual, and measures it once it is there."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != RUN:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def loaded(module: Any) -> None:
            load(module)
            _measure(module)

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


def _measure(run: Any) -> None:
    """Wrap the functions of all phases, and write what they took when `train` returns."""
    clock = Clock()
    for phase, places in PHASES.items():
        for place in places:
            module, _, names = place.partition(":")
            *owners, name = names.split(".")
            owner: Any = importlib.import_module(module)
            for part in owners:
                owner = getattr(owner, part, None)
            if hasattr(owner, name):
                setattr(owner, name, clock.wrap(getattr(owner, name), phase))
    train = run.train

    @functools.wraps(train)
    def recorded(*arguments: Any, **options: Any) -> Any:
        clock.add(START, now())
        try:
            return train(*arguments, **options)
        finally:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            clock.add(LOADERS, [0.0, used.ru_utime + used.ru_stime])
            file = Path(os.environ[OUT]) / f"{time.time():.3f}-{os.getpid()}.json"
            file.write_text(json.dumps(clock.seconds))

    run.train = recorded


def jobs(home: Path, name: str, words: list[str], source: Path | None) -> list[dict[str, list[float]]]:
    """Run two jobs and one more; return the phases of each, the last of which is what the sweep took for two.

    ``source`` is another checkout's ``src``.
    """
    site, out = home / "site", home / name
    site.mkdir(exist_ok=True)
    out.mkdir()
    folder = Path(__file__).parent
    (site / "sitecustomize.py").write_text(
        f"import sys\nsys.path.append({str(folder)!r})\nimport phases\nphases.install()\n"
    )
    paths = [str(source)] if source else []
    environment = os.environ | {
        OUT: str(out),
        "PYTHONPATH": os.pathsep.join([str(site), *paths, os.environ.get("PYTHONPATH", "")]),
    }
    took = []
    for part, seeds in (("warm", "0"), ("one", "0"), ("three", "0,1,2")):
        command = [sys.executable, "-m", "deepmatte.cli.train", "-m", f"name={name}_{part}", *words]
        start, before = time.perf_counter(), cpu_of_children()
        done = subprocess.run(
            [*command, f"seed={seeds}"], cwd=home, env=environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            sys.exit(done.stdout[-1000:] + done.stderr[-2000:])
        took.append([time.perf_counter() - start, cpu_of_children() - before])
    of_jobs = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    a_job = [(three - one) / 2 for one, three in zip(took[1], took[2], strict=True)]
    return [*of_jobs[-2:], {WHOLE: a_job}]


METRICS = ("sad", "mse", "grad", "conn", "miou")
Scores = dict[tuple[int, str], list[str]]


def scores(home: Path, name: str) -> Scores:
    """Return what `jobs` of this name wrote of each (seed, test image): its scores, digit for digit."""
    found: Scores = {}
    for file in (home / "runs" / f"{name}_three").glob("*/result.json"):
        seed = int(json.loads(file.read_text())["seed"])
        with (file.parent / "per_image.csv").open(newline="") as table:
            for row in csv.DictReader(table):
                found[seed, row["image"]] = [row[metric] for metric in METRICS]
    return found


def compared(columns: dict[str, Scores]) -> str:
    """Say whether all columns have the same scores, to the last digit of each image."""
    first, *others = columns
    wanted = columns[first]
    if not wanted:
        return "scores: none were written"
    unequal = [
        f"{name} in {sum(columns[name].get(key) != found for key, found in wanted.items())}"
        for name in others
        if columns[name] != wanted
    ]
    said = (
        f"{', '.join(unequal)} differ from those of {first}" if unequal else "equal to the bit in all columns"
    )
    return f"scores of {len(wanted)} images of all jobs: {said}"


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that this one has waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(columns: dict[str, list[dict[str, list[float]]]]) -> str:
    """Return the phases in rows, wall and CPU seconds of each kind of job in columns."""
    means: dict[str, dict[str, list[float]]] = {}
    for name, (*measured, whole) in columns.items():
        means[name] = {
            phase: [
                sum(job.get(phase, [0.0, 0.0])[kind] for job in measured) / len(measured) for kind in (0, 1)
            ]
            for phase in (START, *PHASES, LOADERS)
        }
        inside = [sum(took[kind] for took in means[name].values()) for kind in (0, 1)]
        means[name][AROUND] = [all_ - part for all_, part in zip(whole[WHOLE], inside, strict=True)]
        means[name][WHOLE] = whole[WHOLE]
    lines = [f"{'':28s}" + "".join(f"{name:>18s}" for name in means)]
    lines += [f"{'':28s}" + f"{'s':>9s}{'CPU s':>9s}" * len(means)]
    for phase in (START, *PHASES, LOADERS, AROUND, WHOLE):
        cells = "".join(f"{took[phase][0]:9.2f}{took[phase][1]:9.2f}" for took in means.values())
        lines.append(f"{phase:28s}{cells}")
    first, *_, last = means.values()
    ratio = [a / b for a, b in zip(first[WHOLE], last[WHOLE], strict=True)]
    lines.append(
        f"runs per hour, last over first: {ratio[0]:.2f} by the clock, {ratio[1]:.2f} by CPU seconds"
    )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--experiment", default="loss_combinations")
    parser.add_argument("--before", type=Path, help="src of another checkout")
    options, overrides = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        words = [f"experiments={options.experiment}", "loss=alpha", "wandb.mode=offline", *overrides]
        columns = {}
        if options.before:
            columns["before"] = jobs(home, "before", words, options.before.resolve())
        columns["interpreter"] = jobs(home, "interpreter", [*words, "sweep.fork=false"], None)
        columns["fork"] = jobs(home, "fork", words, None)
        print(table(columns))
        print(compared({name: scores(home, name) for name in columns}))


if __name__ == "__main__":
    main()
