"""What can't work is said in one line before the first job starts, and nothing is left behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from deepmatte.cli import train
from deepmatte.sweeps.preflight import ComposedJob, duplicates


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """Start a sweep that is refused; return what it says."""
    monkeypatch.setattr(sys, "argv", ["deepmatte", *words])
    with pytest.raises(SystemExit) as ended:
        train.command()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1
    return said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["los=dice,alpha"], ["los=dice", "unknown key `los`; did you mean `loss=`?"]),
        (["loss=alpha,dcie"], ["loss=dcie", "dice"]),
        pytest.param(["loss.dcie.weight=0,1"], ["loss.dcie.weight"], marks=pytest.mark.slow),
        pytest.param(["seeds=0,1"], ["seeds=0,1", "give seed=0,1"], marks=pytest.mark.slow),
        (["seed="], ["seed=", "the grid is empty"]),
        (["seed=0,x"], ["seed=x", "has to be a whole number"]),
        pytest.param(["seed=range(0,0)"], ["seed=range(0,0)", "the grid is empty"], marks=pytest.mark.slow),
        (["optimizer.lr=interval(0,1)"], ["interval", "hydra/sweeper=tpe"]),
        pytest.param(
            ["seed=0,1", "resume=runs/train/12345678"],
            ["resume=", "leave resume= out"],
            marks=pytest.mark.slow,
        ),
        (["seed=0,1", "trainer=gpu"], ["trainer.devices=1", "more than the 0 gpu"]),
        pytest.param(["name=a,b"], ["name=a", "one directory"], marks=pytest.mark.slow),
        pytest.param(
            ["experiments=stages,trimap_width"],
            ["experiments=stages", "one directory"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["seed=0,1", "sweep.devices=[977]"], ["sweep.devices", "no cpu 977"], marks=pytest.mark.slow
        ),
        pytest.param(
            ["seed=0,1", "sweep.devices=all"],
            ["sweep.devices=all", "auto, null or a list"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["seed=0,1", "sweep.time_limit=soon"],
            ["sweep.time_limit=soon", "minutes"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["seed=0,1", "sweep.objectives=val/sad"],
            ["sweep.objectives=val/sad", "a list"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["seed=0,1", "output_root=/proc/nowhere"],
            ["/proc/nowhere", "output_root="],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"],
            ["n_jobs=0"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["seed=choice(0,1)", "hydra/sweeper=pareto"],
            ["1 objective(s)", "direction has 2"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_sweep_that_can_not_work_is_refused_before_its_first_job(
    words: list[str],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    message = refused(capsys, monkeypatch, "-m", *words)
    assert all(word in message for word in said), message
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.slow
def test_more_gpus_than_there_are_is_an_error_for_each_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    message = refused(
        capsys, monkeypatch, "-m", "seed=0,1", "trainer=ddp", "trainer.accelerator=gpu", "trainer.devices=4"
    )
    assert "trainer.devices=4: more than the 2 gpu devices" in message


def test_the_directory_of_another_experiment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "runs" / "mine" / "sweep.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"experiment": "loss_weights"}))
    message = refused(capsys, monkeypatch, "-m", "seed=0,1", "name=mine")
    assert "holds the sweep loss_weights, not mine" in message
    assert json.loads(file.read_text()) == {"experiment": "loss_weights"}


@pytest.mark.parametrize(
    ("word", "extra"),
    [
        ("hydra/launcher=joblib", "joblib"),
        ("hydra/launcher=workstation", "joblib"),
        ("hydra/launcher=cluster", "slurm"),
        ("hydra/sweeper=tpe", "optuna"),
        ("experiments=sad_against_seconds", "optuna"),
    ],
)
def test_a_launcher_that_is_not_installed_is_named_with_its_extra(
    word: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    assert f"pip install 'deepmatte[{extra}]'" in refused(capsys, monkeypatch, "-m", word, "seed=0,1")


def test_the_word_for_a_sweep_may_stand_among_the_overrides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "the grid is empty" in refused(capsys, monkeypatch, "loss=dice", "-m", "seed=")


def test_equal_jobs_are_counted() -> None:
    jobs = [ComposedJob(Path(name), name, []) for name in ("a", "b", "a", "a")]
    assert duplicates(jobs) == ["3 jobs are the same run a, which is trained once"]
