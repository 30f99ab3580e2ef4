"""Matting networks. A model maps a `Batch` to a `Matte` and knows no trainer.

The interface: ``reads`` names the batch keys that a model needs, ``parts`` the submodules that a training
stage can train or freeze, and ``forward(batch, refine=False)`` stops at the coarse matte.
"""

from deepmatte.models.alphagan import AlphaGAN
from deepmatte.models.base import MattingModel
from deepmatte.models.bgmv2 import BackgroundMattingV2
from deepmatte.models.dim import DeepImageMatting
from deepmatte.models.encoder_decoder import EncoderDecoderMatting
from deepmatte.models.guided import GuidedMatting
from deepmatte.models.vgg_segnet import VggSegNet
from deepmatte.models.vitmatte import ViTMatte

__all__ = [
    "AlphaGAN",
    "BackgroundMattingV2",
    "DeepImageMatting",
    "EncoderDecoderMatting",
    "GuidedMatting",
    "MattingModel",
    "VggSegNet",
    "ViTMatte",
]
