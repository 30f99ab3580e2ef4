"""Signals at chosen instants of a run, and the comparison of what two runs have left.

As a script (``python interrupting.py OVERRIDES``) it is `deepmatte train` with a signal at the `Instant` in
the environment variable `INSTANT`; Lightning starts the other ranks by the same command.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

INSTANT = "DEEPMATTE_TEST_INSTANT"
LENGTH = (
    "stages.encoder_decoder.epochs=2",
    "data.batch_size=2",
    "data.samples_per_epoch=6",
    "data.source.num_val=2",
    "data.source.num_test=2",
    "composition.crop_sizes=[48]",
    "composition.size=32",
    "num_pictures=1",
    "loss=alpha",
)
"""Two epochs of three optimiser steps."""

VARIANTS = {
    "plain": (),
    "workers": ("data.num_workers=2",),
    "average": ("ema=0.9", "trainer.accumulate_grad_batches=2"),
    "stages": (
        "stages.encoder_decoder.epochs=1",
        "stages.refine.epochs=2",
        "stages.refine.start=best",
        "early_stopping=1",
        "validate_every=1",
        "save_every.steps=1",
    ),
    "seldom": ("stages.encoder_decoder.epochs=4", "validate_every=2", "ema=0.9"),
}
TIMES = ("seconds", "device_seconds", "peak_memory_mb")
NOT_RESTORED = "/current_score"
"""What Lightning's ModelCheckpoint saves but does not load; nothing is computed from it."""


@dataclass(frozen=True)
class Instant:
    """Before or after the ``call``-th call (from 1 on) of a hook.

    ``hook`` is "callbacks.NAME", "module.NAME" or "CLASS.NAME". The signal goes to the process of ``rank``
    alone, or from there to the whole group as a terminal's Ctrl-C; ``times`` that often, with a pause
    between. With ``pause``, it is sent so many seconds later, whatever is going on then.
    """

    hook: str
    call: int
    when: str = "before"
    signal: str = "SIGINT"
    to: str = "process"
    rank: int = 0
    times: int = 1
    pause: float = 0.0

    def __str__(self) -> str:
        return f"{self.signal} {self.when} {self.hook} #{self.call}"

    def strike(self) -> None:
        """Send the signal, or begin to wait for its time."""
        if self.pause:
            threading.Timer(self.pause, replace(self, pause=0.0).strike).start()
            return
        number = signal.Signals[self.signal]
        for turn in range(self.times):
            time.sleep(1.5 * (turn > 0))
            if self.to == "group":  # by somebody else, since loader processes heed the trainer
                subprocess.run(["kill", f"-{number.value}", "--", f"-{os.getpgrp()}"], check=False)
            else:
                os.kill(os.getpid(), number)


def named_hooks() -> list[tuple[type, tuple[str, ...]]]:
    """Return the methods at whose calls signals are sent, beside the hooks that Lightning's trainer calls."""
    import pytorch_lightning.callbacks as lightning

    from deepmatte.runs.directory import RunDir
    from deepmatte.training import callbacks
    from deepmatte.training.checkpoints import callbacks as checkpoints
    from deepmatte.training.module import MattingModule
    from deepmatte.training.run import _Job
    from deepmatte.training.tracking.curves import Curves

    return [
        (MattingModule, ("training_step", "validation_step", "test_step", "backward")),
        (callbacks.PictureGrids, ("on_validation_batch_end",)),
        (callbacks.TestPictures, ("on_test_batch_end",)),
        (
            checkpoints.LastCheckpoint,
            ("on_train_start", "on_train_batch_start", "on_validation_start", "on_validation_end"),
        ),
        (lightning.ModelCheckpoint, ("_save_checkpoint",)),
        (
            lightning.EMAWeightAveraging,
            ("on_train_batch_end", "on_validation_epoch_start", "on_validation_epoch_end"),
        ),
        (lightning.LearningRateMonitor, ("on_train_batch_start",)),
        (Curves, ("log_metrics", "save", "keep_until")),
        (RunDir, ("update", "write_per_image", "write_config")),
        (_Job, ("begin", "fit", "_fit_stage", "finish")),
    ]


@contextmanager
def hooked(instants: list[Instant] | None = None) -> Iterator[Counter[str]]:
    """Count the calls of every hook inside the block, and send the signals that are due."""
    from pytorch_lightning.trainer import call

    calls: Counter[str] = Counter()
    due = {(instant.hook, instant.call, instant.when): instant for instant in instants or []}

    def at(hook: str, function: Callable[[], Any]) -> Any:
        calls[hook] += 1
        number = calls[hook]
        for when in ("before", "after"):
            if when == "after":
                result = function()
            if (hook, number, when) in due:
                due[hook, number, when].strike()
        return result

    def wrapped(original: Callable[..., Any], place: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: at(place, lambda: original(*args, **kwargs))

    def of_trainer(original: Callable[..., Any], kind: str) -> Callable[..., Any]:
        return lambda trainer, name, *args, **kwargs: at(
            f"{kind}.{name}", lambda: original(trainer, name, *args, **kwargs)
        )

    with ExitStack() as stack:
        for name, kind in (("_call_callback_hooks", "callbacks"), ("_call_lightning_module_hook", "module")):
            stack.enter_context(mock.patch.object(call, name, of_trainer(getattr(call, name), kind)))
        for owner, names in named_hooks():
            for name in names:
                place = f"{owner.__name__}.{name}"
                original = getattr(owner, name)

                def method(self: Any, *args: Any, _o: Any = original, _p: str = place, **kwargs: Any) -> Any:
                    return at(_p, lambda: _o(self, *args, **kwargs))

                stack.enter_context(mock.patch.object(owner, name, method))
        yield calls


@contextmanager
def every_step_logged() -> Iterator[None]:
    """Log each step rather than each tenth, so that short runs have curves to lose."""
    from deepmatte.training.building import from_config

    original = from_config.build_trainer

    def often(config: Any, **arguments: Any) -> Any:
        return original(
            config, **arguments | ({"log_every_n_steps": 1} if "log_every_n_steps" in arguments else {})
        )

    with mock.patch.object(from_config, "build_trainer", often):
        yield


@contextmanager
def without_figures() -> Iterator[None]:
    """Leave the figures at the end out, which take longer than all the rest."""
    from deepmatte.training.score import Scored

    with mock.patch.object(Scored, "draw", return_value=None):
        yield


def tensors(node: Any, place: str = "") -> dict[str, Any]:
    """Return the leaves of a checkpoint by their places."""
    if isinstance(node, dict | list | tuple):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        return {path: leaf for key, child in items for path, leaf in tensors(child, f"{place}/{key}").items()}
    return {place: node}


def differences(whole: Path, other: Path) -> list[str]:
    """Return how the records of two run directories of the same name differ; times don't count."""
    found = []
    files = [
        {str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()} for run in (whole, other)
    ]
    for name in sorted(files[0] ^ files[1]):
        found.append(f"{name} is in one of them only")
    for name in sorted(files[0] & files[1]):
        one, two = whole / name, other / name
        if name in ("progress.json", ".lock") or name.startswith(".hydra"):
            continue
        if name.endswith(".ckpt"):
            found += _different_leaves(
                name, torch.load(one, weights_only=True), torch.load(two, weights_only=True), whole, other
            )
        elif name == "result.json":
            records = [json.loads(file.read_text()) for file in (one, two)]
            for record in records:
                for key in TIMES:
                    record.get("cost", {}).pop(key, None)
                del record["git_commit"]  # the test may be of a checkout that is worked on
            found += _different_leaves(name, *records, whole, other)
        elif one.read_bytes() != two.read_bytes():
            lines = [file.read_text().count("\n") for file in (one, two)] if name.endswith(".csv") else []
            found.append(f"{name} differs {lines or ''}")
    return found


def _different_leaves(name: str, one: Any, two: Any, whole: Path, other: Path) -> list[str]:
    first, second = tensors(one), tensors(two)
    first = {key.replace(str(whole), "RUN"): value for key, value in first.items()}
    second = {key.replace(str(other), "RUN"): value for key, value in second.items()}
    found = [f"{name}: {key} is in one of them only" for key in sorted(set(first) ^ set(second))]
    for key in sorted(key for key in set(first) & set(second) if not key.endswith(NOT_RESTORED)):
        a, b = first[key], second[key]
        if isinstance(a, torch.Tensor):
            equal = isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
        elif isinstance(a, str) and isinstance(b, str):
            equal = a.replace(str(whole), "RUN") == b.replace(str(other), "RUN")
        else:
            equal = a == b
        if not equal:
            shown = "" if isinstance(a, torch.Tensor) else f" ({a} and {b})"
            found.append(f"{name}: {key} differs{shown}")
    return found[:6]


def left_in_session(session: int, seconds: float = 40.0) -> list[int]:
    """Return the processes of a session that are still there after so many seconds, its first one aside."""
    end = time.monotonic() + seconds
    while (found := _in_session(session)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def _in_session(session: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, own = (process / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(own) == session and state != "Z" and int(process.name) != session:
            found.append(int(process.name))
    return found


class Commands:
    """Runs as a user starts them: a process, or two that talk through gloo, in a group of their own."""

    def __init__(self, overrides: tuple[str, ...]) -> None:
        self.overrides = (*overrides, "wandb.mode=disabled")

    def run(self, directory: Path, *instants: Instant) -> tuple[int, float]:
        """Return the exit code, and the seconds from the first signal on, as the run's log tells them."""
        command = [sys.executable, __file__, *self.overrides, f"hydra.run.dir={directory}"]
        environment = os.environ | {INSTANT: json.dumps([asdict(instant) for instant in instants])}
        log = directory.parent / "log.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            process = subprocess.Popen(
                command, env=environment, start_new_session=True, stdout=file, stderr=file
            )
        end, struck = time.monotonic() + 240, None
        try:
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
                if struck is None and "upon another signal" in log.read_text():
                    struck = time.monotonic()
            left = left_in_session(process.pid)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        lost = code == 2 and any("deepmatte: another process of the run ended" in line for line in log.open())
        killed = (-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL)
        assert (lost and "Traceback" not in log.read_text()) or code in (0, 130, *killed), log.read_text()
        assert not left, f"processes {left} outlive the run"
        return code, time.monotonic() - struck if struck is not None else 0.0


if __name__ == "__main__":
    from deepmatte.cli import train

    given = json.loads(os.environ.get(INSTANT, "[]"))
    instants = [Instant(**one) for one in given]
    with (
        hooked([one for one in instants if one.rank == int(os.environ.get("LOCAL_RANK", "0"))]),
        every_step_logged(),
    ):
        train.command()
