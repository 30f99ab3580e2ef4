"""Networks that map a picture to features at falling sizes, for the decoders of several models.

Each has ``channels`` and ``strides``, by level from fine to coarse, and ``forward(x)`` returns the features
of all levels. Parameters are named as in the published weights.
"""

from deepmatte.models.encoders.aspp import ASPP
from deepmatte.models.encoders.catalogue import ENCODERS, make_encoder
from deepmatte.models.encoders.encoder import Encoder
from deepmatte.models.encoders.lite0 import EfficientNetLite0
from deepmatte.models.encoders.mobilenet import MobileNetV2
from deepmatte.models.encoders.resnet import ResNet

__all__ = [
    "ASPP",
    "ENCODERS",
    "EfficientNetLite0",
    "Encoder",
    "MobileNetV2",
    "ResNet",
    "make_encoder",
]
