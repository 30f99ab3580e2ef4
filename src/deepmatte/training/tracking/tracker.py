"""All loggers of a run: its curves, and those that ``logger`` chooses, from the run's start to its end."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from deepmatte.errors import InputError
from deepmatte.runs.directory import RunDir
from deepmatte.training.checkpoints.statistics import is_first_process
from deepmatte.training.tracking.curves import Curves

NUM_MATTES = 8
"""How many test mattes go to the programs that show pictures."""

PARTS = ("image", "alpha", "matte")
"""What such a picture has side by side."""


class RunLogger(Logger):
    """A logger that also records a run's end, and pictures. There is one in the first process alone.

    Its constructor takes the run's ``config``, its directory ``run``, and ``step``: the optimiser step at
    which the run starts, above 0 where it is resumed.
    """

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Record pictures, (H, W, 3) arrays in uint8, as Lightning's W&B logger does."""

    def finish(self, run: RunDir, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Record final scores, costs, pictures and records, and close.

        Args:
            run: the run's directory, in which all of them are.
            result: what ``result.json`` says.
            rows: those of ``per_image.csv``.
        """

    def fail(self) -> None:
        """Record that the run broke off, and close."""


class Tracker:
    """The loggers of a run.

    Args:
        makers: of each program by name, a logger or what makes one of ``config``, ``run`` and ``step``
            (`training.building.from_config.build_loggers`).
        config: of the run.
        run: its directory.
        checkpoint: from which it is resumed; None for a new run.
    """

    def __init__(
        self,
        makers: Mapping[str, Any],
        config: DictConfig,
        run: RunDir,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        step = int(checkpoint["global_step"]) if checkpoint else 0
        curves = Curves(run.path)
        curves.keep_until(step, checkpoint.get("num_rows") if checkpoint else 0)
        self.run = run
        self.loggers: list[Logger] = [curves]
        for name, made in makers.items():
            if not isinstance(made, functools.partial):
                made.log_hyperparams(parameters(config, run))
                self.loggers.append(made)
            elif is_first_process():
                try:
                    self.loggers.append(made(config=config, run=run, step=step))
                except TypeError as error:
                    raise InputError(f"logger.{name}: {error}") from error

    def finish(self, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the end of a run that is finished; `RunLogger.finish` explains the arguments."""
        for logger in self.loggers:
            if isinstance(logger, RunLogger):
                logger.finish(self.run, result, rows)

    def fail(self) -> None:
        """Record that the run broke off; what a logger can't record does not hide why."""
        for logger in self.loggers:
            with suppress(Exception):
                logger.fail() if isinstance(logger, RunLogger) else logger.finalize("failed")


def plain_config(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain data, its references resolved."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return plain  # type: ignore[return-value]


def final_scores(result: Mapping[str, Any]) -> dict[str, float]:
    """Return scores and costs of ``result.json`` as metrics.

    Those of the validation are the best epoch's, and named so: the curve ``val/sad`` ends with the last one.

    >>> final_scores({"scores": {"val/sad": 1.0, "test/sad": 2.0}, "cost": {"seconds": 3.0}})
    {'best/val/sad': 1.0, 'test/sad': 2.0, 'cost/seconds': 3.0}
    """
    scores = {f"best/{key}" if key.startswith("val/") else key: v for key, v in result["scores"].items()}
    return scores | {f"cost/{key}": value for key, value in result["cost"].items()}


def parameters(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Return the configuration and, as ``overrides``, what was chosen: ``overrides.loss`` is ``dice``."""
    words = (run.result() or {}).get("overrides", [])
    chosen = (word.lstrip("+").partition("=") for word in words)  # `~KEY`, which leaves one out, has no value
    return plain_config(config) | {"overrides": {key: value for key, _, value in chosen}}


def scored_pictures(run: RunDir) -> dict[str, np.ndarray]:
    """Return a few test pictures by name, (H, 3 W, 3) in uint8: image, true and predicted matte in a row."""
    import cv2

    test = run.pictures / "test"
    files = sorted(test.rglob("*_matte.png"))[:NUM_MATTES]
    names = [file.relative_to(test).as_posix().removesuffix("_matte.png") for file in files]

    def read(name: str, part: str) -> np.ndarray:
        return np.asarray(cv2.imread(str(test / f"{name}_{part}.png")))[..., ::-1]  # OpenCV's BGR

    return {name: np.hstack([read(name, part) for part in PARTS]) for name in names}
