"""A run ended by Ctrl-C or SIGTERM at any instant, then resumed, leaves an uninterrupted run's records.

The oracle is the uninterrupted run: weights, buffers, optimiser, counters, both checkpoints, curves row by
row, scores, pictures.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from interrupting import (
    LENGTH,
    VARIANTS,
    Commands,
    Instant,
    differences,
    every_step_logged,
    hooked,
    without_figures,
)
from omegaconf import OmegaConf
from tiny_run import compose

Train = Callable[..., None]


@pytest.fixture(scope="module")
def train_shortly(tiny, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train a run of ``LENGTH`` in a directory; the signals are sent at the instants."""
    composed = {}

    def run(directory: Path, *more: str, at: tuple[Instant, ...] = ()) -> object:
        from deepmatte.training.run import train

        overrides = tiny(*LENGTH, *more)
        if overrides not in composed:
            composed[overrides] = compose("train", overrides)
        with hooked(list(at)) as calls, every_step_logged(), without_figures():
            train(composed[overrides].copy(), directory, list(overrides))
        return calls

    return run


@pytest.fixture(scope="module")
def whole(train_shortly, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, dict]]:
    """Return the uninterrupted run of a variant, and how often each hook was called in it."""
    done: dict[str, tuple[Path, dict]] = {}

    def run(variant: str) -> tuple[Path, dict]:
        if variant not in done:
            directory = tmp_path_factory.mktemp(variant) / "run"
            done[variant] = directory, dict(train_shortly(directory, *VARIANTS[variant]))
        return done[variant]

    return run


def outcome(train: Train, whole: Path, directory: Path, variant: str, *instants: Instant) -> list[str]:
    """Interrupt a run at each instant, repeat it, and return how its records differ from ``whole``."""
    for instant in instants:
        try:
            train(directory, *VARIANTS[variant], at=(instant,))
        except KeyboardInterrupt:
            if (directory / "result.json").exists():
                status = json.loads((directory / "result.json").read_text())["status"]
                assert status in ("interrupted", "finished"), status
    train(directory, *VARIANTS[variant])
    return differences(whole, directory)


@pytest.mark.parametrize(
    ("hook", "call", "number"),
    [
        pytest.param(
            *("callbacks.on_train_epoch_start", 2, "SIGINT"), marks=pytest.mark.slow
        ),  # a whole epoch was lost
        pytest.param(
            *("callbacks.on_before_zero_grad", 5, "SIGINT"), marks=pytest.mark.slow
        ),  # the step was made twice
        ("MattingModule.training_step", 5, "SIGTERM"),  # batch normalisation saw the batch twice
        pytest.param(
            *("callbacks.on_validation_epoch_end", 2, "SIGINT"), marks=pytest.mark.slow
        ),  # best.ckpt missed the last epoch
        pytest.param(
            *("callbacks.on_train_batch_end", 3, "SIGTERM"), marks=pytest.mark.slow
        ),  # the validation was left out
        ("callbacks.on_test_end", 1, "SIGTERM"),  # the test was logged twice
    ],
)
def test_records_of_an_interrupted_run(
    train_shortly, whole, tmp_path: Path, hook: str, call: int, number: str
) -> None:
    assert not outcome(
        train_shortly, whole("plain")[0], tmp_path / "run", "plain", Instant(hook, call, signal=number)
    )


@contextmanager
def deferring() -> Iterator[None]:
    """Handle signals as in the middle of training."""
    from deepmatte.runs import interruption

    with interruption.caught():
        interruption.defer()
        yield


def test_the_first_signal_is_noted_and_ends_the_run_at_the_next_safe_point(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from deepmatte.runs import interruption

    before = signal.getsignal(signal.SIGTERM)
    with deferring():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # `timeout` sends it to the process and to its group
        assert interruption.requested()
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    assert "upon another signal" in capfd.readouterr().err
    assert not interruption.requested()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_ends_a_run_at_once_while_nothing_is_trained() -> None:
    from deepmatte.runs import interruption

    with interruption.caught(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), deferring(), interruption.at_once_afterwards():
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_signal_ends_the_process_at_once() -> None:
    """By the signal itself, as if nothing caught it."""
    code = (
        "import os, signal, time\n"
        "from deepmatte.runs import interruption\n"
        "with interruption.caught():\n"
        "    interruption.defer()\n"
        "    for _ in range(2):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(1.1)\n"
        "    print('still there')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGTERM
    assert "still there" not in done.stdout


def test_early_stopping_ends_a_stage_that_is_resumed_from_its_last_checkpoint(
    train_shortly, whole, tmp_path: Path
) -> None:
    """Killed after the validation that stopped it was saved: with patience 1 and rate 0 the second one."""
    from deepmatte.training.module import MattingModule

    still = (
        "early_stopping=1",
        "stages.encoder_decoder.epochs=4",
        "optimizer.lr=0.0",
        "model.norm=none",
        "data.samples_per_epoch=2",
    )
    train_shortly(tmp_path / "whole" / "run", *still)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MattingModule, "on_train_end", power_failure)
        with pytest.raises(OSError, match="the power fails"):
            train_shortly(tmp_path / "killed" / "run", *still)
    train_shortly(tmp_path / "killed" / "run", *still)
    assert json.loads((tmp_path / "killed" / "run" / "result.json").read_text())["cost"]["steps"] == 2
    assert not differences(tmp_path / "whole" / "run", tmp_path / "killed" / "run")


@pytest.mark.slow
def test_a_stage_from_the_best_weights_starts_from_them_again_if_killed_in_its_first_validation(
    train_shortly, tmp_path: Path
) -> None:
    """Killed when `best.ckpt` is the second stage's own already, and `last.ckpt` still the first stage's."""
    from deepmatte.training.checkpoints.callbacks import LastCheckpoint

    two_stages = (
        "stages.encoder_decoder.epochs=1",
        "stages.encoder_decoder.lr=0.0",
        "stages.joint.epochs=1",
        "stages.joint.lr=0.001",
        "stages.joint.start=best",
        "model.norm=none",
        "data.samples_per_epoch=16",
    )
    train_shortly(tmp_path / "whole" / "run", *two_stages)
    run, original = tmp_path / "killed" / "run", LastCheckpoint._save_checkpoint

    def save(callback: LastCheckpoint, trainer, filepath: str) -> None:
        if trainer.lightning_module.stage.name == "joint":
            power_failure(callback)
        original(callback, trainer, filepath)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LastCheckpoint, "_save_checkpoint", save)
        with pytest.raises(OSError, match="the power fails"):
            train_shortly(run, *two_stages)
    left = {
        name: torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("best", "last")
    }
    assert {name: checkpoint["deepmatte"]["stage"] for name, checkpoint in left.items()} == {
        "best": "joint",
        "last": "encoder_decoder",
    }
    train_shortly(run, *two_stages)
    assert not differences(tmp_path / "whole" / "run", run)


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps(whole) -> None:
    """Also the last row's, which stands with the validation; all batches here are of one size."""
    rows = list(csv.DictReader((whole("plain")[0] / "metrics.csv").open()))
    for epoch in ("0", "1"):
        steps = [float(row["train/loss"]) for row in rows if row["epoch"] == epoch and row["train/loss"]]
        [logged] = [
            float(row["train/loss_epoch"])
            for row in rows
            if row["epoch"] == epoch and row["train/loss_epoch"]
        ]
        assert len(steps) == 3
        assert logged == pytest.approx(sum(steps) / 3, rel=1e-6)


def power_failure(module: object) -> None:
    raise OSError("the power fails")


@pytest.mark.slow
def test_parts_that_do_not_learn_keep_their_statistics_in_a_resumed_epoch(
    train_shortly, whole, tmp_path: Path
) -> None:
    """Lightning leaves `on_train_epoch_start` out in mid-epoch; the encoder's buffers moved on then."""
    instant = Instant("MattingModule.training_step", 5)
    assert not outcome(train_shortly, whole("stages")[0], tmp_path / "run", "stages", instant)


def chosen(calls: dict[str, int]) -> list[Instant]:
    """Return instants before and after the first, a middle and the last call of every hook."""
    instants = []
    for hook, count in sorted(calls.items()):
        for call in sorted({1, count // 2 + 1, count}):
            for when in ("before", "after"):
                number = ("SIGINT", "SIGTERM")[len(instants) % 2]
                instants.append(Instant(hook, call, when, number))
    return instants


@pytest.mark.slow
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_records_after_an_interruption_anywhere(train_shortly, whole, tmp_path: Path, variant: str) -> None:
    directory, calls = whole(variant)
    failed = {}
    instants = chosen(calls)
    for number, instant in enumerate(instants):
        found = outcome(train_shortly, directory, tmp_path / str(number) / "run", variant, instant)
        if found:
            failed[str(instant)] = found
    assert not failed, f"{len(failed)} of {len(instants)}: {failed}"


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["workers", "stages"])
def test_records_after_several_interruptions(train_shortly, whole, tmp_path: Path, variant: str) -> None:
    hooks = (
        "MattingModule.training_step",
        "callbacks.on_validation_batch_end",
        "callbacks.on_before_zero_grad",
        "_Job.finish",
    )
    instants = [
        Instant(hook, 1 + number % 2, signal=("SIGINT", "SIGTERM")[number % 2])
        for number, hook in enumerate(hooks)
    ]
    assert not outcome(train_shortly, whole(variant)[0], tmp_path / "run", variant, *instants, *instants[:3])


def assert_same_after(commands: Commands, tmp_path: Path, instants: list[Instant]) -> None:
    """Interrupt a run at the instants, one a command; each ends soon, the last one in the same records."""
    run = tmp_path / "interrupted" / "run"
    assert commands.run(tmp_path / "whole" / "run")[0] == 0
    for instant in instants:
        code, took = commands.run(run, instant)
        assert code == (130 if instant.times == 1 else -signal.Signals[instant.signal]), instant
        assert took < 20, instant
        status = json.loads((run / "result.json").read_text())["status"]
        assert status == "interrupted" or instant.times > 1, instant
    assert commands.run(run)[0] == 0
    assert not differences(tmp_path / "whole" / "run", run)


@pytest.mark.slow
def test_ctrl_c_to_a_group_with_loader_processes(tiny, tmp_path: Path) -> None:
    """Ctrl-C of a terminal, and SIGTERM of Slurm, reach the loader processes, too."""
    instants = [
        Instant("callbacks.on_after_backward", 1, to="group"),
        Instant("MattingModule.training_step", 1, "after", signal="SIGTERM", to="group"),
        Instant("callbacks.on_validation_batch_end", 1, to="group"),
        Instant("callbacks.on_before_optimizer_step", 1, to="group", times=2),
        Instant("callbacks.on_test_batch_end", 1, signal="SIGTERM", to="group"),
    ]
    assert_same_after(Commands(tiny(*LENGTH, *VARIANTS["workers"])), tmp_path, instants)


@pytest.mark.slow
def test_a_run_leaves_nothing_in_the_temporary_folder(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W&B, loader processes and torch make folders there, which only SIGKILL leaves."""
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    commands = Commands(tiny(*LENGTH, *VARIANTS["workers"]))
    commands.overrides = (*commands.overrides, "wandb.mode=offline")
    hook = "callbacks.on_train_batch_end"
    for number, *instants in (
        ("SIGINT", Instant(hook, 2)),
        ("SIGTERM", Instant(hook, 2, signal="SIGTERM")),
        ("",),
    ):
        commands.run(tmp_path / f"run{number}", *instants)
        assert not list(temporary.iterdir()), number


@pytest.mark.slow
def test_interruptions_of_two_processes(tiny, tmp_path: Path) -> None:
    """They stop at the same step, whichever of them got the signal; neither waits for the other."""
    ddp = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "stages.encoder_decoder.epochs=4")
    instants = [
        Instant("callbacks.on_train_batch_end", 2, to="group"),
        Instant("callbacks.on_before_optimizer_step", 1, signal="SIGTERM"),
        Instant("MattingModule.training_step", 2, signal="SIGTERM", rank=1),
        Instant("callbacks.on_validation_batch_end", 1, to="group"),
        Instant("callbacks.on_train_batch_end", 1, to="group", times=2),
        Instant("callbacks.on_validation_epoch_end", 1, signal="SIGTERM"),
        Instant("callbacks.on_test_batch_end", 1, to="group"),
    ]
    assert_same_after(Commands(tiny(*LENGTH, *ddp)), tmp_path, instants)


@pytest.mark.parametrize(("error", "first"), [("Connection reset by peer", True), ("NCCL error", False)])
def test_a_rank_that_loses_another_ends_in_one_line(
    error: str, first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 0 may notice it before Lightning does, which watches the others."""
    from deepmatte.errors import RunError
    from deepmatte.runs.directory import RunDir
    from deepmatte.training import failures

    monkeypatch.setattr(failures, "is_first_process", lambda: first)
    run = RunDir(tmp_path)
    run.write_config(OmegaConf.create({}), [])
    run.update(status="running")
    with (
        pytest.raises(RunError, match=rf"^another process of the run ended \(.*{error}\)$"),
        failures.recorded(run, lambda: None),
    ):
        raise RuntimeError(f"Read error: {error}")
    assert (run.result() or {})["status"] == "failed"
