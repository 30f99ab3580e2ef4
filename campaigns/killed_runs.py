"""Runs that are killed at random instants, in a forked process or as two that talk through gloo."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

from interrupting import (
    LENGTH,
    VARIANTS,
    Commands,
    Instant,
    differences,
    every_step_logged,
    hooked,
    left_in_session,
    without_figures,
)
from omegaconf import DictConfig
from tiny_run import TINY, compose

from campaigns.campaign import Tally
from deepmatte.errors import InputError, RunError
from deepmatte.files import ASIDE
from deepmatte.runs.locks import LOCK_FILE, holder

SINGLE = {
    **VARIANTS,
    "all": ("data.num_workers=2", "ema=0.9", "trainer.accumulate_grad_batches=2", "save_every.steps=1"),
    "wandb": ("wandb.mode=offline",),
}
DDP = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "ema=0.9")
SIGNALS = ("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT")
PAUSE = 0.05


class FaultError(Exception):
    """What a try has shown."""


class Singles:
    """Runs of one process, forked from this one, which has imported everything."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.whole: dict[str, tuple[Path, dict[str, int]]] = {}
        self.composed: dict[tuple[str, ...], DictConfig] = {}

    def overrides(self, variant: str, cache: Path) -> tuple[str, ...]:
        """Return the command line of a variant."""
        quiet = () if variant == "wandb" else ("wandb.mode=disabled",)
        return (*TINY, *LENGTH, *SINGLE[variant], *quiet, f"data.source.cache_dir={cache}")

    def start(
        self, directory: Path, variant: str, cache: Path, *instants: Instant, log: Path | None = None
    ) -> int:
        """Carry a run out in a forked process; return its exit status, negative for a signal.

        Raises:
            FaultError: the process ended in another way, or did not end, or has left others.
        """
        log = log or directory.parent / "log.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        overrides = self.overrides(variant, cache)
        if overrides not in self.composed:
            self.composed[overrides] = compose("train", list(overrides))
        pid = os.fork()
        if pid == 0:
            self._child(log, directory, overrides, instants)
        code = _awaited(pid)
        left = left_in_session(pid)
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if left:
            raise FaultError(f"processes outlive the run: {left}")
        if code not in (0, 2, 130, -signal.SIGKILL):
            raise FaultError(f"exit status {code}: {log.read_text(errors='replace')[-3000:]}")
        return code

    def _child(
        self, log: Path, directory: Path, overrides: tuple[str, ...], instants: Sequence[Instant]
    ) -> None:
        """Train in this process, and end it without the ends of the parent."""
        code = 1
        try:
            os.setsid()
            with log.open("ab") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            from deepmatte.training.run import train

            calls_file = log.with_name("calls.txt")
            with (
                hooked(list(instants)) as calls,
                every_step_logged(),
                without_figures(),
                drawing(calls, instants),
            ):
                train(self.composed[overrides].copy(), directory, list(overrides))
            calls_file.write_text("\n".join(f"{count} {hook}" for hook, count in calls.items()))
            code = 0
        except KeyboardInterrupt:
            code = 130
        except (InputError, RunError) as error:
            print(f"deepmatte: {error}")
            code = 2
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def uninterrupted(self, variant: str) -> tuple[Path, dict[str, int]]:
        """Return the whole run of a variant, and how often each hook was called in it."""
        if variant not in self.whole:
            home = self.home / "whole" / variant
            code = self.start(home / "run", variant, home / "cache")
            if code != 0:
                raise FaultError(f"the uninterrupted run ends with {code}")
            lines = (home / "calls.txt").read_text().splitlines()
            calls = {hook: int(count) for count, hook in (line.split(" ", 1) for line in lines)}
            self.whole[variant] = home / "run", calls
        return self.whole[variant]

    def attack(self, rng: random.Random, tally: Tally, most: int) -> None:
        """Kill a run of a random variant up to ``most`` times, and compare what it ends in."""
        variant = rng.choice(list(SINGLE))
        whole, calls = self.uninterrupted(variant)
        home = self.home / "try"
        shutil.rmtree(home, ignore_errors=True)
        instants = [_instant(rng, calls) for _ in range(rng.randint(1, most))]
        cache = whole.parent / "cache"
        if any(instant.hook.startswith("ArrayFolder") for instant in instants):
            shutil.rmtree(cache)  # so that it has to be drawn, at the place that the overrides name
        for instant in instants:
            code = self.start(home / "run", variant, cache, instant)
            if code == 2:
                raise FaultError(f"{instant}: an error: {(home / 'log.txt').read_text()[-500:]}")
            if code == 0:
                break
            tally.tried[f"single {variant}"] += 1
            tally.ended[instant.signal] += 1
        if self.start(home / "run", variant, cache) != 0:
            raise FaultError("the run does not end")
        check_equal(whole, home / "run", cache)


def drawing(calls: dict[str, int], instants: Sequence[Instant]) -> ExitStack:
    """Send the signals that are due while the embedded data are drawn or W&B starts, which are no hooks."""
    from unittest import mock

    from deepmatte.data.cache.arrays import ArrayFolder
    from deepmatte.training.tracking.tracker import Tracker

    stack = ExitStack()
    due = {(instant.hook, instant.call): instant for instant in instants}
    for owner, name in ((ArrayFolder, "write"), (Tracker, "__init__")):
        original, place = getattr(owner, name), f"{owner.__name__}.{name}"

        def method(
            self: object, *args: object, _o: Callable = original, _p: str = place, **more: object
        ) -> object:
            calls[_p] += 1
            if (_p, calls[_p]) in due:
                due[_p, calls[_p]].strike()
            return _o(self, *args, **more)

        stack.enter_context(mock.patch.object(owner, name, method))
    return stack


def _instant(rng: random.Random, calls: dict[str, int]) -> Instant:
    hook = rng.choice(sorted(calls))
    pause = rng.choice((0.0, rng.uniform(0, PAUSE)))
    when = "before" if hook.startswith(("ArrayFolder", "Tracker")) else rng.choice(("before", "after"))
    return Instant(hook, rng.randint(1, calls[hook]), when, rng.choice(SIGNALS), pause=pause)


def _awaited(pid: int, seconds: float = 600.0) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise FaultError(f"the run hangs for {seconds:.0f} s")


def check_equal(whole: Path, run: Path, cache: Path | None = None) -> None:
    """Raise where a run differs from the uninterrupted one, or has left something behind."""
    found = [line for line in differences(whole, run) if not line.startswith("wandb/")]
    if found:
        raise FaultError(f"{len(found)} differences: " + "; ".join(found[:5]))
    check_clean(run, cache)


def check_clean(*folders: Path | None) -> None:
    """Raise where a folder has a half-written file or a lock that is held."""
    for folder in folders:
        if folder is None:
            continue
        if litter := [file.name for file in folder.rglob(f"*{ASIDE}")]:
            raise FaultError(f"litter: {litter}")
        held = [file.parent for file in folder.rglob(LOCK_FILE) if holder(file.parent) is not None]
        if held:
            raise FaultError(f"stale locks in {held}")


class Pairs:
    """Runs as two processes, started by their command."""

    def __init__(self, home: Path) -> None:
        self.home = home
        overrides = (*TINY, *LENGTH, *DDP, f"data.source.cache_dir={home / 'cache'}")
        self.commands = Commands(overrides)
        self.hooks = (
            *(
                "callbacks.on_train_batch_start",
                "callbacks.on_after_backward",
                "callbacks.on_before_optimizer_step",
            ),
            *(
                "MattingModule.training_step",
                "MattingModule.validation_step",
                "callbacks.on_validation_batch_end",
            ),
            *(
                "ModelCheckpoint._save_checkpoint",
                "callbacks.on_test_batch_end",
                "RunDir.update",
                "_Job.finish",
            ),
        )

    def attack(self, rng: random.Random, tally: Tally, most: int) -> None:
        """Kill a run of two processes, either of them or both, and compare what it ends in."""
        whole = self.home / "whole/run"
        if not (whole / "result.json").exists() and self.commands.run(whole)[0] != 0:
            raise FaultError("the uninterrupted run does not end")
        home = self.home / "try"
        shutil.rmtree(home, ignore_errors=True)
        for _ in range(rng.randint(1, most)):
            instant = Instant(
                rng.choice(self.hooks),
                rng.randint(1, 2),
                rng.choice(("before", "after")),
                rng.choice(SIGNALS),
                to=rng.choice(("process", "group")),
                rank=rng.choice((0, 1)),
                pause=rng.choice((0.0, rng.uniform(0, PAUSE))),
            )
            try:
                code, _ = self.commands.run(home / "run", instant)
            except AssertionError as error:
                raise FaultError(f"{asdict(instant)}: {error}") from error
            if code == 0:
                break
            tally.tried["ddp"] += 1
            tally.ended[instant.signal] += 1
        if self.commands.run(home / "run")[0] != 0:
            raise FaultError("the run does not end")
        check_equal(whole, home / "run", self.home / "cache")
