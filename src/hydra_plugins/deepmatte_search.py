"""Hydra looks for sweepers here. It imports this file at every start, so what searches is imported later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SearchSweeper(Sweeper):
    """Searches with Optuna (``conf/hydra/sweeper/tpe.yaml``, `deepmatte.sweeps.trials`).

    Args:
        direction: minimize or maximize; of several objectives a list.
        n_jobs: trials in parallel.
        sampler: its name, and its options.
        pruner: likewise; it ends trials that fall behind.
        params: what is searched, by key, beside what the command line says.
    """

    launcher: Launcher
    config: DictConfig
    context: HydraContext

    def __init__(
        self,
        direction: str | Sequence[str] = "minimize",
        n_jobs: int = 1,
        sampler: DictConfig | None = None,
        pruner: DictConfig | None = None,
        params: DictConfig | None = None,
    ) -> None:
        self.direction, self.n_jobs = direction, n_jobs
        self.sampler, self.pruner, self.params = sampler, pruner, params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what every sweeper is given."""
        self.context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the trials that are left."""
        from deepmatte.sweeps.trials import run_trials

        words = [f"{key!s}={value}" for key, value in (self.params or {}).items()] + list(arguments)
        run_trials(self.config, self.launcher, self.context.config_loader, words)
