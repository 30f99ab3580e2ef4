"""The network of Background Matting V2: a base at a fraction of the size, and a refiner."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from deepmatte.batch import Matte
from deepmatte.errors import InputError
from deepmatte.models.base import UNSCALED, Inputs, MattingModel
from deepmatte.models.bgmv2.decoder import Decoder
from deepmatte.models.bgmv2.refiner import PATCH, Mode, Refinement, Refiner
from deepmatte.models.encoders import ASPP, MobileNetV2, ResNet

Backbone = Literal["resnet50", "resnet101", "mobilenetv2"]
Clamp = Literal["hard", "inward"]

LARGEST_SCALE = 0.5
"""The refiner looks at the half size, so the base may see no larger one."""


class BasePrediction(NamedTuple):
    """What the base predicts, at its own size.

    ``alpha`` (N, 1, h, w) and ``error`` (N, 1, h, w), the expected absolute error of alpha, are in [0, 1];
    ``residual`` (N, 3, h, w) is to be added to the photograph for the foreground's colours, and ``hidden``
    (N, C, h, w), not negative, is what the refiner sees beside them.
    """

    alpha: Tensor
    residual: Tensor
    error: Tensor
    hidden: Tensor


class BackgroundMattingV2(MattingModel):
    """Matte and foreground colours from a photograph and a plate of its background.

    Source: Lin, Ryabtsev, Sengupta, Curless, Seitz, Kemelmacher-Shlizerman, "Real-time high-resolution
    background matting", CVPR 2021; PeterL1n/BackgroundMattingV2, whose parameters have the same names.
    Colours stay in [0, 1]; alpha, error and colours are clamped, without a sigmoid. `model=bgmv2` with
    `refinement=replace` and `clamp=hard` is the published network.

    Differences: `refinement=correct` starts joint training at the coarse matte, and `clamp=inward` lets learn
    what is clamped on the wrong side. In training at least one patch of each picture is refined, so that no
    process is without gradients; there are never more patches sampled than there are; pictures of any size
    are padded.

    Args:
        backbone: ``resnet50`` (40.2 M parameters), ``resnet101`` (59.2 M) or ``mobilenetv2`` (5.0 M).
        width: factor on the channel counts of the base; 1 is the published network.
        backbone_scale: size at which the base sees the pictures: 0.25 for 1080p, 0.125 for 4K, at most 0.5.
        refine_mode: how the refiner selects patches: ``sampling``, ``thresholding`` or ``full``.
        sample_pixels: how many pixels of each picture ``sampling`` refines; more than there are select all.
        threshold: the expected error above which ``thresholding`` refines.
        refinement: ``replace``, as published: refined patches replace the coarse matte; ``correct``: they are
            added to it, so that joint training starts with the coarse matte.
        clamp: the gradient where a prediction is outside [0, 1]: ``hard``, as published, gives none, so a
            pixel that is clamped on the wrong side learns nothing; ``inward`` gives one that leads back
            inside.

    >>> sum(p.numel() for p in BackgroundMattingV2("mobilenetv2").parameters())
    5006839
    """

    reads: ClassVar[tuple[str, ...]] = ("image", "captured_background")
    parts: ClassVar[tuple[str, ...]] = ("backbone", "aspp", "decoder", "refiner")
    gives: ClassVar[tuple[str, ...]] = ("foreground", "error")
    stages: ClassVar[str] = "bgmv2"

    def __init__(
        self,
        backbone: Backbone = "resnet50",
        width: float = 1.0,
        backbone_scale: float = 0.25,
        refine_mode: Mode = "sampling",
        sample_pixels: int = 80_000,
        threshold: float = 0.1,
        refinement: Refinement = "replace",
        clamp: Clamp = "hard",
    ) -> None:
        super().__init__(UNSCALED)
        if not 0 < backbone_scale <= LARGEST_SCALE:
            raise InputError(
                f"model.backbone_scale={backbone_scale}: has to be above 0 and at most {LARGEST_SCALE}"
            )
        if clamp not in get_args(Clamp):
            raise InputError(f"model.clamp={clamp}: choose one of {', '.join(get_args(Clamp))}")
        self.backbone_scale, self.clamp = backbone_scale, clamp
        # So that the base sees whole pixels of the reduced size, where its scale is one over a whole number.
        self.multiple = math.lcm(PATCH, round(1 / backbone_scale))
        self.backbone, self.levels = _encoder(backbone, width)
        channels = [self.backbone.channels[level] for level in self.levels]
        aspp, first, second, third, hidden = (max(1, round(c * width)) for c in (256, 128, 64, 48, 32))
        self.aspp = ASPP(channels[-1], aspp, rates=(3, 6, 9), dropout=0.5)
        self.decoder = Decoder(aspp, [*channels[-2::-1], 6], (first, second, third, 5 + hidden))
        self.refiner = Refiner(refine_mode, sample_pixels, threshold, hidden, refinement)

    def base(self, pictures: Tensor) -> BasePrediction:
        """Return what the base predicts of photographs and plates (N, 6, h, w), of any size."""
        features = self.backbone(pictures)
        *skips, deepest = (features[level] for level in self.levels)
        # As exact as the pictures, whatever autocast computed in: alpha is clamped and colours are added.
        x = self.decoder(self.aspp(deepest), [*skips[::-1], pictures]).to(pictures.dtype)
        return BasePrediction(self._clamped(x[:, :1]), x[:, 1:4], self._clamped(x[:, 4:5]), F.relu(x[:, 5:]))

    def predict(self, inputs: Inputs, refine: bool) -> Matte:
        """Return the matte of the padded inputs; the coarse one has the size that the base sees."""
        image, plate = inputs["image"], inputs["captured_background"]
        pictures = torch.cat([image, plate], 1)
        size = tuple(max(1, math.trunc(side * self.backbone_scale)) for side in image.shape[-2:])
        small = F.interpolate(pictures, size, mode="bilinear", align_corners=False)
        alpha, residual, error, hidden = self.base(small)
        coarse = Matte(alpha, foreground=self._clamped(residual + small[:, :3]), error=error)
        together = torch.cat([alpha, residual], 1)
        if refine:
            found, _ = self.refiner(pictures, together, error, hidden)
        else:
            found = F.interpolate(together, image.shape[-2:], mode="bilinear", align_corners=False)
        foreground = self._clamped(found[:, 1:] + image)
        return Matte(self._clamped(found[:, :1]), coarse=coarse, foreground=foreground)

    def _clamped(self, values: Tensor) -> Tensor:
        return values.clamp(0, 1) if self.clamp == "hard" else _InwardClamp.apply(values)


def _encoder(name: str, width: float) -> tuple[ResNet | MobileNetV2, tuple[int, ...]]:
    """Return the network of that name, with stride 16, and its levels at 1/2, 1/4, 1/8 and 1/16."""
    if name == "mobilenetv2":
        return MobileNetV2(6, width, dilated=True), (0, 1, 2, 3)
    if name not in get_args(Backbone):
        raise InputError(f"model.backbone={name}: choose one of {', '.join(get_args(Backbone))}")
    depth = int(name.removeprefix("resnet"))
    return ResNet(depth, 6, width, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)), (0, 1, 2, 4)


class _InwardClamp(torch.autograd.Function):
    """Clamps to [0, 1]; outside, gradients pass whose descent leads back inside."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        outward = ((values < 0) & (grad > 0)) | ((values > 1) & (grad < 0))
        return grad.masked_fill(outward, 0)
