"""`deepmatte sync`: it finds what `wandb sync` would upload, and leaves out what is uploaded or in work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_run import compose

from deepmatte.cli.main import call
from deepmatte.config.places import conf_dir
from deepmatte.config.unknown_keys import check_keys
from deepmatte.config.validation import check_own_keys
from deepmatte.runs.locks import locked

SWEEP = conf_dir().parent / "experiments" / "wandb" / "sweep.yaml"


def offline(run: Path, identity: str) -> Path:
    """Log a run offline as W&B does, and return the folder that it makes."""
    import wandb

    run.mkdir(parents=True)
    settings = wandb.Settings(silent=True, console="off")
    with wandb.init(project="p", id=identity, dir=run, mode="offline", settings=settings) as logged:
        logged.log({"loss": 1.0})
    (folder,) = run.glob("wandb/offline-run-*")
    return folder


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("sync", [str(tmp_path / "runs")]) == 2
    assert "no such directory" in capsys.readouterr().err
    assert call("sync", [str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("0 offline runs")


@pytest.mark.slow
def test_it_lists_the_offline_runs_that_wandb_would_upload_but_not_those_in_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    folders = [offline(tmp_path / "runs/s" / name, name) for name in ("a", "b", "c")]
    (record,) = folders[0].glob("*.wandb")
    record.with_name(f"{record.name}.synced").touch()  # as `wandb sync` marks it
    wandb = [sys.executable, "-m", "wandb", "sync", "--dry-run", *map(str, folders)]
    theirs = subprocess.run(wandb, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Would sync 2 run(s)" in theirs.stdout + theirs.stderr
    call("sync", [str(tmp_path / "runs"), "--dry-run"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "3 offline runs: 1 are synced, 0 are still training, 2 would be uploaded"
    assert [Path(line) for line in said[1:]] == folders[1:]
    with locked(tmp_path / "runs/s/b"):
        assert call("sync", [str(tmp_path / "runs/s"), "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "3 offline runs: 1 are synced, 1 are still training, 1 would be uploaded"
    assert [Path(line) for line in said[1:]] == folders[2:]


@pytest.mark.slow
@pytest.mark.parametrize("end", [pytest.param(0, id="lowest"), pytest.param(-1, id="highest")])
def test_a_trial_that_a_wandb_agent_starts_is_a_run_of_deepmatte(end: int) -> None:
    """The words are made by W&B's own code from values at the ends of each parameter's range."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    sweep = yaml.safe_load(SWEEP.read_text(encoding="utf-8"))
    chosen = {
        key: {"value": [*space.get("values", ()), *(space[at] for at in ("min", "max") if at in space)][end]}
        for key, space in sweep["parameters"].items()
    }
    made = create_sweep_command_args({"args": chosen})["args_no_hyphens"]
    program, verb, *words = [
        word for part in sweep["command"] for word in (made if part == "${args_no_hyphens}" else [part])
    ]
    assert (program, verb) == ("deepmatte", "train")
    config = compose("train", words)
    check_keys(config, "train")
    check_own_keys(config)
    assert config.wandb.mode == "online"
    assert sweep["metric"]["name"] == config.objective
