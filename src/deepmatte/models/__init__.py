"""Matting networks. A model maps a `Batch` to a `Matte` and knows no trainer.

What the rooms above rely on: ``reads`` names the batch keys that the model needs, ``parts`` names the
submodules that a training stage can switch on, and ``forward(batch, refine=...)`` leaves out what comes after
the coarse matte when it is false.
"""

from deepmatte.models.base import MattingModel
from deepmatte.models.dim import DeepImageMatting
from deepmatte.models.vgg_segnet import VggSegNet

__all__ = ["DeepImageMatting", "MattingModel", "VggSegNet"]
