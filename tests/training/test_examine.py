"""``debug=profile | lr_find | batch_size``: a line, files beside it, and no trace in a normal run."""

from __future__ import annotations

import csv
import itertools
import re
from pathlib import Path

import pytest
import torch
from tiny_run import compose

from deepmatte.config.validation import check_own_keys
from deepmatte.errors import InputError
from deepmatte.runs.identity import config_hash

TASKS = ("profile", "lr_find", "batch_size")


@pytest.mark.parametrize("task", TASKS)
def test_it_is_composed_and_a_normal_run_keeps_its_hash(task: str) -> None:
    plain = compose("train", [])
    assert plain.examine is None
    config = compose("train", [f"debug={task}"])
    check_own_keys(config)
    assert (config.examine.what, config.name) == (task, f"debug_{task}")
    assert config_hash(compose("train", [f"debug={task}", "examine=null", "name=train"])) == config_hash(
        plain
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("examine.steps=3", "examine.steps=3: has to be 15 or more"),
        ("examine.what=all", "examine.what=all: is none of profile, lr_find, batch_size"),
    ],
)
def test_a_wrong_option_is_refused(word: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        check_own_keys(compose("train", ["debug=lr_find", word]))


@pytest.mark.slow
def test_the_learning_rate_finder_names_a_rate_of_its_curve(
    train_tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its weights are those that a run would begin with: nothing is trained."""
    answer = train_tiny(tmp_path / "run", "debug=lr_find", "examine.steps=20", "examine.lowest=1e-4")
    with (tmp_path / "run/lr_find.csv").open() as file:
        rows = [(float(row["lr"]), float(row["loss"])) for row in csv.DictReader(file)]
    assert len(rows) <= 20
    rates = [rate for rate, _ in rows]
    assert rates == sorted(rates)
    ratios = [after / before for before, after in itertools.pairwise(rates)]
    assert max(ratios[1:]) == pytest.approx(min(ratios[1:]), rel=1e-3)  # an exponential sweep
    assert any(answer["lr"] == pytest.approx(rate, rel=1e-9) for rate in rates)
    out = capsys.readouterr().out
    assert f"lr_find: the loss falls fastest at {answer['lr']:.1e}" in out
    assert (tmp_path / "run/lr_find.png").read_bytes().startswith(b"\x89PNG")
    left = {file.name for file in (tmp_path / "run").iterdir()}
    assert left == {".hydra", "lr_find.csv", "lr_find.png"}


@pytest.mark.slow
def test_the_batch_size_finder_stops_where_memory_does(
    train_tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for six samples: four fit, eight do not."""
    from deepmatte.training.module import MattingModule

    step = MattingModule.training_step

    def limited(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        if len(batch["alpha"]) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(MattingModule, "training_step", limited)
    answer = train_tiny(tmp_path / "run", "debug=batch_size", "examine.most=32")
    assert answer == {"batch_size": 4, "own": 4}
    assert {file.name for file in (tmp_path / "run").iterdir()} == {".hydra"}


@pytest.mark.slow
def test_a_profile_says_where_the_time_of_a_step_goes(
    train_tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = train_tiny(tmp_path / "run", "debug=profile", "examine.steps=15")
    shares = [share for name, share in answer.items() if name != "steps_per_second"]
    assert all(0 <= share <= 1 for share in shares)
    assert 0.5 < sum(shares) <= 1.01
    assert "profile: " in capsys.readouterr().out
    assert "training_step" in (tmp_path / "run/profile.txt").read_text()
