"""The verdict says what the numbers allow and no more; the command's exit code and output."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from simulated_runs import PER_FOREGROUND, write_run

from deepmatte.cli.compare import main
from deepmatte.compare.comparison import compare
from deepmatte.compare.inference.planning import components_of, detectable
from deepmatte.compare.table import number, print_comparison
from deepmatte.compare.verdict import Verdict, decide
from deepmatte.errors import InputError

Sweep = Callable[..., Path]


def lines(verdict: Verdict) -> str:
    """Return a verdict as one text."""
    return " ".join([verdict.headline, *verdict.details])


def test_clear_winner_is_named_with_its_distance_and_the_evidence(sweep: Sweep) -> None:
    verdict = decide(compare([sweep({"alpha": 5, "dice": 20})]))
    assert re.match(
        r"alpha is best in SAD \(\d.*\): dice is 1\d\d % higher \(95 % interval \d+ % to \d+ %\)\. "
        r"Very strong evidence \(p < 0.001\)\.",
        verdict.headline,
    )
    assert verdict.confidence == "very strong evidence"
    assert verdict.details == []


def test_without_a_clear_winner_the_verdict_says_what_it_would_take(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 10.3, "dice": 10}, seeds=3)])
    verdict = decide(comparison)
    words = (
        r"No clear winner\. (alpha|dice) has the lowest SAD \([\d.]+, [\d.]+ % below (alpha|dice)\), "
        r"but 3 seeds on 12 foregrounds cannot rule out chance \(p = "
    )
    assert re.match(words, verdict.headline)
    assert verdict.confidence == "no clear winner"
    (lead,) = re.findall(r"([\d.]+ %) below", verdict.headline)
    assert verdict.details[0].startswith(f"To confirm {lead}"), "it is the lead of the headline"
    (item,) = comparison.decisive.differences
    assert f"can differ from {item.second} by " in verdict.details[1]


def test_planned_seeds_and_minutes_are_those_of_the_planner(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 10.2, "dice": 10}, seeds=2)])
    (item,), text = comparison.decisive.differences, decide(comparison).details[0]
    seeds, foregrounds, minutes = re.match(
        r".*run about (\d+) seeds of each setting on (\d+) test foregrounds \((\d+) minutes",
        text,
    ).groups()
    found, percent = components_of(comparison.decisive.variances), abs(item.percent)
    assert detectable(found, int(seeds), int(foregrounds), 2) <= percent
    assert detectable(found, int(seeds) - 1, int(foregrounds), 2) > percent
    assert detectable(found, 2 * int(seeds) - 1, 12, 2) > percent, "without more foregrounds: twice the seeds"
    assert int(minutes) == round(int(seeds) * 2 * 60.5 / 60), "a run takes 60 or 61 seconds"


def test_settings_that_are_clearly_worse_are_counted_and_never_called_equal(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 10, "composition": 10, "dice": 30, "focal": 50})])
    verdict = decide(comparison)
    assert verdict.headline.startswith("No clear winner.")
    assert re.search(
        r"2 settings are clearly worse than (alpha|composition): focal \(\+\d+ %\) and dice \(\+\d+ %\)\.",
        lines(verdict),
    )
    assert len(verdict.details) <= 4


def test_verdict_table_and_intervals_say_the_same(sweep: Sweep) -> None:
    """Over many sweeps: who is called better or worse has an interval that leaves out 0, and the other way
    round.
    """
    for factor in (0, 1, 3):
        effects = {"alpha": 10, "dice": 10 + factor / 2, "focal": 10 + factor}
        for baseline in (None, "alpha"):
            comparison = compare(
                [sweep(effects, seeds=2 + factor % 2, name=f"{factor}{baseline}")], baseline=baseline
            )
            for metric in comparison.metrics.values():
                for item in metric.differences:
                    apart = item.estimate.low > 0 or item.estimate.high < 0
                    assert item.distinguishable == (item.p_adjusted < 0.05) == apart
                    assert apart == (item.percent_low > 0 or item.percent_high < 0)
            verdict, items = decide(comparison), comparison.decisive.differences
            reference = baseline or comparison.decisive.scores[0].setting
            shown = {item.first for item in items if item.distinguishable and item.second == reference}
            if not shown:
                assert verdict.confidence == "no clear winner"
                assert "worse" not in lines(verdict)


def test_equality_is_said_where_it_is_shown(sweep: Sweep) -> None:
    directory = sweep({"alpha": 10, "dice": 10}, seeds=10, noise=0.05)
    assert "Shown to be equal to " in lines(decide(compare([directory])))
    assert "within 3 %" in lines(decide(compare([directory])))
    assert "Shown to be equal" not in lines(decide(compare([directory], equal_within=0.01)))


def test_metric_that_grows_is_turned(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 10, "dice": 30})], metric="miou")
    assert [score.setting for score in comparison.decisive.scores] == ["alpha", "dice"], (
        "miou falls with SAD in these runs"
    )
    assert comparison.decisive.differences[0].wins == 0
    assert re.match(r"alpha is best in MIOU .*: dice is \d+ % lower", decide(comparison).headline)


def test_one_seed_says_nothing_about_settings_however_far_they_are(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 10, "dice": 90}, seeds=1)])
    verdict = decide(comparison)
    assert verdict.headline.startswith("One seed decides nothing. alpha has the lowest SAD (")
    assert verdict.confidence == "one seed"
    (item,) = comparison.decisive.differences
    assert not item.distinguishable
    assert not item.estimate.generalises


def test_baseline_is_compared_with_all_others_only(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 10, "composition": 5, "dice": 30})], baseline="alpha")
    assert {(item.first, item.second) for item in comparison.decisive.differences} == {
        ("composition", "alpha"),
        ("dice", "alpha"),
    }
    verdict = decide(comparison)
    assert re.match(
        r"composition is better in SAD \(.*\) than alpha: \d+ % lower \(95 % interval", verdict.headline
    )
    assert re.search(r"1 setting is clearly worse than alpha: dice \(\+1\d\d %\)", lines(verdict))


def test_screening_says_what_it_is_and_finds_no_less(sweep: Sweep) -> None:
    directory = sweep({str(number): 10 + number / 4 for number in range(9)}, seeds=3)
    counts = []
    for screening in (False, True):
        comparison = compare([directory], baseline="loss=4", screening=screening)
        counts.append(sum(item.distinguishable for item in comparison.decisive.differences))
    assert counts[0] <= counts[1]
    assert decide(comparison).headline.startswith(
        f"Screening in SAD: {counts[1]} of 8 settings differ from loss=4"
    )


def test_two_statements_differ_where_foregrounds_do(sweep: Sweep) -> None:
    """Settings like foregrounds differently by 0.3 x 4; what holds for these foregrounds is surer than what
    holds for new ones.
    """
    (item,) = compare(
        [sweep({"alpha": 10, "dice": 11}, seeds=10, noise=4, foregrounds=6)]
    ).decisive.differences
    fixed = item.on_test_set
    assert fixed.high - fixed.low < item.percent_high - item.percent_low


def test_methods_without_seeds_are_tested_over_foregrounds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    difficulty = np.repeat(rng.gamma(4, 1, 20), PER_FOREGROUND)
    for name, mean in (("kmeans", 10), ("closed_form", 14)):
        scores = mean + difficulty + rng.normal(0, 0.3, len(difficulty))
        write_run(tmp_path / name, [f"method={name}"], 0, scores, {"method": name, "run": None})
    comparison = compare([tmp_path])
    (item,) = comparison.decisive.differences
    relative = [run.images["sad"].to_numpy().reshape(20, -1).mean(axis=1) for run in comparison.runs]
    relative = [row / row.mean() for row in relative]
    error = stats.sem(relative[0] - relative[1])
    assert item.estimate.p == pytest.approx(2 * stats.t.sf(abs(math.log1p(item.percent / 100)) / error, 19))
    assert decide(comparison).headline.startswith("kmeans is best in SAD")


def test_differences_are_in_the_order_of_rank_the_better_setting_second(sweep: Sweep) -> None:
    comparison = compare([sweep({"dice": 30, "alpha": 10, "focal": 20})])
    assert [(item.first, item.second) for item in comparison.decisive.differences] == [
        ("focal", "alpha"),
        ("dice", "alpha"),
        ("dice", "focal"),
    ]
    assert all(item.estimate.mean > 0 for item in comparison.decisive.differences)


def test_settings_of_unequal_seeds_are_compared_by_all_their_runs(sweep: Sweep, tmp_path: Path) -> None:
    directory = sweep({"alpha": 10, "dice": 14})
    (directory / "00010002" / "result.json").write_text('{"status": "failed", "error": "out of memory"}')
    comparison = compare([directory])
    assert {score.setting: score.seeds for score in comparison.decisive.scores} == {"alpha": 5, "dice": 4}
    (item,) = comparison.decisive.differences
    assert item.pairs_of_seeds == 4
    means = [comparison.decisive.score(name).estimate.mean for name in ("dice", "alpha")]
    assert item.estimate.mean == pytest.approx(means[0] - means[1]), (
        "the difference is that of the means in the table"
    )
    assert decide(comparison).details[-1] == "1 of 10 runs excluded (failed, pruned, unfinished or damaged)."


def test_ranking_is_printed_with_trivial_matte_and_excluded_runs(sweep: Sweep) -> None:
    directory = sweep({"alpha": 10, "dice": 14}, seeds=2)
    write_run(
        directory / "bad", ["loss=focal"], 0, None, {"status": "failed", "error": "[red]NaN loss[/red]"}
    )
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_comparison(compare([directory]), console)
    text = console.export_text()
    assert (
        text.index("alpha") < text.index("dice") < text.index("trivial matte") < text.index("1 run excluded")
    )
    assert "/1000 ↓" in text
    assert "Training: 2 settings, seeds 0, 1; 300 steps, 1 minute a run; 4 minutes for 4 runs." in text
    assert "[red]NaN loss[/red]" in text, "an error's text is no markup"


def test_a_sweep_ends_with_the_verdict_of_its_page(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    from deepmatte.sweeps.ending import print_verdict

    runs = sorted(
        file.parent for file in sweep({"a": 10.3, "b": 10, "c": 10.5}, seeds=2).rglob("result.json")
    )
    # On the page the others are beside `c`, so that two differences are tested, here and there.
    page = decide(compare(runs, baseline="c")).headline
    assert page != decide(compare(runs)).headline
    print_verdict(runs, {"reference": "c", "metric": "sad", "steps": {}})
    assert page in " ".join(capsys.readouterr().out.split())
    print_verdict(runs, {"reference": "left out"})
    assert decide(compare(runs)).headline in " ".join(capsys.readouterr().out.split())
    print_verdict(runs, {"reference": "c", "metric": "sat"})
    assert "no comparison: " in capsys.readouterr().err, "another metric is not taken instead"


@pytest.mark.parametrize("width", [80, 110, 120])
def test_80_columns_have_room_for_the_whole_ranking(sweep: Sweep, width: int) -> None:
    directory = sweep({"alpha_laplacian_l2": 18.561, "focal_dice_textbook": 36.349, "b": 18.55}, seeds=2)
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    comparison = compare([directory])
    print_comparison(comparison, console)
    table = console.export_text().split("Training:")[0]
    assert len(max(re.findall(r"[+-][\d.]+ \(.*\) %", table), key=len)) >= 19
    best = comparison.decisive.scores[0]
    assert {"seeds", "P(best)", f"{100 * best.chance:.0f}", "reference"} <= set(table.split())
    seconds = {number(setting.mean_cost("seconds")) for setting in comparison.settings}
    assert width < 120 or {"seconds", *seconds} <= set(table.split())


def test_exit_codes_and_json(sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = sweep({"alpha": 10, "dice": 14}, seeds=2)
    assert main([str(directory), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    means = {score["setting"]: score["estimate"]["mean"] for score in record["metrics"]["sad"]["scores"]}
    runs = [json.loads((run / "result.json").read_text()) for run in directory.iterdir()]
    for loss, mean in means.items():
        oracle = np.mean([run["scores"]["test/sad"] for run in runs if f"loss={loss}" in run["overrides"]])
        assert mean == pytest.approx(oracle)
    only = write_run(tmp_path / "only", ["loss=alpha"], 0, np.arange(8.0))
    assert main([str(only)]) == 1
    assert "nothing to compare it with" in " ".join(capsys.readouterr().out.split())


def test_bad_requests_name_the_valid_ones(sweep: Sweep, tmp_path: Path) -> None:
    directory = sweep({"alpha": 10, "dice": 14}, seeds=1)
    with pytest.raises(InputError, match=r"--metric psnr: .* sad, mse, grad, conn, miou"):
        main([str(directory), "--metric", "psnr"])
    with pytest.raises(InputError, match=r"--baseline focal: .* alpha, dice"):
        main([str(directory), "--baseline", "focal"])
    write_run(tmp_path / "x" / "failed", [], 0, None, {"status": "failed", "error": "NaN"})
    with pytest.raises(InputError, match=r"no finished run among 1: .*failed: NaN"):
        main([str(tmp_path / "x")])


def test_a_design_that_detects_nothing_says_so(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 0.1, "dice": 0.1}, seeds=2, noise=3)])
    assert comparison.decisive.differences[0].detectable > 100
    assert "detects only differences that exceed the score itself" in lines(decide(comparison))
