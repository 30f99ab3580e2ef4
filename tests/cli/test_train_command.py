"""`deepmatte train` as a user types it: single runs, sweeps with a job that fails, two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deepmatte.cli import train
from deepmatte.cli.main import run_hydra
from deepmatte.cli.train import main
from deepmatte.cli.verbs import VERBS

MODULE = [sys.executable, "-m", "deepmatte.cli.train"]
SCRIPT = [str(Path(sys.executable).parent / "deepmatte"), "train"]


def call(command: list[str], cwd: Path, timeout: int = 240) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, env=environment)


def records(root: Path) -> dict[str, dict]:
    return {file.parent.name: json.loads(file.read_text()) for file in root.glob("*/result.json")}


def test_help_lists_every_verb_and_overrides_are_explained(tmp_path: Path) -> None:
    listing = call([SCRIPT[0], "--help"], tmp_path).stdout
    assert all(f"  {verb} " in listing for verb in VERBS)
    assert "procedural" in call([*SCRIPT, "--help"], tmp_path).stdout


def test_an_experiment_of_ones_own_names_the_extra_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    assert train.missing_extra(["experiments=mine"]) is None
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text("defaults:\n  - override /hydra/sweeper: tpe\n")
    assert train.missing_extra(["experiments=mine"]) == "tpe: needs an extra; pip install 'deepmatte[optuna]'"


def test_a_reader_that_leaves_and_an_unknown_verb_make_no_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    left = subprocess.run(
        [SCRIPT[0], "--help"], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (left.returncode, left.stderr) == (141, "")
    unknown = call([SCRIPT[0], "tarin"], tmp_path)
    assert unknown.returncode == 2
    assert len(unknown.stderr.splitlines()) == 1
    assert "unknown verb 'tarin'; did you mean `train`?" in unknown.stderr


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["los=dice"], ["unknown key `los`; did you mean `loss=`?"]),
        (["experiment=stages"], ["unknown key `experiment`; did you mean `experiments=`?"]),
        (
            ["+experiment=stages"],
            ["unknown key `experiment`, which nothing reads; did you mean `experiments=`?"],
        ),
        (["+experiment=stages", "--cfg", "job"], ["unknown key `experiment`, which nothing reads"]),
        (["-m", "seed=0,1", "--cfg=job"], ["--cfg prints the configuration of one run: leave out -m"]),
        (
            ["optimizer.momentum=1"],
            ["unknown key `optimizer.momentum`; optimizer has lr, betas, weight_decay"],
        ),
        (["stages.joit.epochs=1"], ["unknown key `stages.joit`; did you mean `stages.joint`?"]),
        (["loss=dcie"], ["there is no loss/dcie; did you mean `loss=dice`?", "tversky"]),
        (["budget=null"], ["~budget"]),
        (["seed=["], ["'['"]),
        (["seed=${nosuch}"], ["nosuch"]),
        (["data=folder"], ["data.root"]),
        (["data=folder", "data.root=/nowhere/at/all"], ["/nowhere/at/all"]),
        (["data=alphamatting", "data.root=/nowhere/at/all"], ["/nowhere/at/all"]),
        (["resume=nowhere"], ["nowhere", "last.ckpt"]),
    ],
)
def test_bad_input_ends_in_one_line_and_a_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["deepmatte", *overrides])
    with pytest.raises(SystemExit) as ended:
        run_hydra(main)
    assert ended.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1
    assert all(word in lines[0] for word in words)
    assert not list(tmp_path.glob("runs/*/*"))


@pytest.mark.parametrize(
    "words", [["--cfg", "hydra"], ["--cfg=job", "+mine=2", "seed=${mine}", "~loss.dice"]]
)
def test_what_is_printed_may_be_any_configuration_that_a_run_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["deepmatte", *words])
    run_hydra(main)
    printed = capsys.readouterr().out
    assert ("mine: 2\n" in printed) is ("+mine=2" in words)
    assert ("sweeper:" in printed) is ("hydra" in words)


@pytest.mark.slow
def test_a_sweep_survives_a_failing_job_and_repeats_only_that_one(tiny, tmp_path: Path) -> None:
    """A job with an absurd learning rate fails alone, the exit code says so; a second call runs only it."""
    common = ["-m", *tiny(), "output_root=runs", "name=sweep", "wandb.mode=disabled"]
    common += ["trainer.gradient_clip_val=null", "schedule.name=constant"]
    done = call([*SCRIPT, *common, "optimizer.lr=1e-3,1e30,1e-4"], tmp_path)
    first = records(tmp_path / "runs/sweep")
    by_rate = {
        next(word for word in record["overrides"] if "lr=" in word): record for record in first.values()
    }
    assert {rate: record["status"] for rate, record in by_rate.items()} == {
        "optimizer.lr=0.001": "finished",
        "optimizer.lr=1e+30": "failed",
        "optimizer.lr=0.0001": "finished",
    }
    assert done.returncode == 1
    assert "not finite" in by_rate["optimizer.lr=1e+30"]["error"]
    assert "1 of 3 runs failed" in done.stderr
    assert "lr=0.001" in done.stdout  # the ranking
    again = call([*SCRIPT, *common, "optimizer.lr=1e-3,1e30,1e-4"], tmp_path)
    assert again.returncode == 1
    assert again.stderr.count("start     ") == 1
    second = records(tmp_path / "runs/sweep")
    assert set(second) == set(first)
    assert all(second[name] == first[name] for name in first if first[name]["status"] == "finished")


def test_two_processes_learn_and_score_what_one_does(train_tiny, tiny, tmp_path: Path) -> None:
    """Three stages, three validation images (an odd number for two processes): same scores and weights.

    In double precision: Adam and max-pooling turn the rounding of a gradient or a feature into a whole step
    or another pixel.
    """
    overrides = ["stages.refine.epochs=1", "stages.joint.epochs=1", "wandb.mode=disabled"]
    overrides += ["model.norm=group", "optimizer=sgd", "optimizer.lr=0.1", "trainer.precision=64-true"]
    runs = {trainer: tmp_path / trainer for trainer in ("cpu", "ddp")}
    train_tiny(runs["cpu"], *overrides)
    done = call([*MODULE, *tiny(*overrides), "trainer=ddp", f"hydra.run.dir={runs['ddp']}"], tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (json.loads((run / "result.json").read_text()) for run in runs.values())
    assert two["dataset"] == one["dataset"]
    for name, value in one["scores"].items():
        assert two["scores"][name] == pytest.approx(value, rel=1e-4), name
    weights = [
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in runs.values()
    ]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-6, atol=1e-9)
    assert (
        (runs["cpu"] / "per_image.csv").read_text().count("\n")
        == (runs["ddp"] / "per_image.csv").read_text().count("\n")
        == 4
    )


@pytest.mark.slow
def test_ddp_inside_a_multirun_keeps_jobs_apart(tiny, tmp_path: Path) -> None:
    """Each job of the sweep has two ranks of its own; a job that fails leaves the other alone."""
    common = [
        *tiny(),
        "output_root=runs",
        "name=sweep",
        "wandb.mode=disabled",
        "trainer=ddp",
        "trainer.gradient_clip_val=null",
    ]
    done = call(
        [*SCRIPT, "-m", *common, "schedule.name=constant", "optimizer.lr=1e30,1e-3"], tmp_path, timeout=500
    )
    found = records(tmp_path / "runs/sweep").values()
    states = {
        next(word for word in record["overrides"] if "lr=" in word): record["status"] for record in found
    }
    assert states == {"optimizer.lr=1e+30": "failed", "optimizer.lr=0.001": "finished"}
    assert done.returncode == 1
