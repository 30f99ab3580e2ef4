"""TensorBoard: the run's curves, pictures and hyperparameters, in the folder ``tensorboard`` of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger

from deepmatte.runs.directory import RunDir
from deepmatte.training.tracking.tracker import RunLogger, final_scores, parameters, scored_pictures


class TensorBoardRun(RunLogger, TensorBoardLogger):
    """Lightning's TensorBoard logger; a resumed run replaces what was logged after its checkpoint."""

    def __init__(self, config: DictConfig, run: RunDir, step: int = 0) -> None:
        super().__init__(
            run.path, name="tensorboard", version="", default_hp_metric=False, purge_step=step or None
        )
        self.parameters = parameters(config, run)
        self.experiment.add_text("config", f"```yaml\n{OmegaConf.to_yaml(config, resolve=True)}```", step)

    def save(self) -> None:
        """Write what is pending; the run directory has the configuration already."""
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Write what is pending after a stage; `finish` and `fail` close the file."""
        self.save()

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Add the pictures, which a slider shows by step: the last that is done, as curves count.

        Under ``step``, the number of steps done, a run that is resumed there would replace them by nothing.
        """
        for number, picture in enumerate(images):
            name = f"{key}/{number}" if len(images) > 1 else key
            self.experiment.add_image(name, picture, max((step or 0) - 1, 0), dataformats="HWC")

    def finish(self, run: RunDir, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Add test mattes, and the row of the table of hyperparameters."""
        last = int(result["cost"].get("steps", 0))
        for name, picture in scored_pictures(run).items():
            self.experiment.add_image(f"test/mattes/{name}", picture, last, dataformats="HWC")
        self.log_hyperparams(self.parameters, final_scores(result), last)
        self.experiment.close()

    def fail(self) -> None:
        """Close the file."""
        self.experiment.close()
