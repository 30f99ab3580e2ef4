"""A run killed at any step resumes: weights, average, optimiser and schedule are equal, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

LENGTH = ("stages.encoder_decoder.epochs=2", "data.samples_per_epoch=32", "ema=0.9")


def checkpoint(run: Path) -> dict:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def tensors(node: object, place: str = "") -> dict[str, torch.Tensor]:
    if isinstance(node, torch.Tensor):
        return {place: node}
    items = (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    )
    return {path: tensor for key, child in items for path, tensor in tensors(child, f"{place}/{key}").items()}


def assert_same_end(one: Path, other: Path) -> None:
    """Weights, averaged weights, optimiser and schedule; the rest of a checkpoint holds paths and times."""
    for key in ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers"):
        first, second = tensors(checkpoint(one)[key], key), tensors(checkpoint(other)[key], key)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), key
    assert checkpoint(one)["lr_schedulers"] == checkpoint(other)["lr_schedulers"]
    assert checkpoint(one)["global_step"] == checkpoint(other)["global_step"]


def command(run: Path, *overrides: str) -> list[str]:
    return [sys.executable, "-m", "deepmatte.cli.train", *overrides, f"hydra.run.dir={run}"]


def killed(run: Path, overrides: tuple[str, ...], wait_for_step: int) -> None:
    """Start a run, and kill it and all its processes once a checkpoint of at least that step is there."""
    process = subprocess.Popen(
        command(run, *overrides), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(3000):
            time.sleep(0.1)
            file = run / "checkpoints" / "last.ckpt"
            if process.poll() is not None or (
                file.exists() and checkpoint(run)["global_step"] >= wait_for_step
            ):
                break
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ("batch", "every"),
    [
        pytest.param(3, 2, marks=pytest.mark.slow),
        pytest.param(5, 4, marks=pytest.mark.slow),
        pytest.param(1, None, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_breaks_off_goes_on_from_its_last_checkpoint_in_mid_epoch(
    train_tiny, tmp_path: Path, batch: int, every: int | None
) -> None:
    """The process dies of an error that saves nothing, as of a kill; `save_every` wrote what there is."""
    from deepmatte.training.module import MattingModule

    train_tiny(tmp_path / "whole", *LENGTH)
    original = MattingModule.training_step

    def step(module, samples, batch_idx):
        if (module.current_epoch, batch_idx) == (1, batch):
            raise OSError("the power fails")
        return original(module, samples, batch_idx)

    overrides = (*LENGTH, f"save_every.steps={every or 'null'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MattingModule, "training_step", step)
        with pytest.raises(OSError, match="the power fails"):
            train_tiny(tmp_path / "broken", *overrides)
    assert checkpoint(tmp_path / "broken")["global_step"] == 8 + (batch // every * every if every else 0)
    train_tiny(tmp_path / "broken", *overrides)
    assert_same_end(tmp_path / "whole", tmp_path / "broken")


def test_mid_epoch_checkpoints_hold_the_sample_after_them(train_tiny, tmp_path: Path) -> None:
    """What the resumed run reads first is the batch after the last one that counted."""
    from deepmatte.training.module import MattingModule

    seen: list[tuple[int, list[int]]] = []
    original = MattingModule.training_step

    def step(module, samples, batch_idx):
        seen.append((module.current_epoch, samples["index"].tolist()))
        if len(seen) == 4:
            raise OSError("the power fails")
        return original(module, samples, batch_idx)

    overrides = ("stages.encoder_decoder.epochs=1", "data.samples_per_epoch=32", "save_every.steps=2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MattingModule, "training_step", step)
        with pytest.raises(OSError, match="the power fails"):
            train_tiny(tmp_path / "run", *overrides)
        first = list(seen)
        train_tiny(tmp_path / "run", *overrides)
    resumed = seen[len(first) :]
    assert first == [(0, [0, 1, 2, 3]), (0, [4, 5, 6, 7]), (0, [8, 9, 10, 11]), (0, [12, 13, 14, 15])]
    assert resumed == [(0, list(range(start, start + 4))) for start in range(8, 32, 4)]


@pytest.mark.slow
@pytest.mark.parametrize(("minutes", "step"), [("1e-9", 8 + 3), ("1000", 8)])
def test_checkpoints_in_mid_epoch_come_by_the_clock_too(
    train_tiny, tmp_path: Path, minutes: str, step: int
) -> None:
    """After every step if the interval is shorter than one; only after the first epoch if it is long."""
    from deepmatte.training.module import MattingModule

    original = MattingModule.training_step

    def broken(module, samples, batch_idx):
        if (module.current_epoch, batch_idx) == (1, 3):
            raise OSError("the power fails")
        return original(module, samples, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MattingModule, "training_step", broken)
        with pytest.raises(OSError, match="the power fails"):
            train_tiny(tmp_path / "run", *LENGTH, f"save_every.minutes={minutes}")
    assert checkpoint(tmp_path / "run")["global_step"] == step


@pytest.mark.parametrize(
    ("pace", "due"), [(lambda step: 1.0, 600), (lambda step: 1.0 if step < 300 else 3.0, 400)]
)
def test_processes_ask_rarely_and_save_when_the_minutes_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pace: Callable[[int], float], due: int
) -> None:
    """Ten minutes are 600 steps of a second, or 300 such steps and 100 of three seconds."""
    from deepmatte.training.checkpoints import callbacks as checkpoints

    now, asked, saved = [0.0], [], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    callback = checkpoints.LastCheckpoint(tmp_path, minutes=10)
    monkeypatch.setattr(callback, "_save_checkpoint", lambda trainer, path: saved.append(trainer.global_step))
    strategy = SimpleNamespace(broadcast=lambda value: asked.append(value) or value)
    for step in range(1, 1000):
        now[0] += pace(step)
        trainer = SimpleNamespace(
            global_step=step, accumulate_grad_batches=1, world_size=1, strategy=strategy
        )
        if not saved:
            callback.on_train_batch_start(trainer, SimpleNamespace(), None, step)
    assert len(saved) == 1
    assert due <= saved[0] <= due + 1
    assert len(asked) < 25


@pytest.mark.parametrize("key", ["steps", "minutes"])
def test_intervals_that_are_none_are_refused(train_tiny, tmp_path: Path, key: str) -> None:
    from deepmatte.errors import InputError

    with pytest.raises(InputError, match=rf"save_every\.{key}=0"):
        train_tiny(tmp_path / "run", f"save_every.{key}=0")


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "processes"), [(0, 1), (2, 1), (0, 2), (2, 2)])
def test_a_killed_run_ends_in_the_bits_of_one_that_was_not_killed(
    tiny, tmp_path: Path, workers: int, processes: int
) -> None:
    trainer = (
        f"trainer=ddp trainer.devices={processes} trainer.accelerator=cpu" if processes > 1 else "trainer=cpu"
    ).split()
    overrides = (
        *tiny(*LENGTH),
        f"data.num_workers={workers}",
        *trainer,
        "save_every.steps=1",
        "wandb.mode=disabled",
    )
    subprocess.run(command(tmp_path / "whole", *overrides), check=True, capture_output=True, timeout=600)
    for step in (2, 5, 11):
        killed(tmp_path / "killed", overrides, step)
    subprocess.run(command(tmp_path / "killed", *overrides), check=True, capture_output=True, timeout=600)
    assert json.loads((tmp_path / "killed" / "result.json").read_text())["status"] == "finished"
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
