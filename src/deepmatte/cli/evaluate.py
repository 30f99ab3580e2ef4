"""Score a run (run=RUN) or a classical method (method=trivial data=...); takes Hydra overrides."""

from __future__ import annotations

import sys

import hydra
from omegaconf import DictConfig

from deepmatte.cli.main import report, run_hydra
from deepmatte.config.compose import register_resolvers
from deepmatte.config.places import conf_dir
from deepmatte.config.unknown_keys import check_keys
from deepmatte.errors import InputError, RunError

register_resolvers()


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="evaluate")
def main(config: DictConfig) -> None:
    """Evaluate and print the table."""
    try:
        check_keys(config, "evaluate")
        from deepmatte.scoring.evaluate import evaluate

        evaluate(config)
    except (InputError, RunError) as error:
        report(error)
        sys.exit(2)


if __name__ == "__main__":
    run_hydra(main, "evaluate")
