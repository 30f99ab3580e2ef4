"""The flagship on written records: what its page says of the race, beside the means that were planted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from simulated_race import Sweep

from deepmatte.compare import race_view
from deepmatte.compare.comparison import compare
from deepmatte.compare.race_view import RaceView, race_of, race_verdict
from deepmatte.compare.racing import Plan
from deepmatte.compare.record import as_record
from deepmatte.compare.verdict import decide
from deepmatte.reports.page import render_page
from deepmatte.reports.race_section import draw_race
from deepmatte.studies.page import write_page
from deepmatte.studies.race import Limits, run_race
from deepmatte.studies.study import Study, find_study, tables, unfinished
from deepmatte.sweeps import sweep_file

MEANS = {
    **{"alpha": 18.0, "dim": 18.2, "alpha_laplacian": 17.6, "bce": 19.5, "vitmatte": 18.1},
    **{"lovasz": 26.0, "dice": 30.0, "tversky": 40.0},
}
PLAN = Plan(most=6)


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The flagship experiment with eight of its losses, raced on written records."""
    home = tmp_path_factory.mktemp("race")
    study = find_study("which_loss", [f"loss={','.join(MEANS)}", f"output_root={home}"])
    assert run_race(study, PLAN, Limits(hours=100), run=Sweep(MEANS)) == 0
    return study


@pytest.fixture(scope="module")
def view(raced: Study) -> RaceView:
    """What the race shows, by its records."""
    found = race_of(compare([raced.sweep], baseline="alpha"))
    assert found is not None
    return found


def test_all_intervals_of_all_rounds_hold_the_planted_ratios(view: RaceView) -> None:
    gaps = [
        gap for found in view.tested if found for name in found.scores.names for gap in found.beside(name)
    ]
    assert len(gaps) > 8 * 7
    for gap in gaps:
        assert gap.low < 100 * (MEANS[gap.setting] / MEANS[gap.base] - 1) < gap.high
        assert gap.low <= gap.percent <= gap.high


def test_a_pair_seen_from_either_side_is_one_ratio(view: RaceView) -> None:
    found = view.tested[0]
    assert found is not None
    there = next(gap for gap in found.beside("alpha") if gap.setting == "dim")
    back = next(gap for gap in found.beside("dim") if gap.setting == "alpha")
    for one, other in ((there.percent, back.percent), (there.low, back.high), (there.high, back.low)):
        assert (1 + one / 100) * (1 + other / 100) == pytest.approx(1, abs=1e-9)


def test_a_setting_is_out_exactly_where_the_interval_of_its_round_leaves_out_its_rival(
    view: RaceView,
) -> None:
    for number, item in enumerate(view.race.rounds):
        found = view.tested[number]
        assert found is not None
        assert item.decision.ranking == [found.scores.names[place] for place in found.order]
        worse = {gap.setting for name in found.scores.names for gap in found.beside(name) if gap.low > 0}
        assert worse == {drop.setting for drop in item.decision.dropped}


def test_the_page_tells_who_left_when_and_what_the_race_cost(
    raced: Study, view: RaceView, tmp_path: Path
) -> None:
    (runs,) = tables(raced)
    text = write_page(raced, [(runs, [])], tmp_path).read_text()
    assert (tmp_path / "which_loss" / "race.png").stat().st_size > 10_000
    headline = re.search("^## (.+)$", text, re.M)[1]
    assert headline.startswith(f"No clear winner among {len(view.race.survivors)} of 8 settings: ")
    assert re.search(r"^- Out, worst first: tversky \(\+1\d\d %\), dice \(", text, re.M)
    assert f"- The race took {len(runs)} runs and " in text
    assert "seeds of all 8 settings take 48 and about " in text
    bound = float(re.search(r"differs from it by more than ([\d.]+) %", text)[1])
    assert bound > max(abs(100 * (MEANS[name] / MEANS["alpha"] - 1)) for name in view.race.survivors)
    rows = dict(re.findall(r"^\| (\w+) \| \d \| (.+) \|$", text, re.M))
    assert set(rows) >= set(MEANS)
    assert rows["tversky"].endswith("|  |  | out in round 1")
    assert sum("leads" in row for row in rows.values()) >= 1


def test_a_reference_that_is_out_is_the_first_thing_that_is_said(raced: Study) -> None:
    """With the pair of settings that decided it, whose interval leaves out 0."""
    found = race_of(compare([raced.sweep], baseline="dice"))
    assert found is not None
    pattern = (
        r"dice is not the best: its SAD is (\d+) % higher \(95 % interval (\d+) % to (\d+) %\) than that of "
    )
    told = re.match(pattern + r"(\w+)\. No clear winner among", race_verdict(found).headline)
    percent, low, high = (int(told[number]) for number in (1, 2, 3))
    assert low < 100 * (MEANS["dice"] / MEANS[told[4]] - 1) < high
    assert low < percent < high
    assert not [line for line in race_verdict(found).details if line.startswith("dice is")]


def test_a_bound_as_wide_as_the_score_of_the_reference_is_left_out(
    view: RaceView, monkeypatch: pytest.MonkeyPatch
) -> None:
    (told,) = [line for line in race_verdict(view).details if "differs from it by more than" in line]
    bound = float(re.search(r"differs from it by more than ([\d.]+) %", told)[1])
    monkeypatch.setattr(race_view, "TELLING", bound - 1)
    assert not [line for line in race_verdict(view).details if "differs from it" in line]


def test_page_and_record_of_the_comparison_have_the_verdict_of_the_race(
    raced: Study, view: RaceView, tmp_path: Path
) -> None:
    comparison = compare([raced.sweep], baseline="alpha")
    verdict = as_record(comparison)["verdict"]
    assert verdict["headline"] == race_verdict(view).headline != decide(comparison).headline
    page = render_page(comparison, [], [draw_race(view)], None, tmp_path, view)
    assert '<section id="race">' in page
    assert verdict["headline"] in page
    assert "out in round 1" in page


def test_a_round_that_was_begun_after_the_end_is_no_lack_of_the_race(
    raced: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = {"jobs": [{"run": "of_the_next_round"}], "parallel": 2}
    monkeypatch.setattr(sweep_file, "read", lambda sweep: begun)
    assert unfinished(raced) == ""
    monkeypatch.setattr("deepmatte.studies.study.RACE_FILE", "nothing.json")
    assert unfinished(raced).startswith("0 of 1 jobs of ")


def test_other_metrics_and_other_runs_have_no_race(raced: Study) -> None:
    assert race_of(compare([raced.sweep], "mse")) is None
    some = sorted(path.parent for path in raced.sweep.glob("*/result.json"))[:4]
    assert race_of(compare(some)) is None
