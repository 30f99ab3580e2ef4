"""Score a run, all runs of a sweep, or a classical method (method=trivial data=...).

Takes Hydra overrides.
"""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from deepmatte.cli.main import report, run_hydra
from deepmatte.config.compose import register_resolvers
from deepmatte.config.places import conf_dir
from deepmatte.config.releases import main_options
from deepmatte.config.unknown_keys import check_keys
from deepmatte.errors import InputError, RunError

register_resolvers()


@hydra.main(config_path=str(conf_dir()), config_name="evaluate", **main_options())
def main(config: DictConfig) -> None:
    """Evaluate and print the table; exit code 1 if runs of a sweep could not be evaluated."""
    failed = False
    try:
        check_keys(config, "evaluate")
        from deepmatte.scoring.evaluate import evaluate
        from deepmatte.scoring.sweep import evaluate_sweep, runs_below

        runs = [] if config.run is None or config.method is not None else runs_below(Path(config.run))
        if runs:
            failed = any(outcome.failed for outcome in evaluate_sweep(config, runs))
        else:
            evaluate(config)
    except (InputError, RunError) as error:
        report(error)
        sys.exit(2)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    run_hydra(main, "evaluate")
