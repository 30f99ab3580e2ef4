"""The verdict says what the numbers allow and no more; the command's exit code and output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from simulated_runs import write_run

from deepmatte.cli.compare import main
from deepmatte.compare.comparison import compare
from deepmatte.compare.table import print_ranking
from deepmatte.compare.verdict import decide
from deepmatte.errors import InputError

Sweep = Callable[..., Path]


def test_clear_winner_is_named_with_its_confidence(sweep: Sweep) -> None:
    verdict = decide(compare([sweep({"alpha": 5, "dice": 20})]))
    assert verdict.headline == "alpha is better in SAD than dice: very sure."
    assert verdict.confidence == "very sure"


def test_twins_are_not_distinguishable_and_the_visible_difference_is_said(sweep: Sweep) -> None:
    verdict = decide(compare([sweep({"alpha": 10, "dice": 10})]))
    assert verdict.headline.startswith("Not distinguishable")
    assert "this design sees differences from" in verdict.details[0]


def test_some_beaten_and_some_not(sweep: Sweep) -> None:
    verdict = decide(compare([sweep({"alpha": 10, "composition": 10, "dice": 30})]))
    assert "better in SAD than dice" in verdict.headline
    assert "but not distinguishable from" in verdict.headline


def test_metric_that_grows_is_turned(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 10, "dice": 30})], metric="miou")
    assert [score.setting for score in comparison.decisive.scores] == ["alpha", "dice"], "miou falls with SAD in these runs"
    assert comparison.decisive.differences[0].wins == 1
    assert decide(comparison).headline.startswith("alpha is better in MIOU than dice")


@pytest.mark.parametrize(("seeds", "words"), [(2, "Only 2 seeds"), (4, "Only 4 seeds"), (1, "Only 1 seed ")])
def test_few_seeds_limit_the_verdict(sweep: Sweep, seeds: int, words: str) -> None:
    details = decide(compare([sweep({"alpha": 10, "dice": 12}, seeds=seeds)])).details
    assert any(words in line and "variance between seeds limits" in line for line in details)


def test_five_seeds_have_no_such_limit(sweep: Sweep) -> None:
    assert not any("limits" in line for line in decide(compare([sweep({"alpha": 10, "dice": 12})])).details)


def test_one_seed_says_nothing_about_settings_however_far_they_are(sweep: Sweep) -> None:
    verdict = decide(compare([sweep({"alpha": 10, "dice": 90}, seeds=1)]))
    assert "with one seed nothing is said about the settings" in verdict.headline
    assert verdict.confidence == "none"


def test_baseline_is_compared_with_all_others_only(sweep: Sweep) -> None:
    comparison = compare([sweep({"alpha": 10, "composition": 5, "dice": 30})], baseline="alpha")
    assert {(item.first, item.second) for item in comparison.decisive.differences} == {("composition", "alpha"), ("dice", "alpha")}
    headline = decide(comparison).headline
    assert "composition is better than alpha in SAD" in headline
    assert "dice is worse than alpha in SAD" in headline


def test_many_pairs_are_better_asked_about_one_baseline(sweep: Sweep) -> None:
    directory = sweep({str(number): 10 for number in range(7)}, seeds=2)
    assert any("All 21 pairs are compared" in line and "--baseline" in line for line in decide(compare([directory])).details)
    assert not any("pairs are compared" in line for line in decide(compare([directory], baseline="loss=3")).details)


def test_differences_stand_in_the_order_of_rank_the_better_setting_first(sweep: Sweep) -> None:
    comparison = compare([sweep({"dice": 30, "alpha": 10, "focal": 20})])
    assert [(item.first, item.second) for item in comparison.decisive.differences] == [
        ("alpha", "focal"),
        ("alpha", "dice"),
        ("focal", "dice"),
    ]
    assert all(item.estimate.mean < 0 for item in comparison.decisive.differences)


def test_settings_of_unequal_seeds_are_paired_by_seed_and_counted(sweep: Sweep, tmp_path: Path) -> None:
    directory = sweep({"alpha": 10, "dice": 14})
    (directory / "00010002" / "result.json").write_text('{"status": "failed", "error": "out of memory"}')
    comparison = compare([directory])
    assert {score.setting: score.seeds for score in comparison.decisive.scores} == {"alpha": 5, "dice": 4}
    assert comparison.decisive.differences[0].pairs_of_seeds == 4
    assert decide(comparison).details[-1] == "1 of 10 runs are left out (failed, unfinished or damaged)."


def test_ranking_is_printed_with_trivial_matte_and_left_out_runs(sweep: Sweep) -> None:
    directory = sweep({"alpha": 10, "dice": 14}, seeds=2)
    write_run(directory / "bad", ["loss=focal"], 0, None, {"status": "failed", "error": "[red]NaN loss[/red]"})
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    assert print_ranking([directory], console=console)
    text = console.export_text()
    assert text.index("alpha") < text.index("dice") < text.index("trivial matte") < text.index("1 runs left out")
    assert "[red]NaN loss[/red]" in text, "an error's text is no markup"


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
