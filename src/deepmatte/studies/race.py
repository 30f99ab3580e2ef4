"""Run a race: rounds of an experiment's sweep, in which settings that can't be the best stop getting seeds.

Each round is the experiment's own sweep, restricted to the settings in the race and the next seeds, so skips,
resuming, Slurm and W&B are those of every sweep. What was decided is kept in ``race.json``; a round that was
interrupted runs again, and its finished runs are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deepmatte.compare.racing import Outlook, Plan, Scores, decide, outlook
from deepmatte.compare.records.races import Race, Round, open_race, read_scores
from deepmatte.errors import InputError
from deepmatte.runs.locks import acquire, holder
from deepmatte.studies.race_grid import Grid, grid_of
from deepmatte.studies.study import Study, run_sweep
from deepmatte.studies.tuning import tune_of, tuned
from deepmatte.sweeps import sweep_file
from deepmatte.sweeps.sweep_file import duration

LOCK = "race.lock"


@dataclass(frozen=True)
class Limits:
    """When a race ends before all is decided; a race that is resumed may have others.

    Attributes:
        hours: of training on this machine, by the measured cost of the runs; None: no limit.
        detect: per cent; it ends once the survivors' seeds detect this difference. None: it does not.
    """

    hours: float | None = None
    detect: float | None = None


Runner = Callable[[Study], int]
"""Runs the unfinished jobs of a study's sweep and returns its exit code."""


def run_race(study: Study, plan: Plan, limits: Limits, metric: str = "sad", run: Runner = run_sweep) -> int:
    """Run a race to its end, or on from where it was interrupted, and print each round.

    Returns 0, or the exit code of a sweep that was refused or stopped; the same command resumes it.

    Raises:
        InputError: the experiment has no settings to compare, ``race.json`` is of another race, or fewer than
            two settings have finished runs.
    """
    grid, tune = grid_of(study), tune_of(study, range(plan.most))
    # A race may be resumed on another launcher.
    given = [word for word in study.overrides if not word.startswith("hydra")]
    about: dict[str, object] = {"experiment": study.name, "overrides": given, "metric": metric}
    lock = acquire(study.sweep, LOCK)
    if lock is None:
        who = holder(study.sweep, LOCK) or "another process"
        raise InputError(f"{study.sweep}: {who} is running this race; wait until it ends, or stop it")
    with lock:
        if tune is not None:
            code, grid = tuned(study, grid, tune, run)
            if code:
                return code
            about["tuned"] = {name: point[-1] for name, point in grid.settings.items()}
        race = open_race(study.sweep, plan, about, list(grid.settings))
        view = Outlook()
        if race.rounds:
            print(f"resuming after round {race.number} with {listing(race.survivors)}", flush=True)
            view = view_of(race, metric, limits)
        while not (reason := reason_to_end(race, limits, view)):
            code = run_round(study, grid, race, metric, run)
            if code:
                return code
            view = view_of(race, metric, limits)
            print("\n".join(lines_of(race, limits, view)), flush=True)
        race.ended = reason
        race.write()
        print("\n".join([*table_of(race), reason, *left_over(study, grid, race)]), flush=True)
    return 0


def left_over(study: Study, grid: Grid, race: Race) -> list[str]:
    """Return lines with the overrides of the settings that are left, for the next experiment with them."""
    if len(race.survivors) < 2:
        return []
    sweeps = grid.sweeps(replace(study, overrides=()), race.survivors, [0])
    return [f"left      {' '.join(sweep.overrides[:-1])}" for sweep in sweeps]


def run_round(study: Study, grid: Grid, race: Race, metric: str, run: Runner) -> int:
    """Run the next round, decide and record it; return 0, or the exit code of a sweep that was stopped."""
    number, names = race.number + 1, race.survivors
    seeds = list(range(race.plan.seeds(number - 1), race.plan.seeds(number)))
    runs: dict[str, dict[int, str]] = {name: {} for name in names}
    for sweep in grid.sweeps(study, names, seeds):
        with study.active():
            code = run(sweep)
        if code not in (0, 1):  # 1: a job failed, and the others ran
            return code
        for job in sweep_file.read(study.sweep).get("jobs", []):
            name, seed = grid.setting_of(job["overrides"]), seed_of(job["overrides"])
            if name in runs and seed in seeds:
                runs[name][seed] = job["run"]
    if missing := [name for name in names if len(runs[name]) < len(seeds)]:
        raise InputError(
            f"{study.sweep / sweep_file.SWEEP_FILE}: lacks jobs of {listing(missing)}, so the sweep did not "
            "run as it was asked to; see its messages above, then repeat this command"
        )
    scores, failed = read_scores(race.runs(runs), names, metric)
    if scores is None or len(scores.names) < 2:
        raise InputError(
            f"{study.sweep}: fewer than two settings have two finished runs ({listing(failed)} failed or did "
            "not finish); see `deepmatte sweep status`, then repeat this command"
        )
    race.rounds.append(Round(seeds, runs, failed, decide(scores, race.plan, number)))
    race.write()
    return 0


def seed_of(overrides: Sequence[str]) -> int | None:
    """Return the seed of a job; None where it has none."""
    found = [word.partition("=")[2] for word in overrides if word.startswith("seed=")]
    return int(found[-1]) if found and found[-1].isdigit() else None


def view_of(race: Race, metric: str, limits: Limits) -> Outlook:
    """Return what the survivors' seeds detect."""
    scores = scores_of_survivors(race, metric)
    return Outlook() if scores is None else outlook(scores, race.rounds[-1].decision, limits.detect)


def scores_of_survivors(race: Race, metric: str) -> Scores | None:
    """Return the scores of the settings in the race, from their records."""
    return read_scores(race.runs(), race.survivors, metric)[0]


def reason_to_end(race: Race, limits: Limits, view: Outlook) -> str:
    """Return why the race ends, in a sentence; empty where it goes on."""
    if not race.rounds:
        return ""
    left, plan = race.survivors, race.plan
    if len(left) == 1:
        return f"decided: {left[0]} is the best of {len(race.settings)} settings"
    if race.rounds[-1].decision.equal:
        return f"decided: {listing(left)} are equal within {plan.equal_within:g} %"
    open_ones = f"{listing(left)} are left, {left[0]} ahead"
    if limits.detect is not None and view.detects is not None and view.detects <= limits.detect:
        return f"{limits.detect:g} % would be detected: {open_ones}, but no such difference is shown"
    if race.number >= plan.rounds:
        return f"all {plan.most} seeds of the plan have run: {open_ones}"
    if limits.hours is not None and spent(race) + cost_of_next(race) > 3600 * limits.hours:
        return (
            f"the hours are spent ({duration(spent(race))} of {limits.hours:g} h; the next round takes about "
            f"{duration(cost_of_next(race))}): {open_ones}; more --hours resume the race"
        )
    return ""


def spent(race: Race) -> float:
    """Return the seconds that the runs of the race took, side by side as the sweep runs them."""
    return sum(seconds(race.sweep, race.runs()).values()) / parallel(race)


def cost_of_next(race: Race) -> float:
    """Return the seconds that the next round will take, at the measured cost of each surviving setting."""
    runs = race.runs()
    totals, number = seconds(race.sweep, runs), race.number + 1
    each = sum(totals[name] / max(len(runs[name]), 1) for name in race.survivors)
    return each * (race.plan.seeds(number) - race.plan.seeds(number - 1)) / parallel(race)


def seconds(sweep: Path, runs: dict[str, dict[int, Path]]) -> dict[str, float]:
    """Return the seconds that the runs of each setting took, with the start of their processes."""
    start_up = sweep_file.start_up_seconds(sweep)
    return {
        name: sum(
            float((sweep_file.result_or_nothing(path).get("cost") or {}).get("seconds") or 0.0) + start_up
            for path in found.values()
        )
        for name, found in runs.items()
    }


def parallel(race: Race) -> int:
    """Return how many jobs of the sweep run at once."""
    return max(int(sweep_file.read(race.sweep).get("parallel", 1)), 1)


def lines_of(race: Race, limits: Limits, view: Outlook) -> list[str]:
    """Return a line for each setting that the last round dropped, and the outlook."""
    last, plan = race.rounds[-1], race.plan
    lines = [
        f"dropped   {drop.setting}: {abs(drop.percent):.3g} % behind {drop.better} "
        f"(p = {drop.p_adjusted:.2g}, below this round's {last.decision.level:.2g})"
        for drop in last.decision.dropped
    ]
    lines += [f"failed    {name}: fewer than 2 finished runs" for name in last.failed]
    left = race.survivors
    parts = [f"{len(left)} of {len(race.settings)} settings left, {left[0]} ahead"]
    if view.detects is not None:
        parts.append(f"detects {view.detects:.2g} %")
    if limits.detect is not None and view.seeds is not None and view.seeds > plan.seeds(race.number):
        parts.append(f"{limits.detect:g} % takes about {view.seeds} seeds")
    parts.append(f"{duration(spent(race))} spent")
    if len(left) > 1 and race.number < plan.rounds and math.isfinite(cost_of_next(race)):
        parts.append(f"the next round takes about {duration(cost_of_next(race))}")
    head = f"round {race.number} of {plan.rounds}, {plan.seeds(race.number)} seeds"
    return [*lines, f"{head}: {'; '.join(parts)}"]


def table_of(race: Race) -> list[str]:
    """Return the table of rounds, and the runs beside those of all settings with all seeds of the plan."""
    rows = ["round  seeds  settings  level   dropped"]
    for number, item in enumerate(race.rounds, 1):
        out = [
            *(drop.setting for drop in item.decision.dropped),
            *(f"{name} (failed)" for name in item.failed),
        ]
        rows.append(
            f"{number:>5}  {race.plan.seeds(number):>5}  {len(item.runs):>8}  {item.decision.level:.4f}  "
            f"{', '.join(out) or '-'}"
        )
    runs = sum(len(found) for found in race.runs().values())
    return [*rows, f"{runs} runs instead of {len(race.settings) * race.plan.most}"]


def listing(names: Sequence[str]) -> str:
    """Return names as a list in words, with a count for those beyond five."""
    shown = list(names) if len(names) <= 6 else [*names[:5], f"{len(names) - 5} others"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
