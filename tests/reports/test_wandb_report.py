"""The report of W&B: what can be built of it without a server, by W&B's own package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepmatte.cli.main import call
from deepmatte.compare.comparison import compare
from deepmatte.compare.verdict import decide
from deepmatte.reports.report import scores_table


def test_it_is_refused_offline_and_without_a_project(
    sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = str(sweep({"alpha": 10.0, "dice": 20.0}, seeds=2))
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = [runs, "--out", str(tmp_path / "out"), "--wandb-report"]
    assert call("compare", [*words, "--wandb", "p"]) == 2
    assert "set WANDB_MODE=online" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        call("compare", words)


def test_it_has_the_verdict_the_scores_and_the_curves_of_the_group(sweep) -> None:
    pytest.importorskip("wandb_workspaces", reason="needs deepmatte[reports]")
    from wandb_workspaces import expr

    from deepmatte.reports.wandb_report import build_report

    comparison = compare([sweep({"alpha": 10.0, "dice": 20.0}, seeds=3)])
    report = build_report(comparison, "deepmatte", "me")
    words, table, grid = report.blocks
    assert decide(comparison).headline in words.text
    means = scores_table(comparison).query("metric == 'sad'")["mean"]
    assert re.findall(r"\| 1 \| ([\d.]+) \|", table.text) == [f"{means.iloc[0]:.4g}"]
    (runs,) = grid.runsets
    assert (runs.entity, runs.project, runs.name) == ("me", "deepmatte", "loss_combinations")
    filters = expr.expr_to_filters(runs.filters).filters
    assert {(item.key.name, item.value) for item in filters} == {
        ("group", "loss_combinations"),
        ("jobType", "train"),
    }
    assert grid.panels[1].y == ["val/sad"]
