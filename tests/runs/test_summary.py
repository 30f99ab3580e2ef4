"""The table that ends a run: which end of a score is better, and what is worse than no network at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from deepmatte.runs.summary import summary

TRIVIAL = {"sad": 10.0, "mse": 20.0, "grad": 5.0, "conn": 10.0, "miou": 0.8}


def printed(scores: dict[str, float]) -> str:
    both = {f"test/{name}": score for name, score in scores.items()}
    both |= {f"trivial/test/{name}": score for name, score in TRIVIAL.items()}
    dataset = {"name": "cats", "version": "1", "split": "test", "num_images": 3}
    result: dict[str, Any] = {"dataset": dataset, "protocol": "adobe", "scores": both}
    text = io.StringIO()
    Console(file=text, width=80).print(summary(Path("run"), result))
    return text.getvalue()


def test_arrows_point_to_the_better_end() -> None:
    names, units = (line.split("┃")[2:-1] for line in printed(TRIVIAL).splitlines()[2:4])
    assert [name.strip() for name in names] == ["sad", "mse", "grad", "conn", "miou"]
    assert [unit.strip() for unit in units] == ["/1000 ↓", "x1000 ↓", "/1000 ↓", "/1000 ↓", "↑"]


def test_the_chosen_epoch_counts_as_the_lines_do_and_paths_are_whole(tmp_path: Path) -> None:
    run = tmp_path / ("a" * 90)
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "best.ckpt").touch()
    (run / "wandb" / "offline-run-20261130_170000-0123abcd").mkdir(parents=True)
    scores = {f"{prefix}test/{name}": score for prefix in ("", "trivial/") for name, score in TRIVIAL.items()}
    dataset = {"name": "cats", "version": "1", "split": "test", "num_images": 3}
    result: dict[str, Any] = {"dataset": dataset, "protocol": "adobe", "scores": scores, "best_epoch": 0}
    text = io.StringIO()
    Console(file=text, width=80).print(summary(run, result), crop=False)
    assert f"checkpoint  {run}/checkpoints/best.ckpt (epoch 1, chosen" in text.getvalue()
    assert f"`deepmatte sync {run}` uploads it" in text.getvalue()


def test_scores_behind_the_trivial_matte_are_named_in_words() -> None:
    mixed = TRIVIAL | {"sad": 10.1, "mse": 19.9, "miou": 0.79}
    assert "\nworse than the trivial matte in sad, miou\n" in printed(mixed)
    assert "worse" not in printed(TRIVIAL)
    assert "uploads" not in printed(TRIVIAL), "nothing was logged offline"
    assert "worse" not in printed(TRIVIAL | {"sad": 9.0, "miou": 0.9})
