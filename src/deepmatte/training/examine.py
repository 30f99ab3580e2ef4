"""What ``debug=profile | lr_find | batch_size`` do in place of a run: a few steps of its first stage.

Weights, checkpoints and records of a run are left alone: the answer is one line, with files beside it.
"""

from __future__ import annotations

import math
import os
import sys
from contextlib import nullcontext, redirect_stderr
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.profilers import SimpleProfiler
from pytorch_lightning.tuner.tuning import Tuner
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from deepmatte.errors import InputError, RunError, one_line
from deepmatte.files import write_bytes, write_text
from deepmatte.runs.directory import RunDir
from deepmatte.training.acceleration import accelerate
from deepmatte.training.building import from_config
from deepmatte.training.building.stages import plan_stages
from deepmatte.training.checkpoints.initial import start_from
from deepmatte.training.datamodule import MattingData
from deepmatte.training.module import MattingModule

ALONE = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
"""Of the trainer: one process, which sees what all of several would see."""

ACTIONS = {
    "waiting for data": "_TrainingEpochLoop].train_dataloader_next",
    "forward and losses": "training_step",
    "backward": "backward",
    "optimiser": "optimizer_step",
}
"""What the line of a profile names -> how the actions of Lightning's profiler end that it counts."""

FIRST_SIZE, STEPS_OF_TRIAL = 2, 3
"""Of the search for the batch size: where it begins, and how long it tries each size."""


class _Parts(NamedTuple):
    trainer: pl.Trainer
    module: MattingModule
    data: MattingData


def examine(config: DictConfig, run: RunDir, overrides: list[str]) -> dict[str, Any]:
    """Do what ``config.examine.what`` says, print the line that answers, and return what it says as numbers.

    Raises:
        InputError: the configuration or the data can't be used.
        RunError: it came to no answer.
    """
    alone = OmegaConf.merge(config, {"trainer": ALONE})
    assert isinstance(alone, DictConfig)
    run.write_config(config, overrides)
    what = config.examine.what
    try:
        return {"profile": _profile, "lr_find": _lr_find, "batch_size": _batch_size}[what](alone, run)
    except MisconfigurationException as error:  # such as two optimisers, where the finder can set one rate
        raise InputError(f"debug={what}: {one_line(error)[:200]}") from error


def _parts(config: DictConfig, run: RunDir, **arguments: Any) -> _Parts:
    """Return trainer, module and data of the run's first stage; the trainer writes nothing."""
    from_config.seed_process(config)
    model = from_config.build_model(config)
    stage = plan_stages(config, model)[0]
    start_from(model, config)
    module = from_config.build_module(config, model, stage)
    data = from_config.build_data(config)
    data.check(splits=("train", "val"))
    data.guide_for(model)
    stage.freeze_others(model)
    accelerate(model, config, training=True)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = from_config.build_trainer(config, default_root_dir=run.path, **quiet, **arguments)
    from_config.leave_cores_to_loaders(trainer, config.data.num_workers)
    return _Parts(trainer, module, data)


# ---- profile ----------------------------------------------------------------------------------------------


def _profile(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Time ``steps`` training steps; ``profile.txt`` has every action of Lightning's simple profiler."""
    steps = int(config.examine.steps)
    profiler = SimpleProfiler()
    parts = _parts(config, run, max_steps=steps, max_epochs=-1, profiler=profiler)
    parts.trainer.limit_val_batches = 0
    parts.trainer.fit(parts.module, parts.data)
    durations: dict[str, list[float]] = profiler.recorded_durations
    epochs = math.fsum(durations.get("run_training_epoch", [])) or math.nan
    seconds = {
        name: math.fsum(sum(times) for action, times in durations.items() if action.endswith(end))
        for name, end in ACTIONS.items()
    }
    seconds["optimiser"] -= seconds["forward and losses"] + seconds["backward"]  # it calls them
    shares = {name: max(0.0, value / epochs) for name, value in seconds.items()}
    write_text(run.path / "profile.txt", profiler.summary() + "\n")
    words = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    print(f"profile: {steps / epochs:.3g} steps a second; {words}; {run.path / 'profile.txt'} lists the rest")
    return {"steps_per_second": steps / epochs, **shares}


# ---- learning rate ----------------------------------------------------------------------------------------


def _lr_find(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Raise the learning rate from step to step; ``lr_find.csv`` and ``lr_find.png`` show the loss."""
    lowest, highest, steps = (config.examine[key] for key in ("lowest", "highest", "steps"))
    parts = _parts(config, run, max_epochs=-1)
    with open(os.devnull, "w") as nowhere, nullcontext() if sys.stderr.isatty() else redirect_stderr(nowhere):
        found = Tuner(parts.trainer).lr_find(  # its progress bar can't be switched off
            parts.module,
            datamodule=parts.data,
            min_lr=lowest,
            max_lr=highest,
            num_training=steps,
            update_attr=False,
        )
    assert found is not None
    rates, losses = found.results["lr"], found.results["loss"]
    rows = [f"{rate!r},{loss!r}" for rate, loss in zip(rates, losses, strict=False)]
    write_text(run.path / "lr_find.csv", "\n".join(["lr,loss", *rows]) + "\n")
    rate = found.suggestion()
    if rate is None:
        raise RunError(f"lr_find: too few steps for an answer; raise examine.steps={steps}")
    own = config.stages[parts.module.stage.name].get("lr") or config.optimizer.lr
    _draw(run.path / "lr_find.png", rates, losses, rate, float(own))
    print(
        f"lr_find: the loss falls fastest at {rate:.1e} (tried {lowest:g} to {rates[-1]:.1e}; the run has "
        f"{own:g}); {run.path / 'lr_find.png'} shows it"
    )
    return {"lr": rate, "own": own}


def _draw(file: Path, rates: list[float], losses: list[float], rate: float, own: float) -> None:
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(rates[: len(losses)], losses, color="black", linewidth=1)
    axes.axvline(rate, color="tab:red", label=f"fastest fall, {rate:.1e}")
    axes.axvline(own, color="tab:blue", linestyle="--", label=f"of the run, {own:g}")
    axes.set(xlabel="learning rate", ylabel="training loss, smoothed")
    axes.legend()
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_bytes(file, buffer.getvalue())


# ---- batch size -------------------------------------------------------------------------------------------


def _batch_size(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Double the batch until memory runs out, or up to ``most``."""
    most, own = int(config.examine.most), int(config.data.batch_size)
    parts = _parts(config, run, max_epochs=-1)
    parts.data.samples_per_epoch = most * STEPS_OF_TRIAL  # an epoch has all steps of the largest trial
    trials = int(math.log2(most / FIRST_SIZE)) + 1
    largest = Tuner(parts.trainer).scale_batch_size(
        parts.module,
        datamodule=parts.data,
        steps_per_trial=STEPS_OF_TRIAL,
        init_val=FIRST_SIZE,
        max_trials=trials,
    )
    if largest is None or largest < 1:
        raise RunError("batch_size: not even one sample fits; lower composition.size or model.width")
    tried_all = largest >= FIRST_SIZE * 2 ** (trials - 1)
    why = f"the most that was tried, examine.most={most}" if tried_all else "twice as many do not"
    print(f"batch_size: {largest} samples fit on one device ({why}); the run has data.batch_size={own}")
    return {"batch_size": largest, "own": own}
