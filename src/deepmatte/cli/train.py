"""Train a matting network, or sweep over several; takes Hydra overrides such as loss=dice seed=1."""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from deepmatte.cli.main import report
from deepmatte.config import conf_dir, register_resolvers
from deepmatte.errors import InputError, RunError
from deepmatte.rundir import RunDir

register_resolvers()


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")
def main(config: DictConfig) -> float | None:
    """Run one job, or in a multirun hand it to a process of its own."""
    try:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            from deepmatte.sweep import run_job

            return run_job(config)
        from deepmatte.run import train

        train(*_what_to_train(config))
    except (InputError, RunError) as error:
        report(error)
        sys.exit(2)
    return None


def _what_to_train(config: DictConfig) -> tuple[DictConfig, Path, list[str]]:
    """Return configuration, directory and overrides of the run: those of the command line, of a sweep's job, or of ``resume=RUN``."""
    hydra = HydraConfig.get()
    run = RunDir(Path(config.get("resume") or hydra.runtime.output_dir))
    if config.get("resume"):
        if not run.last_checkpoint.exists():
            raise InputError(f"resume={config.resume}: has no checkpoints/last.ckpt to go on from; start it without resume=")
        return run.config(), run.path, run.overrides()
    given = any(Path(source.path) == run.path / ".hydra" for source in hydra.runtime.config_sources)
    return config, run.path, run.overrides() if given else list(hydra.overrides.task)


if __name__ == "__main__":
    main()
