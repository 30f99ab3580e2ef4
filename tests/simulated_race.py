"""Stands in for the sweeps of a race: writes the records of its runs, whose true means are known."""

from __future__ import annotations

import itertools

import numpy as np
from simulated_runs import PER_FOREGROUND, write_run

from deepmatte.studies.study import Study
from deepmatte.sweeps import sweep_file


class Sweep:
    """Stands in for `run_sweep`: writes the records of unfinished jobs; ``means`` are of each loss.

    Attributes:
        stop_after: new runs after which it is interrupted.
        failing: losses whose runs fail.
    """

    def __init__(self, means: dict[str, float], noise: float = 0.1, foregrounds: int = 32) -> None:
        self.means, self.noise, self.foregrounds = means, noise, foregrounds
        self.calls: list[tuple[str, ...]] = []
        self.trained: list[str] = []
        self.stop_after = 1000
        self.failing: set[str] = set()

    def __call__(self, study: Study) -> int:
        self.calls.append(study.overrides)
        lists = [[f"{key}={value}" for value in values.split(",")] for key, values in pairs_of(study)]
        points = list(itertools.product(*lists))
        jobs = [{"run": "_".join(point).replace("=", ""), "overrides": list(point)} for point in points]
        sweep_file.write(study.sweep, {"jobs": jobs, "parallel": 2})
        for job in jobs:
            if (study.sweep / job["run"]).exists():
                continue
            if len(self.trained) == self.stop_after:
                raise KeyboardInterrupt
            self.trained.append(job["run"])
            write_run(study.sweep / job["run"], *self.scores(job["overrides"]))
        return int(bool(self.failing))

    def scores(self, overrides: list[str]) -> tuple[list[str], int, np.ndarray | None]:
        """Return a job's overrides, seed and scores of the foregrounds; equal jobs have equal scores."""
        words = dict(word.split("=") for word in overrides)
        loss, seed = words["loss"], int(words["seed"])
        rng = np.random.default_rng([seed, *loss.encode()])
        cells = 1 + self.noise * (rng.standard_normal() + rng.standard_normal(self.foregrounds)) / 2
        scores = None if loss in self.failing else self.means[loss] * np.repeat(cells, PER_FOREGROUND)
        changes = [word for word in overrides if not word.startswith("seed=")]
        return changes, seed, scores


def pairs_of(study: Study) -> list[tuple[str, str]]:
    """Return the keys and lists of values of a sweep: those of its file, and those that it was given."""
    own = {key: str(values).replace(" ", "") for key, values in study.hydra.sweeper.params.items()}
    words = [word.partition("=") for word in study.overrides]
    both = own | {key: values for key, _, values in words}
    return [(key, values) for key, values in both.items() if key not in ("output_root", "name", "study.tune")]
