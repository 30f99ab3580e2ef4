"""``race.json``: the plan of a race, what ran in each of its rounds, and what each round decided."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deepmatte.compare.racing import Decision, Drop, Plan, Scores
from deepmatte.compare.records.grouping import Setting
from deepmatte.compare.records.json_numbers import plain
from deepmatte.compare.records.reading import Run, check_comparable, read_run
from deepmatte.compare.score_table import make_score_table
from deepmatte.errors import InputError, check_arguments, visible
from deepmatte.files import read_json, write_text

RACE_FILE = "race.json"


@dataclass(frozen=True)
class Round:
    """A round that has ended.

    Attributes:
        seeds: those that it added.
        runs: setting -> seed -> the run's folder, as `deepmatte.sweeps.sweep_file.name_in` writes it.
        failed: settings that have fewer than two finished runs, and leave the race.
        decision: what the round shows.
    """

    seeds: list[int]
    runs: dict[str, dict[int, str]]
    failed: list[str]
    decision: Decision


@dataclass
class Race:
    """A race in the directory of its sweep; ``about`` is what has to be the same to resume it."""

    sweep: Path
    plan: Plan
    about: dict[str, object]
    settings: list[str]
    rounds: list[Round] = field(default_factory=list)
    ended: str = ""

    @property
    def survivors(self) -> list[str]:
        """The settings that are in the race, from best to worst after the first round."""
        return self.rounds[-1].decision.survivors if self.rounds else self.settings

    @property
    def number(self) -> int:
        """The number of rounds that have ended."""
        return len(self.rounds)

    def runs(self, more: dict[str, dict[int, str]] | None = None) -> dict[str, dict[int, Path]]:
        """Return the runs of each setting by seed, those of the round that has just run included."""
        found: dict[str, dict[int, Path]] = {name: {} for name in self.settings}
        for runs in [*(item.runs for item in self.rounds), *([more] if more else [])]:
            for name, seeds in runs.items():
                found[name] |= {seed: self.sweep / folder for seed, folder in seeds.items()}
        return found

    def write(self) -> None:
        """Write ``race.json``."""
        record = {
            "about": self.about,
            "plan": asdict(self.plan),
            "settings": self.settings,
            "rounds": [asdict(item) | {"survivors": item.decision.survivors} for item in self.rounds],
            "ended": self.ended,
        }
        write_text(self.sweep / RACE_FILE, json.dumps(plain(record), indent=2) + "\n")


def open_race(sweep: Path, plan: Plan, about: dict[str, object], settings: Sequence[str]) -> Race:
    """Return the race in ``sweep``, or a new one.

    Raises:
        InputError: ``race.json`` is damaged, or of another race.
    """
    new, file = Race(sweep, plan, about, list(settings)), sweep / RACE_FILE
    if not file.is_file():
        return new
    race = read_race(sweep)
    before = race.about | asdict(race.plan) | {"settings": race.settings}
    now = about | asdict(plan) | {"settings": list(settings)}
    for key in now | before:
        if before.get(key) != now.get(key):
            were, are = (visible(values.get(key))[:200] for values in (before, now))
            raise InputError(
                f"{file}: is of a race with other {key} ({were}, now {are}); "
                "repeat its command, or move the file away to start a new race, the runs are kept"
            )
    new.rounds = race.rounds
    return new


def read_race(sweep: Path) -> Race:
    """Return the race in ``sweep``; InputError where ``race.json`` is missing or damaged."""
    file = sweep / RACE_FILE
    try:
        record = read_json(file)
        check_arguments(Plan, record["plan"], "plan")
        check_arguments(Race, {"about": record["about"], "settings": record["settings"]})
        rounds = [read_round(item) for item in record["rounds"]]
        plan, ended = Plan(**record["plan"]), str(record.get("ended", ""))
        race = Race(sweep, plan, record["about"], record["settings"], rounds, ended)
        _check(race)
        return race
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file}: not readable as a race ({visible(error)[:200]}); move it away, the runs are kept"
        ) from error


def _check(race: Race) -> None:
    """Raise ValueError where a plan is none that a race can have, or a round names what is no setting."""
    plan = race.plan
    if not (2 <= plan.first <= plan.most and plan.step >= 1 and plan.equal_within > 0):
        raise ValueError("a plan that no race can have")
    if not isinstance(race.about.get("metric"), str):
        raise ValueError("about.metric is missing: it has to be a text")
    for item in race.rounds:
        drops = [name for drop in item.decision.dropped for name in (drop.setting, drop.better)]
        unknown = {*item.runs, *item.failed, *item.decision.ranking, *drops} - set(race.settings)
        if unknown:
            raise ValueError(f"{min(unknown)}: none of its settings")


def read_round(record: dict) -> Round:
    """Return a round of ``race.json``; KeyError, TypeError or InputError where it is damaged."""
    check_arguments(Round, record, "rounds")
    found = record["decision"]
    drops = [Drop(**item) for item in found["dropped"]]
    decision = Decision(found["level"], found["ranking"], drops, found["equal"])
    runs = {name: {int(seed): run for seed, run in seeds.items()} for name, seeds in record["runs"].items()}
    return Round(record["seeds"], runs, record["failed"], decision)


def read_scores(
    runs: dict[str, dict[int, Path]], names: Sequence[str], metric: str
) -> tuple[Scores | None, list[str]]:
    """Return the scores of the settings that have two finished runs, and the names of the others.

    Raises:
        InputError: the runs can't be compared, or lack the metric.
    """
    settings, failed = [], []
    for name in names:
        records = [read_run(path) for _, path in sorted(runs[name].items())]
        finished = [record for record in records if isinstance(record, Run)]
        if len(finished) < 2:
            failed.append(name)
        else:
            settings.append(Setting(name, {}, finished))
    if not settings:
        return None, failed
    check_comparable([run for setting in settings for run in setting.runs])
    table = make_score_table(settings, metric)
    cells = [table.cells(number) for number in range(len(settings))]
    return Scores(table.names, cells, [item.seeds for item in settings], table.weights, table.sign), failed
