"""What a race shows, from ``race.json`` and its runs: each round's intervals, its cost, its verdict in words.

A round tests all pairs at what it adds to the error of the race, so that the intervals of all rounds hold
together with 95 %. Those of a comparison of the same runs count a single look, and decide nothing here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from deepmatte.compare.comparison import Comparison
from deepmatte.compare.racing import Gap, Outlook, Tested, all_pairs, outlook
from deepmatte.compare.records.races import RACE_FILE, Race, read_race, read_scores
from deepmatte.compare.verdict import LINES, Verdict, decide
from deepmatte.compare.words import OPEN, evidence, listing, percent, signed
from deepmatte.errors import InputError
from deepmatte.runs.directory import RunDir

WANTED = 5.0
"""Per cent; an open race says how many seeds tell such a difference."""

TELLING = 100.0
"""Per cent; a bound on the differences that is wider, the reference's own score, tells a reader nothing."""

MOST_NAMES = 8
"""Settings that a sentence names at most."""


@dataclass(frozen=True)
class RaceView:
    """A race and what its rounds tested, from the records of its runs.

    Attributes:
        race: as `RACE_FILE` has it.
        tested: of every round; None where fewer than two of its settings have their runs.
        reference: the experiment's, where it took part in the race.
    """

    race: Race
    tested: list[Tested | None]
    reference: str | None

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return str(self.race.about["metric"]).upper()

    @cached_property
    def rounds(self) -> list[dict[str, Gap]]:
        """Of every round, its settings beside the one that led it."""
        return [
            {}
            if item is None
            else {gap.setting: gap for gap in item.beside(item.scores.names[item.order[0]])}
            for item in self.tested
        ]

    @cached_property
    def order(self) -> list[str]:
        """The settings, those that are left first, then those that left last, from best to worst."""
        names = dict.fromkeys(self.race.survivors)
        for item in reversed(self.race.rounds):
            names |= dict.fromkeys([*item.decision.ranking, *item.failed])
        return [*names, *(name for name in self.race.settings if name not in names)]

    def out(self, setting: str) -> int | None:
        """Return the round that dropped a setting, which counts from 1; None where it is left or failed."""
        for number, item in enumerate(self.race.rounds, 1):
            if any(drop.setting == setting for drop in item.decision.dropped):
                return number
        return None

    def last(self, setting: str) -> Gap | None:
        """Return a setting beside the leader of the last round in which it ran; None for that leader."""
        rounds = [gaps[setting] for gaps in self.rounds if setting in gaps]
        return rounds[-1] if rounds and setting != self.race.survivors[0] else None

    def deciding(self, setting: str) -> Gap | None:
        """Return a setting beside the one that dropped it, in that round; None where it is left or failed."""
        number = self.out(setting)
        tested = self.tested[number - 1] if number else None
        if number is None or tested is None:
            return None
        drops = self.race.rounds[number - 1].decision.dropped
        better = next(drop.better for drop in drops if drop.setting == setting)
        if better not in tested.scores.names:
            return None
        return next((gap for gap in tested.beside(better) if gap.setting == setting), None)

    def seeds(self, setting: str) -> int:
        """Return the seeds that a setting has had."""
        return len(self.race.runs()[setting])

    @cached_property
    def cost(self) -> tuple[int, float, int, float]:
        """Runs and minutes of training of the race, and of all settings with the seeds of the survivors."""
        minutes, fixed, most = 0.0, 0.0, self.race.plan.seeds(self.race.number)
        for runs in self.race.runs().values():
            results = [RunDir(path).result() or {} for path in runs.values()]
            found = [float((item.get("cost") or {}).get("seconds") or 0.0) / 60 for item in results]
            minutes += sum(found)
            fixed += most * sum(found) / max(len(found), 1)
        runs_of_race = sum(map(len, self.race.runs().values()))
        return runs_of_race, minutes, len(self.race.settings) * most, fixed

    @property
    def error(self) -> float:
        """The error rate that the rounds have spent, by now."""
        return sum(item.decision.level for item in self.race.rounds)

    def outlook(self) -> Outlook:
        """Return what the survivors' seeds detect, and how many seeds detect `WANTED`."""
        last = self.tested[-1] if self.tested else None  # before its first round ends
        if last is None:
            return Outlook()
        return outlook(last.scores, self.race.rounds[-1].decision, WANTED)


def race_of(comparison: Comparison) -> RaceView | None:
    """Return the race that the compared runs are of; None where they are of none, or of another metric."""
    homes = {run.path.parent for run in comparison.runs}
    home = next(iter(homes))
    if len(homes) > 1 or any(run.evaluation for run in comparison.runs) or not (home / RACE_FILE).is_file():
        return None
    try:
        race = read_race(home)
    except InputError:
        return None
    there = {run.path.resolve() for run in comparison.runs} | {
        item.path.resolve() for item in comparison.excluded
    }
    needed = {path.resolve() for runs in race.runs().values() for path in runs.values()}
    if not race.rounds or race.about.get("metric") != comparison.main or not needed <= there:
        return None
    baseline = comparison.baseline
    return race_view(race, baseline if baseline in race.settings else None)


def verdict_of(comparison: Comparison) -> Verdict:
    """Return the verdict on compared runs: that of their race, where they were raced."""
    race = race_of(comparison)
    return decide(comparison) if race is None else race_verdict(race)


def race_view(race: Race, reference: str | None = None) -> RaceView:
    """Test every round of a race again, as it was decided."""
    found: list[Tested | None] = []
    for number, item in enumerate(race.rounds, 1):
        runs = replace(race, rounds=race.rounds[:number]).runs()
        scores = read_scores(runs, item.decision.ranking, str(race.about["metric"]))[0]
        enough = scores is not None and len(scores.names) > 1
        found.append(all_pairs(scores, race.plan, number) if scores is not None and enough else None)
    return RaceView(race, found, reference)


def race_verdict(view: RaceView) -> Verdict:
    """Return the verdict of a race: who is left, who is out, and what can be excluded."""
    race = view.race
    left, total = race.survivors, len(race.settings)
    out = [name for name in view.order if view.out(name)]
    gaps = [gap for name in left[1:] if (gap := view.last(name)) is not None]
    last = view.tested[-1]
    mean = "" if last is None else f" ({last.parts.means[last.order[0]]:.4g})"
    if len(left) == 1:
        ends = [drop.p_adjusted for item in race.rounds for drop in item.decision.dropped]
        next_one = next((gap for name in out if (gap := view.last(name)) is not None), None)
        beside = "" if next_one is None else f": {next_one.setting} is {interval_words(next_one)}"
        headline = f"{left[0]} is the best of {total} settings in {view.metric}{mean}{beside}."
        return Verdict(headline, f"{evidence(max(ends, default=math.nan))} evidence", _lines(view, out))
    if race.rounds[-1].decision.equal:
        headline = (
            f"{_names(left)} are equal in {view.metric} within {race.plan.equal_within:g} %{mean}; "
            f"{len(out)} of {total} settings {_are(out)} shown to be worse."
        )
        return Verdict(headline, "equal", _lines(view, out))
    nearest = f"; next is {gaps[0].setting}, {interval_words(gaps[0])}" if gaps else ""
    headline = (
        f"No clear winner among {len(left)} of {total} settings: {left[0]} leads in {view.metric}{mean}"
        f"{nearest}. {len(out)} {_are(out)} shown not to be the best."
    )
    behind = None if view.reference is None else view.deciding(view.reference)
    if behind is not None:  # what most sweeps are run for: the usual setting is not the best
        than = f"its {view.metric} is {interval_words(behind)} than that of {behind.base}"
        headline = f"{behind.setting} is not the best: {than}. {headline}"
    return Verdict(headline, OPEN, _lines(view, out))


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _lines(view: RaceView, out: list[str]) -> list[str]:
    """Return the details of the verdict."""
    lines = []
    if out:
        words = [_short(gap) for name in reversed(out) if (gap := view.last(name)) is not None]
        lines.append(f"Out, worst first: {_names(words)}.")
    lines += _beside_reference(view)
    seen, left = view.outlook(), view.race.survivors
    if len(left) > 1 and seen.detects is not None and not view.race.rounds[-1].decision.equal:
        lines.append(
            f"{view.seeds(left[0])} seeds detect {percent(seen.detects)} among those left; to detect "
            f"{WANTED:g} % takes {_takes(view, seen)}."
        )
    lines.append(cost_line(view))
    return lines[:LINES]


def _takes(view: RaceView, seen: Outlook) -> str:
    """Return the design that detects `WANTED`, with the minutes of training of the settings that are left."""
    if seen.seeds is None or seen.foregrounds is None:
        return "more seeds and test foregrounds than anybody runs"
    runs, minutes, _, _ = view.cost
    cost = len(view.race.survivors) * seen.seeds * minutes / max(runs, 1)
    last = view.tested[-1]
    more = last is not None and seen.foregrounds > len(last.scores.weights)
    design = f"about {seen.seeds} seeds" + (f" and {seen.foregrounds} test foregrounds" if more else "")
    return f"{design} ({max(cost, 1):.0f} minutes of training)"


def _beside_reference(view: RaceView) -> list[str]:
    """Return what is known of the reference: how far it is behind, or how far the others can be from it."""
    name, last = view.reference, view.tested[-1]
    if name is None or last is None or (len(view.race.survivors) == 1 and name in view.race.survivors):
        return []
    if name not in view.race.survivors:
        gap = view.deciding(name) or view.last(name)
        open_end = len(view.race.survivors) > 1 and not view.race.rounds[-1].decision.equal
        if gap is None or (open_end and view.deciding(name)):  # the headline says it
            return []
        return [f"{name} is {interval_words(gap)} than {gap.base}."]
    gaps = [gap for gap in last.beside(name) if gap.setting in view.race.survivors]
    bound = max((max(abs(gap.low), abs(gap.high)) for gap in gaps), default=math.inf)
    if bound > TELLING:
        return []
    better = max(-last.scores.sign * (gap.low if last.scores.sign > 0 else gap.high) for gap in gaps)
    return [
        f"No setting is more than {percent(max(better, 0.0))} better than {name}, and none that is left "
        f"differs from it by more than {percent(bound)} (with 95 % certainty)."
    ]


def cost_line(view: RaceView) -> str:
    """Return what the race took beside all settings with the seeds of those that are left."""
    runs, minutes, fixed, fixed_minutes = view.cost
    seeds, settings = view.race.plan.seeds(view.race.number), len(view.race.settings)
    return (
        f"The race took {runs} runs and {minutes:.0f} minutes of training; {seeds} seeds of all {settings} "
        f"settings take {fixed} and about {fixed_minutes:.0f}. Chance of having dropped one of the best: "
        f"{percent(100 * view.error)} at most."
    )


def interval_words(gap: Gap) -> str:
    """Return a gap in words with its interval."""
    low, high = sorted((abs(gap.low), abs(gap.high))) if gap.low * gap.high > 0 else (gap.low, gap.high)
    same = gap.low * gap.high > 0
    ends = f"{percent(low)} to {percent(high)}" if same else f"{signed(low)} to {signed(high)}"
    return f"{percent(abs(gap.percent))} {'higher' if gap.percent > 0 else 'lower'} (95 % interval {ends})"


def cell_words(gap: Gap) -> str:
    """Return a gap as a cell of a table: ``+35 (20 to 52) %``."""
    return f"{signed(gap.percent)} ({signed(gap.low)} to {signed(gap.high)})".replace(" %", "") + " %"


def _short(gap: Gap) -> str:
    return f"{gap.setting} ({signed(gap.percent)})"


def _names(names: list[str]) -> str:
    """Return names as a list in words; beyond `MOST_NAMES` the rest is counted."""
    if len(names) <= MOST_NAMES:
        return listing(names, MOST_NAMES)
    return listing([*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} others"], MOST_NAMES)
