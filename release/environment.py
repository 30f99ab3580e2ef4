"""An environment that has nothing but the release, and what a stranger does in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

from deepmatte.cli.verbs import VERBS

SMALL = (
    "data.source.size=96",
    "data.source.num_train=4",
    "data.source.num_val=3",
    "data.source.num_test=3",
    "data.batch_size=4",
    "data.samples_per_epoch=8",
    "data.num_workers=0",
    "composition.crop_sizes=[64,96]",
    "composition.size=64",
    "model.width=0.0625",
    "length.epochs=1",
    "num_pictures=2",
)
"""Overrides under which a run takes seconds."""


class Environment:
    """A new virtual environment, and an empty folder to work in, both below ``home``."""

    def __init__(self, home: Path) -> None:
        self.folder, self.work = home / "environment", home / "work"
        self.work.mkdir()
        venv.create(self.folder, with_pip=True)
        self.bin = self.folder / "bin"

    def run(self, *words: str, folder: Path | None = None) -> str:
        """Run a program in the folder, with no path of the checkout, and return what it printed."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        plain |= {"PATH": f"{self.bin}{os.pathsep}{plain['PATH']}", "WANDB_MODE": "offline"}
        print("$", *words, flush=True)
        where = folder or self.work
        done = subprocess.run(
            words, cwd=where, env=plain, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\n{' '.join(words)}: exit status {done.returncode}")
        return done.stdout

    def install(self, wheel: Path, *more: str, extras: str = "") -> None:
        """Install the wheel by its name and version, so that no path of it is recorded."""
        name, version = wheel.name.split("-")[:2]
        where = ["--quiet", "--find-links", str(wheel.parent)]
        self.run("python", "-m", "pip", "install", *where, f"{name}{extras}=={version}", *more)
        self.run("python", "-m", "pip", "check")


def use(environment: Environment, version: str) -> None:
    """Train, evaluate, sweep, compare and predict; exit where anything fails."""
    if environment.run("deepmatte", "--version").strip() != f"deepmatte {version}":
        sys.exit(f"deepmatte --version: is not {version}")
    for verb in VERBS:
        environment.run("deepmatte", verb, "--help")
    environment.run("deepmatte", "train", *SMALL)
    (result,) = environment.work.glob("runs/train/*/result.json")
    if json.loads(result.read_text())["status"] != "finished":
        sys.exit(f"{result}: the run is not finished")
    run = str(result.parent.relative_to(environment.work))
    photo = next((result.parent / "pictures/test").glob("*_image.png"))
    trimap = str(photo).replace("_image.png", "_trimap.png")
    environment.run("deepmatte", "evaluate", run, "data=procedural", *SMALL[:4], "data.num_workers=0")
    environment.run("deepmatte", "predict", run, str(photo), "--trimap", trimap, "--out", "cutouts")
    environment.run("deepmatte", "train", "-m", "loss=alpha,dice", "seed=0,1", "name=sweep", *SMALL)
    environment.run("deepmatte", "compare", "runs/sweep", "--out", "report")
    for file in ("cutouts", "report/comparison.html"):
        if not (environment.work / file).exists():
            sys.exit(f"{file}: was not written")


def bill_of_materials(environment: Environment, project: Path, file: Path) -> None:
    """Write what the environment holds as CycloneDX (https://cyclonedx.org), the project as its subject."""
    program = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(project)]
    form = ["--output-format", "JSON", "--output-reproducible", "--validate", "--output-file", str(file)]
    subprocess.run([*program, *form, str(environment.bin / "python")], check=True)


def run_tests(environment: Environment, sdist: Path, wheel: Path) -> None:
    """Run the fast tests that the sdist brings against the installed wheel; its ``src`` is put aside."""
    environment.install(wheel, extras="[dev,joblib,slurm,optuna,serve]")
    with tarfile.open(sdist) as archive:
        archive.extractall(environment.work, filter="data")
    home = environment.work / sdist.name.removesuffix(".tar.gz")
    (home / "src").rename(environment.work / "src")
    environment.run(
        "python",
        "-m",
        "pytest",
        "tests",
        "-n",
        "auto",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
        folder=home,
    )
