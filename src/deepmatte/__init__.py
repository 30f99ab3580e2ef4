"""deepmatte: controlled experiments on losses for image matting.

Names are imported on first use, so that ``import deepmatte`` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepmatte.batch import Batch as Batch
    from deepmatte.batch import Matte as Matte
    from deepmatte.data import Composition as Composition
    from deepmatte.data import FolderData as FolderData
    from deepmatte.data import collate as collate
    from deepmatte.losses import LossTable as LossTable
    from deepmatte.metrics import MattingMetrics as MattingMetrics
    from deepmatte.models import DeepImageMatting as DeepImageMatting
    from deepmatte.models import MattingModel as MattingModel
    from deepmatte.scoring.photographs.notebook import cutout as cutout
    from deepmatte.scoring.photographs.notebook import load as load
    from deepmatte.scoring.photographs.notebook import matte as matte
    from deepmatte.scoring.photographs.notebook import trimap as trimap
    from deepmatte.training.building.optimisation import Optimisation as Optimisation
    from deepmatte.training.building.stages import Stage as Stage
    from deepmatte.training.callbacks import PictureGrids as PictureGrids
    from deepmatte.training.datamodule import MattingData as MattingData
    from deepmatte.training.module import MattingModule as MattingModule

__version__ = "0.1.0"

_HOMES = {
    "Batch": "deepmatte.batch",
    "Composition": "deepmatte.data",
    "DeepImageMatting": "deepmatte.models",
    "FolderData": "deepmatte.data",
    "LossTable": "deepmatte.losses",
    "Matte": "deepmatte.batch",
    "MattingData": "deepmatte.training.datamodule",
    "MattingMetrics": "deepmatte.metrics",
    "MattingModel": "deepmatte.models",
    "MattingModule": "deepmatte.training.module",
    "Optimisation": "deepmatte.training.building.optimisation",
    "PictureGrids": "deepmatte.training.callbacks",
    "Stage": "deepmatte.training.building.stages",
    "collate": "deepmatte.data",
    "cutout": "deepmatte.scoring.photographs.notebook",
    "load": "deepmatte.scoring.photographs.notebook",
    "matte": "deepmatte.scoring.photographs.notebook",
    "trimap": "deepmatte.scoring.photographs.notebook",
}
"""The module of each public name."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
