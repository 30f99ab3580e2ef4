"""What a sweep costs beyond training: launch of a job, two jobs side by side, two processes in one job.

Run: python benchmarks/sweeps.py. Each figure is a ratio of things timed side by side in this run. It needs
two idle cores; on a busy machine it says little. `phases.py` says where the time of one job goes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAIN = [
    sys.executable,
    "-m",
    "deepmatte.cli.train",
    "wandb.mode=disabled",
    "data.num_workers=0",
    "num_pictures=1",
]
SMALL = [
    "data.source.size=96",
    "data.source.num_train=4",
    "data.source.num_val=2",
    "data.source.num_test=2",
    "data.batch_size=4",
    "composition.crop_sizes=[64,96]",
    "composition.size=64",
    "stages.encoder_decoder.epochs=0",
    "stages.joint.epochs=1",
]
SAMPLES = (64, 832)
"""Of a short and a long run of one or two processes."""
TURNS = 2
JOBS = 5
"""Of the longer sweep by which the launch of a job is measured."""
PARALLEL = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


def seconds(command: list[str], home: Path, threads: str = "1") -> float:
    """Return the wall time of a command that succeeds."""
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=home, env=os.environ | {"OMP_NUM_THREADS": threads}, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(done.stderr[-2000:])
    return time.perf_counter() - start


def results(home: Path, name: str) -> list[dict]:
    """Return the records of a sweep."""
    return [json.loads(file.read_text()) for file in (home / "runs" / name).glob("*/result.json")]


def launch(home: Path, options: list[str]) -> None:
    """Launch overhead of a job beyond the run itself, against importing Lightning in a fresh interpreter.

    In a sweep whose jobs are forks, the first one pays for the imports of all, and does not count. Sweeps of
    one and of `JOBS` jobs take turns, and the fastest count.
    """
    lightning = min(seconds([sys.executable, "-c", "import pytorch_lightning"], home) for _ in range(2))
    for start, fork, most in (("fork", "true", 0.3), ("interpreter", "false", 1.15)):
        words = [*TRAIN, *options, f"sweep.fork={fork}", "-m"]
        times, insides = {1: [], JOBS: []}, []
        for turn in range(TURNS):
            for count, taken in times.items():
                name = f"{start}_{count}_{turn}"
                seeds = ",".join(map(str, range(count)))
                taken.append(seconds([*words, f"name={name}", f"seed={seeds}"], home))
                insides += [run["cost"]["seconds"] for run in results(home, name)]
        inside = sum(insides) / len(insides)
        overhead = (min(times[JOBS]) - min(times[1])) / (JOBS - 1) - inside
        print(
            f"launch overhead of a job ({start}) {overhead:.1f} s, import of Lightning {lightning:.1f} s; "
            f"ratio {overhead / lightning:.2f} (at most {most})"
        )


def side_by_side(home: Path, options: list[str]) -> None:
    """Two jobs on two cores against one of them."""
    one = seconds([*TRAIN, *options, "-m", "name=alone", "seed=0", *PARALLEL, "sweep.devices=[0]"], home)
    two = seconds([*TRAIN, *options, "-m", "name=both", "seed=0,1", *PARALLEL], home)
    print(f"joblib: two jobs {two:.1f} s, one {one:.1f} s; ratio {two / one:.2f} (at most 1.25)")


def processes(home: Path, options: list[str]) -> None:
    """Samples per second of two processes with a thread each against one process with one thread.

    Batches have 32 samples in all. A step takes about a second, as on the machines that such a run is meant
    for; of shorter ones, more goes to what is not shared out (Adam, Lightning's loop). A short and a long
    run, whose difference is free of starting up, take turns; the fastest count.
    """
    trainers = {"one": ["trainer=cpu"], "two": ["trainer=ddp", "trainer.accelerator=cpu"]}
    size = [
        "data.batch_size=32",
        "data.source.size=192",
        "composition.crop_sizes=[128,192]",
        "composition.size=128",
    ]
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(TURNS):
        for samples in SAMPLES:
            for name, trainer in trainers.items():
                words = [
                    *TRAIN,
                    *options,
                    *size,
                    *trainer,
                    f"name=ddp_{name}",
                    f"data.samples_per_epoch={samples}",
                    "force=true",
                ]
                times.setdefault((name, samples), []).append(seconds(words, home))
    short, long = SAMPLES
    speed = {name: (long - short) / (min(times[name, long]) - min(times[name, short])) for name in trainers}
    print(
        f"DDP, batches of 32: two processes {speed['two']:.1f} samples/s, one {speed['one']:.1f}; "
        f"ratio {speed['two'] / speed['one']:.2f} (at least 1.7)"
    )


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        options = [*SMALL, f"data.source.cache_dir={home / 'cache'}"]
        seconds(
            [*TRAIN, *options, "name=warm", "data.samples_per_epoch=8"], home
        )  # draws the pictures, warms the disk
        launch(home, [*options, "data.samples_per_epoch=8"])
        side_by_side(home, [*options, "data.samples_per_epoch=192", "composition.size=96"])
        processes(home, options)


if __name__ == "__main__":
    main()
