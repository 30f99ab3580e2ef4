"""Train a matting network, or sweep over several; takes Hydra overrides such as loss=dice seed=1."""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from deepmatte.cli.main import report, run_hydra
from deepmatte.config.compose import check_keys, conf_dir, register_resolvers
from deepmatte.errors import InputError, RunError
from deepmatte.runs.directory import RunDir
from deepmatte.runs.locks import is_inherited
from deepmatte.runs.parent_watch import tie_to_parent
from deepmatte.sweeps import search

EXTRAS = {
    "joblib": ("hydra_joblib_launcher", ("joblib", "workstation")),
    "slurm": ("hydra_submitit_launcher", ("submitit_local", "submitit_slurm", "cluster")),
    "optuna": ("hydra_optuna_sweeper", ("optuna", "tpe", "pareto")),
}
"""Extra of the package -> Hydra's plugin, and the choices of launcher and sweeper that need it."""

SECTIONS = ("data", "composition", "model", "loss", "optimizer", "trainer", "stages", "schedule", "wandb")
"""What a run's own configuration has to hold."""

register_resolvers()
search.register_resolvers()


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")
def main(config: DictConfig) -> float | tuple[float, ...] | None:
    """Run one job, or in a multirun hand it to a process of its own."""
    try:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            from deepmatte.sweeps.jobs import run_job

            return run_job(config)
        config, directory, overrides = _what_to_train(config)
        _import_train(wandb=config.wandb.mode != "disabled")(config, directory, overrides)
    except (InputError, RunError) as error:
        with suppress(OSError):  # Hydra made it; a run that was refused before it began leaves nothing behind
            Path(HydraConfig.get().runtime.output_dir).rmdir()
        report(error)
        sys.exit(2)
    return None


def _import_train(wandb: bool) -> Callable[..., object]:
    """Import what trains, in less time: modules are no garbage, so none is looked for meanwhile, nor among them later."""
    gc.disable()
    if wandb:
        with suppress(
            ImportError
        ):  # what `wandb.init` imports looks through all modules that are there: better before torch's
            importlib.import_module("wandb.sdk.launch")
    from deepmatte.training.run import train

    gc.freeze()
    gc.enable()
    return train


def _what_to_train(config: DictConfig) -> tuple[DictConfig, Path, list[str]]:
    """Return configuration, directory and overrides of the run: those of the command line, of a sweep's job, or of ``resume=RUN``."""
    hydra = HydraConfig.get()
    run = RunDir(Path(config.get("resume") or hydra.runtime.output_dir))
    if config.get("resume") and not run.last_checkpoint.exists():
        raise InputError(
            f"resume={config.resume}: has no checkpoints/last.ckpt to go on from; start it without resume="
        )
    if config.get("resume"):
        return run.resumed(config.wandb.mode, *SECTIONS), run.path, run.overrides()
    if is_inherited(run.path):  # a job's configuration was checked with its sweep
        return run.config(*SECTIONS), run.path, run.overrides()
    check_keys(config, "train", hydra)
    return config, run.path, list(hydra.overrides.task)


def missing_extra(words: list[str]) -> str | None:
    """Return which extra of the package the command line needs and does not find, in a line; None where there is none.

    >>> missing_extra(["loss=dice", "hydra/launcher=basic"])
    """
    texts = list(words)
    for name in (word.partition("=")[2] for word in words if word.startswith("experiments=")):
        file = conf_dir().parent / "experiments" / f"{name}.yaml"
        texts += (
            [line.strip(" -").replace("override /", "").replace(": ", "=") for line in file.open()]
            if file.is_file()
            else []
        )
    chosen = {
        text.partition("=")[2].split("#")[0].strip()
        for text in texts
        if text.startswith(("hydra/launcher=", "hydra/sweeper="))
    }
    for extra, (plugin, choices) in EXTRAS.items():
        if chosen & set(choices) and find_spec(f"hydra_plugins.{plugin}") is None:
            return f"{', '.join(sorted(chosen & set(choices)))}: needs an extra; pip install 'deepmatte[{extra}]'"
    return None


def command() -> None:
    """Run the command line; ``-m`` may stand anywhere in it, where argparse would take it only before or after all overrides."""
    tie_to_parent()
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    if (missing := missing_extra(sys.argv[1:])) is not None:
        report(InputError(missing))
        sys.exit(2)
    try:
        run_hydra(main)
    except KeyboardInterrupt:
        print("deepmatte: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        from deepmatte.sweeps.ending import given_up

        if (reason := given_up(error)) is None:
            raise
        report(RunError(reason))
        sys.exit(1)


def leave() -> None:
    """End the process where Python would go on to take its modules apart object by object, which takes torch's a second."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    atexit.register(leave)  # the first of the handlers runs last
    try:
        command()
    except BaseException:
        atexit.unregister(leave)  # the exit code is not 0
        raise
