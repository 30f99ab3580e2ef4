"""The generator, a dilated ResNet-50 with ASPP and a decoder, and the discriminator beside it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from deepmatte.batch import Matte
from deepmatte.models.alphagan.decoder import Decoder
from deepmatte.models.alphagan.discriminator import Field, PatchDiscriminator
from deepmatte.models.base import Inputs, MattingModel, matte_of
from deepmatte.models.encoders import ASPP, ResNet
from deepmatte.models.encoders.layers import EncoderNorm, scaled
from deepmatte.models.encoders.resnet import Bottleneck, Dilated, Pooling


class AlphaGAN(MattingModel):
    """A generator of mattes with 40.3 M parameters, and the discriminator that judges them in training.

    Source: Lutz, Amplianitis, Smolic, "AlphaGAN: Generative adversarial networks for natural image matting",
    BMVC 2018; layer by layer the generator of a well-known implementation, CDOTAD/AlphaGAN-Matting, whose
    checkpoints ``deepmatte convert alphagan`` reads. Trained with ``loss=alphagan``; with any other loss the
    discriminator rests.

    Differences: a stage of the generator alone comes first under ``budget=full``. ``budget=laptop`` leaves it
    out (its ``length.shares=last`` gives all epochs to the adversarial stage); ``length.shares=null`` brings
    it back with half of them, ``length.shares={generator: 4, adversarial: 2}`` with two thirds. The
    adversarial term rises from zero, and the discriminator has the published field of 70 pixels (there 34)
    and no batch statistics (there it has): with them, real and predicted composites are standardised apart.
    Batch normalisation of the generator also trains with one sample a batch, which raises there. Dilations as
    in torchvision and pooling without repeated indices are options. Sides are padded to multiples of 8, there
    made smaller, to multiples of 32.

    Args:
        width: factor on all channel counts of the generator; 1 is ResNet-50.
        norm: of the generator: ``group``, with 32 groups wherever they divide the channels; for layers of 32
            channels that is instance normalisation. ``batch``, or ``none``, where each residual block starts
            as the identity.
        dilated: which blocks of the last two stages are dilated, by 2 and 4: the ``first`` of each, or all as
            ``torchvision`` (the first with the dilation of the stage before), or ``all``.
        pooling: of the stem, whose maxima the decoder puts back where they were: 3x3 windows, ``overlapping``
            as published, or ``2x2``. Overlapping windows can choose the same pixel (9 % do). Of several
            values that go to one place any may win on a GPU, so that runs there can't be repeated to the bit.
        field: side in pixels of the patches that the discriminator judges: 70 or 34.
        discriminator_width: factor on the channel counts of the discriminator.
        discriminator_norm: of the discriminator: ``none``, ``group``, or ``batch`` as published.
    """

    parts: ClassVar[tuple[str, ...]] = ("encoder", "aspp", "decoder", "discriminator")
    critics: ClassVar[tuple[str, ...]] = ("discriminator",)
    stages: ClassVar[str] = "generator_adversarial"
    multiple = 8

    def __init__(
        self,
        width: float = 1.0,
        norm: EncoderNorm = "group",
        dilated: Dilated = "first",
        pooling: Pooling = "overlapping",
        field: Field = 70,
        discriminator_width: float = 1.0,
        discriminator_norm: EncoderNorm = "none",
    ) -> None:
        super().__init__()
        strides, dilations = (1, 2, 1, 1), (1, 1, 2, 4)
        self.encoder = ResNet(50, 4, width, norm, strides, dilations, dilated, pooling)
        half, quarter, _, _, deepest = self.encoder.channels
        features = scaled(256, width)
        self.aspp = ASPP(deepest, features, rates=(6, 12, 18), norm=norm)
        self.decoder = Decoder(features, quarter, half, width, norm)
        self.discriminator = PatchDiscriminator(field, discriminator_width, discriminator_norm)
        if norm == "none":
            for block in self.encoder.modules():
                if isinstance(block, Bottleneck):  # 16 sums of equal variance would scale the output by 256
                    nn.init.zeros_(block.conv3.weight)

    def predict(self, inputs: Inputs, refine: bool) -> Matte:
        """Return the matte of the padded inputs; there is nothing to refine."""
        image = inputs["image"]
        levels, indices = self.encoder.with_indices(torch.cat([image, inputs["trimap"]], 1))
        half, quarter, *_, deepest = levels
        logit = self.decoder(self.aspp(deepest), quarter, half, indices, image)
        return matte_of(logit)
