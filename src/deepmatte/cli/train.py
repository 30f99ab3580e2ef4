"""Train a matting network, or sweep over several settings; takes Hydra overrides such as loss=dice seed=1."""

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
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from deepmatte.cli.main import report, run_hydra
from deepmatte.config.compose import register_resolvers
from deepmatte.config.places import conf_dir
from deepmatte.config.releases import main_options
from deepmatte.config.unknown_keys import check_keys
from deepmatte.errors import InputError, RunError
from deepmatte.runs.context import SweepContext
from deepmatte.runs.directory import RunDir
from deepmatte.runs.fingerprint import remember_code
from deepmatte.runs.locks import is_inherited
from deepmatte.runs.parent_watch import tie_to_parent
from deepmatte.sweeps import fork_server

EXTRAS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", ("joblib", "workstation")),
    "slurm": ("hydra_plugins.hydra_submitit_launcher", ("submitit_local", "submitit_slurm", "cluster")),
    "optuna": ("optuna", ("tpe", "pareto")),
}
"""Extra of the package -> the package that it brings, and the launchers and sweepers that need it."""

SECTIONS = ("data", "composition", "model", "loss", "optimizer", "trainer", "stages", "schedule", "wandb")
"""Keys that a run's own configuration must have."""

register_resolvers()


@hydra.main(config_path=str(conf_dir()), config_name="train", **main_options())
def main(config: DictConfig) -> float | tuple[float, ...] | None:
    """Train one run; under multirun start a process tree for it."""
    try:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            from deepmatte.sweeps.jobs import run_job

            return run_job(config)
        config, directory, overrides = _what_to_train(config)
        _import_train(wandb=_uses_wandb(config))(config, directory, overrides)
    except (InputError, RunError) as error:
        with suppress(OSError):  # Hydra made it; a run that is refused leaves nothing behind
            Path(HydraConfig.get().runtime.output_dir).rmdir()
        report(error)
        sys.exit(2)
    return None


def _uses_wandb(config: DictConfig) -> bool:
    chosen = "logger" not in config or OmegaConf.select(config, "logger.wandb") is not None
    return chosen and config.wandb.mode != "disabled"


def _import_train(wandb: bool) -> Callable[..., object]:
    """Import what trains, without garbage collections meanwhile.

    Modules are no garbage: the import takes 0.64 of the CPU time (5.6 s against 8.9 s on one busy core).
    """
    gc.disable()
    if wandb:
        # `wandb.init` imports this, and it inspects all loaded modules: before torch's it saves a quarter
        # of the time (5.6 s against 7.4 s).
        with suppress(ImportError):
            importlib.import_module("wandb.sdk.launch")
    from deepmatte.training.run import train

    gc.freeze()
    gc.enable()
    return train


def _import_for_jobs() -> None:
    """Import and load what the jobs of a sweep need, which are forks of this process."""
    wandb = os.environ.get("WANDB_MODE") != "disabled"
    _import_train(wandb)
    from deepmatte.training.run import warm_up

    warm_up(wandb)
    Plugins.instance()
    remember_code()
    gc.freeze()


def _what_to_train(config: DictConfig) -> tuple[DictConfig, Path, list[str]]:
    """Return configuration, directory and overrides of the run.

    They are those of the command line, of a job of a sweep, or of the run that ``resume`` names.
    """
    hydra = HydraConfig.get()
    run = RunDir(Path(config.get("resume") or hydra.runtime.output_dir))
    if config.get("resume") and not run.last_checkpoint.exists():
        raise InputError(
            f"resume={config.resume}: has no checkpoints/last.ckpt; train it with its own command instead"
        )
    if config.get("resume"):
        uri = config.mlflow.tracking_uri
        return run.resumed(config.wandb.mode, *SECTIONS, tracking_uri=uri), run.path, run.overrides()
    if is_inherited(run.path):  # a job's configuration was checked with its sweep
        return run.config(*SECTIONS), run.path, run.overrides()
    check_keys(config, "train", hydra)
    return config, run.path, list(hydra.overrides.task)


def missing_extra(words: list[str]) -> str | None:
    """Return one line on the extra of the package that a command line needs and lacks, or None.

    >>> missing_extra(["loss=dice", "hydra/launcher=basic"])
    """
    texts = list(words)
    for name in (word.partition("=")[2] for word in words if word.startswith("experiments=")):
        files = (folder / "experiments" / f"{name}.yaml" for folder in (Path(), conf_dir().parent))
        file = next((file for file in files if file.is_file()), None)
        lines = file.read_text(encoding="utf-8").splitlines() if file is not None else []
        texts += [line.strip(" -").replace("override /", "").replace(": ", "=") for line in lines]
    chosen = {
        text.partition("=")[2].split("#")[0].strip()
        for text in texts
        if text.startswith(("hydra/launcher=", "hydra/sweeper="))
    }
    for extra, (package, choices) in EXTRAS.items():
        if chosen & set(choices) and find_spec(package) is None:
            named = ", ".join(sorted(chosen & set(choices)))
            return f"{named}: needs an extra; pip install 'deepmatte[{extra}]'"
    return None


def command() -> None:
    """Run the command line, in which ``-m`` may come anywhere; argparse would refuse it between overrides."""
    try:
        if (orders := SweepContext.read().orders) is not None:
            fork_server.serve(orders, _import_for_jobs)
        tie_to_parent()
    except InputError as error:
        report(error)
        sys.exit(2)
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    if (missing := missing_extra(sys.argv[1:])) is not None:
        report(InputError(missing))
        sys.exit(2)
    try:
        run_hydra(main)
    except KeyboardInterrupt:
        print("deepmatte: interrupted; the same command resumes it", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        from deepmatte.sweeps.ending import given_up

        if (reason := given_up(error)) is None:
            raise
        report(RunError(reason))
        sys.exit(1)


def leave() -> None:
    """End the process without Python's teardown of every module's objects.

    Import and exit then take 0.81 of the CPU time (4.6 s against 5.6 s on one busy core).
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    atexit.register(leave)  # the handler that is registered first runs last
    try:
        command()
    except BaseException:
        atexit.unregister(leave)  # it would exit with 0
        raise
